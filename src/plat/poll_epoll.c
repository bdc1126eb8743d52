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
 *             (B1) No operation sleeps on a belief.  Before a wait that blocks, and EP_TRUST_TURNS
 *                  turns after its submit at the latest, its slot is confirmed: EPOLL_CTL_MOD, on
 *                  ENOENT ADD.  MOD looks at the file once more, so an edge that came too early
 *                  for us, or that we drew the wrong conclusion from, is not lost.  A loop under
 *                  load rarely gets there: the event comes first.
 *             (B2) No event is trusted: it only makes us try again.
 *             (B3) While an operation or a watch is pending its owner keeps the file open (P2):
 *                  a slot once confirmed is sure until its last operation ends.
 *
 *   A descriptor with a watch is level-triggered, and its mask is then kept exact.
 *
 * INVARIANTS  (I1) an operation is in exactly one list: its slot's, or `finished`
 *             (I2) a slot with operations is sure and its mask has all they want, or it is on
 *                  `dirty` or `unsure`
 *             (I3) `done` is called only while wait() runs
 *
 * THREADS     wake() from any thread and from signal handlers; all else on the loop's thread.
 *
 * ORDER       `woken` is exchanged by both sides: the waker's exchange releases what it wrote
 *             before, the loop's exchange acquires it, also when wakes coalesced into one.
 *
 * REJECTED    EPOLLONESHOT with one MOD an operation: the same safety for one more system call
 *               each; raw epoll programs do not pay it (docs/design/0002-pollers.md).
 *             A call by which owners say that they close: descriptors that programs and libraries
 *               hand us are closed by code that has never heard of it.
 *             EPOLLEXCLUSIVE, one set for several loops: fibers never change loop.
 *             Reading the eventfd: with EPOLLET every write is an edge, and a counter of 64 bits
 *               does not fill up.
 *             An array of slots that grows by realloc: list heads do not survive it; hence pages.
 */
#include <errno.h>
#include <netinet/in.h>
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
    EP_BATCH = 256,      /* events taken, and completions delivered, per wait() */
    EP_PAGE_SLOTS = 64,  /* slots allocated at once */
    EP_TRUST_TURNS = 60, /* turns are short: a stale belief costs some ms, under load only */
    EP_FEW = 4,          /* so few are confirmed outright; of more, most get their event first */
};

/* poll_op.state */
enum { OP_IDLE, OP_WAITING, OP_FINISHED };

