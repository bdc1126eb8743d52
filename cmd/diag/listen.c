/* SPDX-License-Identifier: MIT
 *
 * listen.c - the ports that somebody on this machine listens on
 *
 * WHAT        A connection whose own port is one of them was accepted, not opened; and the
 *             listener of a local peer's port leads to the process behind it.
 *
 * HOW         Asked of the kernel by netlink, for listening sockets alone: 20 us.
 *
 * REJECTED    /proc/net/tcp6: without a listener of its own family the kernel walks its whole
 *   table of connections to find the first row, which took 4 ms.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "diag/look_impl.h"

enum {
    LISTEN_STATE = 10,
    LISTEN_REREAD = 200 /* times what reading them cost must have passed, */
};

#define LISTEN_LEAST (100 * HOB_MS) /* and so long: who begins to listen is asked at once */

/* Where netlink is refused.  The kernel gives these rows first, a page of text at a time. */
static void ports_from_text(struct looker *l, const char *path)
{
    char text[4097];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0, kept = 0;
    bool more = fd >= 0;

    while (more && (n = read(fd, text + kept, sizeof text - 1 - (size_t)kept)) > 0) {
        text[kept + n] = '\0';
        l->n_ports +=
            procfs_parse_listen(text, l->ports + l->n_ports, LOOK_PORTS - l->n_ports, &more);
        char *rest = strrchr(text, '\n');
        kept = rest ? (ssize_t)strlen(rest + 1) : 0;
        if (rest)
            memmove(text, rest + 1, (size_t)kept);
    }
    if (fd >= 0)
        close(fd);
}

static void port_add(struct looker *l, const struct inet_diag_msg *m)
{
    if (l->n_ports < LOOK_PORTS)
        l->ports[l->n_ports++] =
            (struct procfs_listener){.ino = m->idiag_inode, .port = ntohs(m->id.idiag_sport)};
}

/* All messages of one answer; 0 at its end, 1 while there is more. */
static int answer_take(struct looker *l, const char *buf, size_t n)
{
    const struct nlmsghdr *h = (const struct nlmsghdr *)buf;

    for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
        if (h->nlmsg_type == NLMSG_DONE)
            return 0;
        if (h->nlmsg_type == NLMSG_ERROR)
            return -EIO;
        if (h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
            port_add(l, NLMSG_DATA(h));
    }
    return 1;
}

static int ports_of_family(struct looker *l, int fd, uint8_t family)
{
    struct {
        struct nlmsghdr head;
        struct inet_diag_req_v2 body;
    } ask = {
        .head = {.nlmsg_len = sizeof ask,
                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .body = {.sdiag_family = family,
                 .sdiag_protocol = IPPROTO_TCP,
                 .idiag_states = 1u << LISTEN_STATE},
    };
    _Alignas(struct nlmsghdr) char buf[16384];
    int r = 1;

    if (send(fd, &ask, sizeof ask, 0) < 0)
        return -errno;
    while (r > 0) {
        ssize_t n = recv(fd, buf, sizeof buf, 0);
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        r = answer_take(l, buf, (size_t)n);
    }
    return r;
}

static void ports_read(struct looker *l, int32_t pid)
{
    char path[64];
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

    l->n_ports = 0;
    bool asked =
        fd >= 0 && ports_of_family(l, fd, AF_INET) == 0 && ports_of_family(l, fd, AF_INET6) == 0;
    if (fd >= 0)
        close(fd);
    if (asked)
        return;
    l->n_ports = 0;
    snprintf(path, sizeof path, "/proc/%d/net/tcp", pid);
    ports_from_text(l, path);
}

static int64_t listen_every(const struct looker *l)
{
    int64_t every = LISTEN_REREAD * l->ports_cost;

    return every > LISTEN_LEAST ? every : LISTEN_LEAST;
}

const struct procfs_listener *listener_of(struct looker *l, int32_t pid, uint16_t port)
{
    int64_t now = hob_now();

    if (l->ports_at == 0 || now - l->ports_at > listen_every(l)) {
        int64_t began = look_cpu();
        ports_read(l, pid);
        l->ports_at = now;
        l->ports_cost = look_cpu() - began;
    }
    for (size_t i = 0; i < l->n_ports; i++)
        if (l->ports[i].port == port)
            return &l->ports[i];
    return NULL;
}
