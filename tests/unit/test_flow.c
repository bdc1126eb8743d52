/* SPDX-License-Identifier: MIT */
#include <hob/flow.h>
#include <hob/hob.h>

#include <stdatomic.h>
#include <stdlib.h>

#include "lib/each.h"
#include "lib/t.h"

enum { N_MAX = 400 };

/* Items are numbers 1..n; item k makes items 2k and 2k+1 when it is stored, like a crawl. */
struct world {
    hob_flow *flow;
    hob_lane *lane;
    int n;            /* numbers up to here */
    int found[N_MAX]; /* numbers that wait in the source: a stack */
    int n_found;
    _Atomic(int) fetching, fetching_most, parsing, parsing_most;
    int left[N_MAX + 1], left_ok, left_failed, left_cancelled;
    int batches, batch_most;
    int stop_at; /* number at whose fetch the flow is stopped */
    int lane_fails_at;
    int source_fails_at, given;
    hob_dur pause; /* of the source, once */
};

static void world_reset(void *arg)
{
    struct world *w = arg, fresh = {.n = w->n,
                                    .stop_at = w->stop_at,
                                    .pause = w->pause,
                                    .lane_fails_at = w->lane_fails_at,
                                    .source_fails_at = w->source_fails_at};

    *w = fresh;
}

static int number(void *item)
{
    return (int)(intptr_t)item;
}

static int w_next(void *ctx, void **ret_item, hob_time *ret_again)
{
    struct world *w = ctx;

    if (w->source_fails_at && w->given == w->source_fails_at)
        return -EDOM;
    if (w->pause) {
        *ret_again = hob_in(w->pause);
        w->pause = 0;
        return 0;
    }
    if (w->n_found == 0)
        return 0;
    *ret_item = (void *)(intptr_t)w->found[--w->n_found];
    w->given++;
    return 1;
}

static void most(_Atomic(int) *to, int n)
{
    int seen = *to;

    while (n > seen && !atomic_compare_exchange_weak(to, &seen, n))
        continue;
}

static int w_fetch(void *ctx, void *item)
{
    struct world *w = ctx;
    int r;

    most(&w->fetching_most, ++w->fetching);
    r = hob_sleep(number(item) % 5 * 100 * HOB_US);
    w->fetching--;
    if (number(item) == w->stop_at)
        hob_flow_stop(w->flow, -ESTALE);
    if (r < 0)
        return r;
    return number(item) % 7 == 0 ? -EIO : 0;
}

static int w_parse(void *ctx, void *item)
{
    struct world *w = ctx;

    most(&w->parsing_most, ++w->parsing);
    w->parsing--;
    return number(item) % 11 == 0 ? -EBADMSG : 0;
}

static int w_store(void *ctx, void **items, size_t n)
{
    struct world *w = ctx;

    w->batches++;
    if ((int)n > w->batch_most)
        w->batch_most = (int)n;
    for (size_t i = 0; i < n; i++) {
        int k = number(items[i]);
        if (k == w->lane_fails_at)
            return -ENOSPC;
    }
    return 0;
}

static void w_leave(void *ctx, void *item, unsigned stage, int rc)
{
    struct world *w = ctx;
    int k = number(item);

    CHECK_INT(w->left[k]++, 0); /* exactly once */
    CHECK(stage < 3);
    if (rc == 0)
        w->left_ok++;
    else if (rc == -ECANCELED)
        w->left_cancelled++;
    else
        w->left_failed++;
    if (rc == -ECANCELED)
        return;
    for (int child = 2 * k; child <= 2 * k + 1; child++)
        if (child <= w->n)
            w->found[w->n_found++] = child;
}

static int w_run(void *arg)
{
    struct world *w = arg;
    int r = hob_lane_new("store", &w->lane);

    CHECK_INT(r, 0);
    struct hob_stage stages[] = {
        HOB_STAGE(.name = "fetch", .kind = HOB_IO, .run = w_fetch, .width = 8),
        HOB_STAGE(.name = "parse", .kind = HOB_CPU, .run = w_parse, .width = 2),
        HOB_STAGE(.name = "store", .kind = HOB_LANE, .run_batch = w_store, .lane = w->lane,
                  .batch = 5, .batch_ms = 1),
    };
    w->found[w->n_found++] = 1;
    CHECK_INT(hob_flow_new(stages, 3, HOB_FLOW_OPTS(.ctx = w, .next = w_next, .leave = w_leave),
                           &w->flow),
              0);
    r = hob_flow_run(w->flow);
    struct hob_stage_stats st[3] = {
        {.size = sizeof(st[0])}, {.size = sizeof(st[0])}, {.size = sizeof(st[0])}};
    uint64_t in = 0;
    for (unsigned i = 0; i < 3; i++) {
        CHECK_INT(hob_flow_stats(w->flow, i, &st[i]), 0);
        CHECK_INT(st[i].items_in, st[i].items_out + st[i].items_failed + st[i].items_cancelled);
        if (i > 0)
            CHECK_INT(st[i].items_in, st[i - 1].items_out);
    }
    in = st[0].items_in;
    CHECK_INT(in, w->left_ok + w->left_failed + w->left_cancelled);
    CHECK_INT(in, w->given);
    CHECK_INT(hob_flow_in_flight(w->flow), 0);
    CHECK(w->fetching_most <= 8 && w->parsing_most <= 2 && w->batch_most <= 5);
    CHECK_INT(hob_flow_stats(w->flow, 3, &st[0]), -EINVAL);
    hob_flow_free(w->flow);
    hob_lane_free(w->lane);
    return r;
}