struct ep_slot {
    struct list ops;  /* waiting for an event, oldest first */
    struct list node; /* on poller.dirty or .unsure; points at itself when not */
    struct poll_watch *watch;
    uint32_t armed; /* believed to be in the set with this mask; 0: not there */
    uint32_t gen;   /* of the watch: events of earlier ones are not for it */
    uint32_t turn;  /* since when on `unsure` */
    int fd;
    bool sure;     /* (B3) */
    bool readable; /* not seen empty since the last event: worth a try */
    bool tcp;      /* a read that got less than it asked for has emptied it ... */
    bool ended;    /* ... unless its peer will say no more: that was the last edge */
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
    struct list dirty;    /* slots whose registration lacks something */
    struct list unsure;   /* slots to confirm before blocking, oldest first */
    uint32_t turn;
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

/* ---- operations ---- */

static uint32_t ep_op_events(const struct poll_op *op)
{
    switch (op->kind) {
    case POLL_READY:
        return op->events;
    case POLL_RECV:
    case POLL_RECVMSG:
        return EPOLLIN | EPOLLRDHUP;
    case POLL_ACCEPT:
        return EPOLLIN;
    default:
        return EPOLLOUT;
    }
}

static uint32_t ep_slot_wants(const struct ep_slot *s)
{
    uint32_t events = s->watch ? s->watch->events : EPOLLET | s->armed;

    list_each (it, &s->ops)
        events |= ep_op_events(list_entry(it, struct poll_op, node));
    return s->watch ? events & ~(uint32_t)EPOLLET : events;
}

/* After a change of what waits on the slot. (I2) */
static void ep_slot_changed(struct ep_poller *p, struct ep_slot *s)
{
    bool idle = list_empty(&s->ops) && !s->watch;
    bool lacks = !idle && s->armed != ep_slot_wants(s);

    s->sure = s->sure && !idle; /* (B3) */
    if (idle || lacks || s->sure)
        list_del(&s->node);
    if (!lacks && (idle || s->sure || !list_empty(&s->node)))
        return;
    s->turn = p->turn;
    list_push(lacks ? &p->dirty : &p->unsure, &s->node);
}

static void ep_finish(struct ep_poller *p, struct poll_op *op, int32_t res)
{
    if (op->state == OP_WAITING) {
        list_del(&op->node);
        p->n_waiting--;
        ep_slot_changed(p, ep_slot_find(p, op->fd));
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
        s->readable = s->ended = false;
    }
}

static bool ep_op_reads(const struct poll_op *op)
{
    return op->kind == POLL_RECV || op->kind == POLL_RECVMSG || op->kind == POLL_ACCEPT;
}

/* Tries an operation whose descriptor may be ready; false: it has to wait (on). */
static bool ep_try(struct ep_poller *p, struct ep_slot *s, struct poll_op *op)
{
    int32_t res = op->kind != POLL_CONNECT  ? hob__poll_try(op)
                  : op->state == OP_WAITING ? hob__poll_connected(op)
                                            : hob__poll_connect(op);

    bool emptied = s->tcp && !s->ended && res > 0 && (size_t)res < op->len;
    if (ep_op_reads(op))
        s->readable = res != POLL_TRY_WAIT && !(op->kind == POLL_RECV && emptied);
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
    /* What is no socket never tells that a message came: the first attempt says what it is. */
    return s->readable || !ep_op_reads(op) || (op->kind == POLL_RECVMSG && !s->armed);
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
    ep_slot_changed(p, s);
}

static void ep_cancel(struct poller *base, struct poll_op *op)
{
    if (op->state == OP_WAITING)
        ep_finish(ep_of(base), op, -ECANCELED);
}

/* ---- the set ---- */

/* Another file than the one known under this number, as far as we know. */
static void ep_slot_met(struct ep_slot *s)
{
    int protocol = 0;
    socklen_t len = sizeof protocol;

    /* A Unix stream's read also stops where descriptors were passed; a datagram's after one. */
    s->tcp =
        getsockopt(s->fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 && protocol == IPPROTO_TCP;
    s->readable = s->ended = false;
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
    bool stale = r < 0 && (errno == ENOENT || errno == EEXIST);

    if (stale)
        r = epoll_ctl(p->set, second, s->fd, &ev);
    if (r < 0) {
        r = -errno;
        s->armed = 0;
        return r;
    }
    if (stale || first == EPOLL_CTL_ADD)
        ep_slot_met(s);
    s->armed = ev.events;
    s->sure = true;
    return 0;
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

static void ep_confirm(struct ep_poller *p, struct ep_slot *s)
{
    HOB_ASSERT(!list_empty(&s->ops) || s->watch); /* (I2) */
    list_del(&s->node);
    int r = ep_slot_arm(p, s);
    if (r < 0)
        ep_slot_refused(p, s, r);
}

/* (B1): every slot on the list put there up to `turn`. */
static void ep_confirm_all(struct ep_poller *p, struct list *slots, uint32_t turn)
{
    while (!list_empty(slots)) {
        struct ep_slot *s = list_entry(slots->next, struct ep_slot, node);
        if ((int32_t)(turn - s->turn) < 0)
            break;
        ep_confirm(p, s);
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
    ep_slot_changed(p, s);
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

static bool list_longer(const struct list *l, int n)
{
    const struct list *it = l->next;

    while (it != l && n-- > 0)
        it = it->next;
    return it != l;
}

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
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        s->ended = true;
    list_each_safe (it, &s->ops) {
        struct poll_op *op = list_entry(it, struct poll_op, node);
        uint32_t wants = ep_op_events(op) | EPOLLHUP | EPOLLERR;
        bool shared = op->kind != POLL_READY;
        if (!(events & wants & ~blocked))
            continue;
        if (!ep_try(p, s, op) && shared)
            blocked |= wants; /* (B2) */
    }
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

/* Fetches events; the only place that blocks. */
static int ep_fetch(struct ep_poller *p, hob_time until)
{
    ep_confirm_all(p, &p->dirty, p->turn);
    ep_confirm_all(p, &p->unsure, p->turn - EP_TRUST_TURNS);
    p->turn++;
    if (until != 0 && list_longer(&p->unsure, EP_FEW)) {
        int n = ep_pwait(p, 0);
        if (n != 0)
            return n;
    }
    if (until != 0)
        ep_confirm_all(p, &p->unsure, p->turn);
    return ep_pwait(p, list_empty(&p->finished) ? until : 0);
}

static int ep_wait(struct poller *base, hob_time until)
{
    struct ep_poller *p = ep_of(base);

    HOB_ASSERT(!p->in_wait);
    p->in_wait = true;
    bool woken = atomic_load(&p->woken) && atomic_exchange(&p->woken, 0);
    int n = ep_fetch(p, woken || !list_empty(&p->finished) ? 0 : until);
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
    list_init(&p->unsure);
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

/* Never said yes to: no end is asked for, and no piece comes back. */
static bool ep_feed(struct poller *base, struct poll_feed *f)
{
    (void)base, (void)f;
    return false;
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
    .feed = ep_feed,
    .wait = ep_wait,
    .wake = ep_wake,
    .busy = ep_busy,
};
