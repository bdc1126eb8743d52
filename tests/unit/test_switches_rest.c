/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "diag/procfs.h"
#include "diag/switches.h"

#include "lib/t.h"

enum { NOBODY = 0x7ffffff0 }; /* no process has that number */

#define MS ((int64_t)1000 * 1000)
#define S  (1000 * MS)

static struct {
    int answer;
    struct look look;
    int gone;
} eye = {.answer = LOOK_RUNS};

int look_at(struct looker *l, int32_t pid, int32_t tid, struct look *ret)
{
    if (eye.answer == LOOK_WAITS)
        *ret = eye.look;
    return eye.answer;
}

uint8_t look_kind_ended(const struct look *k, int64_t lasted)
{
    return k->kind;
}

int look_loop(struct looker *l, int32_t pid, int32_t tid, struct rec_look *ret)
{
    return -ENOENT;
}

int look_stands(struct looker *l, int32_t pid, int32_t tid, const struct look *waits,
                struct rec_look *ret)
{
    return -ENOENT;
}

bool look_may_stand(const struct look *waits)
{
    return false;
}

void look_flight(struct looker *l, int32_t pid, uint32_t thread, int64_t at)
{
}

void looker_gone(struct looker *l, int32_t pid)
{
    eye.gone++;
}

static struct recording rec;
static struct switches *s;
static struct switches_rested seen;

/* Which rests there are only with the counts of the kernel. */
static struct procfs_sched counts_of(int32_t tid)
{
    struct procfs_sched counts;
    char text[128];

    if (procfs_read(text, sizeof text, "/proc/self/task/%d/schedstat", tid) <= 0 ||
        procfs_parse_sched(text, &counts) < 0 || counts.turns == 0)
        t_skip("this kernel does not count how long threads run");
    return counts;
}

static void begin(void)
{
    counts_of(getpid());
    rec_init(&rec);
    rec.n_cpus = 4;
    CHECK_INT(switches_new(&rec, NULL, &s), 0);
}

static void end(int64_t at)
{
    switches_finish(s, at);
    switches_free(s);
    rec_free(&rec);
}

static void happens(uint8_t what, int32_t pid, int32_t tid, int64_t at)
{
    struct switch_event e = {.what = what, .pid = pid, .tid = tid, .cpu = 2};

    switches_apply(s, &e, at);
}

static void waits_for(enum rec_kind kind)
{
    eye.answer = LOOK_WAITS;
    eye.look = (struct look){.kind = kind, .in_flight = 1, .timeout = -1};
}

/* It runs, waits so long for something that is looked at, and runs again; returns until when. */
static int64_t waits(int32_t pid, int64_t at, int64_t lasts, enum rec_kind kind)
{
    happens(SWITCH_IN, pid, pid, at);
    happens(SWITCH_OUT, pid, pid, at += MS);
    waits_for(kind);
    switches_look(s, at, MS, true);
    happens(SWITCH_IN, pid, pid, at += lasts);
    return at;
}

static void compute(int64_t ns)
{
    uint64_t until = counts_of(getpid()).run + (uint64_t)ns;

    while (counts_of(getpid()).run < until)
        ;
}

static const struct rec_ival *last_of(size_t thread)
{
    CHECK(thread < rec.n_threads && rec.threads[thread].n_ivals > 0);
    return &rec.threads[thread].ivals[rec.threads[thread].n_ivals - 1];
}

TEST(a_rest_is_filled_with_what_the_kernel_counts)
{
    begin();
    happens(SWITCH_IN, getpid(), getpid(), 0);
    switches_pause(s, S);
    compute(5 * MS); /* what was before is not counted */
    uint64_t before = counts_of(getpid()).run;
    CHECK(switches_rest(s, S));
    compute(MS);
    switches_rest_look(s, 2 * S, &seen);
    uint64_t most = counts_of(getpid()).run - before;
    const struct rec_ival *v = last_of(0);
    CHECK_INT(seen.lasted, S);
    CHECK_INT(v->from, S);
    CHECK_INT(v->to, 2 * S);
    CHECK_INT(v->flags, REC_IVAL_FOLDED | REC_IVAL_GUESSED);
    if (most < S) /* the second is one of the test: the program may have been kept for longer */
        CHECK(v->run_ppm >= MS / 1000 - 1 && v->run_ppm <= most / 1000 + 1);
    end(3 * S);
}

