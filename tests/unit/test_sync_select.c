/* SPDX-License-Identifier: MIT
 *
 * test_sync_select.c - exactly one arm happens, and those that lose have had no effect
 *
 * Named after its folder too: test_select.c is of the tool's selectors.
 */
#include <hob/hob.h>

#include <stdatomic.h>
#include <stdlib.h>

#include "lib/each.h"
#include "lib/t.h"

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

static _Atomic(int) n_allocated;

void *__wrap_malloc(size_t size)
{
    n_allocated++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    n_allocated++;
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    n_allocated++;
    return __real_realloc(old, size);
}

static int chan_new(uint32_t slots, hob_chan **ret)
{
    return hob_chan_new(sizeof(int), HOB_CHAN_OPTS(.slots = slots), ret);
}

/* --- what can happen at once ------------------------------------------------------------------ */

static int at_once(void *arg)
{
    int in = -1, out = 7, r;
    hob_chan *full, *empty;
    hob_event event;

    (void)arg;
    if ((r = chan_new(1, &full)) < 0 || (r = chan_new(1, &empty)) < 0)
        return r;
    if ((r = hob_event_init(&event, NULL)) < 0)
        return r;
    struct hob_arm arms[] = {HOB_ON_RECV(empty, &in), HOB_ON_EVENT(&event),
                             HOB_ON_TIME(hob_in(HOB_SEC)), HOB_ON_SEND(full, &out),
                             HOB_ON_DEFAULT()};
    CHECK_INT(hob_select(arms, 4, 0), 3);
    CHECK_INT(arms[3].rc, 0);
    CHECK_INT(hob_select(arms, 4, 0), -ETIMEDOUT); /* now it is full */
    CHECK_INT(hob_select_ordered(arms, 4, 0), -ETIMEDOUT);
    CHECK_INT(hob_select(arms, 5, HOB_FOREVER), 4);
    CHECK_INT(hob_select_ordered(arms, 5, HOB_FOREVER), 4);
    CHECK_INT(hob_select(arms, 0, 0), -ETIMEDOUT);
    CHECK_INT(hob_select(arms, 3, hob_in(10 * HOB_US)), -ETIMEDOUT);
    CHECK_INT(in, -1); /* untouched */
    arms[0].chan = full;
    CHECK_INT(hob_select(arms, 3, 0), 0);
    CHECK_INT(in, 7);
    arms[3].kind = HOB_ARM_NONE;
    CHECK_INT(hob_select(arms, 5, 0), 4);
    CHECK_INT(hob_event_set(&event), 0);
    CHECK_INT(hob_select(arms, 5, HOB_FOREVER), 1);
    arms[1].kind = HOB_ARM_NONE;
    arms[2].time = hob_in(0);
    CHECK_INT(hob_select(arms, 4, HOB_FOREVER), 2);
    hob_chan_free(full);
    hob_chan_free(empty);
    return 0;
}

TEST(what_can_happen_at_once_does_and_else_the_default)
{
    each_world_run(at_once, NULL, NULL, 0);
}

static int closed_arms(void *arg)
{
    int in = -1, out = 7, r;
    hob_chan *ch;

    (void)arg;
    if ((r = chan_new(2, &ch)) < 0)
        return r;
    struct hob_arm arms[] = {HOB_ON_RECV(ch, &in), HOB_ON_SEND(ch, &out)};
    CHECK_INT(hob_chan_send(ch, &out, 0), 0);
    hob_chan_close(ch);
    CHECK_INT(hob_select_ordered(arms, 2, HOB_FOREVER), 0);
    CHECK_INT(arms[0].rc, 0);
    CHECK_INT(in, 7);
    in = -1;
    CHECK_INT(hob_select_ordered(arms, 2, HOB_FOREVER), 0); /* drained */
    CHECK_INT(arms[0].rc, -EPIPE);
    CHECK_INT(in, -1);
    arms[0].kind = HOB_ARM_NONE;
    CHECK_INT(hob_select(arms, 2, 0), 1);
    CHECK_INT(arms[1].rc, -EPIPE);
    hob_chan_free(ch);
    return 0;
}

TEST(a_closed_channel_is_that_arms_result)
{
    each_world_run(closed_arms, NULL, NULL, 0);
}

TEST(off_a_fiber_there_is_no_select)
{
    CHECK_INT(hob_select(NULL, 0, HOB_FOREVER), -EPERM);
}

/* --- each kind wakes -------------------------------------------------------------------------- */

struct wakes {
    hob_chan *in, *out;
    hob_event event;
    int way, got;
};

static int waker(void *arg)
{
    struct wakes *w = arg;
    int v = 5;

    switch (w->way) {
    case 0:
        return hob_chan_send(w->in, &v, HOB_FOREVER);
    case 1:
        return hob_chan_recv(w->out, HOB_FOREVER, &w->got);
    case 2:
        return hob_event_set(&w->event);
    case 3:
        hob_chan_close(w->in);
        return 0;
    default:
        return 0; /* its end is the news */
    }
}

