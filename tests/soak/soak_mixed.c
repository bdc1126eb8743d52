/* SPDX-License-Identifier: MIT
 *
 * soak_mixed.c - half an hour of everything at once, and nothing is left of it
 *
 * HOW     Rounds of a second or a few.  In each, workers of every kind (echoing connections,
 * timers, groups that are cancelled, channels, selects, offloads, files, child processes,
 * deadlines) do one unit of work after another, on two loops.  A round ends in one of three ways:
 * all are asked to stop, the group is cancelled, its deadline comes.  Then, every time:
 *
 *             (I1) what was begun has ended: fibers, connections, children, values in channels
 *             (I2) as many descriptors as before, and not more than THREADS_MORE threads above
 *                  what was after the first rounds: a blocking call's come and go
 *             (I3) the only fiber is this one, and no timer is set
 *             (I4) RSS is not more than BOUND above what it was after the first rounds
 *             (I5) whoever was asked to stop has done at least one unit: progress was made
 *
 *         How long anything took is not looked at: the machine may be busy.
 *
 *     soak_mixed uring|epoll
 *
 * HOW MUCH  HOB_SOAK_SECONDS changes the 30 minutes; HOB_SOAK_SEED repeats the choices of a run,
 *           though not the order in which the kernel answers.
 */
#include "soak_util.h"
#include "soak_work.h"

#include <hob/hob.h>

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

enum {
    LOOPS = 2,
    ROUNDS_LEAST = 6,
    WARM = 3, /* rounds until what is kept for reuse is there */
    BOUND = 16 << 20,
    THREADS_MORE = 128, /* 64 for blocking calls, and what a ring's files need of the kernel's */
    MINUTES = 30,
};

static const int n_workers[KINDS] = {
    [ECHO] = 24,  [TIMER] = 24, [GROUP] = 6, [SENDER] = 8, [RECEIVER] = 6,
    [SELECT] = 6, [POOL] = 6,   [FILES] = 3, [CHILD] = 2,  [DEADLINE] = 6,
};

/* --- the echo server ---------------------------------------------------------------------- */

struct doors {
    hob_group conns;
    int fd;
};

static int echo_serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[4096];
    ssize_t n;

    while ((n = hob_read(fd, buf, sizeof buf, HOB_FOREVER)) > 0) {
        for (ssize_t at = 0, k; at < n && n > 0; at += k)
            if ((k = hob_write(fd, buf + at, (size_t)(n - at), HOB_FOREVER)) < 0)
                n = k;
        if (n < 0)
            break;
    }
    CHECK(n == 0 || n == -ECANCELED || n == -ECONNRESET || n == -EPIPE);
    hob_close(fd);
    now.hung_up++;
    return 0;
}

static int echo_accept(void *arg)
{
    struct doors *d = arg;

    for (;;) {
        int fd = hob_tcp_accept(d->fd, HOB_FOREVER);
        if (fd == -ECANCELED)
            return 0;
        CHECK(fd >= 0);
        now.accepted++;
        if (hob_go(&d->conns, echo_serve, (void *)(intptr_t)fd) < 0) {
            hob_close(fd);
            now.hung_up++;
            return 0;
        }
    }
}

/* --- a round ------------------------------------------------------------------------------ */

static int works(void *arg)
{
    struct worker *w = arg;
    int r;

    do {
        r = soak_unit[w->kind](w);
        now.units[w->kind] += r == 0;
        if (r == 0 && !now.stop)
            r = hob_yield(); /* a unit may never have to wait */
    } while (r == 0 && !now.stop);
    if (r < 0 && !(r == -ECANCELED && now.may_cancel))
        t_fail(__FILE__, __LINE__, "%s: %s", soak_kind_word[w->kind], hob_strerror(r));
    return 0;
}

