/* SPDX-License-Identifier: MIT
 *
 * dump.c - what every fiber does, in text
 *
 * WHAT        hob_dump, and the text of every report that lists fibers: a deadlock's, a signal's.
 *
 * HOW         Each loop tells of itself, on its own thread, between two turns: it is sent a
 *             message, writes its part, and the asker puts the parts together.
 *
 *                 asker                        loop
 *                 IDLE -> ASKED, posts  ---->  writes part->text
 *                 waits on part->state  <----  ASKED -> DONE
 *                 takes the text, DONE -> IDLE
 *
 *             A loop that holds its thread does not answer: after PATIENCE the asker goes on
 *             without it, and its part stays ASKED; the next asker waits for that same answer.
 *
 * INVARIANTS  (I1) part->text is the loop's while ASKED and the asker's otherwise
 *             (I2) a part is posted once until its answer came, so a message is never in two
 *                  inboxes
 *             (I3) nobody asks when the hook says off: a loop that goes is not posted to
 *
 * LOCKING     dump.lock is held by one asker for the whole of it; loops take no lock.  An asker on
 *             a loop writes that loop's part itself.  Two that ask from two loops: the second one's
 *             loop does not answer the first until that has lost its patience, once.
 *
 * REJECTED    Reading other loops' fibers as they run: names and stacks go while one looks.
 *             Stopping them by a signal: where they stop their lists may be half changed.
 *             Parking the asker: then no dump could be made where everything is cancelled.
 */
#include "sync/dump.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <hob/debug.h>

#include "plat/futex.h"
#include "plat/place.h"
#include "pool/pool.h"
#include "sched/look.h"
#include "sched/marks.h"
#include "sched/park.h"
#include "sched/rt.h"
#include "sched/scope.h"
#include "sync/gate.h"
#include "sync/owner.h"
#include "sync/select.h"

#define PATIENCE (1 * HOB_SEC)

enum part_state { PART_IDLE, PART_ASKED, PART_DONE };

struct part {
    struct msg msg;
    struct loop *loop;
    _Atomic(unsigned) state; /* enum part_state */
    struct text text;        /* (I1) */
    uint64_t n_fibers, n_tasks;
    const struct owners *owners; /* while it is written */
};

static struct {
    pthread_mutex_t lock;
    struct rt *rt; /* NULL: none runs */
    struct part part[LOOPS_MAX];
} dump = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* --- one fiber -------------------------------------------------------------------------------- */

static double seconds(hob_dur d)
{
    return d > 0 ? (double)d / HOB_SEC : 0;
}

static void put_on(struct text *t, const char *name)
{
    hob__text_put(t, " (");
    hob__text_put_name(t, name ? name : "no name");
    hob__text_put(t, ")");
}

static void put_group(struct text *t, const struct group *g)
{
    hob__text_put(t, " (");
    hob__text_put_name(t, g->name ? g->name : "no name");
    hob__text_put(t, ", %" PRIu32 " alive)", g->n_live);
}

static void put_arm(struct text *t, struct hob_arm *pub)
{
    static const char *const what[] = {
        [HOB_ARM_RECV] = "a value from ", [HOB_ARM_SEND] = "room in ",
        [HOB_ARM_TIME] = "a time",        [HOB_ARM_EVENT] = "the event ",
        [HOB_ARM_IDLE] = "no children",   [HOB_ARM_READY] = "descriptor ",
        [HOB_ARM_ACCEPT] = "descriptor ", [HOB_ARM_LISTENER] = "descriptor ",
    };
    const char *name = NULL;

    hob__text_put(t, "%s", what[pub->kind]);
    if (pub->kind == HOB_ARM_READY || pub->kind == HOB_ARM_ACCEPT || pub->kind == HOB_ARM_LISTENER)
        hob__text_put(t, "%d", pub->fd);
    else if (arm_of(pub)->away) /* may have happened there, and what it waited for be gone */
        name = "another loop's";
    else if (pub->kind == HOB_ARM_RECV || pub->kind == HOB_ARM_SEND)
        name = hob__chan_name(pub->chan);
    else if (pub->kind == HOB_ARM_EVENT)
        name = ((const struct gate *)(const void *)pub->event)->name;
    if (name)
        hob__text_put_name(t, name);
}

