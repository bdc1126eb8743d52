/* SPDX-License-Identifier: MIT
 *
 * explore_chan.c - a channel whose other end is elsewhere (sync/chan.c, sched/remote.c), and time
 *
 * WHAT    meet     loop 1 sends two values, loop 0, the channel's home, receives them
 *         late     the same, when the first value waits already
 *         time     the send has a limit, which comes at any moment: cancel against fire
 *         home     so has the receive, at home
 *         cancel   the sender's group is cancelled when the receiver has had what it wants
 *         close    the channel is closed between two values
 *         thread   a plain thread sends, with a limit, on a futex
 *         select   loop 1 takes a value or a time's coming, whichever is first
 *         arms     one select of a channel on each loop meets another that has them the other way
 *
 *   What must hold: a value is received if and only if its send returned 0, once, in order (chan.c
 *   I5, I6, remote.c I2); a call that has returned has no message under way, for which what lies
 *   below its frame is written over (remote.c I1).
 */
#include "loops.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sched/park.h"

enum { VALUES = 2 };

static hob_chan *chan, *other;
static bool started, thread_begins, thread_ended;
static unsigned n_sent, n_got, n_selected;
static int send_rc[VALUES];
static uint64_t got[2 * VALUES];
static hob_group *group;

/* What a message in flight would lie in. */
static __attribute__((noinline)) void write_over(void)
{
    volatile unsigned char below[2048];

    memset((unsigned char *)(uintptr_t)below, 0x5a, sizeof below);
}

static void send_values(unsigned n, hob_time until)
{
    for (uint64_t v = 0; v < n; v++) {
        send_rc[v] = hob_chan_send(chan, &(uint64_t){100 + v}, until);
        write_over();
        n_sent += send_rc[v] == 0;
    }
}

static int receive(hob_time until)
{
    int r = hob_chan_recv(chan, until, &got[n_got]);

    n_got += r == 0;
    return r;
}

static bool has_started(void *unused)
{
    (void)unused;
    return started;
}

/* On the other loop, which must take it while this one does nothing. */
static int go_elsewhere(hob_group *g, hob_fn fn)
{
    int r = hob_group_open(g, HOB_GROUP_OPTS(.spread = true));

    group = g;
    if (r == 0)
        r = hob_go(g, fn, NULL);
    if (r == 0)
        explore_wait(has_started, NULL);
    return r;
}

static hob_fn far_fn;
static int (*near_fn)(hob_group *g);

static int first(void *unused)
{
    hob_group g;
    int r = hob_chan_new(sizeof(uint64_t), NULL, &chan);

    (void)unused;
    if (r == 0)
        r = go_elsewhere(&g, far_fn);
    if (r == 0)
        r = near_fn(&g);
    r = hob_group_join(&g, r);
    write_over();
    hob_chan_free(chan);
    return r;
}

static void reset(hob_fn far, int (*near)(hob_group *g))
{
    loops_reset(2, first);
    far_fn = far;
    near_fn = near;
    started = thread_begins = thread_ended = false;
    n_sent = n_got = n_selected = 0;
    memset(got, 0, sizeof got);
    for (unsigned v = 0; v < VALUES; v++)
        send_rc[v] = 1;
}

/* What was sent is what was received, in the same order. */
static void check(void)
{
    unsigned n = 0;
    int r = loops_result();

    if (r != 0)
        explore_fail("the first fiber returned %d", r);
    for (uint64_t v = 0; v < VALUES; v++) {
        if (send_rc[v] != 0)
            continue;
        if (n >= n_got || got[n] != 100 + v)
            explore_fail("value %u was sent, and value %u received is %u", (unsigned)v, n,
                         (unsigned)got[n]);
        n++;
    }
    if (n != n_got)
        explore_fail("%u sent, %u received", n, n_got);
}

/* meet */

static int sends_two(void *unused)
{
    (void)unused;
    started = true;
    send_values(2, HOB_FOREVER);
    return 0;
}

static int receives_two(hob_group *g)
{
    (void)g;
    int r = receive(HOB_FOREVER);

    return r == 0 ? receive(HOB_FOREVER) : r;
}

static void meet_reset(void)
{
    reset(sends_two, receives_two);
}

static void check_meet(void)
{
    check();
    if (n_sent != 2)
        explore_fail("%u of two values came", n_sent);
}

/* late: the sender stands in the queue first */

static int receives_two_late(hob_group *g)
{
    int r = hob_sleep_until(loops_soon);

    return r == 0 ? receives_two(g) : r;
}

static void late_reset(void)
{
    reset(sends_two, receives_two_late);
}

/* time */

static int sends_in_time(void *unused)
{
    (void)unused;
    started = true;
    send_values(1, loops_soon);
    return 0;
}

/* When the sender's time is up, too, which has been in the queue since. */
static int receives_late(hob_group *g)
{
    (void)g;
    int r = hob_sleep_until(loops_soon);

    if (r == 0)
        r = receive(loops_soon);
    return r == -ETIMEDOUT ? 0 : r;
}

