/* SPDX-License-Identifier: MIT
 *
 * test_select_away.c - selects meet selects, on one loop and on several
 */
#include <hob/hob.h>

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/each.h"
#include "lib/t.h"

static int chan_new(uint32_t slots, hob_chan **ret)
{
    return hob_chan_new(sizeof(int), HOB_CHAN_OPTS(.slots = slots), ret);
}

enum { DANCERS = 4, DANCES = 8, FLOORS = 3 };

/* Everybody offers and takes on every floor: each dance is one's sending and another's receiving.
 */
static int n_danced; /* in all worlds */

struct ball {
    hob_chan *floor[FLOORS];
    _Atomic(int) sent[FLOORS], got[FLOORS], sum;
    bool spread, ordered;
    uint32_t slots;
};

static void ball_reset(void *arg)
{
    struct ball *b = arg;

    for (int i = 0; i < FLOORS; i++) {
        n_danced += b->sent[i];
        b->sent[i] = b->got[i] = 0;
    }
    b->sum = 0;
}

static int dancer(void *arg)
{
    struct ball *b = arg;
    int r = 0;

    for (int k = 1; k <= DANCES && r >= 0; k++) {
        struct hob_arm arms[2 * FLOORS];
        int in[FLOORS] = {0}, out = k;
        for (int i = 0; i < FLOORS; i++) {
            arms[2 * i] = (struct hob_arm)HOB_ON_SEND(b->floor[i], &out);
            arms[2 * i + 1] = (struct hob_arm)HOB_ON_RECV(b->floor[i], &in[i]);
        }
        r = b->ordered ? hob_select_ordered(arms, 2 * FLOORS, hob_in(20 * HOB_MS))
                       : hob_select(arms, 2 * FLOORS, hob_in(20 * HOB_MS));
        if (r == -ETIMEDOUT) /* nobody is left to dance with */
            return 0;
        for (int i = 0; i < FLOORS; i++)
            CHECK((in[i] != 0) == (r == 2 * i + 1));
        if (r >= 0 && r % 2 == 0) {
            b->sent[r / 2]++;
            b->sum += out;
        } else if (r >= 0) {
            b->got[r / 2]++;
            b->sum -= in[r / 2];
        }
    }
    return r < 0 ? r : 0;
}

static int dance(void *arg)
{
    struct ball *b = arg;
    hob_group g;
    int r = 0, v;

    for (int i = 0; i < FLOORS; i++)
        if ((r = chan_new(b->slots, &b->floor[i])) < 0)
            return r;
    r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = b->spread));
    for (int i = 0; i < DANCERS && r == 0; i++)
        r = hob_go(&g, dancer, b);
    r = hob_group_join(&g, r);
    for (int i = 0; i < FLOORS; i++) {
        while (hob_chan_recv(b->floor[i], 0, &v) == 0) {
            b->got[i]++;
            b->sum -= v;
        }
        CHECK_INT(b->sent[i], b->got[i]);
        hob_chan_free(b->floor[i]);
    }
    CHECK_INT(b->sum, 0);
    return r;
}

TEST(selects_that_meet_transfer_once)
{
    for (int k = 0; k < 8; k++) {
        struct ball b = {.spread = k & 1, .ordered = k & 2, .slots = k & 4 ? 1 : 0};
        t_timeout(20);
        each_world_run(dance, &b, ball_reset, 0);
    }
    CHECK(n_danced > 8 * each_seeds());
}

/* Floors of several loops: each loop's own fiber makes one, so that arms are home and away. */
struct floors {
    struct ball ball;
    _Atomic(int) begun, made;
    hob_event done, ready;
};

static int floor_owner(void *arg)
{
    struct floors *f = arg;
    int i = f->begun++, r, v;

    if ((r = chan_new(f->ball.slots, &f->ball.floor[i])) < 0)
        return r;
    if (++f->made == FLOORS && (r = hob_event_set(&f->ready)) < 0)
        return r;
    r = hob_event_wait(&f->done, HOB_FOREVER);
    CHECK_INT(r, 0); /* somebody may be in the channel else */
    while (hob_chan_recv(f->ball.floor[i], 0, &v) == 0) {
        f->ball.got[i]++;
        f->ball.sum -= v;
    }
    CHECK_INT(f->ball.sent[i], f->ball.got[i]);
    hob_chan_free(f->ball.floor[i]);
    return r;
}