/* The arms of a parked select: they do not change meanwhile. */
static void put_arms(struct text *t, const struct select *s)
{
    const char *between = " (";

    for (uint32_t i = 0; i < s->n; i++) {
        if (s->arms[i].kind == HOB_ARM_NONE || s->arms[i].kind == HOB_ARM_DEFAULT)
            continue;
        hob__text_put(t, "%s", between);
        put_arm(t, &s->arms[i]);
        between = "; or ";
    }
    hob__text_put(t, "%s", between[0] == ' ' ? "" : ")");
}

static void put_chan(struct text *t, const struct fiber *f)
{
    put_on(t, f->on ? hob__chan_name(f->on) : ((const struct remote *)f->abort_arg)->name);
}

/* What it waits for: park.h says where that stands. */
static void put_object(struct text *t, const struct owners *o, const struct fiber *f)
{
    switch ((enum hob_wait)f->wait) {
    case HOB_WAIT_CHAN_SEND:
    case HOB_WAIT_CHAN_RECV:
        put_chan(t, f);
        break;
    case HOB_WAIT_MUTEX:
    case HOB_WAIT_RWLOCK:
    case HOB_WAIT_COND:
    case HOB_WAIT_SEM:
    case HOB_WAIT_EVENT:
    case HOB_WAIT_ONCE:
        hob__gate_put(t, o, f);
        break;
    case HOB_WAIT_SELECT:
        put_arms(t, f->on);
        break;
    case HOB_WAIT_GROUP_FULL:
    case HOB_WAIT_GROUP_NEXT:
        put_group(t, f->on);
        break;
    case HOB_WAIT_JOIN:
        if (f->scope != f->own_scope) /* the innermost: that is the usual order of joins */
            put_group(t, f->scope->group);
        break;
    default:
        if (f->on_fd >= 0)
            hob__text_put(t, " (descriptor %d)", f->on_fd);
        break;
    }
}

static void put_start(struct text *t, const struct task *task)
{
    char fn[PLACE_TEXT_MAX], site[PLACE_TEXT_MAX];

    hob__place_text((const void *)(uintptr_t)task_fn(task), false, fn);
    hob__text_put(t, "; runs %s", fn);
    if (task->site) {
        hob__place_text(task->site, true, site);
        hob__text_put(t, ", started at %s", site);
    }
}

static void put_state(struct text *t, const struct owners *o, const struct fiber *f)
{
    hob_time now = hob__now();

    if (f->run.state != RUN_PARKED) {
        hob__text_put(t, f->run.state == RUN_RUNNING ? "running" : "ready to run");
        return;
    }
    hob__text_put(t, "%s", hob__wait_text((enum hob_wait)f->wait));
    put_object(t, o, f);
    hob__text_put(t, " for %.3f s", seconds(now - f->since));
    if (f->timer.set)
        hob__text_put(t, ", at most %.3f s more",
                      seconds((hob_time)(f->timer.tick << WHEEL_TICK_BITS) - now));
    if (f->scope->cancelled)
        hob__text_put(t,
                      f->park_kind == PARK_PLAIN ? ", cancelled" : ", cancelled: its end is due");
}

static void put_fiber(void *arg, const struct fiber *f)
{
    struct part *part = arg;
    struct text *t = &part->text;
    char path[LOOK_PATH_MAX];

    part->n_fibers++;
    hob__look_path(f->own_scope->group, path);
    hob__text_put(t, "  %p ", (const void *)f);
    hob__text_put_name(t, hob__fiber_name(f));
    hob__text_put(t, ": ");
    put_state(t, part->owners, f);
    hob__text_put(t, "; group ");
    hob__text_put_name(t, path);
    hob__text_put(t, "; stack %.1f of %zu KiB", (double)hob__look_depth(f) / 1024,
                  f->loop->stacks.size / 1024);
    put_start(t, f->task);
    hob__text_put(t, "\n");
}

static void put_tasks(void *arg, const struct task *task, uint64_t n)
{
    struct part *part = arg;
    char path[LOOK_PATH_MAX];

    part->n_tasks += n;
    hob__look_path(task->group, path);
    hob__text_put(&part->text, "  %" PRIu64 " not started: group ", n);
    hob__text_put_name(&part->text, path);
    put_start(&part->text, task);
    hob__text_put(&part->text, "\n");
}

/* --- stacks ----------------------------------------------------------------------------------- */

