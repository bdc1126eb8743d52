/* SPDX-License-Identifier: MIT
 *
 * soak_work.c - the units of work of soak_mixed: each checks its own result, and is done or
 * cancelled
 *
 * A unit that a cancel met has closed, joined and removed what it had.
 */
#include "soak_work.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct soak_round now;

static hob_dur soon(struct worker *w)
{
    return (hob_dur)below(w, 20) * HOB_MS;
}

/* --- echo --------------------------------------------------------------------------------- */

/* One message, there and back.  0, or why it did not come back. */
static int echo_once(struct worker *w, int fd, hob_time until)
{
    char out[MESSAGE_MOST], back[MESSAGE_MOST];
    size_t size = 1 + below(w, MESSAGE_MOST);
    ssize_t n;

    memset(out, (int)below(w, 256), size);
    for (size_t at = 0; at < size; at += (size_t)n)
        if ((n = hob_write(fd, out + at, size - at, HOB_FOREVER)) < 0)
            return (int)n;
    for (size_t at = 0; at < size; at += (size_t)n) {
        if ((n = hob_read(fd, back + at, size - at, until)) < 0)
            return (int)n;
        CHECK(n > 0); /* a server hangs up after its client */
    }
    CHECK(memcmp(out, back, size) == 0);
    return 0;
}

/* One connection: some messages; who loses patience hangs up. */
static int echo(struct worker *w)
{
    int fd = hob_tcp_dial(&now.addr, HOB_FOREVER), r = 0;

    if (fd < 0)
        return fd;
    for (uint64_t left = 1 + below(w, 5); left > 0 && r == 0; left--)
        r = echo_once(w, fd, below(w, 4) ? HOB_FOREVER : hob_in(soon(w) / 10));
    hob_close(fd);
    if (r == -ETIMEDOUT)
        r = 0;
    return r == 0 ? hob_sleep(soon(w)) : r; /* the system has only so many ports a minute */
}

/* --- timers, groups, deadlines ------------------------------------------------------------ */

static int timer(struct worker *w)
{
    hob_time until = hob_in(soon(w));
    int r = hob_sleep_until(until);

    CHECK(r < 0 || hob_now() >= until);
    return r;
}

static int member(void *arg)
{
    int r = hob_sleep((hob_dur)(intptr_t)arg);

    return r == -ECANCELED ? 0 : r;
}

static int fails(void *arg)
{
    (void)arg;
    return -EDOM;
}

/* A group of sleepers that is cancelled by its opener, or by a child's error, or not at all. */
static int group(struct worker *w)
{
    uint64_t how = below(w, 3);
    uint32_t begun = 0;
    struct hob_group_report report = {0};
    hob_group g;
    int r = hob_group_open(
        &g, HOB_GROUP_OPTS(.spread = below(w, 2), .max_live = 16, .report = &report));

    for (uint64_t n = 1 + below(w, 12); r == 0 && n > 0; n--) {
        hob_dur d = how == 2 ? soon(w) : (hob_dur)(1 + below(w, 60)) * HOB_SEC;
        r = hob_go(&g, member, (void *)(intptr_t)d);
        begun += r == 0;
    }
    if (r == 0 && how < 2)
        r = hob_sleep(soon(w));
    if (r == 0 && how == 1) {
        r = hob_go(&g, fails, NULL);
        begun += r == 0;
    }
    if (r == 0 && how == 0)
        hob_group_cancel(&g, -ESTALE);
    r = join_all_of(&g, r, &report, begun);
    CHECK(r == (how == 0 ? -ESTALE : how == 1 ? -EDOM : 0) || r == -ECANCELED);
    return r == -ECANCELED ? r : 0;
}

/* A wait that nothing ends but its deadline: around one call, or around a group. */
static int deadline(struct worker *w)
{
    struct hob_group_report report = {0};
    uint32_t begun = 0;
    hob_group g;
    int r;

    if (below(w, 2)) {
        r = hob_sem_acquire(&now.nobody, 1, hob_in(soon(w)));
    } else {
        r = hob_group_open(&g, HOB_GROUP_OPTS(.until = hob_in(soon(w)), .report = &report));
        if (r == 0)
            r = hob_go(&g, member, (void *)(intptr_t)(60 * HOB_MIN));
        begun = r == 0;
        r = join_all_of(&g, r, &report, begun);
    }
    CHECK(r == -ETIMEDOUT || r == -ECANCELED);
    return r == -ETIMEDOUT ? 0 : r;
}

/* --- channels: what goes in comes out, or lies in them at the end ------------------------- */

static int sender(struct worker *w)
{
    uint64_t v = next(w);
    int r = hob_chan_send(now.chan[below(w, CHANNELS)], &v,
                          below(w, 4) ? HOB_FOREVER : hob_in(soon(w)));

    if (r == 0)
        put_in(v);
    return r == -ETIMEDOUT ? 0 : r;
}

