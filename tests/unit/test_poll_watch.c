/* SPDX-License-Identifier: MIT
 *
 * test_poll_watch.c - watches, wakes and time on each kind of poller
 */
#include "poll_util.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

/* ---- watches ---- */

struct spy {
    struct poll_watch w;
    struct poller *p;
    int n;
    uint32_t last;
    void (*then)(struct spy *spy);
    struct spy *other;
};

static void spy_ready(struct poll_watch *w, uint32_t revents)
{
    struct spy *spy = container_of(w, struct spy, w);

    spy->n++;
    spy->last = revents;
    if (spy->then)
        spy->then(spy);
}

static struct spy spy_of(struct poller *p, int fd, uint32_t events)
{
    return (struct spy){.w = {.fd = fd, .events = events, .ready = spy_ready}, .p = p};
}

static int spy_start(struct spy *spy)
{
    return spy->p->ops->watch(spy->p, &spy->w);
}

static void spy_stop(struct spy *spy)
{
    spy->p->ops->unwatch(spy->p, &spy->w);
}

static int event_open(unsigned value)
{
    int fd = eventfd(value, EFD_CLOEXEC | EFD_NONBLOCK);

    CHECK(fd >= 0);
    return fd;
}

ON_EVERY_POLLER(a_watch_is_level_triggered)
{
    int fd = event_open(0);
    struct spy spy = spy_of(p, fd, EPOLLIN);

    CHECK_INT(spy_start(&spy), 0);
    turns(p);
    CHECK_INT(spy.n, 0);
    CHECK_INT(eventfd_write(fd, 1), 0);
    for (int i = 1; i <= 5; i++) {
        while (spy.n < i)
            CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
        CHECK_INT(spy.last, EPOLLIN);
    }
    drain(fd, 8);
    turns(p);
    int n = spy.n;
    turns(p);
    CHECK_INT(spy.n, n);
    spy_stop(&spy);
    CHECK_INT(eventfd_write(fd, 1), 0);
    turns(p);
    CHECK_INT(spy.n, n);
    close(fd);
}

ON_EVERY_POLLER(a_watch_changes_its_events)
{
    int s[2];

    pair_open(SOCK_STREAM, s);
    struct spy spy = spy_of(p, s[0], EPOLLIN);
    CHECK_INT(spy_start(&spy), 0);
    turns(p);
    CHECK_INT(spy.n, 0);
    spy.w.events = EPOLLIN | EPOLLOUT;
    CHECK_INT(spy_start(&spy), 0);
    while (!spy.n)
        CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
    CHECK_INT(spy.last, EPOLLOUT);
    spy.w.events = EPOLLIN;
    CHECK_INT(spy_start(&spy), 0);
    turns(p);
    spy.n = 0;
    turns(p);
    CHECK_INT(spy.n, 0);
    close(s[1]);
    while (!spy.n)
        CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
    CHECK(spy.last & EPOLLHUP);
    spy_stop(&spy);
    close(s[0]);
}

static void stop_both(struct spy *spy)
{
    spy_stop(spy);
    spy_stop(spy->other);
}

ON_EVERY_POLLER(an_unwatched_descriptor_is_not_reported_from_the_same_batch)
{
    int fd[2] = {event_open(1), event_open(1)};
    struct spy a = spy_of(p, fd[0], EPOLLIN), b = spy_of(p, fd[1], EPOLLIN);

    a.then = b.then = stop_both;
    a.other = &b;
    b.other = &a;
    CHECK_INT(spy_start(&a), 0);
    CHECK_INT(spy_start(&b), 0);
    while (!a.n && !b.n)
        CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
    turns(p);
    CHECK_INT(a.n + b.n, 1);
    pair_close(fd);
}

/* What a library does that reconnects: another file and another watch under the same number. */
static void replace_other(struct spy *spy)
{
    struct spy *other = spy->other;
    int fd = other->w.fd;

    spy_stop(spy);
    spy_stop(other);
    int fresh = event_open(0);
    CHECK_INT(dup3(fresh, fd, O_CLOEXEC), fd);
    close(fresh);
    *other = spy_of(spy->p, fd, EPOLLIN);
    CHECK_INT(spy_start(other), 0);
}

