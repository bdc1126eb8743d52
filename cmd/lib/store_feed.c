/* SPDX-License-Identifier: MIT
 *
 * store_feed.c - the feed's place in the database: which rows it holds, and from where
 *
 * HOW         A feed is the table `result` in the order of seq, as lines.  Its row in the table
 *   `feed` says up to which seq it goes and, for a file, at which byte that is.  So a feed that is
 *   new, or was left out for a run, is brought up to date from the database when it is attached,
 *   by the same means by which a stream gets what it missed.
 *
 * INVARIANTS  (I1) a file of which nothing is known is taken only if it is empty
 *             (I2) a file is cut only after it was known again by its last counted bytes
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/store_impl.h"

/* Rows are written out at this much, so that a huge batch needs no memory; uncounted as yet. */
enum { STORE_FEED_CHUNK = 256 * 1024 };

static int store_feed_fail(struct store *st, int code, const char *doing)
{
    bool out = strcmp(feed_path(st->feed), "-") == 0;

    snprintf(st->err, sizeof(st->err), "%.200s: %s: %s",
             out ? "standard output" : feed_path(st->feed), doing, strerror(-code));
    st->broken = code;
    return code;
}

int store__feed_row(struct store *st, const struct feed_row *row)
{
    int r = feed_row(st->feed, row);

    if (r == 0 && feed_is_file(st->feed) && feed_pending(st->feed) >= STORE_FEED_CHUNK)
        r = feed_flush(st->feed);
    return r < 0 ? store_feed_fail(st, r, "a row cannot be written") : 0;
}

static int store_feed_save(struct store *st, const struct feed_mark *m)
{
    sqlite3_stmt *q = st->q[Q_FEED];

    sqlite3_bind_text(q, 1, feed_path(st->feed), -1, SQLITE_STATIC);
    sqlite3_bind_int64(q, 2, st->feed_seq);
    sqlite3_bind_int64(q, 3, m->offset);
    sqlite3_bind_int64(q, 4, (sqlite3_int64)m->tail);
    sqlite3_bind_int64(q, 5, (sqlite3_int64)m->dev);
    sqlite3_bind_int64(q, 6, (sqlite3_int64)m->ino);
    st->feed_seq_saved = st->feed_seq;
    return store__run(st, Q_FEED, "the feed's place cannot be written");
}

int store__feed_count(struct store *st)
{
    struct feed_mark m = {.offset = FEED_NO_FILE};
    int r = 0;

    if (!st->feed)
        return 0;
    if (feed_is_file(st->feed)) {
        if ((r = feed_flush(st->feed)) < 0)
            return store_feed_fail(st, r, "rows cannot be written");
        store__step(st, "feed written");
        if ((r = feed_sync(st->feed, st->opts.sync != STORE_SYNC_OFF, &m)) < 0)
            return store_feed_fail(st, r, "rows cannot be synced to disk");
        store__step(st, "feed synced");
        st->feed_seq = st->seq;
    }
    return store_feed_save(st, &m);
}

int store__feed_counted(struct store *st)
{
    int r;

    if (!st->feed || feed_is_file(st->feed))
        return 0;
    if ((r = feed_flush(st->feed)) < 0)
        return store_feed_fail(st, r, "rows cannot be written");
    st->feed_seq = st->seq;
    store__step(st, "streamed");
    return 0;
}

/* The mark in a row of `feed`. */
static struct feed_mark store_feed_mark(sqlite3_stmt *q)
{
    return (struct feed_mark){.offset = sqlite3_column_int64(q, 2),
                              .tail = (uint64_t)sqlite3_column_int64(q, 3),
                              .dev = (uint64_t)sqlite3_column_int64(q, 4),
                              .ino = (uint64_t)sqlite3_column_int64(q, 5)};
}

/* What an open file has to do with this crawl; by its path first, else by its content: moved. */
static int store_feed_known(struct store *st, sqlite3_stmt *q, struct feed_mark *ret)
{
    int rc;

    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        struct feed_mark m = store_feed_mark(q);
        bool same = strcmp((const char *)sqlite3_column_text(q, 0), feed_path(st->feed)) == 0;

        if (feed_is_file(st->feed) ? feed_matches(st->feed, &m) && (same || m.offset > 0) : same) {
            st->feed_seq = sqlite3_column_int64(q, 1);
            *ret = m;
            return 1;
        }
        if (same && m.offset > 0)
            return store__fail(st, -ESTALE,
                               "the feed %.200s is not as this crawl left it (%lld bytes counted, "
                               "%lld there)",
                               feed_path(st->feed), (long long)m.offset,
                               (long long)feed_size(st->feed));
    }
    return rc == SQLITE_DONE ? 0 : store__fail_sql(st, "cannot be read");
}

