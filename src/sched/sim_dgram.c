/* SPDX-License-Identifier: MIT
 *
 * sim_dgram.c - datagrams of the simulator: UDP, and Unix ones
 *
 * WHAT        A datagram goes into the mail of the socket that has the name it is sent to, with the
 *             time at which it is there.  UDP's go in order and none is lost, except for what is
 *             drawn as a fault - lost, doubled, overtaken - and for want of room.  Unix ones are
 *             there at once, and a full mailbox makes the sender wait.
 *
 * INVARIANTS  (I1) mail is in the order of its times; of the same time, in that of sending
 *             (I2) mail_bytes is the sum of what lies in the mail; of UDP's it is at most
 *                  mail_room, of Unix ones there are at most UNIX_QUEUE
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "base/assert.h"
#include "plat/env.h"
#include "sched/sim_net.h"

enum {
    UDP_MOST = 65507,
    UNIX_MOST = 200 << 10, /* about what the kernel's usual buffer takes */
    UNIX_QUEUE = 10,       /* net.unix.max_dgram_qlen */
    LATE_RATE = 250,
    LATE_US = 5000,
    OVERTAKEN = 20 * HOB_MS,
};

enum fault { FAULT_NONE, FAULT_LOST, FAULT_DOUBLED, FAULT_OVERTAKEN, FAULTS };

struct mail {
    struct list node;
    hob_time at;
    hob_addr from;
    size_t n;
    unsigned char bytes[];
};

static struct mail *mail_of(struct list *n)
{
    return list_entry(n, struct mail, node);
}

/* The first that is there; NULL. */
static struct mail *mail_there(const struct sim_sock *s)
{
    struct mail *m = list_empty(&s->mail) ? NULL : mail_of(s->mail.next);

    return m && m->at <= hob__now() ? m : NULL;
}

/* Somebody may have mail; the timer is set for what is under way. */
static void mail_arrives(struct sim_sock *s)
{
    hob_time now = hob__now();

    list_each (n, &s->mail)
        if (mail_of(n)->at > now) {
            hob__sim_timer_set(&s->timer, mail_of(n)->at);
            break;
        }
    hob__sim_changed(s);
}

static void mail_fire(struct timer *t)
{
    mail_arrives(container_of(t, struct sim_sock, timer));
}

static int mail_put(struct sim_sock *to, const struct sim_sock *from, const struct iovec *iov,
                    size_t n_iov, size_t n, hob_time at)
{
    struct mail *m = malloc(sizeof *m + n);
    struct list *before = &to->mail;
    size_t done = 0;

    if (!m)
        return -ENOMEM;
    m->at = at;
    m->from = from->name;
    m->n = n;
    for (size_t i = 0; i < n_iov; done += iov[i++].iov_len)
        if (iov[i].iov_len)
            memcpy(m->bytes + done, iov[i].iov_base, iov[i].iov_len);
    while (before->prev != &to->mail && mail_of(before->prev)->at > at)
        before = before->prev;
    list_push(before, &m->node); /* (I1) */
    to->mail_bytes += n;
    to->timer.fire = mail_fire;
    mail_arrives(to);
    return 0;
}

static void mail_free(struct sim_sock *s, struct mail *m)
{
    HOB_ASSERT(s->mail_bytes >= m->n); /* (I2) */
    s->mail_bytes -= m->n;
    list_cut(&m->node);
    free(m);
}

static bool addr_same(const hob_addr *a, const hob_addr *b)
{
    return a->len == b->len && memcmp(&a->sa, &b->sa, a->len) == 0;
}

