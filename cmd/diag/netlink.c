/* SPDX-License-Identifier: MIT
 *
 * netlink.c - the sockets of this machine, as the kernel lists them to anybody
 *
 * REJECTED    /proc/net/tcp: without a listener of its own family the kernel walks its whole table
 *   of connections to find the first row, which took 4 ms; and it does not say when a connection
 *   last sent and received.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "diag/look_impl.h"

struct netlink_ask {
    struct nlmsghdr head;
    struct inet_diag_req_v2 body;
};

/* All messages of one answer; 0 at its end, 1 while there is more. */
static int answer_take(const char *buf, size_t n, netlink_fn *f, void *arg)
{
    const struct nlmsghdr *h = (const struct nlmsghdr *)buf;

    for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
        if (h->nlmsg_type == NLMSG_DONE)
            return 0;
        if (h->nlmsg_type == NLMSG_ERROR)
            return -EIO;
        if (h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
            f(arg, NLMSG_DATA(h), h->nlmsg_len - NLMSG_LENGTH(sizeof(struct inet_diag_msg)));
    }
    return 1;
}

static int family_ask(int fd, struct netlink_ask *ask, netlink_fn *f, void *arg)
{
    _Alignas(struct nlmsghdr) char buf[32768];
    int r = 1;

    if (send(fd, ask, sizeof *ask, 0) < 0)
        return -errno;
    while (r > 0) {
        ssize_t n = recv(fd, buf, sizeof buf, 0);

        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        r = answer_take(buf, (size_t)n, f, arg);
    }
    return r;
}

int netlink_sockets(int protocol, uint32_t states, bool info, netlink_fn *f, void *arg)
{
    struct netlink_ask ask = {
        .head = {.nlmsg_len = sizeof ask,
                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .body = {.sdiag_protocol = (uint8_t)protocol,
                 .idiag_states = states,
                 .idiag_ext = info ? 1u << (INET_DIAG_INFO - 1) : 0},
    };
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    int r = fd < 0 ? -errno : 0;

    for (int i = 0; r == 0 && i < 2; i++) {
        ask.body.sdiag_family = i ? AF_INET6 : AF_INET;
        r = family_ask(fd, &ask, f, arg);
    }
    if (fd >= 0)
        close(fd);
    return r;
}
