/* SPDX-License-Identifier: MIT
 *
 * poll_epoll.c - the poller on epoll, for kernels and containers without io_uring
 *
 * WHAT        One epoll set.  An operation is tried by a system call that does not block; if it
 *             would have blocked it waits in its descriptor's slot for an event, and is tried
 *             again.
 *
 * HOW         fd -> slot { the operations waiting, oldest first; at most one watch; what the set
 *             is believed to report for this descriptor }
 *
 *   Registrations are edge-triggered and stay when an operation ends: the next one on the same
 *   connection then needs no epoll_ctl.  But owners close descriptors without telling, so that
 *   the belief may be about a file that is gone.  Hence:
 *
 *             (B1) no operation sleeps on a belief: between its submit and the first wait that
 *                  blocks, its slot is confirmed by EPOLL_CTL_MOD (ENOENT: ADD).  MOD looks at
 *                  the file once more, so an edge that came too early for us is not lost.
 *             (B2) no event is trusted: it only makes us try again.
 *
 *   A descriptor with a watch is level-triggered, and its mask is then kept exact.
 *
 * INVARIANTS  (I1) an operation is in exactly one list: its slot's, or `finished`
 *             (I2) a slot with an unconfirmed operation is on `dirty`
 *             (I3) `done` is called only while wait() runs
 *
 * THREADS     wake() from any thread and from signal handlers; all else on the loop's thread.
 *
 * ORDER       `woken` is exchanged by both sides: the waker's exchange releases what it wrote
 *             before, the loop's exchange acquires it, also when wakes coalesced into one.
 *
 * REJECTED    EPOLLONESHOT with one MOD an operation: the same safety for one more system call
 *               each; raw epoll programs do not pay it.
 *             EPOLLEXCLUSIVE, one set for several loops: fibers never change loop.
 *             Reading the eventfd: with EPOLLET every write is an edge, and a counter of 64 bits
 *               does not fill up.
 *             An array of slots that grows by realloc: list heads do not survive it; hence pages.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "plat/env.h"
#include "plat/poll.h"
#include "plat/poll_try.h"

enum {
    EP_BATCH = 256,     /* events taken, and completions delivered, per wait() */
    EP_PAGE_SLOTS = 64, /* slots allocated at once */
};

/* poll_op.state */
enum { OP_IDLE, OP_WAITING, OP_FINISHED };

struct ep_slot {
    struct list ops;  /* waiting for an event, oldest first */
    struct list node; /* on poller.dirty; points at itself when not */
    struct poll_watch *watch;
    uint32_t armed; /* believed to be in the set with this mask; 0: not there */
    uint32_t gen;   /* of the watch: events of earlier ones are not for it */
    int fd;
    bool readable; /* not seen empty since the last event: worth a try */
};

struct ep_poller {
    struct poller base;
    int set;
    int wake_fd;
    _Atomic int woken;
    bool in_wait;
    bool no_pwait2;
    size_t n_waiting, n_watches;
    struct list finished; /* results for `done`, oldest first */
    struct list dirty;    /* slots to confirm before blocking */
    struct ep_slot **pages;
    size_t n_pages;
    struct epoll_event events[EP_BATCH];
};

static struct ep_poller *ep_of(struct poller *p)
{
    return container_of(p, struct ep_poller, base);
}

/* ---- slots ---- */

static int ep_page_add(struct ep_poller *p, size_t page)
{
    if (page >= p->n_pages) {
        size_t n = page + 1 > 2 * p->n_pages ? page + 1 : 2 * p->n_pages;
        struct ep_slot **pages = realloc(p->pages, n * sizeof *pages);
        if (!pages)
            return -ENOMEM;
        for (size_t i = p->n_pages; i < n; i++)
            pages[i] = NULL;
        p->pages = pages;
        p->n_pages = n;
    }
    struct ep_slot *slots = calloc(EP_PAGE_SLOTS, sizeof *slots);
    if (!slots)
        return -ENOMEM;
    for (size_t i = 0; i < EP_PAGE_SLOTS; i++) {
        list_init(&slots[i].ops);
        list_init(&slots[i].node);
        slots[i].fd = (int)(page * EP_PAGE_SLOTS + i);
    }
    p->pages[page] = slots;
    return 0;
}