static int dance_everywhere(void *arg)
{
    struct floors *f = arg;
    hob_group owners, g;
    int r;

    f->begun = f->made = 0;
    if ((r = hob_event_init(&f->done, NULL)) < 0 || (r = hob_event_init(&f->ready, NULL)) < 0 ||
        (r = hob_group_open(&owners, HOB_GROUP_OPTS(.spread = true))) < 0)
        return r;
    for (int i = 0; i < FLOORS && r == 0; i++)
        r = hob_go(&owners, floor_owner, f);
    if (r == 0)
        r = hob_event_wait(&f->ready, HOB_FOREVER);
    if (r == 0)
        r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));
    if (r < 0)
        return hob_group_join(&owners, r);
    for (int i = 0; i < DANCERS && r == 0; i++)
        r = hob_go(&g, dancer, &f->ball);
    r = hob_group_join(&g, r);
    CHECK_INT(hob_event_set(&f->done), 0);
    r = hob_group_join(&owners, r);
    CHECK_INT(f->ball.sum, 0);
    return r;
}

static void floors_reset(void *arg)
{
    ball_reset(&((struct floors *)arg)->ball);
}

TEST(arms_of_several_loops_happen_once)
{
    for (int k = 0; k < 4; k++) {
        struct floors f = {.ball = {.ordered = k & 1, .slots = k & 2 ? 1 : 0}};
        t_timeout(20);
        each_world_run(dance_everywhere, &f, floors_reset, 0);
    }
    CHECK(n_danced > 4 * each_seeds());
}

TEST(stress_on_two_and_four_loops)
{
    static const char *const loops[] = {"2", "4"};

    t_timeout(120);
    for (int k = 0; k < t_times(200, 8); k++) {
        struct floors f = {.ball = {.ordered = k & 1, .slots = k & 2 ? 1 : 0}};
        setenv("HOB_LOOPS", loops[k & 1], 1);
        floors_reset(&f);
        CHECK_INT(hob_run(NULL, dance_everywhere, &f), 0);
    }
}

/* --- cancelled on its own loop, while what happened on another is on its way ------------------ */

struct cut {
    hob_chan *ch;
    _Atomic(int) sent, received;
};

static void cut_reset(void *arg)
{
    ((struct cut *)arg)->sent = ((struct cut *)arg)->received = 0;
}

static int cut_receiver(void *arg)
{
    struct cut *c = arg;
    int v, r;
    struct hob_arm arms[] = {HOB_ON_RECV(c->ch, &v), HOB_ON_TIME(HOB_FOREVER)};

    while ((r = hob_select(arms, 2, HOB_FOREVER)) == 0 && arms[0].rc == 0)
        c->received++;
    return r < 0 ? r : 0;
}

static int cutter(void *arg)
{
    int r = 0;
    hob_group g;

    for (int k = 0; k < 8 && r == 0; k++) {
        if ((r = hob_group_open(&g, NULL)) < 0)
            return r;
        r = hob_go(&g, cut_receiver, arg);
        for (int i = 0; i < k && r == 0; i++)
            r = hob_yield();
        if (r == 0)
            hob_group_cancel(&g, 0);
        r = hob_group_join(&g, r);
    }
    return r;
}

static int cut_sender(void *arg)
{
    struct cut *c = arg;
    int r = 0;

    for (int v = 0; v < 30 && (r == 0 || r == -ETIMEDOUT); v++)
        if ((r = hob_chan_send(c->ch, &v, hob_in(50 * HOB_US))) == 0)
            c->sent++;
    return r == -ETIMEDOUT ? 0 : r;
}

static int cut_off(void *arg)
{
    struct cut *c = arg;
    hob_group g;
    int r;

    if ((r = chan_new(0, &c->ch)) < 0 ||
        (r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true))) < 0)
        return r;
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, cutter, c);
    if (r == 0)
        r = cut_sender(c);
    r = hob_group_join(&g, r);
    CHECK_INT(c->sent, c->received);
    hob_chan_free(c->ch);
    return r;
}

TEST(a_cancel_comes_too_late_for_what_has_happened_elsewhere)
{
    struct cut c = {.ch = NULL};

    t_timeout(8);
    each_world_run(cut_off, &c, cut_reset, 0);
}

/* --- an arm that is surely away --------------------------------------------------------------- */

struct far {
    hob_chan *far;
    hob_event event;
    _Atomic(bool) there;
};

static int near_sender(void *arg)
{
    int v = 8;

    return hob_chan_send(arg, &v, 0);
}