static int store_feed_find(struct store *st, struct feed_mark *ret)
{
    static const char sql[] = "SELECT path, seq, offset, tail, dev, ino FROM feed "
                              "ORDER BY path = ?1 DESC";
    sqlite3_stmt *q;
    int r;

    if (sqlite3_prepare_v2(st->db, sql, -1, &q, NULL) != SQLITE_OK)
        return store__fail_sql(st, "cannot be read");
    sqlite3_bind_text(q, 1, feed_path(st->feed), -1, SQLITE_STATIC);
    r = store_feed_known(st, q, ret);
    sqlite3_finalize(q);
    if (r == 0 && feed_size(st->feed) > 0) /* (I1) */
        return store__fail(st, -EEXIST,
                           "the feed %.200s is not empty and not of this crawl; move it away or "
                           "name another",
                           feed_path(st->feed));
    return r;
}

/* Rows of result after feed_seq, oldest first, into the feed. */
static int store_feed_catch_up(struct store *st)
{
    static const char sql[] = "SELECT url, final_url, status, bytes, seconds, depth, attempts, "
                              "reason, fields FROM result JOIN url USING(id) WHERE seq > ?1 "
                              "ORDER BY seq";
    sqlite3_stmt *q;
    int r = 0, rc;

    if (sqlite3_prepare_v2(st->db, sql, -1, &q, NULL) != SQLITE_OK)
        return store__fail_sql(st, "cannot be read");
    sqlite3_bind_int64(q, 1, st->feed_seq);
    while (r == 0 && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        struct feed_row row = {
            .url = (const char *)sqlite3_column_text(q, 0),
            .final_url = (const char *)sqlite3_column_text(q, 1),
            .status = sqlite3_column_int(q, 2),
            .bytes = sqlite3_column_int64(q, 3),
            .seconds = sqlite3_column_double(q, 4),
            .depth = (unsigned)sqlite3_column_int(q, 5),
            .attempts = (unsigned)sqlite3_column_int(q, 6),
            .error = (const char *)sqlite3_column_text(q, 7),
            .fields = (const char *)sqlite3_column_text(q, 8),
        };
        r = row.url ? store__feed_row(st, &row) : store__fail(st, -ENOMEM, "no memory");
        if (r == 0 && !feed_is_file(st->feed) && feed_pending(st->feed) >= STORE_FEED_CHUNK)
            r = store__feed_counted(st);
    }
    if (r == 0 && rc != SQLITE_DONE)
        r = store__fail_sql(st, "cannot be read");
    sqlite3_finalize(q);
    return r;
}

/* From here on the file is this crawl's, before its first byte. */
static int store_feed_claim(struct store *st)
{
    struct feed_mark m;
    int r;

    if ((r = store__begin(st)) < 0)
        return r;
    if ((r = feed_sync(st->feed, false, &m)) < 0)
        return store_feed_fail(st, r, "cannot be read");
    if ((r = store_feed_save(st, &m)) < 0)
        return r;
    st->in_batch = false;
    return store__run(st, Q_COMMIT, "the feed's place cannot be written");
}

int store__feed_attach(struct store *st, const char *path)
{
    struct feed_mark m = {0};
    int r, known;

    if ((r = feed_open(path, st->err, sizeof(st->err), &st->feed)) < 0) {
        st->broken = r;
        return r;
    }
    if ((known = store_feed_find(st, &m)) < 0)
        return known;
    if (feed_is_file(st->feed)) {
        if (known && (r = feed_resume(st->feed, &m)) < 0) /* (I2) */
            return store_feed_fail(st, r, "cannot be cut back to the rows that count");
        if (!known && (r = store_feed_claim(st)) < 0)
            return r;
    }
    if ((r = store_feed_catch_up(st)) < 0 || (r = store__begin(st)) < 0)
        return r;
    return store_commit(st);
}
