/* SPDX-License-Identifier: MIT */
#include "lib/store.h"

#include <errno.h>

#include "store_util.h"

TEST(an_empty_crawl_is_complete)
{
    struct store_row row;
    int64_t due;

    setup();
    struct store *st = open_plain();
    CHECK_INT(store_end(st), STORE_COMPLETE);
    CHECK_INT(next(st, 0, 1, &row), 0);
    CHECK_INT(store_due(st, &due), 0);
    CHECK(due == INT64_MAX);
    CHECK_INT(store_commit(st), 0);
    CHECK_STR(store_error(st), "");
    store_close(st);
    teardown();
}

TEST(a_url_goes_from_pending_over_in_flight_to_done)
{
    struct store_counts c;

    setup();
    struct store *st = open_plain();
    CHECK_INT(link_in(st, "http://h/", 0, STORE_PENDING), 1);
    CHECK_INT(store_end(st), STORE_RUNNING);
    CHECK_INT(count(st, STORE_PENDING), 1);

    struct store_row row = next_one(st);
    CHECK_STR(row.url, "http://h/");
    CHECK_INT(row.attempts, 0);
    store_counts(st, &c);
    CHECK_INT(c.n[STORE_PENDING], 0);
    CHECK_INT(c.in_flight, 1);
    CHECK_INT(store_end(st), STORE_RUNNING);

    finish(st, &row, STORE_DONE);
    CHECK_INT(count(st, STORE_DONE), 1);
    CHECK_INT(store_end(st), STORE_COMPLETE);
    CHECK_INT(store_commit(st), 0);
    store_close(st);
    CHECK_INT(ask("SELECT count(*) FROM page WHERE url = 'http://h/' AND status = 200 AND "
                  "state = 'done' AND attempts = 1 AND final_url = url AND bytes = 10"),
              1);
    teardown();
}

TEST(a_url_is_recorded_once_whatever_its_state)
{
    setup();
    struct store *st = open_plain();
    CHECK_INT(link_in(st, "http://h/", 0, STORE_PENDING), 1);
    CHECK_INT(link_in(st, "http://h/", 0, STORE_PENDING), 0);
    CHECK_INT(link_in(st, "http://other/", 1, STORE_SKIP_SCOPE), 1);
    CHECK_INT(link_in(st, "http://other/", 1, STORE_PENDING), 0);
    CHECK_INT(count(st, STORE_SKIP_SCOPE), 1);
    CHECK_INT(store_commit(st), 0);
    store_close(st);

    st = open_plain(); /* the set is read again from the database */
    CHECK_INT(link_in(st, "http://h/", 0, STORE_PENDING), 0);
    CHECK_INT(link_in(st, "http://other/", 0, STORE_PENDING), 0);
    CHECK_INT(count(st, STORE_PENDING), 1);
    store_close(st);
    teardown();
}

TEST(urls_come_in_the_order_they_were_met)
{
    struct store_row rows[8];

    setup();
    struct store *st = open_plain();
    seed(st, 3, 0);
    CHECK_INT(link_in(st, "http://skip/", 1, STORE_SKIP_ROBOTS), 1);
    seed(st, 3, 1);
    CHECK_INT(next(st, 0, 2, rows), 2);
    CHECK_STR(rows[0].url, "http://h0/0");
    CHECK_STR(rows[1].url, "http://h0/1");
    drop(rows, 2);
    CHECK_INT(next(st, 0, 8, rows), 4);
    CHECK_STR(rows[0].url, "http://h0/2");
    CHECK_STR(rows[1].url, "http://h1/0");
    CHECK_INT(rows[1].depth, 1);
    drop(rows, 4);
    CHECK_INT(next(st, 0, 8, rows), 0);
    store_close(st);
    teardown();
}

TEST(in_flight_is_pending_again_at_the_next_start)
{
    struct store_row rows[4];

    setup();
    struct store *st = open_plain();
    seed(st, 4, 0);
    CHECK_INT(next(st, 0, 3, rows), 3);
    finish(st, &rows[1], STORE_DONE);
    CHECK_INT(store_commit(st), 0);
    store_close(st);
    drop(rows, 3);

    st = open_plain();
    CHECK_INT(count(st, STORE_PENDING), 3);
    CHECK_INT(next(st, 0, 4, rows), 3);
    CHECK_STR(rows[0].url, "http://h0/0");
    CHECK_STR(rows[1].url, "http://h0/2");
    CHECK_STR(rows[2].url, "http://h0/3");
    drop(rows, 3);
    store_close(st);
    teardown();
}

TEST(what_was_not_committed_never_happened)
{
    setup();
    struct store *st = open_with(STORE_OPTS(.feed = jsonl));
    seed(st, 2, 0);
    struct store_row row = next_one(st);
    CHECK_INT(link_in(st, "http://new/", 1, STORE_PENDING), 1);
    finish(st, &row, STORE_DONE);
    store_close(st);

    st = open_with(STORE_OPTS(.feed = jsonl));
    CHECK_INT(count(st, STORE_PENDING), 2);
    CHECK_INT(count(st, STORE_DONE), 0);
    CHECK_INT(link_in(st, "http://new/", 1, STORE_PENDING), 1);
    store_close(st);
    CHECK_INT(lines(), 0);
    teardown();
}

