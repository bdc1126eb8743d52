/* SPDX-License-Identifier: MIT
 *
 * store_util.h - a store in a folder of its own, and short words for what tests do with it
 */
#ifndef STORE_UTIL_H
#define STORE_UTIL_H

#include "lib/store.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/t.h"

static char dir[64], db[96], jsonl[96], err[STORE_ERR_MAX];

static inline void setup(void)
{
    strcpy(dir, "/tmp/hob-store-XXXXXX");
    CHECK(mkdtemp(dir) != NULL);
    snprintf(db, sizeof(db), "%s/crawl.db", dir);
    snprintf(jsonl, sizeof(jsonl), "%s/rows.jsonl", dir);
}

static inline void teardown(void)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    char path[128];

    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        snprintf(path, sizeof(path), "%s%s", db, ends[i]);
        unlink(path);
    }
    unlink(jsonl);
    CHECK(rmdir(dir) == 0);
}

static inline struct store *open_with(const struct store_opts *opts)
{
    struct store *st = NULL;
    int r = store_open(db, "scope", opts, &st, err);

    if (r < 0)
        t_fail(__FILE__, __LINE__, "open: %d: %s", r, err);
    return st;
}

static inline struct store *open_plain(void)
{
    return open_with(STORE_OPTS(.sync = STORE_SYNC_OFF));
}

static inline int refused(const char *scope, const struct store_opts *opts)
{
    struct store *st = NULL;

    err[0] = 0;
    int r = store_open(db, scope, opts, &st, err);
    CHECK(r < 0 && st == NULL);
    CHECK(err[0] && !strchr(err, '\n'));
    fprintf(stderr, "%d: %s\n", r, err);
    return r;
}

static inline int link_in(struct store *st, const char *url, unsigned depth, enum store_state state)
{
    return store_link(st, url, strlen(url), depth, 0, state);
}

/* n pending URLs http://h/0 ... at one depth, committed. */
static inline void seed(struct store *st, int n, unsigned depth)
{
    char url[64];

    for (int i = 0; i < n; i++) {
        snprintf(url, sizeof(url), "http://h%u/%d", depth, i);
        CHECK_INT(link_in(st, url, depth, STORE_PENDING), 1);
    }
    CHECK_INT(store_commit(st), 0);
}

static inline size_t next(struct store *st, int64_t now, size_t max, struct store_row *rows)
{
    size_t n = 999;

    CHECK_INT(store_next(st, now, max, rows, &n), 0);
    return n;
}

static inline struct store_row next_one(struct store *st)
{
    struct store_row row;

    CHECK_INT(next(st, 0, 1, &row), 1);
    return row;
}

static inline void drop(struct store_row *rows, size_t n)
{
    while (n > 0)
        free(rows[--n].url);
}

static inline void finish(struct store *st, struct store_row *row, enum store_state state)
{
    const struct store_result res = {.state = state,
                                     .status = state == STORE_DONE ? 200 : 0,
                                     .reason = state == STORE_FAILED ? "reset" : NULL,
                                     .bytes = 10,
                                     .seconds = 0.5};

    CHECK_INT(store_finish(st, row, &res), 0);
    free(row->url);
    row->url = NULL;
}

static inline uint64_t count(struct store *st, enum store_state state)
{
    struct store_counts c;

    store_counts(st, &c);
    return c.n[state];
}

static inline int64_t ask(const char *sql)
{
    sqlite3 *d;
    sqlite3_stmt *q;

    CHECK(sqlite3_open(db, &d) == SQLITE_OK);
    CHECK(sqlite3_prepare_v2(d, sql, -1, &q, NULL) == SQLITE_OK);
    CHECK(sqlite3_step(q) == SQLITE_ROW);
    int64_t n = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(d);
    return n;
}

static inline void change(const char *sql)
{
    sqlite3 *d;

    CHECK(sqlite3_open(db, &d) == SQLITE_OK);
    CHECK(sqlite3_exec(d, sql, NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(d);
}

static inline int lines(void)
{
    int n = 0, c;
    FILE *f = fopen(jsonl, "r");

    CHECK(f != NULL);
    while ((c = getc(f)) != EOF)
        n += c == '\n';
    fclose(f);
    return n;
}

static inline int64_t size_of(const char *path)
{
    struct stat sb;

    return stat(path, &sb) < 0 ? -1 : sb.st_size;
}

static inline void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

static inline void crawl_some(struct store *st, int n)
{
    for (int i = 0; i < n; i++) {
        struct store_row row = next_one(st);
        finish(st, &row, i % 2 ? STORE_FAILED : STORE_DONE);
    }
    CHECK_INT(store_commit(st), 0);
}

#endif
