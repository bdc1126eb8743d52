/* SPDX-License-Identifier: MIT */
#include "lib/store.h"

#include <errno.h>

#include "store_util.h"

TEST(a_feed_left_out_for_a_run_is_brought_up_to_date)
{
    setup();
    struct store *st = open_plain();
    seed(st, 9, 0);
    crawl_some(st, 3);
    store_close(st);
    st = open_with(STORE_OPTS(.feed = jsonl));
    CHECK_INT(lines(), 3);
    crawl_some(st, 2);
    CHECK_INT(lines(), 5);
    store_close(st);
    st = open_plain();
    crawl_some(st, 2);
    store_close(st);
    st = open_with(STORE_OPTS(.feed = jsonl));
    CHECK_INT(lines(), 7);
    store_close(st);
    teardown();
}

TEST(rows_written_late_are_the_rows_written_in_time)
{
    char late[128], text[2][4096] = {"", ""};

    setup();
    snprintf(late, sizeof(late), "%s/late.jsonl", dir);
    struct store *st = open_with(STORE_OPTS(.feed = jsonl));
    CHECK_INT(link_in(st, "http://h/\xc3\xa9?a=\"b\"", 3, STORE_PENDING), 1);
    seed(st, 3, 1);
    struct store_row row = next_one(st);
    const struct store_result res = {.state = STORE_DONE,
                                     .status = 301,
                                     .bytes = 1LL << 40,
                                     .final_url = "http://h/x",
                                     .seconds = 1.0 / 3,
                                     .fields = "{\"a\":[1,\"2\"]}"};
    CHECK_INT(store_finish(st, &row, &res), 0);
    free(row.url);
    crawl_some(st, 3);
    store_close(st);
    st = open_with(STORE_OPTS(.feed = late));
    store_close(st);
    for (int i = 0; i < 2; i++) {
        FILE *f = fopen(i ? late : jsonl, "r");
        CHECK(f && fread(text[i], 1, sizeof(text[i]) - 1, f) > 0);
        fclose(f);
    }
    CHECK_STR(text[0], text[1]);
    unlink(late);
    teardown();
}

TEST(a_feed_that_is_not_what_was_counted_is_refused)
{
    struct store_opts opts = {.size = sizeof(opts), .feed = jsonl};
    char moved[128];

    setup();
    snprintf(moved, sizeof(moved), "%s/moved.jsonl", dir);
    struct store *st = open_with(&opts);
    seed(st, 9, 0);
    crawl_some(st, 4);
    store_close(st);

    int64_t size = size_of(jsonl);
    FILE *f = fopen(jsonl, "r+");
    CHECK(f && fseek(f, size - 3, SEEK_SET) == 0 && putc('!', f) == '!' && fclose(f) == 0);
    CHECK_INT(refused("scope", &opts), -ESTALE);
    CHECK_INT(size_of(jsonl), size); /* looked at, not touched */
    CHECK(truncate(jsonl, 3) == 0);
    CHECK_INT(refused("scope", &opts), -ESTALE);
    unlink(jsonl);
    CHECK_INT(refused("scope", &opts), -ESTALE);
    write_file(moved, "somebody's\n");
    opts.feed = moved;
    CHECK_INT(refused("scope", &opts), -EEXIST);
    CHECK_INT(size_of(moved), 11);
    unlink(moved);
    st = open_plain(); /* the crawl itself goes on */
    CHECK_INT(count(st, STORE_DONE) + count(st, STORE_FAILED), 4);
    store_close(st);
    teardown();
}

TEST(a_moved_feed_is_known_again)
{
    struct store_opts opts = {.size = sizeof(opts), .feed = jsonl};
    char moved[128];

    setup();
    snprintf(moved, sizeof(moved), "%s/moved.jsonl", dir);
    struct store *st = open_with(&opts);
    seed(st, 9, 0);
    crawl_some(st, 4);
    store_close(st);
    CHECK(rename(jsonl, moved) == 0);
    opts.feed = moved;
    st = open_with(&opts);
    crawl_some(st, 1);
    store_close(st);
    CHECK(rename(moved, jsonl) == 0);
    CHECK_INT(lines(), 5);
    opts.feed = jsonl;
    st = open_with(&opts); /* and back, where the database thinks it ends after the fourth row */
    crawl_some(st, 1);
    store_close(st);
    CHECK_INT(lines(), 6);
    teardown();
}

TEST(rows_of_a_batch_given_up_are_cut_off_at_close)
{
    enum { HUGE_TEXT = 300000 }; /* more than is gathered in memory */
    char *fields = calloc(1, HUGE_TEXT + 1);

    setup();
    CHECK(fields != NULL);
    snprintf(fields, HUGE_TEXT, "{\"a\":\"%*s\"}", HUGE_TEXT - 20, "");
    struct store *st = open_with(STORE_OPTS(.feed = jsonl));
    seed(st, 3, 0);
    crawl_some(st, 1);
    int64_t size = size_of(jsonl);
    struct store_row row = next_one(st);
    const struct store_result res = {.state = STORE_DONE, .status = 200, .fields = fields};
    CHECK_INT(store_finish(st, &row, &res), 0);
    CHECK(size_of(jsonl) > size);
    store_close(st);
    CHECK_INT(size_of(jsonl), size);
    free(row.url);
    free(fields);
    teardown();
}

TEST(a_stream_gets_what_it_missed_again)
{
    int p[2], out;
    char text[8192];

    setup();
    CHECK(pipe(p) == 0);
    out = dup(STDOUT_FILENO);
    CHECK(dup2(p[1], STDOUT_FILENO) >= 0);
    close(p[1]);
    struct store *st = open_with(STORE_OPTS(.feed = "-"));
    seed(st, 6, 0);
    crawl_some(st, 2);
    crawl_some(st, 2);
    store_close(st);
    change("UPDATE feed SET seq = 2"); /* as if killed before the second batch was known written */
    st = open_with(STORE_OPTS(.feed = "-"));
    crawl_some(st, 2);
    store_close(st);
    st = open_with(STORE_OPTS(.feed = "-"));
    store_close(st); /* nothing more to say */
    CHECK(dup2(out, STDOUT_FILENO) >= 0);
    close(out);
    ssize_t n = read(p[0], text, sizeof(text) - 1), rows = 0;
    CHECK(n > 0);
    for (ssize_t i = 0; i < n; i++)
        rows += text[i] == '\n';
    CHECK_INT(rows, 2 + 2 + 2 + 2);
    close(p[0]);
    teardown();
}