ON_EVERY_POLLER(an_event_of_the_batch_is_not_taken_for_a_newer_watch)
{
    int fd[2] = {event_open(1), event_open(1)};
    struct spy a = spy_of(p, fd[0], EPOLLIN), b = spy_of(p, fd[1], EPOLLIN);

    a.then = b.then = replace_other;
    a.other = &b;
    b.other = &a;
    CHECK_INT(spy_start(&a), 0);
    CHECK_INT(spy_start(&b), 0);
    while (!a.n && !b.n)
        CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
    struct spy *fresh = a.n ? &b : &a;
    turns(p);
    CHECK_INT(fresh->n, 0);
    CHECK_INT(eventfd_write(fresh->w.fd, 1), 0);
    while (!fresh->n)
        CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
    spy_stop(fresh);
    pair_close(fd);
}

static void start_other(struct spy *spy)
{
    spy_stop(spy);
    CHECK_INT(spy_start(spy->other), 0);
}

ON_EVERY_POLLER(ready_may_add_a_watch)
{
    int fd[2] = {event_open(1), event_open(1)};
    struct spy a = spy_of(p, fd[0], EPOLLIN), b = spy_of(p, fd[1], EPOLLIN);

    a.then = start_other;
    a.other = &b;
    CHECK_INT(spy_start(&a), 0);
    while (!b.n)
        CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
    CHECK_INT(a.n, 1);
    spy_stop(&b);
    pair_close(fd);
}

ON_EVERY_POLLER(watch_refuses_what_cannot_be_watched)
{
    int fd = event_open(0), file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct spy bad = spy_of(p, -1, EPOLLIN), closed = spy_of(p, 900, EPOLLIN);
    struct spy regular = spy_of(p, file, EPOLLIN);
    struct spy one = spy_of(p, fd, EPOLLIN), two = one;

    CHECK_INT(spy_start(&bad), -EBADF);
    CHECK_INT(spy_start(&closed), -EBADF);
    CHECK_INT(spy_start(&regular), -EPERM);
    CHECK_INT(spy_start(&one), 0);
    CHECK_INT(spy_start(&two), -EEXIST);
    spy_stop(&two); /* was never added: nothing */
    CHECK_INT(eventfd_write(fd, 1), 0);
    while (!one.n)
        CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
    spy_stop(&one);
    CHECK_INT(spy_start(&two), 0);
    spy_stop(&two);
    close(fd);
    close(file);
}

ON_EVERY_POLLER(watches_beyond_one_batch_are_all_served)
{
    enum { N = 600 };
    static struct spy spy[N];

    raise_fd_limit(N + 64);
    for (int i = 0; i < N; i++) {
        spy[i] = spy_of(p, event_open(1), EPOLLIN);
        spy[i].then = spy_stop;
        CHECK_INT(spy_start(&spy[i]), 0);
    }
    for (int i = 0; i < N; i++)
        while (!spy[i].n)
            CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
    turns(p);
    for (int i = 0; i < N; i++) {
        CHECK_INT(spy[i].n, 1);
        close(spy[i].w.fd);
    }
}

ON_EVERY_POLLER(an_operation_and_a_watch_share_a_descriptor)
{
    int s[2];
    char in[8];

    pair_open(SOCK_STREAM, s);
    struct spy spy = spy_of(p, s[0], EPOLLRDHUP);
    struct job r = job_io(POLL_RECV, s[0], in, sizeof in);
    job_start(p, &r);
    turns(p);
    CHECK_INT(spy_start(&spy), 0);
    CHECK_INT(write(s[1], "abc", 3), 3);
    CHECK_INT(job_end(p, &r), 3);
    turns(p);
    CHECK_INT(spy.n, 0);
    job_start(p, &r);
    turns(p);
    CHECK_INT(r.n_done, 1);
    CHECK_INT(write(s[1], "de", 2), 2);
    CHECK_INT(job_end(p, &r), 2);
    job_start(p, &r);
    spy_stop(&spy);
    turns(p);
    CHECK_INT(write(s[1], "f", 1), 1);
    CHECK_INT(job_end(p, &r), 1);
    CHECK_INT(spy.n, 0);
    pair_close(s);
}

