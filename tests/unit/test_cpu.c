/* SPDX-License-Identifier: MIT */
#include "plat/cpu.h"

#include <errno.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/t.h"

static char root[64];

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st, (void)flag, (void)at;
    return remove(path);
}

static void root_remove(void)
{
    nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void root_make(void)
{
    snprintf(root, sizeof root, "/tmp/hob-test-cpu-XXXXXX");
    CHECK(mkdtemp(root) != NULL);
    atexit(root_remove);
}

/* Writes a file below the fake root, making its folders. */
static void put(const char *path, const char *text)
{
    char full[512];
    FILE *f;

    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        CHECK(mkdir(full, 0700) == 0 || errno == EEXIST);
        *p = '/';
    }
    f = fopen(full, "w");
    CHECK(f != NULL);
    CHECK(fputs(text, f) >= 0);
    CHECK(fclose(f) == 0);
}

#define MOUNT_V1                                                                                   \
    "30 23 0:20 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"                   \
    "31 23 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:8 master:2 - cgroup cgroup "         \
    "rw,cpu,cpuacct\n"
#define MOUNT_V2 "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define MOUNT_HYBRID                                                                               \
    MOUNT_V1 "41 31 0:41 / /sys/fs/cgroup/unified rw shared:5 - cgroup2 cgroup2 rw\n"

TEST(no_proc_is_no_quota)
{
    root_make();
    CHECK_INT(hob__cpu_quota(root), 0);
    put("/proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/vda rw\n");
    CHECK_INT(hob__cpu_quota(root), 0);
    put("/proc/self/mountinfo", MOUNT_V2);
    CHECK_INT(hob__cpu_quota(root), 0);
}

TEST(v2_quota_rounds_up)
{
    root_make();
    put("/proc/self/mountinfo", MOUNT_V2);
    put("/proc/self/cgroup", "0::/app\n");
    put("/sys/fs/cgroup/app/cpu.max", "150000 100000\n");
    CHECK_INT(hob__cpu_quota(root), 2);
    put("/sys/fs/cgroup/app/cpu.max", "1000 100000\n");
    CHECK_INT(hob__cpu_quota(root), 1);
    put("/sys/fs/cgroup/app/cpu.max", "400000 100000\n");
    CHECK_INT(hob__cpu_quota(root), 4);
    put("/sys/fs/cgroup/app/cpu.max", "max 100000\n");
    CHECK_INT(hob__cpu_quota(root), 0);
}

TEST(v1_quota_with_its_own_period)
{
    root_make();
    put("/proc/self/mountinfo", MOUNT_V1);
    put("/proc/self/cgroup", "5:memory:/elsewhere\n4:cpuacct,cpu:/app\n0::/\n");
    put("/sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_quota_us", "75000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_period_us", "25000\n");
    CHECK_INT(hob__cpu_quota(root), 3);
    put("/sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_quota_us", "-1\n");
    CHECK_INT(hob__cpu_quota(root), 0);
}

TEST(tightest_ancestor_counts)
{
    root_make();
    put("/proc/self/mountinfo", MOUNT_V2);
    put("/proc/self/cgroup", "0::/a/b/c\n");
    put("/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/a/b/cpu.max", "800000 100000\n");
    put("/sys/fs/cgroup/a/cpu.max", "250000 100000\n");
    CHECK_INT(hob__cpu_quota(root), 3);
    put("/sys/fs/cgroup/a/b/c/cpu.max", "200000 100000\n");
    CHECK_INT(hob__cpu_quota(root), 2);
    put("/sys/fs/cgroup/cpu.max", "100000 100000\n"); /* a namespace's own root */
    CHECK_INT(hob__cpu_quota(root), 1);
}

TEST(a_sibling_with_a_longer_name_is_not_an_ancestor)
{
    root_make();
    put("/proc/self/mountinfo",
        "29 23 0:26 /pod /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"); /* shows /pod only */
    put("/proc/self/cgroup", "0::/podium/x\n");
    put("/sys/fs/cgroup/ium/x/cpu.max", "100000 100000\n");
    put("/sys/fs/cgroup/cpu.max", "500000 100000\n");
    CHECK_INT(hob__cpu_quota(root), 5);
}

TEST(hybrid_looks_at_both)
{
    root_make();
    put("/proc/self/mountinfo", MOUNT_HYBRID);
    put("/proc/self/cgroup", "4:cpu,cpuacct:/old\n0::/new\n");
    put("/sys/fs/cgroup/cpu,cpuacct/old/cpu.cfs_quota_us", "600000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/old/cpu.cfs_period_us", "100000\n");
    CHECK_INT(hob__cpu_quota(root), 6);
    put("/sys/fs/cgroup/unified/new/cpu.max", "200000 100000\n");
    CHECK_INT(hob__cpu_quota(root), 2);
}

TEST(a_mount_may_show_a_part_at_an_odd_place)
{
    root_make();
    put("/proc/self/mountinfo",
        "31 23 0:30 /docker/7f /my\\040cgroups/cpu rw - cgroup cgroup rw,cpu\n");
    put("/proc/self/cgroup", "4:cpu:/docker/7f/job\n");
    put("/my cgroups/cpu/job/cpu.cfs_quota_us", "900000\n");
    put("/my cgroups/cpu/job/cpu.cfs_period_us", "100000\n");
    CHECK_INT(hob__cpu_quota(root), 9);
    put("/my cgroups/cpu/cpu.cfs_quota_us", "700000\n");
    put("/my cgroups/cpu/cpu.cfs_period_us", "100000\n");
    CHECK_INT(hob__cpu_quota(root), 7);
}

