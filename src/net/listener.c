/* SPDX-License-Identifier: MIT
 *
 * listener.c - a listener whose loop accepts connections as they come
 *
 * WHAT        A queue of connections that nobody has taken, and a queue of those who wait for one:
 *             fibers in hob_listener_accept, and arms of selects.
 *
 * HOW         OFF --an accept that must wait--> ON --its end--> OFF
 *                                                '--unfeed--> STOPPING --its end--> OFF
 *
 *   While it is OFF an accept is hob_unix_accept: one attempt, and then an operation.  So a poller
 *   that refuses (epoll, the simulator, a kernel before 6.10) is the path that was there before.
 *   With held_max that nobody takes it is switched off, and the kernel's backlog fills as ever;
 *   the next accept that finds none switches it on.
 *
 *   An error ends the feed.  It is told to the first who waits, and the feed is started again for
 *   the next.  If nobody waits it is forgotten: it said why an attempt failed, and the next one
 *   says for itself.  So each start has a waiter behind it who goes, and they do not go round.
 *
 *   A listener is on one loop, in the list of a part of it, from the first accept that waits.  When
 *   that loop ends it lets go of its listeners, with what they hold.
 *
 * INVARIANTS  (I1) who waits waits for nothing that is there: if one is held nobody stands in the
 *                  queue
 *             (I2) every connection that came is given once, or is held, or was closed with the
 *                  listener; a cancel or a time-out takes a waiter out of the queue, and no more
 *             (I3) when held_max are held it is switched off; it has room for what comes until then
 *             (I4) its memory goes only when it is OFF: an orphan's with its end
 *             (I5) while somebody waits it is ON, or the end of the feed is to come
 *             (I6) an arm is given a connection only with the claim of its select
 *
 * THREADS     All on the loop.  Others ask only how many are held, and whether it is on a loop that
 *             is not theirs: n_held and `home`.  `orphan` as in intake.c.
 *
 * REJECTED    Taking ahead for every descriptor that is accepted from: it is the program's, and
 *               other loops, processes and arms accept from it too.
 *             Memory that grows with the queue: it could fail when a connection is in our hands.
 *             Waking a waiter, who then looks: another one may have been faster, again and again.
 *             Poll and accept4 until EAGAIN where there is no feed: hob_unix_accept tries first, so
 *               the next call has the next one, and what was not asked for stays in the backlog.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <hob/unix.h>

#include "base/assert.h"
#include "base/opts.h"
#include "net/io.h"
#include "sync/select.h"

enum { HELD_MOST = 64, HELD_LIMIT = 65536 };

enum listener_phase { OFF, ON, STOPPING };

/* A loop's listeners. */
struct listeners {
    struct loop_part part;
    struct loop *loop;
    struct poller *poller;
    struct list all;
    uint32_t n_out; /* not OFF */
};

struct hob_listener {
    struct arm_source source; /* first */
    struct poll_feed poll;
    struct listeners *at;        /* its loop's; NULL: on none */
    _Atomic(struct loop *) home; /* that loop; for others it is only a name */
    struct list waiters;         /* struct conn_waiter, oldest first */
    struct list stoppers;        /* struct conn_waiter of fibers that wait until it is OFF */
    struct list node;            /* in at->all */
    uint8_t phase;
    bool never;   /* no such thing for this descriptor, or stopped for good */
    bool brought; /* a connection, since it is ON */
    _Atomic(bool) orphan;
    _Atomic(uint32_t) n_held;
    uint32_t held_max, room, head; /* head: of `held`, the oldest */
    int held[];
};

/* ---- connections ---- */

static uint32_t n_held(const hob_listener *l)
{
    return atomic_load_explicit(&l->n_held, memory_order_relaxed);
}

static void held_count(hob_listener *l, uint32_t n)
{
    atomic_store_explicit(&l->n_held, n, memory_order_relaxed);
}

