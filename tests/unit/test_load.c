/* SPDX-License-Identifier: MIT
 *
 * test_load.c - what others took of the cores: /proc/stat read right, and what does not count
 */
#include <sched.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "diag/load.h"
#include "diag_util.h"

static const char stat_text[] = "cpu  40 0 20 900 60 1 2 3 0 0\n"
                                "cpu0 10 0 5 400 20 0 1 1 0 0\n"
                                "cpu2 30 0 15 500 40 1 1 2 0 0\n"
                                "intr 12345 0 0\n";

TEST(idle_time_of_each_cpu_by_its_number)
{
    uint64_t idle[3] = {7, 7, 7};

    CHECK_INT(load_parse_stat(stat_text, idle, 3), 2);
    CHECK_INT(idle[0], 420); /* idle and waiting for a disk: nobody had it */
    CHECK_INT(idle[1], 7);   /* offline */
    CHECK_INT(idle[2], 540);
}

TEST(a_cpu_beyond_those_asked_for_is_left_out)
{
    uint64_t idle[2] = {7, 7};

    CHECK_INT(load_parse_stat(stat_text, idle, 2), 2);
    CHECK_INT(idle[1], 7);
}

TEST(a_text_cut_short_names_no_cpu)
{
    uint64_t idle[1] = {7};

    CHECK_INT(load_parse_stat("cpu0 10 0", idle, 1), 0);
    CHECK_INT(load_parse_stat("", idle, 1), 0);
    CHECK_INT(idle[0], 7);
}

TEST(what_is_left_of_the_busy_time_is_others)
{
    struct load_sums s = {.busy = 1000, .own = 600, .recorder = 50, .noise = 30};

    CHECK_INT(load_foreign(&s), 350);
}

TEST(a_difference_within_the_clock_s_steps_is_none)
{
    struct load_sums s = {.busy = 1000, .own = 940, .recorder = 40, .noise = 30};

    CHECK_INT(load_foreign(&s), 0);
    s.busy = 500; /* less than its own: counted at other times */
    CHECK_INT(load_foreign(&s), 0);
}

TEST(a_server_that_works_for_it_is_no_other_program)
{
    struct load_sums s = {.busy = 1000, .own = 300, .peers = 650, .noise = 30};

    CHECK_INT(load_foreign(&s), 50);
}

TEST(the_kernel_s_threads_work_for_it_as_long_as_it_does_itself)
{
    struct load_sums s = {.busy = 1000, .own = 300, .system = 200, .kernel = 150, .noise = 30};

    CHECK_INT(load_foreign(&s), 550);
    s.kernel = 500;
    CHECK_INT(load_foreign(&s), 500); /* 300 of them for somebody else */
}

TEST(cores_are_those_it_may_run_on)
{
    struct recording rec;
    struct load l;
    cpu_set_t one;

    made_open(&rec, 0);
    rec.wall = HOB_MS;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    CHECK_INT(sched_setaffinity(0, sizeof one, &one), 0);
    load_begin(&l, getpid(), false, 1024);
    load_end(&l, &rec);
    CHECK_INT(rec.n_cores, 1);
    CHECK(rec.foreign >= 0);
    load_free(&l);
    rec_free(&rec);
}

TEST(processes_that_nobody_waited_for_have_used_cpu_too)
{
    struct recording r;
    int64_t user = 1, system = 2;
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        while (clock() < CLOCKS_PER_SEC / 8) /* of its own CPU time */
            continue;
        _exit(0);
    }
    made_open(&r, 2);
    made_thread(&r, (int32_t)pid, (int32_t)pid, 0, "/bin/busy");
    CHECK_INT(waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT), 0); /* it is dead, and not gone */
    load_unreaped(&r, &user, &system);
    CHECK(user + system >= 3 + 80 * HOB_MS); /* the kernel shows it in steps of 10 ms each */
    CHECK_INT(waitpid(pid, NULL, 0), pid);
    user = system = 0;
    load_unreaped(&r, &user, &system);
    CHECK_INT(user + system, 0);
    rec_free(&r);
}
