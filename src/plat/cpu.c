/* SPDX-License-Identifier: MIT
 *
 * cpu.c - how many cores this process may use, and how the kernel schedules one of its threads
 *
 * WHAT    A container with a quota of one CPU on a machine of 64 still sees 64 in its affinity
 *         mask; pools that believe the mask run 64 threads which the kernel then stops together
 *         for most of each period.  So the quota counts, and that of every ancestor: any of
 *         them throttles.
 *
 * HOW     /proc/self/mountinfo says where cgroup hierarchies are mounted and which part of each
 *         is visible there; /proc/self/cgroup says where this process is in each.
 *
 *           mountinfo   ... /docker/7f  /sys/fs/cgroup/cpu  ... - cgroup cgroup rw,cpu,cpuacct
 *                           ^ root      ^ where
 *           cgroup      4:cpu,cpuacct:/docker/7f/job          path below root: /job
 *
 *         From `where` + /job upwards to `where`, every directory's quota is read: version 1 in
 *         cpu.cfs_quota_us and cpu.cfs_period_us, version 2 in cpu.max.  A machine may have
 *         both (hybrid): all mounts are looked at.  Beyond `where` nothing is visible; a
 *         limit there cannot be known.
 *
 * REJECTED  sysconf(_SC_NPROCESSORS_ONLN) ignores both mask and quota.  Version 1's cpu.shares
 *         and version 2's cpu.weight are no limit: an idle machine gives more.
 *
 * SEE     cgroups(7), sched(7), sched_setattr(2); notes on peers in docs/design/0003-pool.md.
 */
#include "plat/cpu.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"

/* glibc 2.36 has neither the struct nor the calls.  This is the kernel's first version of it. */
struct sched_attr_v0 {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime; /* of an ordinary thread: its slice, ns; Linux 6.12 and later */
    uint64_t deadline, period;
};

enum { ATTR_RESET_ON_FORK = 1, POLICY_BATCH = 3, POLICY_IDLE = 5 };

/* One line of mountinfo that is a cgroup hierarchy which may hold a quota. */
struct cgroup_mount {
    const char *root;  /* the cgroup shown at ... */
    const char *where; /* ... this directory */
    bool v2;
};

static __attribute__((format(printf, 1, 2))) FILE *cpu_open(const char *format, ...)
{
    char *path = NULL;
    FILE *f = NULL;
    va_list ap;

    va_start(ap, format);
    if (vasprintf(&path, format, ap) >= 0)
        f = fopen(path, "re");
    else
        path = NULL;
    va_end(ap);
    free(path);
    return f;
}

/* Whether the comma-separated `list` holds `word`. */
static bool cpu_list_has(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *at = list; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, n) == 0 && (at[n] == ',' || at[n] == '\0'))
            return true;
    }
    return false;
}

/* mountinfo writes blank, tab, newline and backslash in paths as \ooo; undone in place. */
static void cpu_unescape(char *s)
{
    char *to = s;

    while (*s) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
            s[3] >= '0' && s[3] <= '7') {
            *to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
            s += 4;
        } else {
            *to++ = *s++;
        }
    }
    *to = '\0';
}

/* Cuts a line of mountinfo up; false: not a hierarchy that concerns us. */
static bool cpu_parse_mount(char *line, struct cgroup_mount *ret)
{
    char *end = strstr(line, " - "), *rest, *field[5];
    const char *type, *options;

    if (!end)
        return false;
    *end = '\0';
    type = strtok_r(end + 3, " \n", &rest);
    (void)strtok_r(NULL, " \n", &rest); /* the source: any name */
    options = strtok_r(NULL, " \n", &rest);
    if (!type || !options)
        return false;
    bool v2 = strcmp(type, "cgroup2") == 0;
    if (!v2 && (strcmp(type, "cgroup") != 0 || !cpu_list_has(options, "cpu")))
        return false;

    for (int i = 0; i < 5; i++) {
        field[i] = strtok_r(i == 0 ? line : NULL, " ", &rest);
        if (!field[i])
            return false;
    }
    cpu_unescape(field[3]);
    cpu_unescape(field[4]);
    *ret = (struct cgroup_mount){.root = field[3], .where = field[4], .v2 = v2};
    return true;
}

/* This process's path in the hierarchy of version 2, or in that of version 1 with `cpu`; NULL:
 * none.  The caller frees it. */
static char *cpu_cgroup_path(const char *root, bool v2)
{
    FILE *f = cpu_open("%s/proc/self/cgroup", root);
    char *line = NULL, *path = NULL;
    size_t room = 0;

    if (!f)
        return NULL;
    while (!path && getline(&line, &room, f) > 0) {
        char *controllers = strchr(line, ':');
        char *at = controllers ? strchr(controllers + 1, ':') : NULL;

        if (!at)
            continue;
        *controllers++ = *at++ = '\0';
        at[strcspn(at, "\n")] = '\0';
        if (v2 ? strcmp(line, "0") == 0 && *controllers == '\0' : cpu_list_has(controllers, "cpu"))
            path = strdup(at);
    }
    free(line);
    fclose(f);
    return path;
}

/* The part of `path` below the mount's root; "" where it is the root itself, or not below it (then
 * the mount is all we may see of it). */
static const char *cpu_below(const char *path, const char *mount_root)
{
    size_t n = strlen(mount_root);

    if (n == 1 && mount_root[0] == '/')
        n = 0;
    if (strncmp(path, mount_root, n) != 0 || path[n] != '/' || strstr(path, "/.."))
        return "";
    return path[n + 1] ? path + n : "";
}

