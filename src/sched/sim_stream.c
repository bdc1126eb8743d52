/* SPDX-License-Identifier: MIT
 *
 * sim_stream.c - connections of the simulator: TCP, Unix streams, pipes
 *
 * WHAT        A connection is two sockets, each with the bytes that come to it (struct way): some
 *             have arrived, some are under way.  How long they take, how much of what is there a
 *             read gives, how much of what is offered a write takes, and how much a connection
 *             holds, is drawn; so a stream is cut at every byte sooner or later, and joined.
 *
 * HOW         a: send --> [ arrived | under way ] --> b: recv      the ring is b's
 *                          n         n_under, in segs with their times
 *
 *   connect: after a while a listener is looked for.  There is none: ECONNREFUSED.  Its queue is
 *   full: the socket knocks until somebody accepts.  Else its other end is made and queued; it can
 *   be sent to before it is accepted.
 *
 *   TCP and Unix: closed with bytes unread, or written to after the other end is closed, a
 *   connection is reset: the bytes that arrived before can be read, then one call is ECONNRESET,
 *   then reads are 0 and writes EPIPE.
 *
 * INVARIANTS  (I1) arrived and under way together are at most the ring's room
 *             (I2) what is sent arrives in order, the end behind the last byte
 *             (I3) a write to a pipe of at most PIPE_BUF bytes is taken whole
 *             (I4) every change that somebody may wait for wakes those who hang on the socket
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/un.h>

#include "base/assert.h"
#include "plat/env.h"
#include "sched/sim_net.h"

enum {
    ROOM = 64 << 10,
    ROOM_SMALLER = 6, /* down to 1 KiB */
    LATE_US = 5000,   /* bytes that do not come at once come at most so much later */
};

/* How many of a thousand. */
enum { LATE_RATE = 250, CUT_RATE = 150, ROOM_RATE = 250 };

/* Who never answers is given up as Linux does, by default. */
#define CONNECT_PATIENCE (127 * HOB_SEC)

/* ---- a way ---- */

static uint32_t way_space(const struct way *w)
{
    return w->room - w->n - w->n_under;
}

/* When what is sent now is there. */
static hob_time way_when(const struct sim_sock *to)
{
    return hob__now() + (to->local ? 0 : hob__sim_rare(CHOICE_LATE, LATE_RATE, LATE_US) * HOB_US);
}

/* What has come by now is there; the timer is set for the rest. */
static void way_arrive(struct sim_sock *s)
{
    struct way *w = &s->in;
    hob_time now = hob__now();
    uint32_t k = 0;

    while (k < w->n_segs && w->seg[k].at <= now) { /* (I2): one that is late holds the rest */
        w->n += w->seg[k].n;
        w->n_under -= w->seg[k].n;
        k++;
    }
    w->n_segs -= k;
    memmove(w->seg, w->seg + k, w->n_segs * sizeof w->seg[0]);
    if (w->n_segs == 0 && w->end != WAY_OPEN && w->end_at <= now) {
        if (w->end == WAY_RESETS && !w->reset && !s->cut)
            s->err = -ECONNRESET;
        w->reset = w->end == WAY_RESETS;
        w->ended = true;
    }
    if (w->n_segs > 0)
        hob__sim_timer_set(&s->timer, w->seg[0].at);
    else if (w->end != WAY_OPEN && w->end_at > now)
        hob__sim_timer_set(&s->timer, w->end_at);
    hob__sim_changed(s); /* (I4) */
}

static void way_fire(struct timer *t)
{
    way_arrive(container_of(t, struct sim_sock, timer));
}

static void ring_put(struct way *w, const unsigned char *from, uint32_t n)
{
    uint32_t at = (w->head + w->n + w->n_under) % w->room;
    uint32_t first = n < w->room - at ? n : w->room - at;

    memcpy(w->ring + at, from, first);
    memcpy(w->ring, from + first, n - first);
}

static void ring_take(struct way *w, unsigned char *to, uint32_t n)
{
    uint32_t first = n < w->room - w->head ? n : w->room - w->head;

    memcpy(to, w->ring + w->head, first);
    memcpy(to + first, w->ring, n - first);
    w->head = (w->head + n) % w->room;
    w->n -= n;
}

static void way_send(struct sim_sock *to, const void *buf, uint32_t n)
{
    struct way *w = &to->in;
    hob_time at = way_when(to);
    struct way_seg *last;

    HOB_ASSERT(n <= way_space(w)); /* (I1) */
    ring_put(w, buf, n);
    w->n_under += n;
    if (w->n_segs < WAY_SEGS)
        w->seg[w->n_segs++] = (struct way_seg){0};
    last = &w->seg[w->n_segs - 1];
    last->n += n;
    last->at = last->at > at ? last->at : at; /* not before that of what it is joined to */
    way_arrive(to);
}

static void way_end(struct sim_sock *to, enum way_end how)
{
    struct way *w = &to->in;

    if (w->end >= how)
        return;
    w->end = how;
    w->end_at = way_when(to);
    way_arrive(to);
}

/* ---- connecting ---- */

