/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hob/hob.h>

#include "lib/t.h"
#include "trace/advise.h"

static char told[8192];

/* Runs `fn` in a process of its own with `name` set to `value`, to its exit; `told` is what it
 * wrote to standard error.  Returns which process it was. */
static pid_t ask(const char *name, const char *value, hob_fn fn)
{
    int p[2], status;
    size_t n = 0;
    ssize_t k;

    CHECK(pipe2(p, O_CLOEXEC) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK(dup2(p[1], 2) == 2);
        CHECK(setenv(name, value, 1) == 0);
        exit(hob_run(NULL, fn, NULL) == 0 ? 0 : 1);
    }
    close(p[1]);
    while ((k = read(p[0], told + n, sizeof told - 1 - n)) > 0)
        n += (size_t)k;
    told[n] = '\0';
    close(p[0]);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, 0);
    return pid;
}

static void burn(hob_dur d)
{
    hob_time end = hob_now() + d;

    while (hob_now() < end)
        continue;
}

static int nap(void *arg)
{
    (void)arg;
    return hob_sleep(20 * HOB_MS);
}

static int hold(void *arg)
{
    (void)arg;
    hob_fiber_name("parse");
    burn(2 * TRACE_LONG);
    return 0;
}

static int compute(void *arg)
{
    (void)arg;
    burn(HOB_MS);
    return 0;
}

static int naps(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.name = "nap"));

    (void)arg;
    for (int i = 0; i < 10 && r == 0; i++)
        r = hob_go(&g, nap, NULL);
    return hob_group_join(&g, r);
}

static int holds(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, hold, NULL);
    return hob_group_join(&g, r);
}

static int offloads(void *arg)
{
    int r = 0;

    (void)arg;
    hob_fiber_name("resize");
    for (int i = 0; i < 5 && r == 0; i++)
        r = hob_offload(compute, NULL, HOB_FOREVER);
    return r;
}

TEST(what_waits_for_the_clock_is_told_so)
{
    CHECK(setenv("HOB_SIM", "1", 1) == 0); /* no machine is slow there */
    ask("HOB_ADVISE", "1", naps);
    CHECK(strstr(told, "the program sleeps:"));
    CHECK(strstr(told, "fiber `nap` (10) sleeps:"));
    CHECK(!strstr(told, "->"));
}

TEST(a_fiber_that_holds_its_loop_is_named_with_the_cure)
{
    ask("HOB_ADVISE", "1", holds);
    CHECK(strstr(told, "-> fiber `parse` ran "));
    CHECK(strstr(told, "3 times over 10 ms"));
    CHECK(strstr(told, "use hob_offload"));
}

TEST(the_jobs_of_a_fiber_are_told_apart_from_it)
{
    ask("HOB_ADVISE", "1", offloads);
    CHECK(strstr(told, "  job `resize` (5) "));
    CHECK(strstr(told, "  fiber `resize` (1) "));
    CHECK(strstr(told, "  the program "));
}

static char names[300][8];

static int named(void *arg)
{
    hob_fiber_name(arg);
    return hob_sleep(HOB_MS);
}

static int many_names(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.name = "many"));

    (void)arg;
    for (int i = 0; i < 300 && r == 0; i++) {
        snprintf(names[i], sizeof names[i], "n%d", i);
        r = hob_go(&g, named, names[i]);
    }
    return hob_group_join(&g, r);
}

TEST(more_names_than_rows_are_told_as_others)
{
    CHECK(setenv("HOB_SIM", "1", 1) == 0);
    ask("HOB_ADVISE", "1", many_names);
    CHECK(strstr(told, "  task `(others)` ("));
    CHECK(!strstr(told, "(others)` (0)"));
    ask("HOB_ADVISE", "1", naps);
    CHECK(!strstr(told, "(others)"));
}

static int long_nap(void *arg)
{
    (void)arg;
    return hob_sleep(10000 * HOB_SEC);
}