/* Gives and takes: who is asked to stop may wait for a value, or for room. */
static int feeds(void *arg)
{
    struct worker *w = arg;
    int r;

    do {
        uint64_t v = next(w), got;
        hob_chan *ch = now.chan[below(w, CHANNELS)];
        if ((r = hob_chan_recv(ch, hob_in(HOB_MS), &got)) == 0)
            taken_out(got);
        if (r != -ECANCELED && (r = hob_chan_send(ch, &v, hob_in(HOB_MS))) == 0)
            put_in(v);
        if (r != -ECANCELED)
            r = hob_yield(); /* it may never have to wait */
    } while (r == 0);
    CHECK_INT(r, -ECANCELED);
    return 0;
}

static void round_open(struct worker *w, int *ret_listener)
{
    memset((void *)&now, 0, sizeof now);
    CHECK_INT(hob_addr_parse("127.0.0.1", 0, &now.addr), 0);
    *ret_listener = hob_tcp_listen(&now.addr, 512);
    CHECK(*ret_listener >= 0);
    CHECK_INT(hob_sock_addr(*ret_listener, &now.addr), 0);
    for (int i = 0; i < CHANNELS; i++) {
        struct hob_chan_opts opts = {.size = sizeof opts, .slots = (uint32_t)below(w, 5)};
        CHECK_INT(hob_chan_new(sizeof(uint64_t), &opts, &now.chan[i]), 0);
    }
    CHECK_INT(hob_event_init(&now.quit, "quit"), 0);
    CHECK_INT(hob_sem_init(&now.nobody, 0, "nobody"), 0);
    strcpy(now.dir, "/tmp/hob-soak-XXXXXX");
    CHECK(mkdtemp(now.dir));
}

/* (I1), of what has a number of its own */
static void round_close(int listener)
{
    uint64_t v;

    for (int i = 0; i < CHANNELS; i++) {
        while (hob_chan_recv(now.chan[i], 0, &v) == 0)
            taken_out(v);
        hob_chan_free(now.chan[i]);
    }
    CHECK_INT(now.received, now.sent);
    CHECK(now.sum_in == now.sum_out);
    CHECK_INT(now.hung_up, now.accepted);
    CHECK(rmdir(now.dir) == 0);
    hob_close(listener);
}

enum ending { ASKED, CANCELLED, DEADLINED, ENDINGS };

/* All workers, until they are ended in that way. */
static void round_work(struct worker *w, enum ending how, hob_dur length)
{
    static struct worker worker[128];
    uint32_t n = 0;
    struct hob_group_report report;
    hob_group g;

    now.may_cancel = how != ASKED;
    CHECK_INT(hob_group_open(&g, HOB_GROUP_OPTS(.spread = true, .report = &report,
                                                .until = how == DEADLINED ? hob_in(length) : 0)),
              0);
    int r = 0;
    for (int kind = 0; kind < KINDS; kind++)
        for (int i = 0; i < n_workers[kind] && r == 0; i++) {
            worker[n] = (struct worker){kind, next(w)};
            r = hob_go(&g, works, &worker[n]);
            n += r == 0;
        }
    if (r == 0 && how != DEADLINED)
        r = hob_sleep(length);
    CHECK(r == 0 || (r == -ECANCELED && how == DEADLINED));
    now.stop = true;
    if (how == ASKED)
        CHECK_INT(hob_event_set(&now.quit), 0);
    if (how == CANCELLED)
        hob_group_cancel(&g, -ESTALE);
    if (how == DEADLINED)
        now.stop = false;
    static const int want[ENDINGS] = {0, -ESTALE, -ETIMEDOUT};
    CHECK_INT(join_all_of(&g, 0, &report, n), want[how]);
    for (int kind = 0; kind < KINDS && how == ASKED; kind++)
        CHECK(now.units[kind] >= n_workers[kind]); /* (I5) */
}