/* NULL when the poller has never met the descriptor. */
static struct ep_slot *ep_slot_find(const struct ep_poller *p, int fd)
{
    size_t page = (size_t)fd / EP_PAGE_SLOTS;

    if (fd < 0 || page >= p->n_pages || !p->pages[page])
        return NULL;
    return &p->pages[page][(size_t)fd % EP_PAGE_SLOTS];
}

static int ep_slot_get(struct ep_poller *p, int fd, struct ep_slot **ret)
{
    struct ep_slot *s = ep_slot_find(p, fd);

    if (fd < 0)
        return -EBADF;
    if (!s) {
        int r = ep_page_add(p, (size_t)fd / EP_PAGE_SLOTS);
        if (r < 0)
            return r;
        s = ep_slot_find(p, fd);
    }
    *ret = s;
    return 0;
}

static void ep_slot_dirty(struct ep_poller *p, struct ep_slot *s)
{
    if (list_empty(&s->node))
        list_push(&p->dirty, &s->node);
}

/* ---- operations ---- */

static uint32_t ep_op_events(const struct poll_op *op)
{
    switch (op->kind) {
    case POLL_READY:
        return op->events;
    case POLL_RECV:
        return EPOLLIN | EPOLLRDHUP;
    case POLL_ACCEPT:
        return EPOLLIN;
    default:
        return EPOLLOUT;
    }
}

static void ep_finish(struct ep_poller *p, struct poll_op *op, int32_t res)
{
    if (op->state == OP_WAITING) {
        list_del(&op->node);
        p->n_waiting--;
    }
    op->res = res;
    op->state = OP_FINISHED;
    list_push(&p->finished, &op->node); /* (I1) */
}

/* A descriptor just made by the kernel: whatever was believed about its number is void. */
static void ep_forget(struct ep_poller *p, int fd)
{
    struct ep_slot *s = ep_slot_find(p, fd);

    if (s && list_empty(&s->ops) && !s->watch) {
        s->armed = 0;
        s->readable = false;
    }
}

/* Tries an operation whose descriptor may be ready; false: it has to wait (on). */
static bool ep_try(struct ep_poller *p, struct ep_slot *s, struct poll_op *op)
{
    int32_t res = op->kind != POLL_CONNECT  ? hob__poll_try(op)
                  : op->state == OP_WAITING ? hob__poll_connected(op)
                                            : hob__poll_connect(op);

    if (op->kind == POLL_RECV || op->kind == POLL_ACCEPT)
        s->readable = res != POLL_TRY_WAIT;
    if (res == POLL_TRY_WAIT)
        return false;
    if (op->kind == POLL_ACCEPT && res >= 0)
        ep_forget(p, res);
    ep_finish(p, op, res);
    return true;
}

/* Behind others of its kind an operation waits for its turn; and a read that no event promised is
 * most often too early. */
static bool ep_worth_a_try(const struct ep_slot *s, const struct poll_op *op)
{
    if (op->kind == POLL_READY)
        return true;
    list_each (it, &s->ops) {
        const struct poll_op *other = list_entry(it, struct poll_op, node);
        if (other->kind != POLL_READY && (ep_op_events(other) & ep_op_events(op)))
            return false;
    }
    return s->readable || (op->kind != POLL_RECV && op->kind != POLL_ACCEPT);
}

static bool ep_can(const struct poller *base, enum poll_kind kind)
{
    (void)base;
    return kind <= POLL_CONNECT;
}

static void ep_submit(struct poller *base, struct poll_op *op)
{
    struct ep_poller *p = ep_of(base);
    struct ep_slot *s;
    int r;

    HOB_ASSERT(op->state == OP_IDLE); /* (P2) */
    if (!ep_can(base, op->kind)) {
        ep_finish(p, op, -EOPNOTSUPP);
        return;
    }
    r = ep_slot_get(p, op->fd, &s);
    if (r < 0) {
        ep_finish(p, op, r);
        return;
    }
    if (ep_worth_a_try(s, op) && ep_try(p, s, op))
        return;
    op->state = OP_WAITING;
    p->n_waiting++;
    list_push(&s->ops, &op->node);
    ep_slot_dirty(p, s); /* (I2) */
}

static void ep_cancel(struct poller *base, struct poll_op *op)
{
    if (op->state == OP_WAITING)
        ep_finish(ep_of(base), op, -ECANCELED);
}