TEST(a_retry_waits_for_its_time_and_counts_attempts)
{
    struct store_row rows[4];
    int64_t due;

    setup();
    struct store *st = open_plain();
    seed(st, 1, 0);
    struct store_row row = next_one(st);
    CHECK_INT(store_retry(st, &row, 1000), 0);
    free(row.url);
    CHECK_INT(count(st, STORE_WAITING), 1);
    CHECK_INT(store_end(st), STORE_RUNNING);
    CHECK_INT(store_due(st, &due), 0);
    CHECK_INT(due, 1000);
    CHECK_INT(next(st, 999, 4, rows), 0);
    CHECK_INT(store_commit(st), 0);
    store_close(st);

    st = open_plain();
    CHECK_INT(next(st, 999, 4, rows), 0);
    CHECK_INT(next(st, 1000, 4, rows), 1);
    CHECK_INT(rows[0].attempts, 1);
    CHECK_INT(next(st, 1000, 4, &rows[1]), 0); /* leased once */
    CHECK_INT(store_commit(st), 0);
    store_close(st); /* and left in flight */
    drop(rows, 1);

    st = open_plain();
    CHECK_INT(count(st, STORE_WAITING), 1);
    CHECK_INT(next(st, 0, 4, rows), 1);
    CHECK_INT(rows[0].attempts, 1);
    CHECK_INT(store_retry(st, &rows[0], 5), 0);
    drop(rows, 1);
    CHECK_INT(next(st, 5, 4, rows), 1);
    CHECK_INT(rows[0].attempts, 2);
    finish(st, &rows[0], STORE_FAILED);
    CHECK_INT(store_end(st), STORE_COMPLETE);
    CHECK_INT(store_commit(st), 0);
    store_close(st);
    CHECK_INT(ask("SELECT attempts FROM page WHERE reason = 'reset' AND status IS NULL"), 3);
    CHECK_INT(ask("SELECT count(*) FROM retry"), 0);
    teardown();
}

TEST(retries_come_by_time_and_before_fresh_ones)
{
    struct store_row rows[4];

    setup();
    struct store *st = open_plain();
    seed(st, 3, 0);
    CHECK_INT(next(st, 0, 2, rows), 2);
    CHECK_INT(store_retry(st, &rows[0], 20), 0);
    CHECK_INT(store_retry(st, &rows[1], 10), 0);
    drop(rows, 2);
    CHECK_INT(next(st, 100, 4, rows), 3);
    CHECK_STR(rows[0].url, "http://h0/1");
    CHECK_STR(rows[1].url, "http://h0/0");
    CHECK_STR(rows[2].url, "http://h0/2");
    drop(rows, 3);
    store_close(st);
    teardown();
}

TEST(a_page_finishes_once)
{
    const struct store_result done = {.state = STORE_DONE, .status = 200};
    const struct store_result pending = {.state = STORE_PENDING};

    setup();
    struct store *st = open_plain();
    seed(st, 2, 0);
    struct store_row row = next_one(st), other = {.id = 2, .url = row.url};
    CHECK_INT(store_finish(st, &row, &pending), -EINVAL);
    CHECK_INT(store_finish(st, &row, &done), 0);
    CHECK_INT(store_finish(st, &row, &done), -EINVAL);
    CHECK_INT(store_retry(st, &row, 0), -EINVAL);
    CHECK(strstr(store_error(st), "not in flight"));
    CHECK_INT(store_finish(st, &other, &done), -EINVAL); /* never leased */
    CHECK_INT(store_link(st, "", 0, 0, 0, STORE_PENDING), -EINVAL);
    CHECK_INT(store_link(st, "x", 1, 0, 0, STORE_DONE), -EINVAL);
    CHECK_INT(store_commit(st), 0); /* a caller's mistake ends nothing */
    CHECK_INT(count(st, STORE_DONE), 1);
    CHECK_INT(count(st, STORE_PENDING), 1);
    free(row.url);
    store_close(st);
    st = open_plain();
    CHECK_INT(count(st, STORE_PENDING), 1);
    store_close(st);
    teardown();
}

TEST(a_page_skipped_after_its_lease_leaves_no_row)
{
    setup();
    struct store *st = open_with(STORE_OPTS(.feed = jsonl, .max_pages = 1));
    seed(st, 2, 0);
    struct store_row row = next_one(st);
    finish(st, &row, STORE_SKIP_ROBOTS);
    CHECK_INT(store_end(st), STORE_RUNNING); /* nor does it count as a page */
    row = next_one(st);
    finish(st, &row, STORE_DONE);
    CHECK_INT(store_end(st), STORE_COMPLETE);
    CHECK_INT(store_commit(st), 0);
    store_close(st);
    CHECK_INT(lines(), 1);
    CHECK_INT(ask("SELECT count(*) FROM result"), 1);
    teardown();
}