static int held_pop(hob_listener *l)
{
    int fd = l->held[l->head];

    held_count(l, n_held(l) - 1);
    l->head = n_held(l) == 0 || l->head + 1 == l->room ? 0 : l->head + 1;
    return fd;
}

static void held_push(hob_listener *l, int fd)
{
    HOB_ASSERT(n_held(l) < l->room && list_empty(&l->waiters)); /* (I3), (I1) */
    uint32_t at = l->head + n_held(l);
    l->held[at < l->room ? at : at - l->room] = fd;
    held_count(l, n_held(l) + 1);
}

/* The oldest who waits has it: a connection, or why there is none.  False: nobody wants it. */
static bool waiters_tell(hob_listener *l, int rc)
{
    struct list *n;

    while ((n = list_pop(&l->waiters))) {
        struct conn_waiter *w = list_entry(n, struct conn_waiter, node);
        if (w->fiber) {
            hob__ready(w->fiber, rc);
            return true;
        }
        struct arm *a = container_of(w, struct arm, conn);
        if (claim_take(&a->sel->claim)) { /* (I6) */
            hob__arm_won(a, rc);
            return true;
        }
    }
    return false;
}

/* ---- its loop ---- */

static void listener_enter(hob_listener *l, struct listeners *s)
{
    l->at = s;
    atomic_store_explicit(&l->home, s->loop, memory_order_relaxed);
    list_push(&s->all, &l->node);
}

/* Whether it is of use on another loop than this one; NULL: the caller is on none. */
static bool listener_is_elsewhere(const hob_listener *l, const struct loop *loop)
{
    const struct loop *home = atomic_load_explicit(&l->home, memory_order_relaxed);

    return home && home != loop;
}

static void listener_unfeed(hob_listener *l)
{
    if (l->phase != ON)
        return;
    l->phase = STOPPING;
    l->at->poller->ops->unfeed(l->at->poller, &l->poll);
}

/* Off its loop, to which nothing of it belongs any more. */
static void listener_leave(hob_listener *l)
{
    HOB_ASSERT(l->phase == OFF); /* (I4) */
    list_del(&l->node);
    l->at = NULL;
    atomic_store_explicit(&l->home, NULL, memory_order_relaxed);
}

static void listener_delete(hob_listener *l)
{
    while (n_held(l) > 0)
        hob_close(held_pop(l)); /* (I2) */
    if (l->at)
        listener_leave(l);
    free(l);
}

/* The loop ends: nobody is parked, and what is in the kernel comes back by the poller. */
static void listeners_close(struct loop_part *part)
{
    struct listeners *s = container_of(part, struct listeners, part);

    list_each (it, &s->all)
        listener_unfeed(list_entry(it, hob_listener, node));
    while (s->n_out > 0) {
        int r = s->poller->ops->wait(s->poller, HOB_FOREVER);
        HOB_ASSERT(r == 0);
    }
    list_each_safe (it, &s->all) {
        hob_listener *l = list_entry(it, hob_listener, node);
        if (atomic_load(&l->orphan))
            listener_delete(l);
        else
            listener_leave(l);
    }
    free(s);
}

static struct listeners *listeners_of(struct loop *l)
{
    struct listeners *s;

    list_each (it, &l->parts) {
        struct loop_part *part = list_entry(it, struct loop_part, node);
        if (part->close == listeners_close)
            return container_of(part, struct listeners, part);
    }
    if (!(s = malloc(sizeof *s)))
        return NULL;
    *s = (struct listeners){.part.close = listeners_close, .loop = l, .poller = l->poller};
    list_init(&s->all);
    list_push(&l->parts, &s->part.node);
    return s;
}

/* Whether connections come by `accepted` from now on; `loop`: where somebody wants to wait. */
static bool listener_on(hob_listener *l, struct loop *loop)
{
    if (l->phase != OFF)
        return true;
    if (l->never)
        return false;
    if (!l->at) {
        struct listeners *s = listeners_of(loop);
        if (!s)
            return false;
        listener_enter(l, s);
    }
    if (!l->at->poller->ops->feed(l->at->poller, &l->poll))
        return false;
    l->phase = ON;
    l->brought = false;
    l->at->n_out++;
    return true;
}