TEST(its_waits_are_of_the_kinds_seen_by_how_long_they_were)
{
    int64_t at = S, n_pipe = 0, n_net = 0;

    begin();
    happens(SWITCH_IN, getpid(), getpid(), 0);
    switches_pause(s, 10 * MS);
    switches_resume(s, at);
    for (int i = 0; i < 30; i++) /* as many of either, but these are three times as long */
        at = waits(getpid(), waits(getpid(), at, 3 * MS, REC_PIPE), MS, REC_NET);
    switches_pause(s, at);
    CHECK(switches_rest(s, at));
    size_t n = rec.threads[0].n_ivals;
    for (int i = 0; i < 8; i++) {
        compute(1); /* it does run, so that these are not one wait */
        switches_rest_look(s, at += 10 * S, &seen);
    }
    for (size_t i = n; i < rec.threads[0].n_ivals; i++) {
        const struct rec_ival *v = &rec.threads[0].ivals[i];

        n_pipe += v->kind == REC_PIPE ? v->to - v->from : 0;
        n_net += v->kind == REC_NET ? v->to - v->from : 0;
    }
    CHECK_INT(n_pipe, 60 * S);
    CHECK_INT(n_net, 20 * S);
    end(at);
}

TEST(or_of_those_that_samples_caught)
{
    int64_t at = S, n_disk = 0, n_net = 0;

    begin();
    happens(SWITCH_IN, getpid(), getpid(), 0);
    switches_pause(s, at);
    CHECK(switches_rest(s, at));
    for (int i = 0; i < 40; i++) {
        waits_for(i % 4 ? REC_DISK : REC_NET);
        switches_rest_sample(s, at += 100 * S, 100 * S); /* however long we stand in line */
        if (i % 10 == 5)
            eye.answer = LOOK_RUNS;
        switches_rest_sample(s, at, 0);
        compute(1);
        switches_rest_look(s, at, &seen);
    }
    for (size_t i = 0; i < rec.threads[0].n_ivals; i++) {
        const struct rec_ival *v = &rec.threads[0].ivals[i];

        n_disk += v->kind == REC_DISK ? v->to - v->from : 0;
        n_net += v->kind == REC_NET ? v->to - v->from : 0;
    }
    CHECK_INT(n_disk + n_net, 4000 * S);
    CHECK(n_disk >= 2800 * S && n_disk <= 3200 * S);
    end(at);
}

TEST(who_is_caught_on_a_core_waits_for_nothing)
{
    begin();
    happens(SWITCH_IN, getpid(), getpid(), 0);
    switches_pause(s, S);
    CHECK(switches_rest(s, S));
    eye.answer = LOOK_RUNS;
    for (int i = 1; i <= 20; i++)
        switches_rest_sample(s, S + i * 20 * MS, 20 * MS);
    compute(1);
    switches_rest_look(s, 2 * S, &seen);
    CHECK_INT(last_of(0)->kind, REC_UNKNOWN);
    end(2 * S);
}

/* --- another thread --------------------------------------------------------------------------- */

static struct {
    pthread_t thread;
    int32_t tid;
    int ends[2];
} other;

static void *other_waits(void *arg)
{
    char byte;

    __atomic_store_n(&other.tid, gettid(), __ATOMIC_RELEASE);
    while (read(other.ends[0], &byte, 1) > 0)
        ;
    return arg;
}

/* A thread that sleeps until there is something to read. */
static void other_start(void)
{
    struct procfs_call call = {.runs = true};
    char text[256];
    int32_t tid;

    CHECK_INT(pipe(other.ends), 0);
    CHECK_INT(pthread_create(&other.thread, NULL, other_waits, NULL), 0);
    while (!(tid = __atomic_load_n(&other.tid, __ATOMIC_ACQUIRE)))
        ;
    while (call.runs) { /* or on its way to sleep */
        if (procfs_read(text, sizeof text, "/proc/self/task/%d/syscall", tid) <= 0)
            t_skip("what a thread does cannot be read here");
        CHECK_INT(procfs_parse_call(text, &call), 0);
    }
}

static void other_end(void)
{
    close(other.ends[1]);
    CHECK_INT(pthread_join(other.thread, NULL), 0);
    close(other.ends[0]);
}

TEST(one_that_sleeps_through_a_rest_is_in_one_wait)
{
    begin();
    other_start();
    happens(SWITCH_IN, getpid(), other.tid, 0);
    happens(SWITCH_OUT, getpid(), other.tid, MS);
    waits_for(REC_PIPE);
    switches_look(s, 2 * MS, MS, true);
    switches_pause(s, 10 * MS);
    size_t before = rec.threads[0].n_ivals;
    CHECK(switches_rest(s, 10 * MS));
    for (int i = 1; i < 5; i++)
        switches_rest_look(s, i * S, &seen);
    CHECK_INT(rec.threads[0].n_ivals, before);
    CHECK_INT(seen.turns, 0);
    switches_rest_end(s, 5 * S, false);
    happens(SWITCH_IN, getpid(), other.tid, 6 * S);
    const struct rec_ival *v = last_of(0);
    CHECK_INT(v->kind, REC_PIPE);
    CHECK_INT(v->from, MS); /* joined to what it was before the pause */
    CHECK_INT(v->to, 6 * S);
    CHECK_INT(v->flags, 0);
    other_end();
    end(7 * S);
}

