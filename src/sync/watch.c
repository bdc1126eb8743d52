/* SPDX-License-Identifier: MIT
 *
 * watch.c - a thread that looks at loops that are held, and dumps when a signal says so
 *
 * WHAT        Started only where it was asked for: by .watchdog or .dump_signal of HOB_OPTS, or
 *             HOB_WATCHDOG=MS, HOB_DUMP=SIGUSR1.  It reports
 *
 *                 a held loop   hob: loop 0 held for 120 ms by fiber page; group main/crawl; ...
 *                                   at parse+0x41 (prog+0x1a41)
 *                 its end       hob: loop 0 went on after 340 ms
 *                 a dump        of every fiber (dump.c), each time the signal comes
 *
 * HOW         Each loop counts its rounds.  Four times within the limit the thread reads the count;
 *             if it stands still and the loop is not asleep, for as long as the limit, the loop's
 *             thread is sent WATCH_SIGNAL.  Its handler, on the alternate stack, notes which fiber
 *             runs and where:
 *
 *                 thread                       handler, on the loop
 *                 IDLE -> ASKED, tgkill  --->  fills the loop's place
 *                 waits for DONE         <---  ASKED -> DONE, wakes
 *
 *             If the count still stands then, that fiber is the one.  Of one function started at
 *             one place the 1st, 2nd, 4th, 8th ... time is told.
 *
 * INVARIANTS  (W1) a loop's place is its handler's while ASKED and the thread's otherwise; one
 *                  that does not answer stays ASKED, and keeps no other loop from answering
 *             (W2) the handler calls only what a handler may: it copies, unwinds by tables that
 *                  were loaded before, and makes one futex call
 *             (W3) what the handler reads lives: a fiber that runs has a task, whose group cannot
 *                  end before it
 *             (W4) no handler runs when the thread's descriptor is closed
 *
 * THREADS     The thread starts when all loops are there and is joined before the first goes.
 *
 * What it cannot see: a loop held in a callback of its poller right after a sleep counts as asleep.
 *
 * REJECTED    Reading the loop's current fiber from here: its stack may go while it is read.
 *             A clock read at each switch: that costs as much as several switches.
 *             Stopping the fiber by the signal: in C there is no point at which that is safe.
 */
#include "sync/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "plat/cpu.h"
#include "plat/futex.h"
#include "plat/place.h"
#include "plat/sigmask.h"
#include "plat/threads.h"
#include "sched/look.h"
#include "sched/park.h"
#include "sched/rt.h"
#include "sched/scope.h"
#include "sync/dump.h"

#define ANSWER_PATIENCE (1 * HOB_SEC)

enum { FRAMES = 16, SITES = 64, LOOKS = 4 };
enum place_state { PLACE_IDLE, PLACE_ASKED, PLACE_DONE };

/* What a loop's handler found.  (W1) */
static struct place {
    _Atomic(unsigned) state; /* enum place_state */
    bool fiber;              /* one runs; else the loop's own code */
    char name[64], path[LOOK_PATH_MAX];
    const void *fn, *site;
    void *frames[FRAMES];
    int n_frames;
} places[LOOPS_MAX];

struct watched {
    uint64_t rounds;
    hob_time since; /* it stands at `rounds` */
    bool looked;    /* and was asked why */
    bool told;
};

static struct watch {
    struct rt *rt;
    pthread_t thread;
    bool on;
    int wake_fd;
    _Atomic(bool) ends;
    struct sigaction old_dump, old_watch;
    bool has_dump, has_watch; /* the handlers are ours */
    sigset_t old_mask;        /* loop 0's */
    struct watched loop[LOOPS_MAX];
    struct {
        const void *fn, *site;
        uint64_t n;
    } held[SITES]; /* the last one: all others */
} watch;

static _Atomic(int) dump_fd = -1;
static _Atomic(bool) dump_asked;
static _Atomic(unsigned) in_handler; /* (W4) */

/* --- in handlers ------------------------------------------------------------------------------ */

static void on_dump_signal(int sig)
{
    uint64_t one = 1;
    int kept = errno;

    (void)sig;
    atomic_fetch_add(&in_handler, 1);
    int fd = atomic_load(&dump_fd);
    if (fd >= 0) {
        atomic_store(&dump_asked, true);
        (void)!write(fd, &one, sizeof one); /* cannot block: nobody adds 2^64 */
    }
    atomic_fetch_sub(&in_handler, 1);
    errno = kept;
}

static void place_fill(struct place *p, const struct loop *l, const void *context)
{
    const struct fiber *f = l->current;

    p->fiber = f && f->run.state == RUN_RUNNING;
    if (p->fiber) { /* (W3) */
        strncpy(p->name, hob__fiber_name(f), sizeof p->name - 1);
        hob__look_path(f->own_scope->group, p->path);
        p->fn = (const void *)(uintptr_t)task_fn(f->task);
        p->site = f->task->site;
    }
    p->n_frames = hob__place_frames(context, p->frames, FRAMES);
}

