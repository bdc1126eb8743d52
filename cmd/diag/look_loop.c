/* SPDX-License-Identifier: MIT
 *
 * look_loop.c - an event loop that is not waiting for its events: do any wait for it?
 *
 * HOW         A loop is a thread that was seen to wait: in epoll_wait(), or in poll() or select()
 *   for several others at once.  Who merely has an epoll set open, or waits for one connection at a
 *   time, is none.
 *
 *   The loop's epoll set is asked by a duplicate of its descriptor, which neither takes an event
 *   nor re-arms one.  A set is ready also when a thread of the program's own wakes the loop; so its
 *   connections are asked one by one.
 *
 *   Of two looks one has to know whether the loop has served anything in between.  The kernel
 *   counts a thread's reads and writes, but not what goes by recv() and send(): of each connection
 *   it knows what was sent and received, and what of it has not been read yet.  The sum over all
 *   changes with each of its turns.
 *
 *   A thread that waits in some other call is a loop that stands, if it is the one that waits in
 *   that set at other times.  Nothing is read to find that out: each look at a wait notes whose set
 *   it is, so a thousand threads that sleep cost nothing here.
 *
 * LIMITS      A loop that has never been seen to wait for its set, because it stands in other calls
 *   all the time, is not known to be one.  io_uring takes what comes by itself: nothing is left
 *   unread.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <hob/trace.h>

#include "diag/look_impl.h"

static const int64_t count_every = 50 * HOB_MS, find_every = 500 * HOB_MS, polled_old = 2 * HOB_SEC;

enum { OWNER_NONE, OWNER_MANY = -1 };

/* Which descriptors of a process are epoll sets; libuv and Java have several. */
static void loops_find(struct look_proc *p)
{
    char link[64];

    p->n_loops = 0;
    for (int fd = 3; fd < 48 && p->n_loops < LOOK_LOOPS; fd++)
        if (procfs_link(link, sizeof link, "/proc/%d/fd/%d", p->pid, fd) > 0 &&
            strcmp(link, "anon_inode:[eventpoll]") == 0)
            p->loops[p->n_loops++] = fd;
}

/* A process that had none is not gone through again before it has opened or closed something. */
static bool loops_known(struct look_proc *p, int64_t now)
{
    if (p->loops_at != 0 && (p->n_loops > 0 || now - p->loops_at < find_every))
        return p->n_loops > 0;
    uint32_t n_open = open_count(p->pid);
    if (p->loops_at == 0 || n_open == 0 || n_open != p->n_open)
        loops_find(p);
    p->n_open = n_open;
    p->loops_at = now;
    return p->n_loops > 0;
}

void look_owned(struct look_proc *p, int fd, int32_t tid)
{
    size_t i = 0;

    while (i < LOOK_LOOPS && p->owners[i].tid != OWNER_NONE && p->owners[i].fd != fd)
        i++;
    if (i == LOOK_LOOPS)
        return;
    if (p->owners[i].tid == OWNER_NONE) {
        p->owners[i] = (struct look_owner){.fd = fd, .tid = tid};
        p->loops_at = 0;
    } else if (p->owners[i].tid != tid) {
        p->owners[i].tid = OWNER_MANY;
    }
}

void look_polled(struct looker *l, struct look_proc *p, int32_t tid, const struct call *c,
                 const struct look *seen)
{
    if (seen->outside < 2 && !seen->listens) {
        p->asks |= seen->outside > 0;
        return;
    }
    p->polled = (struct look_polled){.tid = tid, .listens = seen->listens, .at = hob_now()};
    if (!seen->listens)
        pollset_keep(l, p->pid, c);
}

static int32_t owner_of(const struct look_proc *p, int fd)
{
    for (size_t i = 0; i < LOOK_LOOPS && p->owners[i].tid != OWNER_NONE; i++)
        if (p->owners[i].fd == fd)
            return p->owners[i].tid;
    return OWNER_NONE;
}

/* Is a set that of a thread which computes?  It is if it was seen to wait there.  One that nobody
 * was seen to wait in is that of a loop that always has something to do; but not of a program that
 * was seen to wait for its answers elsewhere, and not for messages of its own. */
static bool is_of(const struct look_proc *p, int fd, int32_t tid)
{
    int32_t owner = owner_of(p, fd);

    return owner == tid || owner == OWNER_MANY || (owner == OWNER_NONE && !p->asks);
}

/* Adds one set to what is known.  Return: 0; -EAGAIN: there is no time to ask its connections;
 * another negative errno: it is not there. */
static int loop_ask(struct looker *l, struct look_proc *p, int set, struct rec_look *ret)
{
    int fd = file_dup(p, set);

    if (fd < 0)
        return fd;
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int ready = poll(&poll_fd, 1, 0);
    close(fd);
    l->n_asked++;
    bool own = owner_of(p, set) != OWNER_NONE;
    if (ready <= 0)
        return 0;
    struct call call = {.how = CALL_EPOLL, .fd = set};
    enum set_waits waits = SET_UNKNOWN;
    if (pollset_events(l, p, &call, &waits, &ret->io_calls) < 0)
        return -EAGAIN;
    ret->ready |= waits == SET_WAITS || (own && waits == SET_UNKNOWN);
    ret->outside |= waits == SET_WAITS;
    return 0;
}

/* A set of poll() or select() is an argument, and gone while it computes: what was in it when it
 * waited last is asked.  Of one that listens all connections that it has accepted since are. */