uint32_t hob__sim_stream_room(void)
{
    return ROOM >> hob__sim_rare(CHOICE_ROOM, ROOM_RATE, ROOM_SMALLER);
}

static int way_init(struct sim_sock *s, uint32_t room)
{
    s->in.ring = malloc(room);
    s->in.room = room;
    s->timer.fire = way_fire;
    return s->in.ring ? 0 : -ENOMEM;
}

int hob__sim_stream_join(struct sim_sock *a, struct sim_sock *b, uint32_t room_a, uint32_t room_b)
{
    if (way_init(a, room_a) < 0 || way_init(b, room_b) < 0)
        return -ENOMEM;
    a->peer = b;
    b->peer = a;
    a->state = b->state = SOCK_STREAMS;
    return 0;
}

/* The listener has room. */
static int listener_take(struct sim_sock *l, struct sim_sock *s)
{
    struct sim_sock *other = hob__sim_sock_new(l->family, SOCK_STREAM);
    int r = -ENOMEM;

    if (other)
        r = hob__sim_stream_join(other, s, hob__sim_stream_room(), hob__sim_stream_room());
    if (r < 0) {
        if (other)
            hob__sim_sock_free(other);
        return r;
    }
    other->name = s->peer_name;
    other->peer_name = s->name;
    list_push(&l->queue, &other->queued);
    l->n_queue++;
    hob__sim_changed(l);
    return 0;
}

static void connect_ended(struct sim_sock *s, int err)
{
    if (err < 0)
        s->state = SOCK_NEW;
    s->err = err;
    hob__sim_changed(s);
}

static void connect_nobody(struct sim_sock *s)
{
    if (hob__sim_addr_far(&s->peer_name))
        hob__sim_tell(SIM_TELL_PEER, "a connection to another host is refused: there is none, only "
                                     "the parts of this program that listen (hob_sim(3))");
    connect_ended(s, -ECONNREFUSED);
}

static void connect_arrives(struct timer *t)
{
    struct sim_sock *s = container_of(t, struct sim_sock, timer);
    struct sim_sock *l = s->err ? NULL : hob__sim_sock_at(&s->peer_name, SOCK_STREAM);

    if (s->err)
        connect_ended(s, s->err);
    else if (!l)
        connect_nobody(s);
    else if (l->n_queue >= l->backlog)
        list_push(&l->knocking, &s->queued);
    else
        connect_ended(s, listener_take(l, s));
}

static int connect_unix(struct sim_sock *s, const hob_addr *to)
{
    struct sim_sock *l = hob__sim_sock_at(to, SOCK_STREAM);
    bool path = ((const struct sockaddr_un *)(const void *)&to->sa.room)->sun_path[0] != '\0';

    if (!l)
        return path ? -ENOENT : -ECONNREFUSED;
    if (l->n_queue >= l->backlog)
        return -EAGAIN;
    return listener_take(l, s);
}

int32_t hob__sim_stream_connect(struct sim_sock *s, const hob_addr *to)
{
    static const int errs[] = {ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT};

    if (s->state == SOCK_CONNECTING)
        return -EALREADY;
    if (s->state != SOCK_NEW || s->pipe)
        return s->state == SOCK_STREAMS ? -EISCONN : -EOPNOTSUPP;
    s->peer_name = *to;
    if (s->local)
        return connect_unix(s, to);
    hob__sim_sock_autoname(s);
    s->state = SOCK_CONNECTING;
    s->timer.fire = connect_arrives;
    s->err = hob__sim_fault_err("connect", errs, sizeof errs / sizeof errs[0]);
    if (s->err == -ETIMEDOUT) {
        hob__sim_timer_set(&s->timer, hob__now() + CONNECT_PATIENCE);
        return POLL_TRY_WAIT;
    }
    unsigned late = hob__sim_rare(CHOICE_LATE, LATE_RATE, LATE_US);
    if (late) {
        hob__sim_timer_set(&s->timer, hob__now() + late * HOB_US);
        return POLL_TRY_WAIT;
    }
    connect_arrives(&s->timer);
    return s->state == SOCK_CONNECTING ? POLL_TRY_WAIT : hob__sim_sock_err(s);
}

int hob__sim_stream_accept(struct sim_sock *l, struct sim_sock **ret)
{
    struct list *n = list_pop(&l->queue);

    if (!n)
        return POLL_TRY_WAIT;
    l->n_queue--;
    *ret = list_entry(n, struct sim_sock, queued);
    if ((n = list_pop(&l->knocking))) {
        struct sim_sock *s = list_entry(n, struct sim_sock, queued);
        connect_ended(s, listener_take(l, s));
    }
    return 0;
}

/* ---- moving bytes ---- */

/* As if a reset came just now: this call says so. */
static int fault_reset(struct sim_sock *s, const char *what)
{
    static const int errs[] = {ECONNRESET};

    if (s->local || hob__sim_fault_err(what, errs, 1) == 0)
        return 0;
    s->cut = true;
    s->in.end = WAY_RESETS;
    s->in.n = s->in.n_under = s->in.n_segs = 0;
    s->in.ended = s->in.reset = true;
    hob__sim_timer_stop(&s->timer);
    if (s->peer)
        way_end(s->peer, WAY_RESETS);
    return -ECONNRESET;
}

