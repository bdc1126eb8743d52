/* SPDX-License-Identifier: MIT
 *
 * listen.c - the ports that somebody on this machine listens on
 *
 * WHAT        A connection whose own port is one of them was accepted, not opened; and the
 *             listener of a local peer's port leads to the process behind it.
 *
 * HOW         Asked of the kernel by netlink, for listening sockets alone: 20 us.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
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

static void port_add(void *arg, const struct inet_diag_msg *m, size_t left)
{
    struct looker *l = arg;

    (void)left;
    if (l->n_ports < LOOK_PORTS)
        l->ports[l->n_ports++] =
            (struct procfs_listener){.ino = m->idiag_inode, .port = ntohs(m->id.idiag_sport)};
}

static void ports_read(struct looker *l, int32_t pid)
{
    char path[64];

    l->n_ports = 0;
    if (netlink_sockets(IPPROTO_TCP, 1u << LISTEN_STATE, false, port_add, l) == 0)
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