/* ---- what comes ---- */

static void listener_accepted(struct poll_feed *pf, int fd)
{
    hob_listener *l = container_of(pf, hob_listener, poll);

    l->brought = true;
    if (atomic_load_explicit(&l->orphan, memory_order_relaxed)) {
        hob_close(fd);
        listener_unfeed(l);
    } else if (!waiters_tell(l, fd)) {
        held_push(l, fd);
        if (n_held(l) >= l->held_max)
            listener_unfeed(l); /* (I3) */
    }
}

/* Who waited for a feed waits by an operation of its own, if it must still wait. */
static void waiters_send_away(hob_listener *l)
{
    struct list *n;

    while ((n = list_pop(&l->waiters))) {
        struct conn_waiter *w = list_entry(n, struct conn_waiter, node);
        if (w->fiber) {
            hob__ready(w->fiber, -EAGAIN);
            continue;
        }
        struct arm *a = container_of(w, struct arm, conn);
        int r = hob__arm_accept.try(a);
        if (r == 0) {
            hob__sel_decide(a->sel, a);
        } else if (r == ARM_LATER) {
            a->kind->leave(a);
            a->kind->wait(a);
        }
    }
}

/* Whether an end means that there will be no feed for this descriptor. */
static bool end_is_for_good(const hob_listener *l, int32_t end)
{
    return end == -EINVAL || end == -ENOTSOCK || end == -EOPNOTSUPP ||
           (end == -EAGAIN && !l->brought); /* started again it would do the same, and so on */
}

static void listener_came(struct poll_feed *pf, struct poll_piece *piece, int32_t end)
{
    hob_listener *l = container_of(pf, hob_listener, poll);
    struct list *n;

    HOB_ASSERT(!piece);
    l->phase = OFF;
    l->at->n_out--;
    if (atomic_load_explicit(&l->orphan, memory_order_relaxed)) {
        listener_delete(l); /* (I4) */
        return;
    }
    while ((n = list_pop(&l->stoppers)))
        hob__ready(list_entry(n, struct conn_waiter, node)->fiber, 0);
    if (end_is_for_good(l, end))
        l->never = true;
    else if (end != -EAGAIN && end != -ECANCELED)
        (void)waiters_tell(l, end);
    if (!list_empty(&l->waiters) && !listener_on(l, l->at->loop)) /* (I5) */
        waiters_send_away(l);
}

/* ---- arms ---- */

static struct loop *arm_home(const struct hob_arm *pub)
{
    const hob_listener *l = pub->listener;

    return listener_is_elsewhere(l, hob__loop) ? NULL : hob__loop;
}

static int arm_try(struct arm *a)
{
    struct hob_arm *pub = arm_pub(a);
    hob_listener *l = pub->listener;

    pub->fd = l->poll.fd;
    if (n_held(l) == 0)
        return l->phase == OFF ? hob__arm_accept.try(a) : ARM_LATER;
    if (!claim_take(&a->sel->claim)) /* (I6) */
        return ARM_LOST;
    pub->rc = held_pop(l);
    return 0;
}

static void arm_wait(struct arm *a)
{
    hob_listener *l = arm_pub(a)->listener;

    a->by_op = !listener_on(l, a->sel->loop);
    if (a->by_op) {
        hob__arm_accept.wait(a);
        return;
    }
    a->conn.fiber = NULL;
    list_push(&l->waiters, &a->conn.node);
    a->sel->loop->n_outside++;
}

static void arm_leave(struct arm *a)
{
    if (a->by_op) {
        hob__arm_accept.leave(a);
        return;
    }
    list_del(&a->conn.node); /* (I2) */
    a->sel->loop->n_outside--;
}

static const struct arm_kind listener_arm = {
    .home = arm_home, .try = arm_try, .wait = arm_wait, .leave = arm_leave};