static int polled_ask(struct looker *l, struct look_proc *p, struct rec_look *ret)
{
    struct call all = {.how = CALL_OTHER};
    enum set_waits waits = SET_UNKNOWN;

    if (!p->polled.listens && hob_now() - p->polled.at > polled_old)
        return -ENOENT;
    l->n_asked++;
    int r = pollset_events(l, p, p->polled.listens ? &all : NULL, &waits, &ret->io_calls);
    if (r < 0)
        return r;
    ret->outside = waits == SET_WAITS;
    ret->ready = ret->outside;
    return 0;
}

/* A thread that only waits on behalf of the loop (Tcl's) has said who came, and waits for the loop
 * to ask for more. */
static bool has_handed_over(struct looker *l, struct look_proc *p)
{
    struct look k;

    return look_at(l, p->pid, p->polled.tid, &k) == LOOK_WAITS && k.polls && k.outside == 0;
}

static int calls_add(int32_t pid, int32_t tid, uint64_t *io_calls)
{
    char text[512];
    uint64_t calls;
    int r = procfs_read(text, sizeof text, "/proc/%d/task/%d/io", pid, tid);

    if (r >= 0)
        r = procfs_parse_io(text, &calls);
    if (r < 0)
        return r;
    *io_calls += calls;
    return 0;
}

/* The connections that have left the sets.  Return: 0; -EAGAIN: no time. */
static int left_add(struct looker *l, struct look_proc *p, struct rec_look *ret)
{
    int left = ret->outside ? 0 : pollset_left(l, p);

    if (left < 0)
        return left;
    ret->ready |= left > 0;
    ret->outside |= left > 0;
    return 0;
}

int look_loop(struct looker *l, int32_t pid, int32_t tid, struct rec_look *ret)
{
    struct look_proc *p = look_proc_of(l, pid);
    struct rec_look k = {.at = ret->at, .thread = ret->thread};
    int64_t now = hob_now();
    int r = -ENOENT;

    look_allow(l, now);
    (void)loops_known(p, now);
    for (int i = 0; i < p->n_loops && r != -EAGAIN; i++) {
        if (!is_of(p, p->loops[i], tid))
            continue;
        int asked = loop_ask(l, p, p->loops[i], &k);
        if (asked < 0 && asked != -EAGAIN)
            p->loops_at = 0;
        if (asked == 0 || asked == -EAGAIN || r != 0)
            r = asked;
    }
    if (r == -ENOENT && p->polled.tid && (p->polled.tid == tid || has_handed_over(l, p)))
        r = polled_ask(l, p, &k);
    if (r == 0)
        r = calls_add(pid, tid, &k.io_calls);
    if (r == 0)
        r = left_add(l, p, &k);
    if (r == 0)
        *ret = k;
    l->spent += hob_now() - now;
    return r;
}

bool look_may_stand(const struct look *waits)
{
    switch (waits->kind) {
    case REC_SLEEP:
    case REC_CHILD:
    case REC_PIPE:
    case REC_IPC:
    case REC_DISK:
    case REC_FSYNC:
    case REC_NET:
    case REC_DB:
    case REC_DNS:
        return true;
    default:
        return false;
    }
}

int look_stands(struct looker *l, int32_t pid, int32_t tid, const struct look *waits,
                struct rec_look *ret)
{
    struct look_proc *p = look_proc_of(l, pid);
    struct rec_look k = {.at = ret->at, .thread = ret->thread, .stands = true};
    int64_t now = hob_now();
    int r = -ENOENT;

    look_allow(l, now);
    for (size_t i = 0; i < LOOK_LOOPS && r != -EAGAIN; i++) {
        if (p->owners[i].tid != tid || p->owners[i].fd == waits->set_fd)
            continue;
        int asked = loop_ask(l, p, p->owners[i].fd, &k);
        if (asked == 0 || asked == -EAGAIN)
            r = asked;
        else
            p->owners[i].tid = OWNER_MANY; /* it has closed it */
    }
    if (r == 0)
        r = left_add(l, p, &k);
    else if (r == -ENOENT && p->polled.tid == tid && waits->outside < 2 && !waits->listens)
        r = polled_ask(l, p, &k);
    if (r == 0)
        *ret = k;
    l->spent += hob_now() - now;
    return r;
}

void look_flight(struct looker *l, int32_t pid, uint32_t thread, int64_t at)
{
    struct look_proc *p = look_proc_of(l, pid);
    struct rec_count sum = {.at = at, .thread = thread, .kind = REC_IDLE};
    int64_t began = hob_now();
    uint32_t most = 0;

    if (p->n_loops == 0 || (p->counted_at && at - p->counted_at < count_every))
        return;
    look_allow(l, began);
    p->counted_at = at;
    for (int i = 0; i < p->n_loops; i++) {
        struct call c = {.how = CALL_EPOLL, .fd = p->loops[i]};
        struct look k = {.timeout = -1};

        if (!look_allowed(l))
            return; /* what is not known now is told by the next count */
        pollset_look(l, p, &c, &k);
        if (!(k.flags & REC_IVAL_SET) || rec_kind_class((enum rec_kind)k.kind) != HOB_CLASS_IO)
            continue;
        sum.in_flight += k.in_flight;
        if (k.in_flight > most) {
            most = k.in_flight;
            sum.kind = k.kind;
        }
    }
    rec_add_count(l->rec, &sum);
    l->spent += hob_now() - began;
}