TEST(one_that_starts_in_a_rest_is_noticed)
{
    begin();
    happens(SWITCH_IN, getpid(), getpid(), 0);
    switches_pause(s, MS);
    CHECK(switches_rest(s, MS));
    switches_rest_look(s, 2 * MS, &seen);
    CHECK(!seen.more);
    other_start();
    switches_rest_look(s, 3 * MS, &seen);
    CHECK(seen.more);
    switches_rest_look(s, 4 * MS, &seen);
    CHECK(!seen.more); /* told once */
    other_end();
    end(5 * MS);
}

TEST(one_that_ends_in_a_rest_is_gone)
{
    begin();
    happens(SWITCH_IN, getpid(), getpid(), 0);
    happens(SWITCH_IN, NOBODY, NOBODY, 0);
    switches_pause(s, MS);
    CHECK(switches_rest(s, MS));
    switches_rest_look(s, 2 * MS, &seen);
    CHECK_INT(switches_live(s), 1);
    CHECK_INT(rec.threads[1].died, MS);
    end(3 * MS);
}

TEST(at_the_end_who_cannot_be_asked_did_as_before)
{
    begin();
    happens(SWITCH_IN, getpid(), getpid(), 0);
    happens(SWITCH_IN, NOBODY, NOBODY, 0);
    happens(SWITCH_OUT, NOBODY, NOBODY, 75 * MS);
    switches_pause(s, 100 * MS);
    CHECK(switches_rest(s, 100 * MS));
    switches_rest_end(s, 200 * MS, true);
    const struct rec_ival *v = last_of(1);
    CHECK_INT(v->from, 100 * MS);
    CHECK_INT(v->to, 200 * MS);
    CHECK_INT(v->run_ppm, 750000);
    CHECK_INT(rec.threads[1].died, INT64_MAX);
    end(200 * MS);
}

TEST(one_that_computes_when_records_come_again_is_known_to)
{
    begin();
    happens(SWITCH_IN, getpid(), getpid(), 0);
    happens(SWITCH_OUT, getpid(), getpid(), MS);
    switches_pause(s, 2 * MS);
    CHECK(switches_rest(s, 2 * MS));
    compute(MS); /* which it begins to do now, */
    eye.answer = LOOK_RUNS;
    switches_rest_end(s, 10 * MS, false);
    happens(SWITCH_EXIT, getpid(), getpid(), 90 * MS); /* and never leaves its core again */
    const struct rec_ival *v = last_of(0);
    CHECK_INT(v->state, REC_RUN);
    CHECK_INT(v->from, 10 * MS);
    CHECK_INT(v->to, 90 * MS);
    end(100 * MS);
}

TEST(where_nobody_is_counted_there_is_no_rest)
{
    begin();
    happens(SWITCH_IN, NOBODY, NOBODY, 0);
    switches_pause(s, MS);
    CHECK(!switches_rest(s, MS));
    switches_resume(s, 2 * MS);
    end(3 * MS);
}

TEST(another_program_in_a_rest_is_noticed)
{
    char self[4096];

    CHECK(procfs_link(self, sizeof self, "/proc/%d/exe", getpid()) > 0);
    begin();
    happens(SWITCH_EXEC, getpid(), getpid(), 0);
    switches_look(s, MS, MS, true);
    CHECK_STR(rec.procs[0].exe, self);
    switches_pause(s, S);
    CHECK(switches_rest(s, S));
    rec_set_text(&rec, &rec.procs[0].exe, "/bin/what_it_was");
    int gone = eye.gone;
    switches_rest_end(s, 2 * S, false);
    CHECK_STR(rec.procs[0].exe, self);
    CHECK_INT(eye.gone, gone + 1);
    switches_pause(s, 3 * S);
    CHECK(switches_rest(s, 3 * S));
    switches_rest_end(s, 4 * S, false);
    CHECK_INT(eye.gone, gone + 1); /* it is the same still */
    end(4 * S);
}

TEST(a_name_is_read_anew_while_it_rests)
{
    begin();
    happens(SWITCH_EXEC, getpid(), getpid(), 0);
    switches_pause(s, S);
    CHECK(switches_rest(s, S));
    rec_set_text(&rec, &rec.procs[0].exe, "/bin/what_it_was");
    CHECK_INT(prctl(PR_SET_NAME, "renamed"), 0);
    compute(1);
    switches_rest_look(s, 2 * S, &seen);
    CHECK_STR(rec.threads[0].name, "renamed");
    CHECK(strcmp(rec.procs[0].exe, "/bin/what_it_was") != 0);
    end(2 * S);
}