static void time_reset(void)
{
    reset(sends_in_time, receives_late);
}

/* home */

static int receives_or_cancels(hob_group *g)
{
    if (receive(loops_soon) != 0 || receive(loops_soon) != 0)
        hob_group_cancel(g, 0);
    return 0;
}

static void home_reset(void)
{
    reset(sends_two, receives_or_cancels);
}

/* cancel */

static int receives_and_cancels(hob_group *g)
{
    int r = receive(HOB_FOREVER);

    hob_group_cancel(g, 0);
    return r;
}

static void cancel_reset(void)
{
    reset(sends_two, receives_and_cancels);
}

/* close */

static int receives_and_closes(hob_group *g)
{
    int r = receive(HOB_FOREVER);

    (void)g;
    if (r == 0)
        r = hob_sleep_until(loops_soon); /* the next sender stands in the queue, or not yet */
    hob_chan_close(chan);
    return r;
}

static void close_reset(void)
{
    reset(sends_two, receives_and_closes);
}

/* thread */

static struct fiber *waits;
static struct msg bye;

static bool thread_begun(void *unused)
{
    (void)unused;
    return thread_begins;
}

static void bye_run(struct msg *m)
{
    (void)m;
    thread_ended = true;
    if (waits)
        hob__ready(waits, 0);
}

static void thread(void)
{
    explore_wait(thread_begun, NULL);
    send_values(1, loops_soon);
    bye.run = bye_run;
    hob__loop_post(&loops_rt.loops[0], &bye);
}

static int first_with_thread(void *unused)
{
    int r = hob_chan_new(sizeof(uint64_t), NULL, &chan);

    (void)unused;
    thread_begins = true;
    if (r == 0)
        r = receive(loops_soon);
    if (!thread_ended) {
        waits = hob__self();
        hob__park_shielded(waits, HOB_WAIT_REMOTE);
    }
    hob_chan_free(chan);
    return r == -ETIMEDOUT ? 0 : r;
}

static void thread_reset(void)
{
    reset(NULL, NULL);
    loops_reset(1, first_with_thread);
    waits = NULL;
}

/* select: what comes first, a value or the time */

static int selects(void *unused)
{
    uint64_t value = 0;
    struct hob_arm arms[] = {HOB_ON_RECV(chan, &value), HOB_ON_TIME(loops_soon)};

    (void)unused;
    started = true;
    int i = hob_select(arms, 2, HOB_FOREVER);
    if (i == 0 && arms[0].rc == 0)
        got[n_got++] = value;
    memset(arms, 0x5a, sizeof arms);
    write_over();
    return i < 0 ? i : 0;
}

static int sends_at_home(hob_group *g)
{
    (void)g;
    send_values(1, loops_soon);
    return 0;
}

static void select_reset(void)
{
    reset(selects, sends_at_home);
}

/* arms: each side would send to one channel and receive from the other */

static void select_both(hob_chan *from, hob_chan *to, uint64_t value)
{
    uint64_t in = 0;
    struct hob_arm arms[] = {HOB_ON_RECV(from, &in), HOB_ON_SEND(to, &value)};
    int i = hob_select(arms, 2, loops_soon);

    if (i == 0) {
        got[n_got++] = in;
    } else if (i == 1) {
        send_rc[value - 100] = 0;
        n_sent++;
    }
    memset(arms, 0x5a, sizeof arms);
    write_over();
}

static int arms_far(void *unused)
{
    (void)unused;
    int r = hob_chan_new(sizeof(uint64_t), NULL, &other); /* its home is here */

    started = true;
    if (r < 0)
        return r;
    select_both(chan, other, 101);
    return 0;
}

static int arms_near(hob_group *g)
{
    (void)g;
    select_both(other, chan, 100);
    return 0;
}

static int first_arms(void *arg)
{
    int r = first(arg);

    hob_chan_free(other);
    return r;
}

static void arms_reset(void)
{
    reset(arms_far, arms_near);
    loops_rt.fn = first_arms;
    other = NULL;
}

int main(void)
{
    struct explore_case cases[] = {
        {"meet", meet_reset, {loops_0, loops_1}, check_meet, 3},
        {"late", late_reset, {loops_0, loops_1, loops_clock}, check_meet, 2},
        {"time", time_reset, {loops_0, loops_1, loops_clock}, check, 2},
        {"home", home_reset, {loops_0, loops_1, loops_clock}, check, 2},
        {"cancel", cancel_reset, {loops_0, loops_1}, check, 3},
        {"close", close_reset, {loops_0, loops_1, loops_clock}, check, 2},
        {"thread", thread_reset, {loops_0, thread, loops_clock}, check, 3},
        {"select", select_reset, {loops_0, loops_1, loops_clock}, check, 2},
        {"arms", arms_reset, {loops_0, loops_1, loops_clock}, check, 2},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cases[i].switched = loops_switched;
        cases[i].over = loops_over;
        printf("%s: %lu schedules\n", cases[i].name, explore(&cases[i]));
        fflush(stdout);
    }
    return 0;
}
