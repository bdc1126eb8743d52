/* SPDX-License-Identifier: MIT
 *
 * rec_make.c - writes recordings that tests draw: rec_make SCENE FILE
 *
 *     mixed   a main thread that waits for six workers on two cores; names with markup
 *     dense   20 threads that switch every few microseconds, some 30,000 intervals
 *     many    10,000 threads, of which a few do something
 *     turns   A and B take turns on one core
 *     tasks   threads and tasks of a program that uses hob
 *     wakes   who woke whom: a boss and a worker that wait for each other
 *     empty   nothing was seen
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diag/rec.h"

static struct recording r;
static uint32_t chance_state = 7;

/* The same on every machine. */
static uint32_t chance(uint32_t below)
{
    chance_state = chance_state * 1664525 + 1013904223;
    return (chance_state >> 8) % below;
}

static void add(uint32_t thread, int64_t from, int64_t to, enum rec_state state, enum rec_kind kind,
                uint32_t peer, int core)
{
    struct rec_ival v = {.from = from,
                         .to = to,
                         .state = (uint8_t)state,
                         .kind = (uint8_t)kind,
                         .peer = peer,
                         .in_flight = state == REC_WAIT,
                         .core = core < 0 ? REC_NO_CORE : (uint16_t)core};
    rec_add(&r, thread, &v);
}

static uint32_t thread(int32_t pid, int32_t tid, const char *name)
{
    uint32_t t = rec_thread_of(&r, pid, tid);

    snprintf(r.threads[t].name, sizeof r.threads[t].name, "%s", name);
    return t;
}

static void worker(uint32_t t, int64_t at, enum rec_kind kind, uint32_t peer, int core)
{
    add(t, at, at + 30 * HOB_MS, REC_RUN, REC_NO_KIND, 0, core);
    for (at += 30 * HOB_MS; at < 1250 * HOB_MS;) {
        int64_t wait = (20 + chance(30)) * HOB_MS, ready = chance(2000) * HOB_US + 1;
        int64_t run = (200 + chance(6000)) * HOB_US;

        add(t, at, at + wait, REC_WAIT, kind, peer, -1);
        add(t, at + wait, at + wait + ready, REC_READY, REC_NO_KIND, 0, -1);
        add(t, at + wait + ready, at + wait + ready + run, REC_RUN, REC_NO_KIND, 0, core);
        at += wait + ready + run;
    }
}

static void mixed(void)
{
    static const enum rec_kind kind[] = {REC_NET, REC_NET, REC_DB, REC_DISK, REC_PIPE, REC_SLEEP};
    static const char *const name[] = {"worker",
                                       "worker",
                                       "</script><script>alert(1)</script>",
                                       "bad \xff \x1b[31m red",
                                       "\342\200\256evil \"'&", /* octal: 'e' is a hex digit */
                                       "日本語"};
    static const char *const peer[] = {"tcp 127.0.0.1:18080",
                                       "tcp 127.0.0.1:18080",
                                       "unix /run/<b>&\"x'.sock",
                                       "/data/\x01\n.db",
                                       "",
                                       ""};
    uint32_t t = thread(100, 100, "main");

    r.wall = 1360 * HOB_MS;
    rec_set_text(&r, &r.command, "prog --x=<img src=x onerror=alert(1)> & \"more\"");
    add(t, 0, 80 * HOB_MS, REC_RUN, REC_NO_KIND, 0, 1);
    add(t, 80 * HOB_MS, 1330 * HOB_MS, REC_WAIT, REC_LOCK, 0, -1);
    add(t, 1330 * HOB_MS, 1360 * HOB_MS, REC_RUN, REC_NO_KIND, 0, 0);
    for (int i = 0; i < 6; i++) {
        uint32_t p = peer[i][0] ? rec_peer_of(&r, kind[i], peer[i]) : 0;
        worker(thread(101 + i, 101 + i, name[i]), (80 + 5 * i) * HOB_MS, kind[i], p, i % 2);
    }
}

