/* SPDX-License-Identifier: MIT
 *
 * explore_inbox.c - messages to a loop that runs, sleeps or ends (sched/msg.h, sched/loop.c)
 *
 * WHAT    post     two threads post two messages each to a loop whose only fiber waits for them
 *         last     the message that a loop waits for is its last: the loop, woken by a timer, may
 *                  be gone before who posted has woken it
 *         among    two loops post to each other
 *
 *   What must hold: each message runs once, on its loop, those of one thread in their order
 *   (msg.h I1); no loop sleeps beside a message, which would be a deadlock (msg.h I2, loop.c I2);
 *   nobody wakes a loop that is gone (loop.c I3).
 */
#include "loops.h"

#include <stdio.h>

#include "sched/park.h"

enum { THREADS = 2, EACH = 2 };

static struct post {
    struct msg msg;
    unsigned thread, number;
} posts[THREADS][EACH];

static unsigned n_seen[THREADS], n_all, n_wanted;
static struct fiber *waits;

static void message_run(struct msg *m)
{
    struct post *p = container_of(m, struct post, msg);

    if (hob__loop != &loops_rt.loops[0])
        explore_fail("a message runs on another loop");
    if (n_seen[p->thread] != p->number)
        explore_fail("thread %u: message %u, %u wanted", p->thread, p->number, n_seen[p->thread]);
    n_seen[p->thread]++;
    if (++n_all == n_wanted && waits->run.state == RUN_PARKED)
        hob__ready(waits, 0);
}

/* Its loop is woken by a timer, too. */
static int wait_for_all(void *arg)
{
    hob_time until = loops_soon;

    (void)arg;
    waits = hob__self();
    for (; n_all < n_wanted; until = HOB_FOREVER)
        (void)hob__park(waits, HOB_WAIT_REMOTE, until);
    return 0;
}

static void reset(unsigned loops, unsigned wanted)
{
    loops_reset(loops, wait_for_all);
    n_all = 0;
    n_wanted = wanted;
    for (unsigned t = 0; t < THREADS; t++) {
        n_seen[t] = 0;
        for (unsigned i = 0; i < EACH; i++)
            posts[t][i] = (struct post){.msg.run = message_run, .thread = t, .number = i};
    }
}

static void post(unsigned thread, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        hob__loop_post(&loops_rt.loops[0], &posts[thread][i].msg);
}

static void post_0(void)
{
    post(0, EACH);
}

static void post_1(void)
{
    post(1, EACH);
}

static void post_reset(void)
{
    reset(1, THREADS * EACH);
}

static void last_reset(void)
{
    reset(1, 1);
}

static void post_last(void)
{
    post(0, 1);
}

/* among: the first fiber asks loop 1, which answers twice and is told to stop at once. */
static struct msg ask;

static void ask_run(struct msg *m)
{
    (void)m;
    if (hob__loop != &loops_rt.loops[1])
        explore_fail("a message runs on another loop");
    for (unsigned i = 0; i < EACH; i++)
        hob__loop_post(&loops_rt.loops[0], &posts[0][i].msg);
}

static int ask_and_wait(void *arg)
{
    ask.run = ask_run;
    hob__loop_post(&loops_rt.loops[1], &ask);
    return wait_for_all(arg);
}

static void among_reset(void)
{
    reset(2, EACH);
    loops_rt.fn = ask_and_wait;
}

static void check(void)
{
    if (loops_result() != 0 || n_all != n_wanted)
        explore_fail("%u of %u messages ran", n_all, n_wanted);
}

int main(void)
{
    struct explore_case cases[] = {
        {"post", post_reset, {loops_0, post_0, post_1}, check, 2},
        {"last", last_reset, {loops_0, post_last, loops_clock}, check, 3},
        {"among", among_reset, {loops_0, loops_1}, check, 3},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cases[i].switched = loops_switched;
        cases[i].over = loops_over;
        printf("%s: %lu schedules\n", cases[i].name, explore(&cases[i]));
        fflush(stdout);
    }
    return 0;
}