static int all_of_it(void *arg)
{
    struct world *w = arg;
    int r = w_run(arg), failed = 0;

    if (r < 0)
        return r;
    for (int k = 1; k <= w->n; k++) {
        CHECK_INT(w->left[k], 1);
        failed += k % 7 == 0 || k % 11 == 0;
    }
    CHECK_INT(w->left_failed, failed);
    CHECK_INT(w->left_ok, w->n - failed);
    CHECK_INT(w->left_cancelled, 0);
    CHECK(w->n < 50 || hob_simulated() || w->fetching_most > 1); /* 8 but on a busy machine */
    return 0;
}

TEST(every_item_leaves_once_and_the_end_is_found)
{
    static struct world w;

    w.n = t_times(200, 20);
    each_world_run(all_of_it, &w, world_reset, 0);
}

TEST(one_item_is_enough)
{
    static struct world w = {.n = 1};

    each_world_run(all_of_it, &w, world_reset, 0);
}

TEST(a_source_that_pauses_is_asked_again)
{
    static struct world w = {.n = 20, .pause = 2 * HOB_MS};

    each_world_run(all_of_it, &w, world_reset, 0);
}

TEST(a_stop_ends_it_in_order)
{
    static struct world w = {.n = 300, .stop_at = 20};

    each_world_run(w_run, &w, world_reset, -ESTALE);
}

TEST(a_lane_that_fails_ends_it)
{
    static struct world w = {.n = 200, .lane_fails_at = 30};

    each_world_run(w_run, &w, world_reset, -ENOSPC);
}

TEST(a_source_that_fails_ends_it)
{
    static struct world w = {.n = 200, .source_fails_at = 25};

    each_world_run(w_run, &w, world_reset, -EDOM);
}

static int given_before_deadline; /* in all worlds: in one, time may pass before the first */

static int with_deadline(void *arg)
{
    struct world *w = arg;
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.until = hob_in(HOB_MS)));

    if (r == 0)
        r = w_run(arg);
    CHECK_INT(r, -ECANCELED);
    given_before_deadline += w->given;
    return hob_group_join(&g, r);
}

TEST(a_cancel_from_outside_stops_it_and_nothing_is_lost)
{
    static struct world w = {.n = 390};

    each_world_run(with_deadline, &w, world_reset, -ETIMEDOUT);
    CHECK(given_before_deadline > each_seeds() / 3);
}

static int no_item(void *ctx, void **ret_item, hob_time *ret_again)
{
    (void)ctx, (void)ret_item, (void)ret_again;
    return -ENOENT;
}

static int nothing_at_all(void *arg)
{
    struct hob_stage st = HOB_STAGE(.name = "x", .kind = HOB_IO, .run = w_fetch);
    hob_flow *f;

    (void)arg;
    CHECK_INT(hob_flow_new(&st, 1, HOB_FLOW_OPTS(.next = no_item), &f), 0);
    int r = hob_flow_run(f);
    hob_flow_free(f);
    hob_flow_free(NULL);
    return r;
}

TEST(a_flow_without_items_ends_at_once)
{
    each_world_run(nothing_at_all, NULL, NULL, 0);
}

TEST(a_stage_without_what_its_kind_needs_is_refused)
{
    struct hob_stage io = HOB_STAGE(.name = "x", .kind = HOB_IO),
                     lane = HOB_STAGE(.name = "y", .kind = HOB_LANE), kind = HOB_STAGE(.name = "z");
    hob_flow *f = NULL;

    CHECK_INT(hob_flow_new(&io, 1, HOB_FLOW_OPTS(.next = no_item), &f), -EINVAL);
    CHECK_INT(hob_flow_new(&lane, 1, HOB_FLOW_OPTS(.next = no_item), &f), -EINVAL);
    CHECK_INT(hob_flow_new(&kind, 1, HOB_FLOW_OPTS(.next = no_item), &f), -EINVAL);
    io.run = w_fetch;
    CHECK_INT(hob_flow_new(&io, 0, HOB_FLOW_OPTS(.next = no_item), &f), -EINVAL);
    CHECK_INT(hob_flow_new(&io, 17, HOB_FLOW_OPTS(.next = no_item), &f), -EINVAL);
    CHECK_INT(hob_flow_new(&io, 1, NULL, &f), -EINVAL);
    CHECK(f == NULL);
}