static void dense(void)
{
    uint32_t peer = rec_peer_of(&r, REC_NET, "tcp 10.0.0.1:443");

    r.wall = HOB_SEC / 4;
    for (int i = 0; i < 20; i++) {
        uint32_t t = thread(100, 100 + i, "busy");
        for (int64_t at = i; at < r.wall - HOB_MS;) {
            int64_t wait = 2000 + chance(300000), run = 500 + chance(50000);
            add(t, at, at + wait, REC_WAIT, REC_NET, peer, -1);
            add(t, at + wait, at + wait + run, REC_RUN, REC_NO_KIND, 0, -1);
            at += wait + run;
        }
    }
}

static void many(void)
{
    r.wall = HOB_SEC;
    for (int i = 0; i < 10000; i++) {
        uint32_t t = thread(100, 100 + i, "idler");
        add(t, 0, HOB_SEC, REC_WAIT, REC_IDLE, 0, -1);
    }
    add(thread(100, 20000, "the one"), 0, HOB_SEC / 2, REC_RUN, REC_NO_KIND, 0, 1);
}

static void turns(void)
{
    uint32_t t[2] = {thread(100, 101, "A"), thread(100, 102, "B")};

    r.wall = 120 * HOB_MS;
    for (int i = 0; i < 40; i++) {
        add(t[i % 2], i * 3 * HOB_MS, (i + 1) * 3 * HOB_MS, REC_RUN, REC_NO_KIND, 0, 0);
        add(t[!(i % 2)], i * 3 * HOB_MS, (i + 1) * 3 * HOB_MS, REC_READY, REC_NO_KIND, 0, -1);
    }
}

static void tasks(void)
{
    uint32_t loop = thread(100, 100, "loop 0"), peer = rec_peer_of(&r, REC_NET, "HTTP response");

    r.tier = REC_T0;
    r.wall = 100 * HOB_MS;
    for (int i = 0; i < 10; i++)
        add(loop, i * 10 * HOB_MS, i * 10 * HOB_MS + 5 * HOB_MS, REC_RUN, REC_NO_KIND, 0, -1);
    for (int i = 0; i < 50; i++) {
        uint32_t t = rec_thread_new(&r, 100, -1 - i);
        snprintf(r.threads[t].name, sizeof r.threads[t].name, "fetch %d", i + 1);
        r.threads[t].is_task = true;
        add(t, 0, 90 * HOB_MS, REC_WAIT, REC_NET, peer, -1);
        add(t, 90 * HOB_MS, 90 * HOB_MS + 5 * HOB_MS / 50, REC_RUN, REC_NO_KIND, 0, -1);
    }
}

static void wakes(void)
{
    uint32_t boss = thread(100, 100, "boss"), worker = thread(100, 101, "worker");

    r.tier = REC_T1_PLUS;
    r.wall = 100 * HOB_MS;
    for (int64_t at = 0; at < r.wall; at += 10 * HOB_MS) {
        add(boss, at, at + 2 * HOB_MS, REC_RUN, REC_NO_KIND, 0, 0);
        add(boss, at + 2 * HOB_MS, at + 10 * HOB_MS, REC_WAIT, REC_LOCK, 0, -1);
        add(worker, at, at + 1 * HOB_MS, REC_WAIT, REC_LOCK, 0, -1);
        add(worker, at + 1 * HOB_MS, at + 2 * HOB_MS, REC_READY, REC_NO_KIND, 0, -1);
        add(worker, at + 2 * HOB_MS, at + 10 * HOB_MS, REC_RUN, REC_NO_KIND, 0, 1);
        rec_add_wake(&r, &(struct rec_wake){at + 1 * HOB_MS, boss, worker});
        rec_add_wake(&r, &(struct rec_wake){at + 10 * HOB_MS, worker, boss});
    }
}

static void empty(void)
{
    r.wall = 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*make)(void);
    } scenes[] = {{"mixed", mixed}, {"dense", dense}, {"many", many},  {"turns", turns},
                  {"tasks", tasks}, {"wakes", wakes}, {"empty", empty}};

    for (size_t i = 0; argc == 3 && i < sizeof scenes / sizeof *scenes; i++)
        if (strcmp(scenes[i].name, argv[1]) == 0) {
            rec_init(&r);
            r.tier = REC_T1;
            r.n_cores = r.n_cpus = 2;
            r.root = 100;
            scenes[i].make();
            int e = r.failed ? -1 : rec_save(&r, argv[2]);
            rec_free(&r);
            return e < 0;
        }
    fprintf(stderr, "usage: rec_make SCENE FILE\n");
    return 2;
}
