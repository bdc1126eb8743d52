/* SPDX-License-Identifier: MIT
 *
 * inet.c - connections found in the kernel's list, by their inode
 *
 * WHAT        Where a program's descriptors may not be duplicated (a container's seccomp filter
 *   refuses pidfd_getfd, as Docker's default does), its connections are found in the list that the
 *   kernel gives to anybody: whom each talks to, and when it last sent and received.
 *
 * HOW         The whole list is read, and again when a hundred and fifty times what that cost has
 *   passed.
 *
 * LIMITS      Of this network namespace, and TCP and UDP only: a Unix socket has no name there.
 */
#include <linux/rtnetlink.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "diag/look_impl.h"

enum {
    STATE_ESTABLISHED = 1,
    STATE_SYN_SENT = 2,
    STATE_FIN_WAIT1 = 4,
    STATE_FIN_WAIT2 = 5,
    STATE_CLOSE_WAIT = 8,
    STATE_LISTEN = 10,
    INET_MOST = 1 << 17,
    INET_REREAD = 150,
    INET_REREAD_NEW = 50 /* for one that is not in it */
};

#define INET_LEAST (2 * HOB_MS)

static void address_take(union address *a, int family, const uint32_t *bytes, uint16_t port)
{
    memset(a, 0, sizeof *a);
    a->any.sa_family = (sa_family_t)family;
    if (family == AF_INET6) {
        a->in6.sin6_port = port;
        memcpy(&a->in6.sin6_addr, bytes, sizeof a->in6.sin6_addr);
    } else {
        a->in.sin_port = port;
        memcpy(&a->in.sin_addr, bytes, sizeof a->in.sin_addr);
    }
}

static void info_take(struct inet_sock *s, const struct inet_diag_msg *m, size_t left)
{
    const struct rtattr *at = (const struct rtattr *)(m + 1);

    for (size_t n = left; RTA_OK(at, n); at = RTA_NEXT(at, n)) {
        size_t size = RTA_PAYLOAD(at);

        if (at->rta_type != INET_DIAG_INFO)
            continue;
        s->n_info = size < sizeof s->info ? size : sizeof s->info;
        memcpy(&s->info, RTA_DATA(at), s->n_info);
    }
}

static void sock_take(struct inet_table *t, int type, const struct inet_diag_msg *m, size_t left)
{
    if (m->idiag_inode == 0 || t->n >= INET_MOST)
        return;
    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 64;
        void *more = reallocarray(t->sock, cap, sizeof *t->sock);

        if (!more)
            return;
        t->sock = more;
        t->cap = cap;
    }
    struct inet_sock *s = &t->sock[t->n++];
    *s = (struct inet_sock){
        .ino = m->idiag_inode, .type = type, .listens = m->idiag_state == STATE_LISTEN};
    address_take(&s->own, m->idiag_family, m->id.idiag_src, m->id.idiag_sport);
    address_take(&s->peer, m->idiag_family, m->id.idiag_dst, m->id.idiag_dport);
    s->connected = m->id.idiag_dport != 0;
    info_take(s, m, left);
}

static void stream_take(void *arg, const struct inet_diag_msg *m, size_t left)
{
    sock_take(arg, SOCK_STREAM, m, left);
}

static void datagram_take(void *arg, const struct inet_diag_msg *m, size_t left)
{
    sock_take(arg, SOCK_DGRAM, m, left);
}

static int by_ino(const void *a, const void *b)
{
    uint64_t x = ((const struct inet_sock *)a)->ino, y = ((const struct inet_sock *)b)->ino;

    return (x > y) - (x < y);
}

static void table_read(struct looker *l, struct inet_table *t, int64_t now)
{
    const uint32_t states = 1u << STATE_ESTABLISHED | 1u << STATE_SYN_SENT | 1u << STATE_FIN_WAIT1 |
                            1u << STATE_FIN_WAIT2 | 1u << STATE_CLOSE_WAIT | 1u << STATE_LISTEN;
    int64_t began = look_cpu();

    t->n = 0;
    t->refused = netlink_sockets(IPPROTO_TCP, states, true, stream_take, t) < 0;
    if (!t->refused)
        (void)netlink_sockets(IPPROTO_UDP, ~0u, false, datagram_take, t);
    if (t->n > 0)
        qsort(t->sock, t->n, sizeof *t->sock, by_ino);
    t->cost = look_cpu() - began;
    t->at = now;
    if (t->refused)
        rec_note(l->rec, "neither a program's sockets nor the kernel's list of them may be seen "
                         "here: network waits have no names, and are not counted");
}

static const struct inet_sock *table_find(const struct inet_table *t, uint64_t ino)
{
    struct inet_sock want = {.ino = ino};

    return t->n ? bsearch(&want, t->sock, t->n, sizeof *t->sock, by_ino) : NULL;
}

static bool table_older(const struct inet_table *t, int64_t now, int64_t costs)
{
    int64_t every = t->cost * costs;

    return t->at == 0 || now - t->at > (every > INET_LEAST ? every : INET_LEAST);
}

const struct inet_sock *inet_find(struct looker *l, uint64_t ino, bool *ret_none)
{
    struct inet_table *t = &l->inet;
    int64_t now = hob_now();

    if (table_older(t, now, INET_REREAD))
        table_read(l, t, now);
    const struct inet_sock *s = table_find(t, ino);
    if (!s && table_older(t, now, INET_REREAD_NEW)) {
        table_read(l, t, now);
        s = table_find(t, ino);
    }
    *ret_none = !s && t->at == now && !t->refused;
    return s;
}