static void round_run(struct worker *w, int64_t total[KINDS])
{
    enum { FEEDERS = 4 };
    static struct worker feeder[FEEDERS];
    struct doors d;
    hob_group doors, feeders;

    round_open(w, &d.fd);
    CHECK_INT(hob_group_open(&d.conns, NULL), 0);
    CHECK_INT(hob_group_open(&doors, NULL), 0);
    CHECK_INT(hob_go(&doors, echo_accept, &d), 0);
    CHECK_INT(hob_group_open(&feeders, HOB_GROUP_OPTS(.spread = true)), 0);
    for (int i = 0; i < FEEDERS; i++) {
        feeder[i] = (struct worker){0, next(w)};
        CHECK_INT(hob_go(&feeders, feeds, &feeder[i]), 0);
    }
    round_work(w, below(w, ENDINGS), (hob_dur)(200 + below(w, 3000)) * HOB_MS);
    hob_group_cancel(&feeders, 0);
    CHECK_INT(hob_group_join(&feeders, 0), 0);
    hob_group_cancel(&doors, 0);
    CHECK_INT(hob_group_join(&doors, 0), 0);
    if (below(w, 2))
        hob_group_cancel(&d.conns, 0);
    CHECK_INT(hob_group_join(&d.conns, 0), 0);
    for (int kind = 0; kind < KINDS; kind++)
        total[kind] += now.units[kind];
    round_close(d.fd);
}

/* (I3): the report has a line for every fiber and every loop's next timer. */
static void only_this_fiber(void *arg, const char *text, size_t n)
{
    (void)arg;
    (void)n;
    if (strncmp(text, "hob: 1 fiber on 2 loops", 23) != 0 || strstr(text, "not started") ||
        strstr(text, ", a timer in"))
        t_fail(__FILE__, __LINE__, "something is left:\n%s", text);
}

static int rounds(void *arg)
{
    struct worker w = {.random = *(uint64_t *)arg};
    hob_time end = hob_in(soak_number("HOB_SOAK_SECONDS", MINUTES * 60) * HOB_SEC);
    struct held base = {0}, h = {0};
    int64_t total[KINDS] = {0};
    int n = 0;

    for (; n < ROUNDS_LEAST || hob_now() < end; n++) {
        round_run(&w, total);
        CHECK_INT(hob_dump_to(only_this_fiber, NULL), 0);
        h = soak_held();
        if (n < WARM)
            base = h;
        CHECK_INT(h.fds, base.fds); /* (I2) */
        CHECK(h.threads <= base.threads + THREADS_MORE);
        if (!SANITIZED && h.rss > base.rss + BOUND)
            t_fail(__FILE__, __LINE__, "round %d: RSS was %.1f MB and is %.1f", n,
                   (double)base.rss / 1e6, (double)h.rss / 1e6); /* (I4) */
    }
    fprintf(stderr, "%d rounds; RSS %.1f MB and then %.1f; %d threads and then %d;", n,
            (double)base.rss / 1e6, (double)h.rss / 1e6, base.threads, h.threads);
    for (int kind = 0; kind < KINDS; kind++)
        fprintf(stderr, " %lld %s", (long long)total[kind], soak_kind_word[kind]);
    fputc('\n', stderr);
    return 0;
}

static void soak(const char *poll)
{
    uint64_t seed;

    CHECK(getrandom(&seed, sizeof seed, 0) == sizeof seed);
    seed = (uint64_t)soak_number("HOB_SOAK_SEED", (long)(seed >> 16));
    fprintf(stderr, "%s: HOB_SOAK_SEED=%llu\n", poll, (unsigned long long)seed);
    t_timeout((unsigned)soak_number("HOB_SOAK_SECONDS", MINUTES * 60) + 300);
    setenv("HOB_POLL", poll, 1);
    int r = hob_run(HOB_OPTS(.loops = LOOPS), rounds, &seed);
    if (strcmp(poll, "uring") == 0 && (r == -ENOSYS || r == -EPERM))
        t_skip("no io_uring here: %s", hob_strerror(r));
    CHECK_INT(r, 0);
}

TEST(everything_at_once_leaves_nothing_on_uring)
{
    soak("uring");
}

TEST(everything_at_once_leaves_nothing_on_epoll)
{
    soak("epoll");
}
