/* SPDX-License-Identifier: MIT
 *
 * test_sample.c - real children, sampled
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hob/rt.h>

#include "diag/source.h"
#include "diag/tree.h"
#include "lib/t.h"

struct scene {
    struct recording rec;
    struct rec_begin begin;
    void *state;
    int go[2], end[2];
    pid_t pid;
};

/* A child that does work() once the sampler has started. */
static void scene_open(struct scene *s, void (*work)(void))
{
    const char *why = NULL;
    char c;

    *s = (struct scene){.pid = 0};
    rec_init(&s->rec);
    CHECK(pipe(s->go) == 0);
    pid_t parent = getpid();
    s->pid = fork();
    CHECK(s->pid >= 0);
    if (s->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent && read(s->go[0], &c, 1) == 1)
            work();
        _exit(0);
    }
    s->begin = (struct rec_begin){.rec = &s->rec, .base = hob_now(), .root = s->pid};
    int r = rec_source_sample.start(&s->begin, &s->state, &why);
    if (r < 0)
        t_skip("%s", why);
    CHECK(write(s->go[1], "!", 1) == 1);
}

static int64_t scene_now(const struct scene *s)
{
    return hob_now() - s->begin.base;
}

static void scene_tick(struct scene *s)
{
    int64_t next = rec_source_sample.tick(s->state, scene_now(s));
    struct timespec wait = {.tv_nsec = next < HOB_SEC ? next : HOB_MS};

    CHECK(next > 0);
    ppoll(NULL, 0, &wait, NULL);
}

static void scene_close(struct scene *s)
{
    s->rec.wall = scene_now(s);
    rec_source_sample.stop(s->state, s->rec.wall);
    CHECK(!s->rec.failed);
    close(s->go[0]);
    close(s->go[1]);
}

static void scene_free(struct scene *s)
{
    rec_free(&s->rec);
}

/* Samples until the child has ended. */
static void scene_run(struct scene *s)
{
    do {
        scene_tick(s);
    } while (waitpid(s->pid, NULL, WNOHANG) == 0);
    scene_close(s);
}

static double seconds(const struct scene *s, int state, int kind)
{
    int64_t sum = 0;

    for (size_t i = 0; i < s->rec.n_threads; i++) {
        const struct rec_thread *t = &s->rec.threads[i];
        int64_t last = 0;
        for (size_t k = 0; k < t->n_ivals; k++) {
            const struct rec_ival *v = &t->ivals[k];
            CHECK(v->from >= last && v->to > v->from && v->to <= s->rec.wall);
            last = v->to;
            if (v->state == state && (state != REC_WAIT || v->kind == kind))
                sum += v->to - v->from;
        }
    }
    return (double)sum / HOB_SEC;
}