TEST(a_path_outside_the_mount_falls_back_to_what_is_visible)
{
    root_make();
    put("/proc/self/mountinfo", "31 23 0:30 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    put("/proc/self/cgroup", "0::/../other\n");
    put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
    CHECK_INT(hob__cpu_quota(root), 3);
}

TEST(garbage_is_no_limit)
{
    static const char *const bad[] = {"",
                                      "\n",
                                      "max",
                                      "lots 100000\n",
                                      "-5 100000\n",
                                      "0 100000\n",
                                      "100000 0\n",
                                      "100000\n",
                                      "100000 -1\n",
                                      "99999999999999999999999 1\n",
                                      "9223372036854775807 1\n",
                                      "\xff\xfe\x00"};
    static const char *const mounts[] = {"",
                                         "-",
                                         " - ",
                                         " - cgroup2",
                                         " - cgroup2 x",
                                         "1 2 3 - cgroup2 x rw\n",
                                         "\\999 \\ \\0 \\04 \\040 - cgroup2 x rw",
                                         " - cgroup x rw,cpu\n"};
    static const char *const groups[] = {"", "0", "0:", "0::", "::::\n", "0::relative\n", ":cpu\n"};

    root_make();
    put("/proc/self/mountinfo", MOUNT_V2);
    put("/proc/self/cgroup", "0::/a\n");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put("/sys/fs/cgroup/a/cpu.max", bad[i]);
        CHECK_INT(hob__cpu_quota(root), 0);
    }
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        put("/proc/self/cgroup", groups[i]);
        CHECK_INT(hob__cpu_quota(root), 0);
    }
    for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
        put("/proc/self/mountinfo", mounts[i]);
        CHECK_INT(hob__cpu_quota(root), 0);
    }
    put("/proc/self/mountinfo", MOUNT_V1);
    put("/proc/self/cgroup", "4:cpu,cpuacct:/a\n");
    put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "100000\n"); /* and no period */
    CHECK_INT(hob__cpu_quota(root), 0);
    put("/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "soon\n");
    CHECK_INT(hob__cpu_quota(root), 0);
}

TEST(a_good_line_after_a_bad_one_counts)
{
    root_make();
    put("/proc/self/mountinfo", "nonsense\n - cgroup2\n" MOUNT_V2);
    put("/proc/self/cgroup", "nonsense\n0::/a\n");
    put("/sys/fs/cgroup/a/cpu.max", "200000 100000\n");
    CHECK_INT(hob__cpu_quota(root), 2);
}

TEST(affinity_is_the_threads_mask)
{
    cpu_set_t all, one;

    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    CHECK_INT(hob__cpu_affinity(), CPU_COUNT(&all));
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    unsetenv("HOB_CORES");
    CHECK_INT(hob__cpu_affinity(), 1);
    CHECK_INT(hob__cpu_usable(), 1);
}

TEST(hob_cores_overrides_and_nonsense_does_not)
{
    static const char *const bad[] = {"", "0", "-1", "x", "3x", " 3", "99999999", "1e3"};

    unsetenv("HOB_CORES");
    unsigned own = hob__cpu_usable();
    CHECK(own >= 1);
    CHECK(own <= hob__cpu_affinity());
    setenv("HOB_CORES", "37", 1);
    CHECK_INT(hob__cpu_usable(), 37);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv("HOB_CORES", bad[i], 1);
        CHECK_INT(hob__cpu_usable(), own);
    }
}

/* The kernel must not get a policy or nice value that the thread did not have. */
static void check_slice_keeps(int policy, int nice)
{
    struct sched_param zero = {0};

    CHECK_INT(sched_setscheduler(0, policy | SCHED_RESET_ON_FORK, &zero), 0);
    CHECK_INT(hob__thread_nice(0, nice), 0);
    hob_dur got = hob__thread_slice(100 * HOB_US);
    CHECK(got >= 0);
    CHECK_INT(sched_getscheduler(0), policy | SCHED_RESET_ON_FORK);
    CHECK_INT(getpriority(PRIO_PROCESS, 0), nice);
    if (got != 0 && policy != SCHED_IDLE) { /* a kernel that grants slices says which */
        CHECK_INT(got, 100 * HOB_US);
        CHECK(hob__thread_slice(0) != got); /* back to its own choice */
    }
}

TEST(slice_keeps_policy_and_nice)
{
    check_slice_keeps(SCHED_OTHER, 0);
    check_slice_keeps(SCHED_OTHER, 7);
    check_slice_keeps(SCHED_BATCH, 11);
    check_slice_keeps(SCHED_IDLE, 19);
}

TEST(slice_of_a_real_time_thread_is_refused)
{
    struct sched_param p = {.sched_priority = 1};

    CHECK_INT(hob__thread_slice(-1), -EINVAL);
    if (sched_setscheduler(0, SCHED_RR, &p) != 0)
        t_skip("SCHED_RR not permitted here");
    CHECK_INT(hob__thread_slice(100 * HOB_US), -ENOTSUP);
    CHECK_INT(sched_getscheduler(0), SCHED_RR);
}

TEST(nice_of_an_unknown_thread_fails)
{
    CHECK_INT(hob__thread_nice(0x3fffffff, 5), -ESRCH);
}