/* ---- wakes ---- */

ON_EVERY_POLLER(a_wake_before_wait_makes_it_return)
{
    for (int i = 0; i < 100; i++) {
        for (int k = 0; k <= i % 3; k++)
            p->ops->wake(p);
        CHECK(p->ops->busy(p));
        CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
    }
}

ON_EVERY_POLLER(wakes_coalesce)
{
    for (int i = 0; i < 10000; i++)
        p->ops->wake(p);
    turns(p); /* all of them are used up */
    hob_time until = hob__now() + 5 * HOB_MS;
    CHECK_INT(p->ops->wait(p, until), 0);
    CHECK(hob__now() >= until);
}

struct shout {
    struct poller *p;
    _Atomic int said, heard;
    int n;
};

static void *shout_run(void *arg)
{
    struct shout *s = arg;

    for (int i = 1; i <= s->n; i++) {
        atomic_store_explicit(&s->said, i, memory_order_release);
        s->p->ops->wake(s->p);
        while (i % 4 == 0 && atomic_load(&s->heard) < i)
            sched_yield(); /* now and then until the loop sleeps again */
    }
    return NULL;
}

static void shout_is_heard(struct poller *p, int n)
{
    struct shout s = {.p = p, .n = n};
    pthread_t th;

    CHECK_INT(pthread_create(&th, NULL, shout_run, &s), 0);
    for (int said = 0; said < s.n;) {
        CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
        said = atomic_load_explicit(&s.said, memory_order_acquire);
        atomic_store(&s.heard, said);
    }
    CHECK_INT(pthread_join(th, NULL), 0);
    turns(p);
}

ON_EVERY_POLLER(no_wake_of_another_thread_is_lost)
{
    shout_is_heard(p, 4000);
}

/* A completion queue that overflows ends the ring's own poll of the eventfd. */
ON_EVERY_POLLER(wakes_go_on_after_a_flood)
{
    enum { N = 3000 };
    struct job *j = calloc(N, sizeof *j);
    int fd = event_open(0);

    for (int i = 0; i < N; i++) {
        j[i] = job_ready(fd, EPOLLIN);
        job_start(p, &j[i]);
    }
    turns(p);
    CHECK_INT(eventfd_write(fd, 1), 0);
    p->ops->wake(p);
    for (int i = 0; i < N; i++)
        while (!j[i].n_done)
            CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
    shout_is_heard(p, 400);
    close(fd);
    free(j);
}

static struct poller *signal_poller;
static _Atomic int n_signals;

static void on_signal(int sig)
{
    (void)sig;
    atomic_fetch_add(&n_signals, 1);
    if (signal_poller)
        signal_poller->ops->wake(signal_poller);
}

struct pester {
    pthread_t target;
    _Atomic bool stop;
};

static void *pester_run(void *arg)
{
    struct pester *s = arg;

    while (!atomic_load(&s->stop)) {
        pthread_kill(s->target, SIGUSR1);
        sched_yield();
    }
    return NULL;
}

static void pester_start(struct pester *s, pthread_t *ret_th)
{
    struct sigaction sa = {.sa_handler = on_signal}; /* no SA_RESTART */

    CHECK_INT(sigaction(SIGUSR1, &sa, NULL), 0);
    s->target = pthread_self();
    CHECK_INT(pthread_create(ret_th, NULL, pester_run, s), 0);
}

ON_EVERY_POLLER(a_signal_handler_may_wake)
{
    struct pester s = {0};
    pthread_t th;

    signal_poller = p;
    pester_start(&s, &th);
    for (int i = 0; i < 100; i++)
        CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
    atomic_store(&s.stop, true);
    pthread_join(th, NULL);
    signal_poller = NULL;
    CHECK(atomic_load(&n_signals) > 0);
}

