/* SPDX-License-Identifier: MIT */
#include "lib/store.h"

#include <errno.h>

#include "store_util.h"

static const char *const hosts[] = {"[::1]", "a", "b", "b.c"};

static struct store *open_hosts(struct store_opts *more)
{
    struct store_opts opts = more ? *more : (struct store_opts){0};

    opts.size = sizeof opts;
    opts.sync = STORE_SYNC_OFF;
    opts.hosts = hosts;
    opts.n_hosts = 4;
    return open_with(&opts);
}

static void link_n(struct store *st, const char *origin, int n, unsigned depth)
{
    char url[64];

    for (int i = 0; i < n; i++) {
        snprintf(url, sizeof url, "%s/%u-%d", origin, depth, i);
        CHECK_INT(link_in(st, url, depth, STORE_PENDING), 1);
    }
}

static size_t next_of(struct store *st, size_t max, unsigned *room, struct store_row *rows)
{
    size_t n = 999;

    CHECK_INT(store_next_of(st, 100, max, room, rows, &n), 0);
    return n;
}

TEST(a_host_without_room_is_passed_by_and_comes_first_once_it_has_some)
{
    struct store_row rows[16];
    unsigned room[4] = {0, 2, 3, 0};

    setup();
    struct store *st = open_hosts(NULL);
    link_n(st, "http://a", 5, 0);
    CHECK_INT(link_in(st, "http://elsewhere/", 0, STORE_SKIP_SCOPE), 1);
    link_n(st, "https://b:81", 5, 0);
    link_n(st, "http://a", 5, 1);
    CHECK_INT(next_of(st, 16, room, rows), 5);
    CHECK_STR(rows[0].url, "http://a/0-0");
    CHECK_STR(rows[1].url, "http://a/0-1");
    CHECK_STR(rows[2].url, "https://b:81/0-0");
    CHECK_STR(rows[4].url, "https://b:81/0-2");
    CHECK_INT(room[1], 0);
    CHECK_INT(room[2], 0);
    drop(rows, 5);
    room[1] = 4;
    room[2] = 9;
    CHECK_INT(next_of(st, 5, room, rows), 5);
    CHECK_STR(rows[0].url, "http://a/0-2");
    CHECK_STR(rows[2].url, "http://a/0-4");
    room[1] = 9;
    drop(rows, 5);
    CHECK_INT(next_of(st, 16, room, rows), 5); /* the rest, of both */
    drop(rows, 5);
    CHECK_INT(next_of(st, 16, room, rows), 0);
    CHECK_INT(count(st, STORE_PENDING), 0);
    store_close(st);
    teardown();
}

TEST(every_url_comes_once_whatever_the_rooms)
{
    enum { ALL = 3000 };
    static const char *const origin[] = {"http://[::1]:8080", "http://a", "https://u@b",
                                         "http://b.c"};
    static bool leased[ALL + 1];
    struct store_row rows[32];
    unsigned room[4], n_leased = 0, steps = 0;
    uint32_t rng = 12345;
    char url[64];

    setup();
    struct store *st = open_hosts(NULL);
    for (int i = 0; i < ALL; i++) {
        rng = rng * 1664525 + 1013904223;
        snprintf(url, sizeof url, "%s/%d", origin[rng >> 30], i);
        CHECK_INT(link_in(st, url, 0, STORE_PENDING), 1);
    }
    CHECK_INT(store_commit(st), 0);
    while (n_leased < ALL) {
        for (int i = 0; i < 4; i++) {
            rng = rng * 1664525 + 1013904223;
            room[i] = rng % 7 < 3 ? 0 : rng % 11;
        }
        size_t n = next_of(st, 1 + rng % 32, room, rows);
        for (size_t i = 0; i < n; i++) {
            CHECK(!leased[rows[i].id]);
            leased[rows[i].id] = true;
            finish(st, &rows[i], STORE_DONE);
        }
        n_leased += (unsigned)n;
        CHECK(++steps < 100000);
    }
    CHECK_INT(store_end(st), STORE_COMPLETE);
    store_close(st);
    teardown();
}

TEST(a_host_alone_with_room_does_not_lease_the_others)
{
    struct store_row rows[16];
    unsigned room[4] = {0, 0, 0, 16};

    setup();
    struct store *st = open_hosts(NULL);
    link_n(st, "http://b", 20, 0); /* "b" is not "b.c" */
    CHECK_INT(next_of(st, 16, room, rows), 0);
    CHECK_INT(count(st, STORE_PENDING), 20);
    link_n(st, "http://b.c", 1, 0);
    CHECK_INT(next_of(st, 16, room, rows), 1);
    drop(rows, 1);
    CHECK_INT(store_commit(st), 0);
    store_close(st);
    st = open_hosts(NULL); /* what was passed by is known to nobody else */
    room[2] = 16;
    CHECK_INT(next_of(st, 16, room, rows), 16);
    CHECK_STR(rows[0].url, "http://b/0-0");
    drop(rows, 16);
    store_close(st);
    teardown();
}

