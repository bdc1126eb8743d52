/* SPDX-License-Identifier: MIT */
#include <hob/hob.h>

#include "lib/each.h"
#include "lib/t.h"

static int sleeps_long(void *arg)
{
    (void)arg;
    return hob_sleep(HOB_MIN * 60);
}

/* `b` and `a` go from the middle of the opener's chain; what is inside `outer` stays inside it. */
static int joins_in_any_order(void *arg)
{
    hob_group outer, a, b, c;
    int r = hob_group_open(&outer, NULL);

    (void)arg;
    r = r ? r : hob_group_open(&a, NULL);
    r = r ? r : hob_group_open(&b, NULL);
    r = r ? r : hob_group_open(&c, NULL);
    r = r ? r : hob_go(&c, sleeps_long, NULL);
    r = r ? r : hob_yield();
    CHECK_INT(r, 0);
    CHECK_INT(hob_group_join(&b, 0), 0);
    CHECK_INT(hob_group_join(&a, 0), 0);
    hob_group_cancel(&outer, -ESTALE);
    CHECK_INT(hob_check(), -ECANCELED);
    CHECK_INT(hob_group_join(&c, 0), -ECANCELED);
    return hob_group_join(&outer, 0);
}

TEST(groups_joined_in_any_order_stay_inside_what_is_around_them)
{
    each_world_run(joins_in_any_order, NULL, NULL, -ESTALE);
}

/* --- shields with an end ------------------------------------------------------------------------
 */

struct shield {
    hob_dur holds; /* the outer shield's time */
    hob_dur inner; /* of one inside it; 0: none */
    hob_dur work;
    hob_time until;      /* from now; 0: none */
    bool spread, before; /* the scope is cancelled before it is opened */
    int want;
    bool right; /* so it was */
};

static hob_time cancelled_at;

static int naps(void *arg)
{
    return hob_sleep(*(hob_dur *)arg);
}

static int works_inside(struct shield *s)
{
    hob_group g;
    int r;

    if (!s->inner)
        return naps(&s->work);
    r = hob_group_open(&g, HOB_GROUP_OPTS(.shield_ns = s->inner));
    if (r == 0)
        r = naps(&s->work);
    return hob_group_join(&g, r);
}

static int works_shielded(void *arg)
{
    struct shield *s = arg;
    hob_group g;
    hob_dur took;
    int r;

    while (s->before && hob_check() == 0)
        (void)!hob_yield();
    r = hob_group_open(&g, HOB_GROUP_OPTS(.shield_ns = s->holds, .spread = s->spread,
                                          .until = s->until ? hob_in(s->until) : 0));
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, naps, &s->work);
    if (r == 0)
        r = works_inside(s);
    r = hob_group_join(&g, r);
    took = hob_now() - cancelled_at;
    if (r == s->want && (r != -ECANCELED || took >= s->holds + s->inner))
        s->right = hob_yield() == -ECANCELED; /* outside the shield nothing has changed */
    return 0;
}

static int cancels_a_shield(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, NULL);

    if (r == 0)
        r = hob_go(&g, works_shielded, arg);
    if (r == 0)
        r = hob_sleep(100 * HOB_US);
    cancelled_at = hob_now();
    hob_group_cancel(&g, -ESTALE);
    r = hob_group_join(&g, r);
    return ((struct shield *)arg)->right ? r : -EPROTO;
}

static void not_right(void *arg)
{
    ((struct shield *)arg)->right = false;
}

TEST(a_shield_holds_a_cancel_off_for_its_time)
{
    struct shield all[] = {
        {.holds = HOB_FOREVER, .work = HOB_MS},
        {.holds = HOB_MIN, .work = HOB_MS, .spread = true},
        {.holds = HOB_MS, .work = 3600 * HOB_SEC, .want = -ECANCELED},
        {.holds = HOB_MS, .work = 3600 * HOB_SEC, .spread = true, .want = -ECANCELED},
        {.holds = HOB_MS, .work = 3600 * HOB_SEC, .before = true, .want = -ECANCELED},
        {.holds = HOB_MS, .inner = HOB_MS, .work = 3600 * HOB_SEC, .want = -ECANCELED},
        {.holds = HOB_MIN, .until = HOB_MS, .work = 3600 * HOB_SEC, .want = -ETIMEDOUT},
        {.holds = HOB_FOREVER, .until = HOB_MS, .work = 3600 * HOB_SEC, .want = -ETIMEDOUT},
    };

    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
        each_world_run(cancels_a_shield, &all[i], not_right, -ESTALE);
}

static int outlasts_its_shield(void *arg)
{
    hob_dur work = 3 * HOB_MS;
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.shield_ns = HOB_US));

    (void)arg;
    if (r == 0)
        r = naps(&work);
    return hob_group_join(&g, r);
}

TEST(a_shield_that_nothing_hits_has_no_end)
{
    each_world_run(outlasts_its_shield, NULL, NULL, 0);
}

/* The shield's end is a cancel from outside like any other: told to all around it. */
static int deadline_behind_a_shield(void *arg)
{
    hob_group outer, shield;
    int r = hob_group_open(&outer, HOB_GROUP_OPTS(.until = hob_in(HOB_MS)));

    (void)arg;
    if (r == 0)
        r = hob_group_open(&shield, HOB_GROUP_OPTS(.shield_ns = HOB_MS));
    if (r == 0)
        r = hob_sleep(3600 * HOB_SEC);
    if (hob_group_join(&shield, 0) != -ECANCELED || r != -ECANCELED)
        return -EPROTO;
    return hob_group_join(&outer, 0);
}

TEST(who_is_cancelled_behind_a_shield_was_told_for_those_around_it)
{
    each_world_run(deadline_behind_a_shield, NULL, NULL, -ETIMEDOUT);
}
