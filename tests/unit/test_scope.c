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
    if (r || hob_group_join(&b, 0) != 0 || hob_group_join(&a, 0) != 0)
        return -EPROTO;
    hob_group_cancel(&outer, -ESTALE);
    if (hob_check() != -ECANCELED || hob_group_join(&c, 0) != -ECANCELED)
        return -EPROTO;
    return hob_group_join(&outer, 0);
}

TEST(groups_joined_in_any_order_stay_inside_what_is_around_them)
{
    each_world_run(joins_in_any_order, NULL, NULL, -ESTALE);
}