static int woken_by(struct wakes *w, int way, bool spread, bool ordered)
{
    int v = -1, out = 6, r, i;
    hob_group g;

    w->way = way;
    w->got = -1;
    if ((r = chan_new(0, &w->in)) < 0 || (r = chan_new(0, &w->out)) < 0 ||
        (r = hob_event_init(&w->event, NULL)) < 0 ||
        (r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = spread))) < 0)
        return r;
    struct hob_arm arms[] = {
        HOB_ON_RECV(w->in, &v), HOB_ON_SEND(w->out, &out), HOB_ON_EVENT(&w->event),
        HOB_ON_TIME(hob_in(way == 5 ? HOB_MS : 3600 * HOB_SEC)), HOB_ON_IDLE(&g)};
    size_t n = way == 4 ? 5 : 4;
    r = way == 5 ? 0 : hob_go(&g, waker, w);
    if (r < 0)
        return hob_group_join(&g, r);
    i = ordered ? hob_select_ordered(arms, n, HOB_FOREVER) : hob_select(arms, n, HOB_FOREVER);
    r = hob_group_join(&g, 0);
    CHECK_INT(i, way == 3 ? 0 : way == 4 ? 4 : way == 5 ? 3 : way);
    CHECK_INT(arms[i].rc, way == 3 ? -EPIPE : 0);
    CHECK_INT(v, way == 0 ? 5 : -1);
    CHECK_INT(w->got, way == 1 ? 6 : -1);
    hob_chan_free(w->in); /* aborts if an arm still stands in it */
    hob_chan_free(w->out);
    return r;
}

static int each_way(void *arg)
{
    struct wakes w;
    int r = 0;

    for (int way = 0; way <= 5 && r == 0; way++)
        for (int k = 0; k < 4 && r == 0; k++)
            r = woken_by(&w, way, k & 1, k & 2);
    (void)arg;
    return r;
}

TEST(each_kind_of_arm_wakes)
{
    each_world_run(each_way, NULL, NULL, 0);
}

/* --- order ------------------------------------------------------------------------------------ */

static int order_of(void *arg)
{
    int n[4] = {0}, v, r;
    hob_chan *ch[4];
    struct hob_arm arms[4];

    (void)arg;
    memset(arms, 0, sizeof arms);
    for (int i = 0; i < 4; i++) {
        if ((r = chan_new(1, &ch[i])) < 0)
            return r;
        arms[i] = (struct hob_arm)HOB_ON_RECV(ch[i], &v);
    }
    for (int k = 0; k < 3000; k++) { /* ch[0] never can; the others always */
        for (int i = 1; i < 4; i++)
            (void)!hob_chan_send(ch[i], &i, 0);
        int i = hob_select(arms, 4, HOB_FOREVER);
        CHECK(i >= 1 && v == i);
        n[i]++;
    }
    for (int i = 1; i < 4; i++) /* 1000 expected, and 26 the standard deviation */
        CHECK(n[i] > 800);
    for (int k = 0; k < 20; k++) {
        for (int i = 1; i < 4; i++)
            (void)!hob_chan_send(ch[i], &i, 0);
        CHECK_INT(hob_select_ordered(arms, 4, HOB_FOREVER), 1);
    }
    for (int i = 0; i < 4; i++)
        hob_chan_free(ch[i]);
    return 0;
}

TEST(fair_unless_asked_for_an_order)
{
    CHECK_INT(hob_run(NULL, order_of, NULL), 0);
    setenv("HOB_SIM", "3", 1);
    CHECK_INT(hob_run(NULL, order_of, NULL), 0);
}

/* --- an arm and its own select
 * --------------------------------------------------------------------- */

static int same_channel(void *arg)
{
    int in = -1, out = 1, r;
    hob_chan *ch;

    (void)arg;
    if ((r = chan_new(0, &ch)) < 0)
        return r;
    struct hob_arm arms[] = {HOB_ON_RECV(ch, &in), HOB_ON_SEND(ch, &out)};
    CHECK_INT(hob_select(arms, 2, 0), -ETIMEDOUT);
    CHECK_INT(hob_select(arms, 2, hob_in(20 * HOB_US)), -ETIMEDOUT);
    CHECK_INT(hob_select_ordered(arms, 2, hob_in(20 * HOB_US)), -ETIMEDOUT);
    CHECK_INT(in, -1);
    hob_chan_free(ch);
    return 0;
}

TEST(two_arms_of_one_select_never_meet)
{
    each_world_run(same_channel, NULL, NULL, 0);
}

/* --- cancelled and timed out ------------------------------------------------------------------ */

struct torn {
    hob_chan *a, *b;
    _Atomic(int) sent, received;
    bool spread;
};

static void torn_reset(void *arg)
{
    ((struct torn *)arg)->sent = ((struct torn *)arg)->received = 0;
}