static void on_watch_signal(int sig, siginfo_t *info, void *context)
{
    struct place *p = hob__loop ? &places[hob__loop->index] : NULL;
    int kept = errno;

    (void)sig, (void)info;
    if (p && atomic_load_explicit(&p->state, memory_order_acquire) == PLACE_ASKED) {
        place_fill(p, hob__loop, context);
        atomic_store_explicit(&p->state, PLACE_DONE, memory_order_release);
        futex_wake(&p->state, INT_MAX);
    }
    errno = kept;
}

/* --- held loops ------------------------------------------------------------------------------- */

/* Asks the loop whose thread is `tid` what it does: NULL, or why there is no answer. */
static const char *place_ask(struct place *p, int tid)
{
    static const char deaf[] = "takes no signal";
    hob_time until = hob__now() + ANSWER_PATIENCE;
    unsigned state;

    if (!watch.has_watch)
        return "is not asked: the program uses SIGURG itself";
    if (atomic_load_explicit(&p->state, memory_order_acquire) == PLACE_ASKED)
        return deaf; /* not the earlier one either, yet */
    memset(p->name, 0, sizeof p->name);
    atomic_store_explicit(&p->state, PLACE_ASKED, memory_order_release);
    if (syscall(SYS_tgkill, getpid(), tid, WATCH_SIGNAL) < 0) {
        atomic_store(&p->state, PLACE_IDLE);
        return "cannot be sent a signal";
    }
    while ((state = atomic_load_explicit(&p->state, memory_order_acquire)) == PLACE_ASKED &&
           hob__now() < until)
        futex_wait_until(&p->state, state, until);
    return state == PLACE_DONE ? NULL : deaf;
}

/* How often it was this function from this place, this time included. */
static uint64_t held_count(const void *fn, const void *site)
{
    unsigned i = 0;

    while (i < SITES - 1 && watch.held[i].n &&
           (watch.held[i].fn != fn || watch.held[i].site != site))
        i++;
    watch.held[i].fn = fn;
    watch.held[i].site = site;
    return ++watch.held[i].n;
}

static void put_frames(struct text *t, const struct place *p)
{
    char at[PLACE_TEXT_MAX];

    for (int k = 0; k < p->n_frames; k++) {
        hob__place_text(p->frames[k], k > 0, at);
        hob__text_put(t, "    at %s\n", at);
    }
}

static void put_who(struct text *t, const struct place *p, uint64_t n)
{
    char fn[PLACE_TEXT_MAX], site[PLACE_TEXT_MAX];

    if (!p->fiber) {
        hob__text_put(t, " by the loop's own work\n");
        return;
    }
    hob__place_text(p->fn, false, fn);
    hob__text_put(t, " by fiber ");
    hob__text_put_name(t, p->name);
    hob__text_put(t, "; group ");
    hob__text_put_name(t, p->path);
    hob__text_put(t, "; runs %s", fn);
    if (p->site) {
        hob__place_text(p->site, true, site);
        hob__text_put(t, ", started at %s", site);
    }
    if (n > 1)
        hob__text_put(t, "; time number %" PRIu64, n);
    hob__text_put(t, "\n");
}

static void loop_held(unsigned i, hob_dur d)
{
    struct watched *w = &watch.loop[i];
    struct place *p = &places[i];
    int tid = atomic_load_explicit(&watch.rt->loops[i].tid, memory_order_relaxed);
    const char *unanswered = place_ask(p, tid);
    struct text t = {0};
    uint64_t n = 1;

    if (__atomic_load_n(&watch.rt->loops[i].n_rounds, __ATOMIC_RELAXED) == w->rounds) {
        hob__text_put(&t, "hob: loop %u held for %" PRId64 " ms", i, d / HOB_MS);
        if (unanswered) {
            hob__text_put(&t, "; its thread %d %s\n", tid, unanswered);
        } else {
            n = p->fiber ? held_count(p->fn, p->site) : held_count(NULL, NULL);
            put_who(&t, p, n);
            put_frames(&t, p);
        }
        w->told = (n & (n - 1)) == 0;
        if (w->told)
            hob__report(watch.rt, &t);
    }
    if (!unanswered)
        atomic_store(&p->state, PLACE_IDLE);
    hob__text_free(&t);
}

static void loop_went_on(unsigned i, hob_dur d)
{
    struct text t = {0};

    hob__text_put(&t, "hob: loop %u went on after %" PRId64 " ms\n", i, d / HOB_MS);
    hob__report(watch.rt, &t);
    hob__text_free(&t);
}

static void watch_look(void)
{
    hob_time now = hob__now();

    for (unsigned i = 0; i < watch.rt->n_loops; i++) {
        struct loop *l = &watch.rt->loops[i];
        struct watched *w = &watch.loop[i];
        uint64_t rounds = __atomic_load_n(&l->n_rounds, __ATOMIC_RELAXED);

        if (rounds != w->rounds || w->since == 0 || inbox_asleep(&l->inbox)) {
            if (w->told)
                loop_went_on(i, now - w->since);
            *w = (struct watched){.rounds = rounds, .since = now};
        } else if (!w->looked && now - w->since >= watch.rt->watchdog) {
            w->looked = true;
            loop_held(i, now - w->since);
        }
    }
}