TEST(what_is_passed_by_keeps_the_next_level_closed_and_the_page_limit_holds)
{
    struct store_opts opts = {.levels = true, .max_pages = 3};
    struct store_row rows[16];
    unsigned room[4] = {0, 1, 4, 0};

    setup();
    struct store *st = open_hosts(&opts);
    link_n(st, "http://a", 2, 0);
    link_n(st, "http://b", 3, 1);
    CHECK_INT(next_of(st, 16, room, rows), 1);
    finish(st, &rows[0], STORE_DONE);
    CHECK_INT(next_of(st, 16, room, rows), 0);
    room[1] = 1;
    CHECK_INT(next_of(st, 16, room, rows), 1);
    finish(st, &rows[0], STORE_DONE);
    CHECK_INT(next_of(st, 16, room, rows), 1);
    CHECK_INT(rows[0].depth, 1);
    drop(rows, 1);
    store_close(st);
    teardown();
}

TEST(what_waits_for_another_try_comes_whatever_the_room)
{
    struct store_row rows[16];
    unsigned room[4] = {0, 2, 0, 0};

    setup();
    struct store *st = open_hosts(NULL);
    link_n(st, "http://a", 4, 0);
    CHECK_INT(next_of(st, 16, room, rows), 2);
    for (int i = 0; i < 2; i++)
        CHECK_INT(store_retry(st, &rows[i], 50), 0);
    drop(rows, 2);
    room[1] = 1;
    CHECK_INT(next_of(st, 16, room, rows), 2);
    CHECK_INT(rows[0].attempts, 1);
    CHECK_INT(room[1], 0);
    drop(rows, 2);
    store_close(st);
    teardown();
}

TEST(what_was_put_off_comes_at_the_next_start)
{
    struct store_row rows[16];
    struct store_counts c;
    int64_t due;

    setup();
    struct store *st = open_plain();
    seed(st, 3, 0);
    CHECK_INT(next(st, 0, 3, rows), 3);
    CHECK_INT(store_put_off(st, &rows[0]), 0);
    CHECK_INT(store_retry(st, &rows[1], 10), 0);
    drop(rows, 2);
    finish(st, &rows[2], STORE_DONE);
    CHECK_INT(next(st, 10, 3, rows), 1);
    CHECK_INT(store_put_off(st, &rows[0]), 0);
    CHECK_INT(store_put_off(st, &rows[0]), -EINVAL);
    drop(rows, 1);
    CHECK_INT(store_commit(st), 0);
    CHECK_INT(next(st, 1000, 3, rows), 0);
    CHECK_INT(store_due(st, &due), 0);
    CHECK(due == INT64_MAX);
    store_counts(st, &c);
    CHECK_INT(c.n[STORE_PENDING], 1);
    CHECK_INT(c.n[STORE_WAITING], 1);
    CHECK_INT(c.in_flight, 0);
    CHECK_INT(store_end(st), STORE_RUNNING);
    CHECK_INT(link_in(st, "http://new/", 1, STORE_PENDING), 1);
    CHECK_INT(next(st, 0, 3, rows), 1); /* and what is new comes all the same */
    drop(rows, 1);
    CHECK_INT(store_commit(st), 0);
    store_close(st);

    st = open_plain();
    CHECK_INT(next(st, 1000, 4, rows), 3);
    CHECK_INT(rows[0].attempts, 1);
    drop(rows, 3);
    store_close(st);
    teardown();
}

TEST(what_was_put_off_does_not_keep_the_next_level_closed)
{
    struct store_opts opts = {.size = sizeof opts, .sync = STORE_SYNC_OFF, .levels = true};
    struct store_row rows[4];

    setup();
    struct store *st = open_with(&opts);
    seed(st, 2, 0);
    seed(st, 1, 1);
    CHECK_INT(next(st, 0, 4, rows), 2);
    finish(st, &rows[0], STORE_DONE);
    CHECK_INT(store_retry(st, &rows[1], 5), 0);
    drop(rows + 1, 1);
    CHECK_INT(next(st, 5, 4, rows), 1);
    CHECK_INT(store_put_off(st, &rows[0]), 0);
    drop(rows, 1);
    CHECK_INT(next(st, 5, 4, rows), 1);
    CHECK_INT(rows[0].depth, 1);
    drop(rows, 1);
    store_close(st);
    teardown();
}

TEST(hosts_out_of_order_are_refused)
{
    static const char *const wrong[] = {"b", "a"};

    setup();
    CHECK_INT(refused("scope", STORE_OPTS(.hosts = wrong, .n_hosts = 2)), -EINVAL);
    rmdir(dir);
}