ON_EVERY_POLLER(signals_disturb_no_operation)
{
    struct pester sig = {0};
    pthread_t th;
    int s[2], q[2];
    char in[8];

    pair_open(SOCK_STREAM, s);
    CHECK_INT(pipe2(q, O_CLOEXEC), 0);
    pester_start(&sig, &th);
    for (int i = 0; i < 300; i++) {
        struct job r = job_io(POLL_RECV, s[0], in, 8), rq = job_io(POLL_RECV, q[0], in, 8);
        struct job w = job_io(POLL_SEND, s[1], "ab", 2), wq = job_io(POLL_SEND, q[1], "abc", 3);
        job_start(p, &r);
        job_start(p, &rq);
        CHECK_INT(p->ops->wait(p, 0), 0);
        job_start(p, &w);
        job_start(p, &wq);
        while (!r.n_done || !rq.n_done || !w.n_done || !wq.n_done)
            CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
        CHECK_INT(r.op.res + 10 * rq.op.res + 100 * w.op.res + 1000 * wq.op.res, 3232);
    }
    atomic_store(&sig.stop, true);
    pthread_join(th, NULL);
    pair_close(s);
    pair_close(q);
}

/* ---- time ---- */

ON_EVERY_POLLER(a_timeout_is_never_early)
{
    static const hob_dur waits[] = {1, HOB_US, 50 * HOB_US, HOB_MS, 3 * HOB_MS + 1, 7 * HOB_MS};
    int s[2];
    char in[8];

    turns(p);
    pair_open(SOCK_STREAM, s);
    struct job r = job_io(POLL_RECV, s[0], in, sizeof in);
    job_start(p, &r); /* with something to wait for, which does not come */
    turns(p);
    for (int i = 0; i < 5; i++)
        for (size_t k = 0; k < sizeof waits / sizeof *waits; k++) {
            hob_time until = hob__now() + waits[k];
            CHECK_INT(p->ops->wait(p, until), 0);
            CHECK(hob__now() >= until);
        }
    p->ops->cancel(p, &r.op);
    job_end(p, &r);
    pair_close(s);
}

ON_EVERY_POLLER(a_time_that_has_passed_does_not_block)
{
    CHECK_INT(p->ops->wait(p, hob__now()), 0);
    CHECK_INT(p->ops->wait(p, 1), 0);
    CHECK_INT(p->ops->wait(p, -5), 0);
    CHECK_INT(p->ops->wait(p, 0), 0);
}

ON_EVERY_POLLER(a_result_is_not_slept_on)
{
    struct job bad = job_ready(-1, EPOLLIN), fine = job_ready(event_open(1), EPOLLIN);

    CHECK_INT(job_run(p, &bad), -EBADF); /* with HOB_FOREVER */
    CHECK_INT(job_run(p, &fine), EPOLLIN);
    close(fine.op.fd);
}

ON_EVERY_POLLER(busy_tells_when_a_turn_may_skip_the_wait)
{
    int s[2];
    char in[8];

    turns(p);
    CHECK(!p->ops->busy(p));
    p->ops->wake(p);
    CHECK(p->ops->busy(p));
    turns(p);
    CHECK(!p->ops->busy(p));
    pair_open(SOCK_STREAM, s);
    struct job r = job_io(POLL_RECV, s[0], in, sizeof in);
    job_start(p, &r);
    CHECK(p->ops->busy(p));
    turns(p);
    CHECK_INT(write(s[1], "x", 1), 1);
    CHECK(p->ops->busy(p)); /* a completion is due: false would leave it there for ever */
    CHECK_INT(job_end(p, &r), 1);
    turns(p);
    CHECK(!p->ops->busy(p));
    struct spy spy = spy_of(p, s[0], EPOLLIN);
    CHECK_INT(spy_start(&spy), 0);
    CHECK(p->ops->busy(p));
    turns(p);
    CHECK_INT(write(s[1], "x", 1), 1);
    CHECK(p->ops->busy(p));
    spy_stop(&spy);
    pair_close(s);
}