static void put_mark(void *arg, const struct stack_mark *m)
{
    char fn[PLACE_TEXT_MAX], site[PLACE_TEXT_MAX];
    struct text *t = arg;

    hob__text_put(t, "  %.1f KiB at most, %" PRIu64 " ended: ", (double)m->deepest / 1024, m->n);
    hob__place_text(m->fn, false, fn);
    hob__text_put(t, "runs %s", m->fn ? fn : "others");
    if (m->site) {
        hob__place_text(m->site, true, site);
        hob__text_put(t, ", started at %s", site);
    }
    hob__text_put(t, "\n");
}

void hob__dump_marks(const struct rt *rt, struct text *t)
{
    if (!marks_wanted())
        return;
    hob__text_put(t, "hob: stacks of fibers, of %zu KiB each:\n", rt->loops[0].stacks.size / 1024);
    hob__marks_each(put_mark, t);
}

/* --- one loop --------------------------------------------------------------------------------- */

static void count_fiber(void *arg, const struct fiber *f)
{
    (void)f;
    ++*(uint64_t *)arg;
}

/* On the loop's thread, or while all rest; then `owners` are those of all. */
static void part_write(struct part *part, struct loop *l, const struct owners *owners)
{
    struct owners own = {.loop = l};
    hob_time next = hob__wheel_next(&l->timers);
    uint64_t n = 0;

    hob__text_clear(&part->text);
    part->n_fibers = part->n_tasks = 0;
    hob__look_fibers(l, count_fiber, &n);
    if (!owners)
        hob__owners_add(&own, l);
    part->owners = owners ? owners : &own;
    hob__text_put(&part->text, "loop %u: ", l->index);
    if (!hob__env->sim)
        hob__text_put(&part->text, "thread %d, ",
                      atomic_load_explicit(&l->tid, memory_order_relaxed));
    hob__text_put(&part->text, "turn %" PRIu64 ", %" PRIu64 " fiber%s", l->n_turns, n,
                  n == 1 ? "" : "s");
    if (next != HOB_FOREVER)
        hob__text_put(&part->text, ", a timer in %.3f s or later", seconds(next - hob__now()));
    hob__text_put(&part->text, "\n");
    hob__look_fibers(l, put_fiber, part);
    hob__look_tasks(l, put_tasks, part);
}

static void part_answer(struct msg *m)
{
    struct part *part = container_of(m, struct part, msg);

    part_write(part, part->loop, NULL);
    atomic_store_explicit(&part->state, PART_DONE, memory_order_release);
    futex_wake(&part->state, INT_MAX);
}

static void part_ask(struct part *part, struct loop *l)
{
    if (atomic_load_explicit(&part->state, memory_order_acquire) == PART_ASKED)
        return; /* (I2) */
    part->loop = l;
    part->msg.run = part_answer;
    atomic_store_explicit(&part->state, PART_ASKED, memory_order_release); /* last_answer */
    hob__loop_post(l, &part->msg);
}

/* False: no answer in time. */
static bool part_wait(struct part *part, hob_time until)
{
    unsigned state;

    while ((state = atomic_load_explicit(&part->state, memory_order_acquire)) == PART_ASKED &&
           hob__now() < until)
        futex_wait_until(&part->state, state, until);
    if (state != PART_DONE)
        return false;
    atomic_store_explicit(&part->state, PART_IDLE, memory_order_relaxed);
    return true;
}

/* --- all of them ------------------------------------------------------------------------------ */

struct whole {
    struct text body;
    uint64_t n_fibers, n_tasks;
};

static void whole_add(struct whole *w, struct part *part)
{
    if (part->text.n)
        hob__text_put(&w->body, "%s", part->text.p);
    w->body.full |= part->text.full;
    w->n_fibers += part->n_fibers;
    w->n_tasks += part->n_tasks;
    hob__text_free(&part->text);
}

static void whole_put(struct text *t, const struct rt *rt, struct whole *w)
{
    struct pool_stats pool;

    hob__text_put(t, "hob: %" PRIu64 " fiber%s on %u loop%s", w->n_fibers,
                  w->n_fibers == 1 ? "" : "s", rt->n_loops, rt->n_loops == 1 ? "" : "s");
    if (w->n_tasks)
        hob__text_put(t, ", %" PRIu64 " task%s not started", w->n_tasks,
                      w->n_tasks == 1 ? "" : "s");
    if (!hob__env->sim && hob__pool_workers()) {
        hob__pool_stats(&pool);
        hob__text_put(t, "; pool of %u threads, %u asleep", hob__pool_workers(), pool.n_asleep);
    }
    hob__text_put(t, "\n%s", w->body.n ? w->body.p : "");
    hob__dump_marks(rt, t);
    t->full |= w->body.full;
    hob__text_free(&w->body);
}