/* --- the thread ------------------------------------------------------------------------------- */

static void watch_dump(void)
{
    struct text t = {0};

    hob__dump_ask(&t);
    hob__report(watch.rt, &t);
    hob__text_free(&t);
}

static void *watch_thread(void *arg)
{
    struct pollfd p = {.fd = watch.wake_fd, .events = POLLIN};
    hob_dur step = watch.rt->watchdog / LOOKS;
    int ms = watch.rt->watchdog ? (int)(step / HOB_MS) + (step < HOB_MS) : -1;
    uint64_t n;

    threads_begin();
    (void)hob__thread_slice(0);
    pthread_setname_np(pthread_self(), "hob-watch");
    for (;;) {
        if (poll(&p, 1, ms) > 0)
            (void)!read(watch.wake_fd, &n, sizeof n);
        if (atomic_exchange(&dump_asked, false))
            watch_dump();
        if (atomic_load(&watch.ends))
            break;
        if (watch.rt->watchdog)
            watch_look();
    }
    threads_end();
    return arg;
}

/* --- signals ---------------------------------------------------------------------------------- */

int hob__watch_signal(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);

    if (end != text)
        return *end == '\0' && n > 0 && n < NSIG && n != SIGKILL && n != SIGSTOP ? (int)n : 0;
    if (strncasecmp(text, "SIG", 3) == 0)
        text += 3;
    for (int i = 1; i < NSIG; i++) {
        const char *name = sigabbrev_np(i);

        if (name && strcasecmp(name, text) == 0 && i != SIGKILL && i != SIGSTOP)
            return i;
    }
    return 0;
}

/* A program that has a use of its own for the watchdog's signal is watched without it: a report
 * then names the loop alone. */
static void watch_signal_take(void)
{
    struct sigaction sa = {.sa_sigaction = on_watch_signal,
                           .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    sigset_t open;

    sigemptyset(&sa.sa_mask);
    sigemptyset(&open);
    sigaddset(&open, WATCH_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &open, &watch.old_mask);
    if (sigaction(WATCH_SIGNAL, NULL, &watch.old_watch) < 0 ||
        (watch.old_watch.sa_flags & SA_SIGINFO) ||
        (watch.old_watch.sa_handler != SIG_DFL && watch.old_watch.sa_handler != SIG_IGN))
        return;
    hob__place_prime();
    watch.has_watch = sigaction(WATCH_SIGNAL, &sa, NULL) == 0;
}

static void signals_take(struct rt *rt)
{
    struct sigaction sa = {.sa_handler = on_dump_signal, .sa_flags = SA_ONSTACK | SA_RESTART};

    sigemptyset(&sa.sa_mask);
    atomic_store(&dump_fd, watch.wake_fd);
    if (rt->dump_signal)
        watch.has_dump = sigaction(rt->dump_signal, &sa, &watch.old_dump) == 0;
    if (rt->watchdog)
        watch_signal_take();
}

static void signals_give_back(struct rt *rt)
{
    if (watch.has_dump)
        sigaction(rt->dump_signal, &watch.old_dump, NULL);
    if (watch.has_watch)
        sigaction(WATCH_SIGNAL, &watch.old_watch, NULL);
    if (rt->watchdog && sigismember(&watch.old_mask, WATCH_SIGNAL))
        pthread_sigmask(SIG_SETMASK, &watch.old_mask, NULL);
    atomic_store(&dump_fd, -1);
    while (atomic_load(&in_handler)) /* (W4) */
        sched_yield();
}

/* --- start and end ---------------------------------------------------------------------------- */

static int watch_start(struct rt *rt)
{
    sigset_t old;
    int r;

    watch = (struct watch){.rt = rt, .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (watch.wake_fd < 0)
        return -errno;
    for (unsigned i = 0; i < LOOPS_MAX; i++)
        atomic_store(&places[i].state, PLACE_IDLE);
    atomic_store(&dump_asked, false);
    signals_take(rt);
    sigmask_block(&old);
    r = -pthread_create(&watch.thread, NULL, watch_thread, NULL);
    sigmask_restore(&old);
    if (r < 0) {
        signals_give_back(rt);
        close(watch.wake_fd);
    }
    return r;
}

static void watch_stop(struct rt *rt)
{
    uint64_t one = 1;

    signals_give_back(rt);
    atomic_store(&watch.ends, true);
    (void)!write(watch.wake_fd, &one, sizeof one);
    pthread_join(watch.thread, NULL);
    close(watch.wake_fd);
    watch.on = false;
}

void hob__watch_hook(struct rt *rt, bool on)
{
    if (on && !hob__env->sim && (rt->watchdog || rt->dump_signal)) {
        int r = watch_start(rt);
        struct text t = {0};

        watch.on = r == 0;
        if (r < 0) {
            hob__text_put(&t, "hob: no watchdog and no dump by a signal: %s\n", hob_strerror(r));
            hob__report(rt, &t);
            hob__text_free(&t);
        }
    } else if (!on && watch.on) {
        watch_stop(rt);
    }
}