/* Up to two numbers from the first line of a file.  -1 stands for "max" and for no number. */
static int cpu_read_numbers(FILE *f, long long n[2])
{
    char text[64] = "";
    int got = 0;

    n[0] = n[1] = -1;
    if (fgets(text, sizeof text, f))
        got = strncmp(text, "max", 3) == 0 ? 0 : sscanf(text, "%lld %lld", &n[0], &n[1]);
    fclose(f);
    return got;
}

/* The quota of one directory, in cores rounded up; 0: none. */
static unsigned cpu_quota_at(const char *dir, bool v2)
{
    long long n[2] = {-1, -1}, period[2] = {-1, -1};
    FILE *f = cpu_open("%s/%s", dir, v2 ? "cpu.max" : "cpu.cfs_quota_us");

    if (!f || cpu_read_numbers(f, n) < 1)
        return 0;
    if (!v2) {
        if (!(f = cpu_open("%s/cpu.cfs_period_us", dir)))
            return 0;
        cpu_read_numbers(f, period);
        n[1] = period[0];
    }
    if (n[0] <= 0 || n[1] <= 0)
        return 0;
    long long cores = n[0] / n[1] + (n[0] % n[1] != 0);
    return cores < CPU_CORES_MAX ? (unsigned)cores : 0;
}

/* 0 is "no limit": the smaller of two that may be none. */
static unsigned cpu_tighter(unsigned a, unsigned b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* The tightest quota from the cgroup of this process up to the mount's root. */
static unsigned cpu_quota_under(const char *root, const struct cgroup_mount *m)
{
    char *path = cpu_cgroup_path(root, m->v2), *dir = NULL;
    unsigned best = 0;

    if (!path)
        return 0;
    if (asprintf(&dir, "%s%s%s", root, m->where, cpu_below(path, m->root)) < 0)
        dir = NULL;
    size_t stop = strlen(root) + strlen(m->where);
    while (dir) {
        char *slash;

        best = cpu_tighter(best, cpu_quota_at(dir, m->v2));
        if (strlen(dir) <= stop || !(slash = strrchr(dir + stop, '/')))
            break;
        *slash = '\0';
    }
    free(dir);
    free(path);
    return best;
}

unsigned hob__cpu_quota(const char *root)
{
    FILE *f = cpu_open("%s/proc/self/mountinfo", root);
    char *line = NULL;
    size_t room = 0;
    unsigned best = 0;

    if (!f)
        return 0;
    while (getline(&line, &room, f) > 0) {
        struct cgroup_mount m;

        if (cpu_parse_mount(line, &m))
            best = cpu_tighter(best, cpu_quota_under(root, &m));
    }
    free(line);
    fclose(f);
    return best;
}

unsigned hob__cpu_affinity(void)
{
    /* The kernel refuses a set smaller than its own with EINVAL and does not say how large. */
    for (int n = 1024; n <= CPU_CORES_MAX; n *= 2) {
        cpu_set_t *set = CPU_ALLOC(n);
        int count = 0, r;

        if (!set)
            return 1;
        r = sched_getaffinity(0, CPU_ALLOC_SIZE(n), set);
        if (r == 0)
            count = CPU_COUNT_S(CPU_ALLOC_SIZE(n), set);
        CPU_FREE(set);
        if (r == 0)
            return count > 0 ? (unsigned)count : 1;
        if (errno != EINVAL)
            return 1;
    }
    return 1;
}

/* HOB_CORES; 0 when it is not set or makes no sense. */
static unsigned cpu_wished(void)
{
    const char *text = getenv("HOB_CORES");
    char *end;

    if (!text || *text < '0' || *text > '9')
        return 0;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    return *end == '\0' && errno == 0 && n <= CPU_CORES_MAX ? (unsigned)n : 0;
}

unsigned hob__cpu_usable(void)
{
    unsigned n = cpu_wished();

    return n ? n : cpu_tighter(hob__cpu_affinity(), hob__cpu_quota(""));
}

hob_dur hob__thread_slice(hob_dur slice)
{
    struct sched_attr_v0 a = {.size = sizeof a};

    if (slice < 0)
        return -EINVAL;
    if (syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) != 0)
        return -errno;
    if (a.policy != SCHED_OTHER && a.policy != POLICY_BATCH && a.policy != POLICY_IDLE)
        return -ENOTSUP;
    a.size = sizeof a;
    a.flags &= ATTR_RESET_ON_FORK;
    a.runtime = (uint64_t)slice;
    if (syscall(SYS_sched_setattr, 0, &a, 0) != 0)
        return -errno;
    if (syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) != 0)
        return -errno;
    return (hob_dur)a.runtime;
}

hob_dur hob__thread_slice_now(void)
{
    struct sched_attr_v0 a = {.size = sizeof a};

    return syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) == 0 ? (hob_dur)a.runtime : -errno;
}

void hob__thread_slice_restore(hob_dur was)
{
    /* A thread without a wish of its own gets none: the kernel's choice may change with time. */
    if (was > 0 && hob__thread_slice(0) != was)
        (void)hob__thread_slice(was);
}

int hob__thread_nice(int tid, int nice)
{
    /* On Linux the nice value is a thread's, and PRIO_PROCESS takes a thread's id. */
    return setpriority(PRIO_PROCESS, (id_t)(tid ? tid : gettid()), nice) == 0 ? 0 : -errno;
}