static int names_copied(void *arg)
{
    char name[] = "first";
    struct {
        struct hob_stage known;
        uint64_t what_comes;
    } newer[2] = {{.known = HOB_STAGE(.name = name, .kind = HOB_IO, .run = w_fetch)},
                  {.known = HOB_STAGE(.name = "second", .kind = HOB_IO, .run = w_fetch)}};
    struct hob_stage_stats st = {.size = sizeof(st)};
    hob_flow *f;

    (void)arg;
    newer[0].known.size = newer[1].known.size = sizeof(newer[0]);
    CHECK_INT(hob_flow_new(&newer[0].known, 2, HOB_FLOW_OPTS(.next = no_item), &f), 0);
    name[0] = 'F';
    CHECK_INT(hob_flow_stats(f, 0, &st), 0);
    CHECK_STR(st.name, "first");
    CHECK_INT(hob_flow_stats(f, 1, &st), 0);
    CHECK_STR(st.name, "second");
    st.size = 0;
    CHECK_INT(hob_flow_stats(f, 0, &st), -EINVAL);
    hob_flow_free(f);
    newer[1].what_comes = 1;
    CHECK_INT(hob_flow_new(&newer[0].known, 2, HOB_FLOW_OPTS(.next = no_item), &f), -E2BIG);
    newer[1].known.size = 0;
    CHECK_INT(hob_flow_new(&newer[0].known, 2, HOB_FLOW_OPTS(.next = no_item), &f), -EINVAL);
    return 0;
}

TEST(stages_are_copied_with_their_names_and_may_be_newer)
{
    CHECK_INT(hob_run(NULL, names_copied, NULL), 0);
}

static int spin(void *ctx, void *item)
{
    volatile uint64_t x = 1;

    (void)ctx, (void)item;
    for (int i = 0; i < 2000000; i++)
        x = x * 3 + (uint64_t)i;
    return x == 0 ? -EIO : 0;
}

static int nap(void *ctx, void *item)
{
    (void)ctx, (void)item;
    return hob_sleep(20 * HOB_MS);
}

static int ten(void *ctx, void **ret_item, hob_time *ret_again)
{
    int *n = ctx;

    (void)ret_again;
    *ret_item = ctx;
    return (*n)++ < 10 ? 1 : -ENOENT;
}

static int where_time_went(void *arg)
{
    struct hob_stage st[] = {HOB_STAGE(.name = "nap", .kind = HOB_IO, .run = nap, .width = 5),
                             HOB_STAGE(.name = "spin", .kind = HOB_CPU, .run = spin, .width = 2)};
    struct hob_stage_stats naps = {.size = sizeof(naps)}, spins = {.size = sizeof(spins)};
    hob_flow *f;
    int n = 0;

    (void)arg;
    CHECK_INT(hob_flow_new(st, 2, HOB_FLOW_OPTS(.ctx = &n, .next = ten), &f), 0);
    CHECK_INT(hob_flow_run(f), 0);
    CHECK_INT(hob_flow_stats(f, 0, &naps), 0);
    CHECK_INT(hob_flow_stats(f, 1, &spins), 0);
    CHECK(naps.waiting[HOB_CLASS_TIME] >= 10 * 20 * HOB_MS);
    CHECK(naps.on_cpu < naps.waiting[HOB_CLASS_TIME]);
    CHECK(spins.on_cpu > 0);
    CHECK_INT(spins.waiting[HOB_CLASS_IO], 0);
    CHECK(naps.wall > 0 && naps.flow >= naps.wall && naps.flow >= spins.wall);
    CHECK_INT(naps.flow, spins.flow); /* it is over */
    CHECK_STR(naps.kind, "io");
    CHECK_STR(spins.kind, "cpu");
    hob_flow_free(f);
    return 0;
}

TEST(each_stages_time_is_told_apart)
{
    CHECK_INT(hob_run(NULL, where_time_went, NULL), 0);
}

static int sleeps_for_ever(void *ctx, void *item)
{
    (void)ctx, (void)item;
    return hob_sleep(3600 * HOB_SEC);
}

static int stops_soon(void *arg)
{
    int r = hob_sleep(HOB_MS);

    hob_flow_stop(arg, -ESTALE);
    return r;
}

static int stopped_asleep(void *arg)
{
    struct hob_stage st =
        HOB_STAGE(.name = "sleep", .kind = HOB_IO, .run = sleeps_for_ever, .width = 3);
    hob_flow *f;
    hob_group g;
    int n = 0, r = hob_flow_new(&st, 1, HOB_FLOW_OPTS(.ctx = &n, .next = ten), &f);

    (void)arg;
    CHECK_INT(r, 0);
    r = hob_group_open(&g, NULL);
    if (r == 0)
        r = hob_go(&g, stops_soon, f);
    hob_time began = hob_now();
    CHECK_INT(hob_flow_run(f), -ESTALE);
    CHECK(hob_now() - began < 1800 * HOB_SEC);
    r = hob_group_join(&g, r);
    hob_flow_free(f);
    return r;
}

TEST(a_stop_reaches_items_that_wait)
{
    each_world_run(stopped_asleep, NULL, NULL, 0);
}