/* While the arm that is away is asked, the one of this loop becomes possible. */
static int near_meanwhile(struct hob_arm *arms, hob_chan *near)
{
    int r = 0;

    for (int k = 0; k < 20 && r == 0; k++) {
        hob_group g;
        if ((r = hob_group_open(&g, NULL)) < 0)
            return r;
        r = hob_go(&g, near_sender, near);
        if (r == 0)
            CHECK_INT(k % 2 ? hob_select(arms, 3, HOB_FOREVER)
                            : hob_select_ordered(arms, 3, HOB_FOREVER),
                      1);
        r = hob_group_join(&g, r);
    }
    return r;
}

/* On loop 1, while loop 0 has the channel. */
static int far_select(void *arg)
{
    struct far *f = arg;
    int v = -1, out = 4, n = 0, r;
    hob_chan *near;

    f->there = true;
    CHECK_INT(hob_loop_index(), 1);
    if ((r = chan_new(1, &near)) < 0)
        return r;
    struct hob_arm arms[] = {HOB_ON_RECV(f->far, &v), HOB_ON_RECV(near, &v),
                             HOB_ON_EVENT(&f->event), HOB_ON_DEFAULT()};
    CHECK_INT(hob_select(arms, 3, 0), -ETIMEDOUT);
    CHECK_INT(hob_select_ordered(arms, 4, HOB_FOREVER), 3);
    CHECK_INT(hob_select(arms, 3, hob_in(50 * HOB_US)), -ETIMEDOUT);
    if ((r = near_meanwhile(arms, near)) < 0)
        return r;
    struct hob_arm near_first[] = {arms[3], arms[1], arms[0]};
    near_first[0].kind = HOB_ARM_NONE;
    if ((r = near_meanwhile(near_first, near)) < 0)
        return r;
    for (int k = 0; k < 20; k++) { /* only that of this loop can happen */
        CHECK_INT(hob_chan_send(near, &out, 0), 0);
        CHECK_INT(hob_select(arms, 3, HOB_FOREVER), 1);
    }
    CHECK_INT(hob_chan_send(f->far, &out, 0), 0);
    CHECK_INT(hob_select(arms, 3, 0), 0);
    CHECK_INT(v, 4);
    CHECK_INT(hob_chan_send(near, &out, 0), 0);
    CHECK_INT(hob_select_ordered(arms, 3, 0), 1);
    for (int k = 0; k < 400; k++) { /* both can happen */
        (void)!hob_chan_send(near, &out, 0);
        (void)!hob_chan_send(f->far, &out, 0);
        r = hob_select(arms, 4, HOB_FOREVER);
        CHECK(r == 0 || r == 1);
        n += r == 0;
    }
    CHECK(n > 100 && n < 300); /* 200 expected, and 10 the standard deviation */
    (void)!hob_chan_send(near, &out, 0);
    (void)!hob_chan_send(f->far, &out, 0);
    CHECK_INT(hob_select_ordered(arms, 4, HOB_FOREVER), 0);
    CHECK_INT(hob_event_set(&f->event), 0);
    arms[0].kind = arms[1].kind = HOB_ARM_NONE;
    CHECK_INT(hob_select(arms, 3, HOB_FOREVER), 2);
    hob_chan_close(f->far);
    arms[0].kind = HOB_ARM_RECV;
    CHECK_INT(hob_select_ordered(arms, 3, HOB_FOREVER), 0);
    CHECK_INT(arms[0].rc, -EPIPE);
    hob_chan_free(near);
    return 0;
}

static int far_away(void *arg)
{
    struct far *f = arg;
    hob_group g;
    int r;

    f->there = false;
    if ((r = chan_new(1, &f->far)) < 0 || (r = hob_event_init(&f->event, NULL)) < 0 ||
        (r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true))) < 0)
        return r;
    r = hob_go(&g, far_select, f);
    while (r == 0 && !f->there) /* this loop does not turn: the other one takes it */
        sched_yield();
    r = hob_group_join(&g, r);
    hob_chan_free(f->far);
    return r;
}

TEST(what_is_away_is_asked)
{
    static const char *const polls[] = {"epoll", "uring"};

    t_timeout(8);
    setenv("HOB_LOOPS", "2", 1);
    for (int i = 0; i < 2; i++) {
        struct far f = {.far = NULL};
        setenv("HOB_POLL", polls[i], 1);
        int r = hob_run(NULL, far_away, &f);
        if (i == 1 && (r == -ENOSYS || r == -EPERM))
            break; /* no io_uring here: test_poll says so */
        each_check(r, 0);
    }
}