/* ---- calls ---- */

int hob_listener_open(int fd, const struct hob_listener_opts *opts, hob_listener **ret)
{
    struct hob_listener_opts o;
    int r = hob__opts_copy(&o, sizeof o, opts);
    hob_listener *l;

    if (r < 0)
        return r;
    if (o.held_max > HELD_LIMIT)
        return -EINVAL;
    uint32_t held_max = o.held_max ? o.held_max : HELD_MOST, room = held_max + POLL_LATE_MOST;
    if (!(l = malloc(sizeof *l + room * sizeof *l->held)))
        return -ENOMEM;
    *l = (hob_listener){
        .source.kind = &listener_arm, .held_max = held_max, .room = room, .poll.fd = fd};
    l->poll.came = listener_came;
    l->poll.accepted = listener_accepted;
    list_init(&l->waiters);
    list_init(&l->stoppers);
    list_init(&l->node);
    /* Inherited by what is accepted, so that no call is needed for each; only TCP has it. */
    (void)hob__env->sock->set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    *ret = l;
    return 0;
}

size_t hob_listener_pending(const hob_listener *l)
{
    return n_held(l);
}

static int listener_park(hob_listener *l, struct fiber *f, hob_time until)
{
    struct conn_waiter w = {.fiber = f};

    HOB_ASSERT(n_held(l) == 0); /* (I1) */
    list_push(&l->waiters, &w.node);
    f->wait_node = &w.node;
    f->on_fd = l->poll.fd;
    f->loop->n_outside++; /* the kernel may end it: no deadlock, and not to be looked for */
    int r = hob__park(f, HOB_WAIT_ACCEPT, until);
    f->loop->n_outside--;
    f->on_fd = -1;
    return r;
}

int hob_listener_accept(hob_listener *l, hob_time until)
{
    struct fiber *f;
    int r = hob__io_begin(&f);

    if (r < 0)
        return r;
    if (listener_is_elsewhere(l, f ? f->loop : NULL))
        return HOB_MISUSE(-EBUSY, "a listener is accepted from on another loop");
    for (;;) {
        if (n_held(l) > 0)
            return held_pop(l);
        if (l->phase == OFF && (!f || until == 0 || !listener_on(l, f->loop)))
            return hob_unix_accept(l->poll.fd, until);
        if (until == 0)
            return -ETIMEDOUT;
        r = listener_park(l, f, until);
        if (r != -EAGAIN || (r = hob__check(f)) < 0)
            return r;
    }
}

int hob_listener_stop(hob_listener *l)
{
    struct fiber *f = hob__self();

    if (listener_is_elsewhere(l, f ? f->loop : NULL))
        return HOB_MISUSE(-EBUSY, "a listener is stopped on another loop");
    l->never = true;
    if (!l->at)
        return 0;
    listener_unfeed(l);
    while (l->phase != OFF) {
        struct conn_waiter w = {.fiber = f};
        list_push(&l->stoppers, &w.node);
        f->wait_node = &w.node;
        hob__park_shielded(f, HOB_WAIT_ACCEPT);
    }
    if (l->at)
        listener_leave(l);
    return 0;
}

void hob_listener_close(hob_listener *l)
{
    if (!l)
        return;
    if (listener_is_elsewhere(l, hob__loop)) {
        atomic_store(&l->orphan, true);
        (void)HOB_MISUSE(0, "a listener is closed on another loop");
        return;
    }
    if (!list_empty(&l->waiters)) { /* who waits by an operation does not need the listener */
        (void)HOB_MISUSE(0, "a listener is closed while somebody accepts");
        while (waiters_tell(l, -EBADF))
            continue;
    }
    if (l->phase == OFF) {
        listener_delete(l);
        return;
    }
    atomic_store_explicit(&l->orphan, true, memory_order_relaxed);
    while (n_held(l) > 0)
        hob_close(held_pop(l)); /* (I2) */
    listener_unfeed(l);         /* (I4) */
}