static int torn_select(struct torn *t, bool send, hob_dur patience)
{
    int v = 1, in = 0, r;
    struct hob_arm arms[] = {HOB_ON_SEND(t->a, &v), HOB_ON_SEND(t->b, &v), HOB_ON_TIME(0)};

    for (;;) {
        if (!send) {
            arms[0] = (struct hob_arm)HOB_ON_RECV(t->a, &in);
            arms[1] = (struct hob_arm)HOB_ON_RECV(t->b, &in);
        }
        arms[2].time = hob_in(patience);
        r = hob_select(arms, 2 + (v & 1), hob_in(patience));
        if (r == 0 || r == 1)
            send ? t->sent++ : t->received++;
        else if (r != 2 && r != -ETIMEDOUT)
            return r;
        if (v++ % 3 == 0 && (r = hob_sleep(2 * patience)) < 0)
            return r;
    }
}

static int torn_sender(void *arg)
{
    return torn_select(arg, true, 100 * HOB_US);
}

static int torn_receiver(void *arg)
{
    return torn_select(arg, false, 150 * HOB_US);
}

static int torn_apart(void *arg)
{
    struct torn *t = arg;
    hob_group g;
    int left = 0, v, r;

    if ((r = chan_new(0, &t->a)) < 0 || (r = chan_new(2, &t->b)) < 0)
        return r;
    r = hob_group_open(&g, HOB_GROUP_OPTS(.until = hob_in(3 * HOB_MS), .spread = t->spread));
    for (int i = 0; i < 6 && r == 0; i++)
        r = hob_go(&g, i % 2 ? torn_receiver : torn_sender, t);
    r = hob_group_join(&g, r);
    while (hob_chan_recv(t->b, 0, &v) == 0)
        left++;
    hob_chan_free(t->a);
    hob_chan_free(t->b);
    if (r != -ETIMEDOUT)
        return r;
    return t->sent == t->received + left ? 0 : -EPROTO;
}

TEST(cancel_and_time_out_lose_nothing)
{
    struct torn home = {.spread = false}, away = {.spread = true};

    t_timeout(60);
    each_world_run(torn_apart, &home, torn_reset, 0);
    each_world_run(torn_apart, &away, torn_reset, 0);
}

static int in_a_cancelled_scope(void *arg)
{
    int v = 1, r;
    hob_chan *ch;
    hob_group g;

    (void)arg;
    if ((r = chan_new(1, &ch)) < 0 || (r = hob_group_open(&g, NULL)) < 0)
        return r;
    struct hob_arm arms[] = {HOB_ON_SEND(ch, &v), HOB_ON_DEFAULT()};
    hob_group_cancel(&g, 0);
    CHECK_INT(hob_select(arms, 2, HOB_FOREVER), -ECANCELED); /* although it would not wait */
    CHECK_INT(hob_group_join(&g, 0), 0);
    CHECK_INT(hob_chan_recv(ch, 0, &v), -ETIMEDOUT);
    hob_chan_free(ch);
    return 0;
}

TEST(a_cancelled_scope_lets_no_arm_happen)
{
    each_world_run(in_a_cancelled_scope, NULL, NULL, 0);
}

struct late {
    hob_chan *ch;
    hob_group g;
    int got, next;
};

static int late_receiver(void *arg)
{
    struct late *l = arg;
    int v = 0;
    struct hob_arm arms[] = {HOB_ON_RECV(l->ch, &v)};

    l->got = hob_select(arms, 1, HOB_FOREVER);
    CHECK_INT(v, l->got == 0 ? 9 : 0);
    l->next = hob_check();
    return 0;
}

/* An arm has happened, and before its fiber runs there is a cancel. */
static int result_then_cancel(void *arg)
{
    struct late l = {.got = -1};
    int v = 9, r;

    (void)arg;
    if ((r = chan_new(0, &l.ch)) < 0 || (r = hob_group_open(&l.g, NULL)) < 0)
        return r;
    r = hob_go(&l.g, late_receiver, &l);
    while (r == 0 && (r = hob_chan_send(l.ch, &v, 0)) == -ETIMEDOUT)
        r = hob_yield();
    hob_group_cancel(&l.g, -ESTALE);
    CHECK_INT(hob_group_join(&l.g, r), -ESTALE);
    CHECK_INT(l.got, 0);
    CHECK_INT(l.next, -ECANCELED);
    hob_chan_free(l.ch);
    return 0;
}

TEST(result_or_cancel_never_both)
{
    each_world_run(result_then_cancel, NULL, NULL, 0);
}

/* --- nothing is allocated --------------------------------------------------------------------- */

static int without_memory(void *arg)
{
    int before, out = 1, in, r;
    hob_chan *ch;

    (void)arg;
    if ((r = chan_new(1, &ch)) < 0)
        return r;
    struct hob_arm arms[] = {HOB_ON_SEND(ch, &out), HOB_ON_RECV(ch, &in), HOB_ON_TIME(HOB_FOREVER)};
    before = n_allocated;
    for (int i = 0; i < 100; i++)
        if ((r = hob_select(arms, 3, hob_in(HOB_SEC))) < 0)
            return r;
    arms[0].kind = HOB_ARM_NONE;
    while (hob_select(arms, 3, hob_in(HOB_US)) >= 0)
        continue;
    CHECK_INT(n_allocated - before, 0);
    hob_chan_free(ch);
    return 0;
}

TEST(a_select_allocates_nothing)
{
    CHECK_INT(hob_run(NULL, without_memory, NULL), 0);
}