/* ---- the set ---- */

static uint32_t ep_slot_wants(const struct ep_slot *s)
{
    uint32_t events = s->watch ? s->watch->events : EPOLLET | s->armed;

    list_each (it, &s->ops)
        events |= ep_op_events(list_entry(it, struct poll_op, node));
    return s->watch ? events & ~(uint32_t)EPOLLET : events;
}

/* Makes the set agree with the slot, whatever it held for this number before. */
static int ep_slot_arm(struct ep_poller *p, struct ep_slot *s)
{
    struct epoll_event ev = {
        .events = ep_slot_wants(s),
        .data.u64 = (uint64_t)s->gen << 32 | (uint32_t)s->fd,
    };
    int first = s->armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    int second = s->armed ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    int r = epoll_ctl(p->set, first, s->fd, &ev);

    if (r < 0 && (errno == ENOENT || errno == EEXIST))
        r = epoll_ctl(p->set, second, s->fd, &ev);
    s->armed = r < 0 ? 0 : ev.events;
    return r < 0 ? -errno : 0;
}

/* The set refused the descriptor. */
static void ep_slot_refused(struct ep_poller *p, struct ep_slot *s, int err)
{
    list_each_safe (it, &s->ops) {
        struct poll_op *op = list_entry(it, struct poll_op, node);
        /* EPERM: a regular file or directory, always ready. */
        if (err != -EPERM || !ep_try(p, s, op))
            ep_finish(p, op, err);
    }
}

/* (B1) */
static void ep_confirm(struct ep_poller *p)
{
    struct list *n;

    while ((n = list_pop(&p->dirty))) {
        struct ep_slot *s = list_entry(n, struct ep_slot, node);
        if (list_empty(&s->ops) && !s->watch)
            continue;
        int r = ep_slot_arm(p, s);
        if (r < 0)
            ep_slot_refused(p, s, r);
    }
}

static void ep_unwatch(struct poller *base, struct poll_watch *w)
{
    struct ep_poller *p = ep_of(base);
    struct ep_slot *s = ep_slot_find(p, w->fd);

    if (!s || s->watch != w)
        return;
    s->watch = NULL;
    s->gen++; /* (P5): what the batch still holds for it is dropped */
    p->n_watches--;
    /* Level-triggered, it would be reported for ever; it may be closed already. */
    (void)epoll_ctl(p->set, EPOLL_CTL_DEL, w->fd, NULL);
    s->armed = 0;
    if (!list_empty(&s->ops))
        ep_slot_dirty(p, s);
}

static int ep_watch(struct poller *base, struct poll_watch *w)
{
    struct ep_poller *p = ep_of(base);
    struct ep_slot *s;
    int r = ep_slot_get(p, w->fd, &s);

    if (r < 0)
        return r;
    if (s->watch && s->watch != w)
        return -EEXIST;
    if (!s->watch) {
        s->watch = w;
        s->gen++;
        p->n_watches++;
    }
    r = ep_slot_arm(p, s);
    if (r < 0)
        ep_unwatch(base, w);
    return r;
}

/* ---- waiting ---- */

static int ep_pwait(struct ep_poller *p, hob_time until)
{
    hob_dur left = -1;

    if (until != HOB_FOREVER) {
        left = until ? until - hob__now() : 0;
        left = left > 0 ? left : 0;
    }
    if (!p->no_pwait2) {
        struct timespec t = {.tv_sec = left / HOB_SEC, .tv_nsec = left % HOB_SEC};
        int n = epoll_pwait2(p->set, p->events, EP_BATCH, left < 0 ? NULL : &t, NULL);
        if (n >= 0 || errno != ENOSYS)
            return n < 0 ? -errno : n;
        p->no_pwait2 = true; /* before Linux 5.11 */
    }
    hob_dur ms = left < 0 ? -1 : left / HOB_MS + (left % HOB_MS != 0);
    int n = epoll_wait(p->set, p->events, EP_BATCH, ms < INT32_MAX ? (int)ms : INT32_MAX);
    return n < 0 ? -errno : n;
}