TEST(max_pages_is_exact_across_starts)
{
    struct store_row rows[16];
    struct store_opts opts = {.size = sizeof(opts), .sync = STORE_SYNC_OFF, .max_pages = 7};

    setup();
    struct store *st = open_with(&opts);
    seed(st, 20, 0);
    CHECK_INT(next(st, 0, 5, rows), 5);
    CHECK_INT(next(st, 0, 5, &rows[5]), 2);
    CHECK_INT(next(st, 0, 5, &rows[7]), 0);
    finish(st, &rows[0], STORE_DONE);
    finish(st, &rows[1], STORE_FAILED);
    CHECK_INT(store_retry(st, &rows[2], 50), 0); /* frees its place */
    CHECK_INT(next(st, 0, 5, &rows[7]), 1);
    CHECK_INT(store_commit(st), 0);
    store_close(st);
    drop(rows, 8);

    st = open_with(&opts);
    CHECK_INT(next(st, 0, 16, rows), 5);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(store_end(st), STORE_RUNNING);
        finish(st, &rows[i], STORE_DONE);
    }
    CHECK_INT(store_end(st), STORE_BUDGET);
    CHECK_INT(store_commit(st), 0);
    store_close(st);

    st = open_with(&opts);
    CHECK_INT(store_end(st), STORE_BUDGET);
    CHECK_INT(next(st, 100, 16, rows), 0);
    store_close(st);
    opts.max_pages = 9; /* and more may be asked for later */
    st = open_with(&opts);
    CHECK_INT(next(st, 100, 16, rows), 2);
    drop(rows, 2);
    store_close(st);
    teardown();
}

/* Else a crawl that has its pages waits for ever for one it may not ask for. */
TEST(nothing_is_due_that_the_page_limit_does_not_let_out)
{
    struct store_row rows[4];
    struct store_opts opts = {.size = sizeof(opts), .sync = STORE_SYNC_OFF, .max_pages = 2};
    int64_t due;

    setup();
    struct store *st = open_with(&opts);
    seed(st, 4, 0);
    CHECK_INT(next(st, 0, 4, rows), 2);
    CHECK_INT(store_retry(st, &rows[0], 50), 0);
    CHECK_INT(store_due(st, &due), 0);
    CHECK_INT(due, 50);
    CHECK_INT(next(st, 0, 4, &rows[2]), 1);
    CHECK_INT(store_due(st, &due), 0);
    CHECK(due == INT64_MAX); /* its place is taken for now */
    finish(st, &rows[1], STORE_DONE);
    finish(st, &rows[2], STORE_DONE);
    CHECK_INT(store_due(st, &due), 0);
    CHECK(due == INT64_MAX);
    CHECK_INT(store_end(st), STORE_BUDGET);
    store_close(st);
    drop(rows, 3);
    teardown();
}

TEST(redirects_in_a_row_are_counted)
{
    struct store_row rows[5];
    char url[32];
    unsigned n;

    setup();
    struct store *st = open_plain();
    for (int i = 0; i < 5; i++) { /* 0 -> 1 -> 2, which links to 3, which redirects to 4 */
        snprintf(url, sizeof(url), "http://h/%d", i);
        CHECK_INT(store_link(st, url, strlen(url), i < 3 ? 0 : 1, i, STORE_PENDING), 1);
    }
    CHECK_INT(store_commit(st), 0);
    CHECK_INT(next(st, 0, 5, rows), 5);
    for (unsigned i = 0; i < 5; i++) {
        CHECK_INT(store_redirects(st, &rows[i], 10, &n), 0);
        CHECK_INT(n, i < 3 ? i : i - 3);
    }
    CHECK_INT(store_redirects(st, &rows[2], 1, &n), 0);
    CHECK_INT(n, 1);
    store_close(st);
    drop(rows, 5);
    teardown();
}

TEST(levels_keep_a_depth_closed_until_the_one_before_is_final)
{
    struct store_row rows[8];
    const struct store_opts *opts = STORE_OPTS(.sync = STORE_SYNC_OFF, .levels = true);

    setup();
    struct store *st = open_with(opts);
    seed(st, 2, 0);
    seed(st, 2, 1);
    CHECK_INT(next(st, 0, 8, rows), 2);
    finish(st, &rows[0], STORE_DONE);
    CHECK_INT(next(st, 0, 8, rows + 2), 0); /* one of depth 0 is in flight */
    CHECK_INT(store_retry(st, &rows[1], 10), 0);
    free(rows[1].url);
    CHECK_INT(next(st, 0, 8, rows), 0); /* it waits */
    CHECK_INT(store_commit(st), 0);
    store_close(st);

    st = open_with(opts);
    CHECK_INT(next(st, 0, 8, rows), 0); /* after a restart too */
    CHECK_INT(next(st, 10, 8, rows), 1);
    finish(st, &rows[0], STORE_DONE);
    CHECK_INT(next(st, 10, 8, rows), 2);
    CHECK_INT(rows[0].depth, 1);
    drop(rows, 2);
    store_close(st);
    teardown();
}
