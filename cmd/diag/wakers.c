/* SPDX-License-Identifier: MIT
 *
 * wakers.c - the tracepoint sched_waking: finding it, recording it, keeping a part of it
 *
 * HOW         Its event is inherited and written into the rings of the switch records, so the two
 *   are in one order of time and take their turns together.  It is hit in the context of whoever
 *   wakes: an inherited event sees the wakers of the tree, and those alone.  An interrupt has no
 *   thread of its own and borrows the one it interrupts: the flags tell, and such a wake says when
 *   a wait was over and not who ended it.
 *
 * LIMITS      A program that ends takes its events off before it wakes its parent; switches.c
 *   takes the end itself for the wake.
 *
 * SEE         records.h for the bytes, wakers_take.c for what they come to
 */
#include "diag/wakers.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <hob/base.h>

#include "diag/leave.h"
#include "diag/procfs.h"

enum { CAN_PERFMON = 38, CAN_ADMIN = 21, FIELDS_END = 1024 };

#define FIRST_PID_NAMESPACE UINT32_C(0xeffffffc) /* its inode: PROC_PID_INIT_INO of the kernel */

/* --- finding it ------------------------------------------------------------------------------- */

/* The field of that name: "\tfield:pid_t pid;\toffset:24;\tsize:4;\tsigned:1;" */
static int field_find(const char *text, const char *name, unsigned size, uint16_t *ret)
{
    size_t length = strlen(name);

    for (const char *at = text; (at = strstr(at, "field:")); at++) {
        const char *end = strchr(at, ';');
        unsigned offset, has;

        if (!end || (size_t)(end - at) <= length || end[-(ptrdiff_t)length - 1] != ' ' ||
            strncmp(end - length, name, length) != 0)
            continue;
        if (sscanf(end, "; offset:%u; size:%u;", &offset, &has) != 2 || has != size ||
            offset > FIELDS_END)
            return -EBADMSG;
        *ret = (uint16_t)offset;
        return 0;
    }
    return -EBADMSG;
}

int wakers_parse_format(const char *text, struct wakers_format *ret)
{
    struct wakers_format f = *ret;

    if (field_find(text, "pid", sizeof(int32_t), &f.pid_at) < 0 ||
        field_find(text, "common_flags", 1, &f.flags_at) < 0)
        return -EBADMSG;
    *ret = f;
    return 0;
}

static int find_at(const char *root, struct wakers_format *ret)
{
    struct wakers_format f = {0};
    char id[32], text[4096];
    int r;

    if ((r = procfs_read(id, sizeof id, "%s/events/sched/sched_waking/id", root)) < 0 ||
        (r = procfs_read(text, sizeof text, "%s/events/sched/sched_waking/format", root)) < 0)
        return r;
    f.id = strtoull(id, NULL, 10);
    r = f.id > 0 ? wakers_parse_format(text, &f) : -EBADMSG;
    if (r == 0)
        *ret = f;
    return r;
}

int wakers_find(const char *root, struct wakers_format *ret)
{
    int r = find_at(root ? root : "/sys/kernel/tracing", ret);

    return r < 0 && !root && find_at("/sys/kernel/debug/tracing", ret) == 0 ? 0 : r;
}

bool wakers_capable(void)
{
    unsigned long long can = 0;
    char text[4096];
    const char *at;

    if (procfs_read(text, sizeof text, "/proc/self/status") > 0 && (at = strstr(text, "CapEff:")))
        sscanf(at, "CapEff: %llx", &can);
    if (can >> CAN_PERFMON & 1 || can >> CAN_ADMIN & 1)
        return true;
    return procfs_read(text, sizeof text, "/proc/sys/kernel/perf_event_paranoid") > 0 &&
           atoi(text) < 0;
}

bool wakers_numbers_are_ours(void)
{
    struct stat st;

    return stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == FIRST_PID_NAMESPACE;
}

/* --- recording it ----------------------------------------------------------------------------- */

int wakers_open(const struct wakers_format *f, int32_t tid, int cpu, bool off, bool on_exec)
{
    struct perf_event_attr a = {
        .size = sizeof a,
        .type = PERF_TYPE_TRACEPOINT,
        .config = f->id,
        .sample_period = 1,
        .sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU | PERF_SAMPLE_RAW,
        .disabled = off,
        .inherit = 1,
        .exclude_hv = 1,
        .enable_on_exec = on_exec,
        .sample_id_all = 1,
        .use_clockid = 1,
        .clockid = CLOCK_MONOTONIC,
    };
    long fd = syscall(SYS_perf_event_open, &a, tid, cpu, -1, PERF_FLAG_FD_CLOEXEC);

    return fd < 0 ? -errno : (int)fd;
}

#define BIRTH_COSTS (20 * HOB_US) /* a CPU */
#define DEAR_FIRST  (5 * HOB_MS)
#define DEAR_SHARE  100 /* one part in so many of the time */
enum { BORN_FEW = 16 }; /* that many are no matter, on any number of CPUs */

bool wakers_dear(size_t born, size_t n_cpus, int64_t now)
{
    int64_t costs = (int64_t)(born * n_cpus) * BIRTH_COSTS;

    return born > BORN_FEW && costs > DEAR_FIRST + now / DEAR_SHARE;
}

static int held = -1; /* an event that never counts, on a CPU: one on a thread, our own or not,
                       * would keep the kernel looking for events at each switch */

int wakers_hold(const struct wakers_format *f)
{
    if (held < 0)
        held = wakers_open(f, -1, sched_getcpu(), true, false);
    return held < 0 ? held : 0;
}

static void *close_slowly(void *arg)
{
    close((int)(intptr_t)arg);
    return NULL;
}

void wakers_rest(void)
{
    pthread_t thread;
    void *fd = (void *)(intptr_t)held;

    if (held < 0)
        return;
    if (pthread_create(&thread, NULL, close_slowly, fd) == 0)
        pthread_detach(thread);
    else
        close_slowly(fd);
    held = -1;
}

void wakers_leave(void)
{
    if (held >= 0)
        leave_descriptor(held);
    held = -1;
}

/* --- keeping it ------------------------------------------------------------------------------- */

void wakers_add(struct wakers *w, struct recording *rec, const struct rec_wake *wake)
{
    uint64_t i = w->n++;

    if (w->every == 0)
        w->every = 1;
    if (i % w->every)
        return;
    if (rec->n_wakes >= WAKES_MOST) {
        for (size_t k = 0; 2 * k < rec->n_wakes; k++)
            rec->wakes[k] = rec->wakes[2 * k];
        rec->n_wakes = (rec->n_wakes + 1) / 2;
        w->every *= 2;
        if (i % w->every)
            return;
    }
    rec_add_wake(rec, wake);
}

void wakers_finish(const struct wakers *w, struct recording *rec)
{
    if (w->every > 1)
        rec_note(rec, "of %llu wake-ups one in %u was kept", (unsigned long long)w->n, w->every);
}