/* Tries what waits for these events; of readers, and of writers, until one must wait on. */
static void ep_slot_event(struct ep_poller *p, struct ep_slot *s, uint32_t events)
{
    uint32_t blocked = 0;

    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        s->readable = true;
    list_each_safe (it, &s->ops) {
        struct poll_op *op = list_entry(it, struct poll_op, node);
        uint32_t wants = ep_op_events(op) | EPOLLHUP | EPOLLERR;
        bool shared = op->kind != POLL_READY;
        if (!(events & wants & ~blocked))
            continue;
        if (!ep_try(p, s, op) && shared)
            blocked |= wants; /* (B2) */
    }
    if (s->watch && s->armed != ep_slot_wants(s))
        ep_slot_dirty(p, s);
}

static void ep_event(struct ep_poller *p, const struct epoll_event *ev)
{
    int fd = (int)(uint32_t)ev->data.u64;
    struct ep_slot *s = ep_slot_find(p, fd);

    if (fd == p->wake_fd) {
        atomic_exchange(&p->woken, 0);
        return;
    }
    ep_slot_event(p, s, ev->events);
    struct poll_watch *w = s->watch;
    if (w && s->gen == ev->data.u64 >> 32 && (ev->events & (w->events | EPOLLHUP | EPOLLERR)))
        w->ready(w, ev->events & (w->events | EPOLLHUP | EPOLLERR));
}

static void ep_deliver(struct ep_poller *p)
{
    struct list *n;

    for (int i = 0; i < EP_BATCH && (n = list_pop(&p->finished)); i++) {
        struct poll_op *op = list_entry(n, struct poll_op, node);
        HOB_ASSERT(p->in_wait && op->state == OP_FINISHED); /* (I3), (P1) */
        op->state = OP_IDLE;                                /* done may submit it again */
        op->done(op);
    }
}

static int ep_wait(struct poller *base, hob_time until)
{
    struct ep_poller *p = ep_of(base);

    HOB_ASSERT(!p->in_wait);
    p->in_wait = true;
    ep_confirm(p);
    bool woken = atomic_load(&p->woken) && atomic_exchange(&p->woken, 0);
    int n = ep_pwait(p, woken || !list_empty(&p->finished) ? 0 : until);
    for (int i = 0; i < n; i++)
        ep_event(p, &p->events[i]);
    ep_deliver(p);
    p->in_wait = false;
    return n == -EINTR || n > 0 ? 0 : n;
}

static void ep_wake(struct poller *base)
{
    struct ep_poller *p = ep_of(base);
    int err = errno; /* a signal handler must not change it */

    if (atomic_exchange(&p->woken, 1) == 0)
        (void)!write(p->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
    errno = err;
}

static bool ep_busy(const struct poller *base)
{
    const struct ep_poller *p = container_of(base, struct ep_poller, base);

    return p->n_waiting || p->n_watches || !list_empty(&p->finished) || atomic_load(&p->woken);
}

/* ---- life ---- */

static void ep_close(struct poller *base)
{
    struct ep_poller *p = ep_of(base);

    HOB_ASSERT(p->n_waiting == 0 && list_empty(&p->finished));
    if (p->wake_fd >= 0)
        close(p->wake_fd);
    if (p->set >= 0)
        close(p->set);
    for (size_t i = 0; i < p->n_pages; i++)
        free(p->pages[i]);
    free(p->pages);
    free(p);
}

static int ep_open(struct poller **ret)
{
    struct ep_poller *p = calloc(1, sizeof *p);
    int r = 0;

    if (!p)
        return -ENOMEM;
    p->base.ops = &hob__poll_epoll;
    list_init(&p->finished);
    list_init(&p->dirty);
    p->set = epoll_create1(EPOLL_CLOEXEC);
    p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->set < 0 || p->wake_fd < 0) {
        r = -errno;
        goto out;
    }
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.u64 = (uint32_t)p->wake_fd};
    if (epoll_ctl(p->set, EPOLL_CTL_ADD, p->wake_fd, &ev) < 0)
        r = -errno;
out:
    if (r < 0) {
        ep_close(&p->base);
        return r;
    }
    *ret = &p->base;
    return 0;
}

const struct poll_ops hob__poll_epoll = {
    .name = "epoll",
    .open = ep_open,
    .close = ep_close,
    .can = ep_can,
    .submit = ep_submit,
    .cancel = ep_cancel,
    .watch = ep_watch,
    .unwatch = ep_unwatch,
    .wait = ep_wait,
    .wake = ep_wake,
    .busy = ep_busy,
};