/* `n` is offered: how much of it goes in one call. */
static uint32_t cut(uint32_t n)
{
    return n > 1 ? n - hob__sim_rare(CHOICE_CUT, CUT_RATE, n - 1) : n;
}

int hob__sim_stream_recv(struct sim_sock *s, void *buf, size_t len)
{
    struct way *w = &s->in;
    int r;

    if (s->pipe && s->in_shut)
        return -EBADF;
    if (s->state != SOCK_STREAMS)
        return -ENOTCONN;
    if (len == 0)
        return 0;
    if (!s->cut && (r = fault_reset(s, "read")) < 0)
        return r;
    if (w->n > 0) {
        uint32_t n = cut(len < w->n ? (uint32_t)len : w->n);
        ring_take(w, buf, n);
        if (s->peer)
            hob__sim_changed(s->peer); /* (I4) */
        return (int)n;
    }
    if (s->err)
        return s->cut = true, hob__sim_sock_err(s);
    return w->ended || s->in_shut || s->cut ? 0 : POLL_TRY_WAIT;
}

/* Nobody is there any more to take it; TCP learns that by an answer. */
static int send_to_nobody(struct sim_sock *s, size_t len)
{
    if (s->local)
        return -EPIPE;
    way_end(s, WAY_RESETS);
    return (int)(len < ROOM ? len : ROOM);
}

int hob__sim_stream_send(struct sim_sock *s, const void *buf, size_t len)
{
    bool whole = s->pipe && len <= PIPE_BUF; /* (I3) */
    uint32_t space;
    int r;

    if (s->pipe && s->out_shut)
        return -EBADF;
    if (s->state != SOCK_STREAMS)
        return -ENOTCONN;
    if (s->err)
        return s->cut = true, hob__sim_sock_err(s);
    if (s->out_shut || s->cut || s->in.reset)
        return -EPIPE;
    if ((r = fault_reset(s, "write")) < 0)
        return r;
    if (!s->peer)
        return send_to_nobody(s, len);
    if (len == 0)
        return 0;
    space = way_space(&s->peer->in);
    if (space == 0 || (whole && space < len))
        return POLL_TRY_WAIT;
    if (len < space)
        space = (uint32_t)len;
    if (!whole)
        space = cut(space);
    way_send(s->peer, buf, space);
    return (int)space;
}

static uint32_t streams_ready(const struct sim_sock *s)
{
    const struct way *w = &s->in;
    uint32_t is = 0;

    if (w->n > 0 || w->ended || s->err || s->cut || s->in_shut)
        is |= EPOLLIN;
    if (w->ended || s->in_shut)
        is |= EPOLLRDHUP;
    if (!s->peer || s->cut || s->out_shut || way_space(&s->peer->in) > 0)
        is |= EPOLLOUT;
    if (s->err || (s->pipe && !s->peer && !s->out_shut))
        is |= EPOLLERR;
    if (w->reset || (w->ended && (s->out_shut || (s->local && !s->peer))))
        is |= EPOLLHUP;
    if (s->pipe)
        is &= s->in_shut ? ~(uint32_t)(EPOLLIN | EPOLLRDHUP) : ~(uint32_t)(EPOLLOUT | EPOLLRDHUP);
    return is;
}

uint32_t hob__sim_stream_ready(const struct sim_sock *s)
{
    switch (s->state) {
    case SOCK_LISTENS:
        return list_empty(&s->queue) ? 0 : EPOLLIN;
    case SOCK_STREAMS:
        return streams_ready(s);
    case SOCK_CONNECTING:
        return 0;
    default:
        return EPOLLOUT | EPOLLHUP;
    }
}

/* ---- the end ---- */

int hob__sim_stream_shut(struct sim_sock *s, int how)
{
    if (s->state != SOCK_STREAMS || s->cut)
        return -ENOTCONN;
    if (how != SHUT_RD && !s->out_shut) {
        s->out_shut = true;
        if (s->peer)
            way_end(s->peer, WAY_ENDS);
    }
    if (how != SHUT_WR)
        s->in_shut = true;
    hob__sim_changed(s);
    return 0;
}

static void listener_close(struct sim_sock *l)
{
    struct list *n;

    while ((n = list_pop(&l->knocking)))
        connect_ended(list_entry(n, struct sim_sock, queued), -ECONNREFUSED);
    while ((n = list_pop(&l->queue))) {
        struct sim_sock *s = list_entry(n, struct sim_sock, queued);
        if (s->peer)
            way_end(s->peer, WAY_RESETS);
        hob__sim_sock_free(s);
    }
}

void hob__sim_stream_close(struct sim_sock *s)
{
    struct sim_sock *p = s->peer;
    bool unread = s->in.n + s->in.n_under > 0;

    if (s->state == SOCK_LISTENS)
        listener_close(s);
    s->peer = NULL;
    if (!p)
        return;
    p->peer = NULL;
    way_end(p, unread && !s->pipe ? WAY_RESETS : WAY_ENDS);
    hob__sim_changed(p);
}