static int receiver(struct worker *w)
{
    uint64_t v;
    int r = hob_chan_recv(now.chan[below(w, CHANNELS)], below(w, 4) ? HOB_FOREVER : hob_in(soon(w)),
                          &v);

    if (r == 0)
        taken_out(v);
    return r == -ETIMEDOUT ? 0 : r;
}

static int selects(struct worker *w)
{
    uint64_t in, out = next(w), at = below(w, CHANNELS);
    struct hob_arm arms[] = {
        HOB_ON_RECV(now.chan[at], &in),
        HOB_ON_SEND(now.chan[(at + 1) % CHANNELS], &out),
        HOB_ON_EVENT(&now.quit),
        HOB_ON_TIME(hob_in(soon(w))),
    };
    int i =
        below(w, 2) ? hob_select(arms, 4, HOB_FOREVER) : hob_select_ordered(arms, 4, HOB_FOREVER);

    if (i < 0)
        return i;
    CHECK_INT(arms[i].rc, 0);
    if (i == 0)
        taken_out(in);
    if (i == 1)
        put_in(out);
    return 0;
}

/* --- the pool, files, children ------------------------------------------------------------ */

struct sum {
    uint64_t n, result;
};

static int sums(void *arg)
{
    struct sum *s = arg;

    for (uint64_t i = 1; i <= s->n; i++)
        s->result += i;
    return 7;
}

static int pool(struct worker *w)
{
    struct sum s = {.n = below(w, 100000)};
    int r = below(w, 2) ? hob_offload(sums, &s, HOB_FOREVER) : hob_block(sums, &s, HOB_FOREVER);

    CHECK(r == 7 || r == -ECANCELED);
    CHECK(r < 0 || s.result == s.n * (s.n + 1) / 2);
    return r < 0 ? r : 0;
}

static ssize_t file_there_and_back(struct worker *w, const char *path)
{
    char out[4096], back[sizeof out];
    size_t size = 1 + below(w, sizeof out);
    int fd = hob_file_open(path, O_RDWR | O_CREAT | O_EXCL, 0600, HOB_FOREVER);

    if (fd < 0)
        return fd;
    memset(out, (int)below(w, 256), size);
    ssize_t n = hob_file_write(fd, out, size, 0, HOB_FOREVER);
    if (n >= 0 && (size_t)n < size)
        n = -ECANCELED; /* it came after a part */
    if (n >= 0 && below(w, 8) == 0)
        n = hob_file_sync(fd, HOB_FOREVER);
    if (n >= 0) {
        n = hob_file_read(fd, back, size, 0, HOB_FOREVER);
        CHECK(n < 0 || ((size_t)n == size && memcmp(out, back, size) == 0));
    }
    hob_close(fd);
    return n < 0 ? n : 0;
}

static int files(struct worker *w)
{
    static _Atomic(unsigned) number;
    char path[128];

    snprintf(path, sizeof path, "%s/%u", now.dir, ++number);
    int r = (int)file_there_and_back(w, path);
    if (r == 0)
        r = hob_file_unlink(path, HOB_FOREVER);
    if (r < 0)
        (void)unlink(path); /* if it came to be */
    return r;
}

/* A child that returns what it is told, or one that would never end. */
static int child(struct worker *w)
{
    char code[16];
    bool endless = below(w, 4) == 0;
    const char *const argv[] = {"sh", "-c", endless ? "exec sleep 1000" : "exit $0", code, NULL};
    struct hob_proc_end end;
    hob_proc *p;

    snprintf(code, sizeof code, "%d", (int)below(w, 100));
    int r = hob_proc_spawn(argv, HOB_PROC_OPTS(.file = "/bin/sh", .grace_ns = HOB_SEC), HOB_FOREVER,
                           &p);
    if (r < 0)
        return r;
    r = hob_proc_wait(p, endless ? hob_in(soon(w)) : HOB_FOREVER, &end);
    CHECK(r == -ECANCELED || r == (endless ? -ETIMEDOUT : 0));
    CHECK(r < 0 || end.code == atoi(code));
    hob_proc_stop(p);
    return r == -ETIMEDOUT ? 0 : r;
}

int (*const soak_unit[KINDS])(struct worker *) = {
    [ECHO] = echo,      [TIMER] = timer, [GROUP] = group, [SENDER] = sender, [RECEIVER] = receiver,
    [SELECT] = selects, [POOL] = pool,   [FILES] = files, [CHILD] = child,   [DEADLINE] = deadline,
};

const char *const soak_kind_word[KINDS] = {
    [ECHO] = "echoes",       [TIMER] = "timers",       [GROUP] = "groups",  [SENDER] = "sends",
    [RECEIVER] = "receives", [SELECT] = "selects",     [POOL] = "offloads", [FILES] = "files",
    [CHILD] = "children",    [DEADLINE] = "deadlines",
};