TEST(simulated_time_is_told_in_its_own_clock)
{
    double s;

    CHECK(setenv("HOB_SIM", "1", 1) == 0);
    ask("HOB_ADVISE", "1", long_nap);
    CHECK_INT(sscanf(told, "hob: where the time went, %lf s", &s), 1);
    CHECK(s >= 10000);
}

TEST(nobody_who_does_not_ask_is_told)
{
    ask("HOB_ADVISE", "0", naps);
    CHECK_STR(told, "");
}

TEST(a_recording_asked_for_holds_the_whole_run)
{
    char dir[] = "/tmp/hob-advise-XXXXXX", path[64];
    hob_trace *t;

    CHECK(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/trace", dir);
    ask("HOB_TRACE", path, offloads);
    CHECK_STR(told, "");
    CHECK_INT(hob_trace_load(path, &t), 0);
    CHECK(hob_trace_events(t) >= 4 * 5); /* five jobs: begin, ready, run, end */
    hob_trace_free(t);
    unlink(path);
    rmdir(dir);
}

TEST(a_recording_that_cannot_be_written_stops_nobody)
{
    ask("HOB_TRACE", "/nonexistent/trace", naps);
    CHECK(strstr(told, "hob: HOB_TRACE=/nonexistent/trace: "));
    CHECK(strstr(told, "nothing is recorded"));
}

TEST(one_asked_for_quietly_says_nothing_where_it_cannot_be_written)
{
    char dir[] = "/tmp/hob-advise-XXXXXX", path[64];
    hob_trace *t;

    ask("HOB_TRACE", "-/nonexistent/trace", naps);
    CHECK_STR(told, "");
    CHECK(mkdtemp(dir));
    snprintf(path, sizeof path, "-%s/%%p", dir);
    pid_t pid = ask("HOB_TRACE", path, naps);
    CHECK_STR(told, "");
    snprintf(path, sizeof path, "%s/%d", dir, (int)pid);
    CHECK_INT(hob_trace_load(path, &t), 0);
    CHECK_INT(hob_trace_pid(t), pid);
    hob_trace_free(t);
    unlink(path);
    rmdir(dir);
}

static int records_itself(void *arg)
{
    hob_trace *t;
    int r =
        hob_trace_stop(NULL) == -EINVAL ? hob_trace_start(NULL) : -1; /* nothing of its own on */

    if (r == 0)
        r = naps(arg);
    if (r == 0 && (r = hob_trace_stop(&t)) == 0) {
        r = hob_trace_events(t) > 0 ? 0 : -1;
        hob_trace_free(t);
    }
    return r;
}

TEST(one_asked_for_quietly_makes_way_for_the_programs_own)
{
    char dir[] = "/tmp/hob-advise-XXXXXX", path[64];
    hob_trace *t;

    CHECK(mkdtemp(dir));
    snprintf(path, sizeof path, "-%s/trace", dir);
    ask("HOB_TRACE", path, records_itself); /* it ends well */
    CHECK_INT(hob_trace_load(path + 1, &t), 0);
    hob_trace_free(t);
    unlink(path + 1);
    rmdir(dir);
}

TEST(two_programs_do_not_record_into_one_file)
{
    char path[] = "/tmp/hob-advise-XXXXXX";
    int fd = mkstemp(path);

    CHECK(fd >= 0);
    CHECK(flock(fd, LOCK_EX) == 0); /* as a recording does */
    ask("HOB_TRACE", path, naps);
    CHECK(strstr(told, "nothing is recorded"));
    close(fd);
    unlink(path);
}

TEST(a_forked_child_records_nothing)
{
    int status;

    CHECK_INT(hob_trace_start(NULL), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(trace_watching() ? 1 : 0);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, 0);
    CHECK(trace_watching());
    CHECK_INT(hob_trace_stop(NULL), 0);
}