static double children_cpu(void)
{
    struct rusage u;

    getrusage(RUSAGE_CHILDREN, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* CPU time is what the kernel says it is, to a tenth and a scheduler tick or two. */
static void check_cpu(const struct scene *s)
{
    double want = children_cpu(), got = seconds(s, REC_RUN, 0);

    if (got < want * 0.9 - 0.01 || got > want * 1.1 + 0.01)
        t_fail(__FILE__, __LINE__, "%.3f s of CPU time seen, %.3f s were used", got, want);
}

static void compute(double cpu)
{
    clock_t end = clock() + (clock_t)(cpu * CLOCKS_PER_SEC);

    while (clock() < end)
        ;
}

static void pause_ms(long ms)
{
    poll(NULL, 0, (int)ms);
}

static void work_compute(void)
{
    compute(0.3);
}

TEST(computing_is_seen)
{
    struct scene s;

    scene_open(&s, work_compute);
    scene_run(&s);
    check_cpu(&s);
    CHECK(seconds(&s, REC_RUN, 0) + seconds(&s, REC_READY, 0) > 0.25);
    scene_free(&s);
}

static void work_pause(void)
{
    pause_ms(300);
}

TEST(a_wait_is_seen_with_its_kind)
{
    struct scene s;

    scene_open(&s, work_pause);
    scene_run(&s);
    CHECK(seconds(&s, REC_WAIT, REC_SLEEP) > 0.25);
    check_cpu(&s);
    scene_free(&s);
}

static void work_mixed(void)
{
    for (int i = 0; i < 100; i++) {
        compute(0.0005);
        pause_ms(2);
    }
}

TEST(short_turns_add_up)
{
    struct scene s;

    scene_open(&s, work_mixed);
    scene_run(&s);
    check_cpu(&s);
    CHECK(seconds(&s, REC_WAIT, REC_SLEEP) > 0.1);
    scene_free(&s);
}

static void *thread_compute(void *arg)
{
    (void)arg;
    struct timespec t;
    do {
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    } while (t.tv_sec == 0 && t.tv_nsec < 100 * HOB_MS);
    return NULL;
}

static void work_threads(void)
{
    pthread_t t[8];

    for (int i = 0; i < 8; i++)
        pthread_create(&t[i], NULL, thread_compute, NULL);
    for (int i = 0; i < 8; i++)
        pthread_join(t[i], NULL);
}

TEST(threads_are_found_and_share_the_cores)
{
    struct scene s;

    scene_open(&s, work_threads);
    scene_run(&s);
    check_cpu(&s);
    CHECK(s.rec.n_threads >= 9);
    CHECK(seconds(&s, REC_WAIT, REC_LOCK) > 0.05);
    scene_free(&s);
}

static void work_children(void)
{
    for (int i = 0; i < 100; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            compute(0.003);
            _exit(0);
        }
        waitpid(pid, NULL, 0);
    }
}

TEST(children_that_come_and_go_are_counted)
{
    struct scene s;

    scene_open(&s, work_children);
    scene_run(&s);
    check_cpu(&s);
    CHECK(s.rec.n_procs > 1);
    CHECK(seconds(&s, REC_WAIT, REC_CHILD) > 0.1);
    scene_free(&s);
}

/* A shell, its script and what that started, all found to have ended at one scan, oldest first. */
TEST(what_a_chain_did_is_counted_at_its_top)
{
    enum { N = 4 };
    struct recording rec;
    struct tree_proc procs[N];
    struct tree_task tasks[N];
    int64_t due[N] = {0};
    struct tree t = {.rec = &rec, .root = 10, .procs = procs, .n_procs = N, .tasks = tasks};

    rec_init(&rec);
    t.due = due;
    t.n_tasks = t.cap_tasks = N;
    t.known = calloc(1, 1024);
    if (!t.known)
        t_fail(__FILE__, __LINE__, "no memory");
    for (int i = 0; i < N; i++) {
        uint32_t row = rec_thread_of(&rec, 10 + i, 10 + i);

        procs[i] = (struct tree_proc){
            .pid = 10 + i, .parent = i ? 9 + i : 0, .row = (uint32_t)i, .n_tasks = 1, .used = true};
        tasks[i] = (struct tree_task){
            .tid = 10 + i, .proc = (uint32_t)i, .sched_fd = -1, .track = {.row = row, .added = i}};
    }
    tree_remove(&t, 1, HOB_MS); /* the last takes its place, and goes before its own parent */
    tree_remove(&t, 1, HOB_MS);
    tree_remove(&t, 1, HOB_MS);
    CHECK_INT(t.n_tasks, 1);
    CHECK_INT(procs[0].counted, 1 + 2 + 3);
    free(t.known);
    rec_free(&rec);
}

/* Too short for a single sample: nothing but the kernel's sum says that it was there. */
TEST(what_was_never_sampled_is_counted_by_its_sum)
{
    struct scene s;

    scene_open(&s, work_compute);
    CHECK(waitpid(s.pid, NULL, 0) == s.pid);
    scene_close(&s);
    check_cpu(&s);
    scene_free(&s);
}