static int udp_send(struct sim_sock *s, struct sim_sock *to, const struct iovec *iov, size_t n_iov,
                    size_t n)
{
    static const char *const faults[] = {"lost", "doubled", "overtaken"};
    int k = hob__sim_fault("datagram", faults, FAULTS - 1);
    hob_time at = hob__now() + hob__sim_rare(CHOICE_LATE, LATE_RATE, LATE_US) * HOB_US;
    int r = 0;

    if (k == FAULT_OVERTAKEN)
        at += OVERTAKEN;
    else
        at = to->mail_last = at > to->mail_last ? at : to->mail_last;
    for (int i = k == FAULT_DOUBLED ? 2 : 1; i > 0 && k != FAULT_LOST && r == 0; i--)
        if (to->mail_bytes + n <= to->mail_room)
            r = mail_put(to, s, iov, n_iov, n, at);
    return r < 0 ? r : (int)n;
}

static int unix_send(struct sim_sock *s, struct sim_sock *to, const struct iovec *iov, size_t n_iov,
                     size_t n)
{
    unsigned queue = 0;
    int r;

    list_each (it, &to->mail)
        queue++;
    if (queue >= UNIX_QUEUE)
        return POLL_TRY_WAIT;
    r = mail_put(to, s, iov, n_iov, n, hob__now());
    return r < 0 ? r : (int)n;
}

int hob__sim_dgram_send(struct sim_sock *s, const struct iovec *iov, size_t n_iov,
                        const hob_addr *to)
{
    struct sim_sock *other;
    size_t n = 0;
    int r;

    if ((r = hob__sim_sock_err(s)) < 0)
        return r;
    for (size_t i = 0; i < n_iov; i++)
        n += iov[i].iov_len;
    if (!to->len)
        to = &s->peer_name;
    if (!to->len)
        return s->local ? -ENOTCONN : -EDESTADDRREQ;
    if (n > (s->local ? UNIX_MOST : UDP_MOST))
        return -EMSGSIZE;
    hob__sim_sock_autoname(s);
    other = hob__sim_sock_at(to, SOCK_DGRAM);
    if (other && other->peer_name.len && !addr_same(&other->peer_name, &s->name))
        return s->local ? -EPERM : (int)n; /* it takes only its peer's */
    if (s->local)
        return other ? unix_send(s, other, iov, n_iov, n) : -ECONNREFUSED;
    if (other)
        return udp_send(s, other, iov, n_iov, n);
    if (s->peer_name.len) {
        s->err = -ECONNREFUSED; /* the answer that says so reaches only who has dialled */
        hob__sim_changed(s);
    }
    return (int)n;
}

static size_t mail_copy(const struct mail *m, const struct msghdr *msg)
{
    size_t done = 0;

    for (size_t i = 0; i < msg->msg_iovlen && done < m->n; i++) {
        size_t k = msg->msg_iov[i].iov_len;
        if (k > m->n - done)
            k = m->n - done;
        if (k)
            memcpy(msg->msg_iov[i].iov_base, m->bytes + done, k);
        done += k;
    }
    return done;
}

int hob__sim_dgram_recv(struct sim_sock *s, struct msghdr *msg, int flags)
{
    struct mail *m;
    size_t whole, got;
    int r;

    if ((r = hob__sim_sock_err(s)) < 0)
        return r;
    if (!(m = mail_there(s)))
        return POLL_TRY_WAIT;
    whole = m->n;
    got = mail_copy(m, msg);
    msg->msg_flags = got < whole ? MSG_TRUNC : 0;
    if (msg->msg_name) {
        socklen_t n = msg->msg_namelen < m->from.len ? msg->msg_namelen : m->from.len;
        memcpy(msg->msg_name, &m->from.sa, n);
        msg->msg_namelen = m->from.len;
    }
    mail_free(s, m);
    return (int)(flags & MSG_TRUNC ? whole : got);
}

uint32_t hob__sim_dgram_ready(const struct sim_sock *s)
{
    uint32_t is = EPOLLOUT;

    if (mail_there(s) || s->err)
        is |= EPOLLIN;
    if (s->err)
        is |= EPOLLERR;
    return is;
}

void hob__sim_dgram_close(struct sim_sock *s)
{
    while (!list_empty(&s->mail))
        mail_free(s, mail_of(s->mail.next));
}