void hob__dump_all(struct rt *rt, struct text *t)
{
    struct whole w = {.n_fibers = 0};
    struct owners owners = {.loop = NULL};

    for (unsigned i = 0; i < rt->n_loops; i++)
        hob__owners_add(&owners, &rt->loops[i]);
    for (unsigned i = 0; i < rt->n_loops; i++) {
        struct part part = {.n_fibers = 0};

        part_write(&part, &rt->loops[i], &owners);
        whole_add(&w, &part);
    }
    whole_put(t, rt, &w);
}

/* With the lock, while a runtime runs. */
static void ask_all(struct text *t)
{
    struct rt *rt = dump.rt;
    struct loop *own = hob__loop;
    struct whole w = {.n_fibers = 0};
    struct part here = {.n_fibers = 0};

    for (unsigned i = 0; i < rt->n_loops; i++)
        if (&rt->loops[i] != own)
            part_ask(&dump.part[i], &rt->loops[i]);
    hob_time until = hob__now() + PATIENCE;
    for (unsigned i = 0; i < rt->n_loops; i++) {
        struct loop *l = &rt->loops[i];

        if (l == own) {
            part_write(&here, l, NULL);
            whole_add(&w, &here);
        } else if (part_wait(&dump.part[i], until)) {
            whole_add(&w, &dump.part[i]);
        } else {
            hob__text_put(
                &w.body,
                "loop %u: thread %d, no answer: something holds it (HOB_WATCHDOG=100 says "
                "what)\n",
                i, atomic_load_explicit(&l->tid, memory_order_relaxed));
        }
    }
    whole_put(t, rt, &w);
}

void hob__dump_ask(struct text *t)
{
    pthread_mutex_lock(&dump.lock);
    if (dump.rt)
        ask_all(t);
    pthread_mutex_unlock(&dump.lock);
}

/* Loop 0 is over, on this thread, and will not see its inbox again. */
static void last_answer(struct part *part)
{
    if (atomic_load_explicit(&part->state, memory_order_acquire) == PART_ASKED)
        part_answer(&part->msg);
}

void hob__dump_hook(struct rt *rt, bool on)
{
    while (pthread_mutex_trylock(&dump.lock) != 0) {
        if (!on)
            last_answer(&dump.part[0]);
        sched_yield();
    }
    dump.rt = on ? rt : NULL; /* (I3) */
    for (unsigned i = 0; on && i < LOOPS_MAX; i++) {
        hob__text_free(&dump.part[i].text);
        atomic_store(&dump.part[i].state, PART_IDLE);
    }
    pthread_mutex_unlock(&dump.lock);
}

static int dump_text(struct text *t)
{
    pthread_mutex_lock(&dump.lock);
    struct rt *rt = dump.rt;
    if (rt && hob__env->sim) /* all loops are one thread's, this one */
        hob__dump_all(rt, t);
    else if (rt)
        ask_all(t);
    pthread_mutex_unlock(&dump.lock);
    if (!rt)
        return -ESRCH;
    return t->full || !t->n ? -ENOMEM : 0;
}

static int write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t k = write(fd, p, n);

        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return k < 0 ? -errno : -EIO;
        p += k;
        n -= (size_t)k;
    }
    return 0;
}

int hob_dump_to(hob_text_fn fn, void *arg)
{
    struct text t = {0};
    int r;

    if (!fn)
        return HOB_MISUSE(-EINVAL, "hob_dump_to without a function");
    r = dump_text(&t);
    if (t.n)
        fn(arg, t.p, t.n);
    hob__text_free(&t);
    return r;
}

int hob_dump(int fd)
{
    struct text t = {0};
    int r = dump_text(&t), w = t.n ? write_all(fd, t.p, t.n) : 0;

    hob__text_free(&t);
    return w < 0 ? w : r;
}

void hob__report(struct rt *rt, const struct text *t)
{
    if (t->n == 0)
        return;
    if (rt->report)
        rt->report(rt->report_arg, t->p, t->n);
    else
        (void)write_all(STDERR_FILENO, t->p, t->n); /* nobody is left to tell */
}
