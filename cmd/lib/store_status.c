/* SPDX-License-Identifier: MIT
 *
 * store_status.c - a look at a crawl's database from outside, also while it runs
 *
 * HOW         A read-only connection and one read transaction: all numbers are of one commit.
 *   The counts are those kept with each commit, so a look costs the same at any size but for the
 *   sums over results.  Whether somebody crawls is asked of the lock, which kill -9 frees.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/store_impl.h"

static void copy_text(char *ret, size_t size, sqlite3_stmt *q, int column)
{
    const char *text = (const char *)sqlite3_column_text(q, column);

    snprintf(ret, size, "%s", text ? text : "");
}

static void on_scope(struct store_status *ret, sqlite3_stmt *q)
{
    copy_text(ret->scope, sizeof(ret->scope), q, 0);
}

static void on_tally(struct store_status *ret, sqlite3_stmt *q)
{
    struct store_counts *c = &ret->counts;
    int state = sqlite3_column_int(q, 0);
    uint64_t n = (uint64_t)sqlite3_column_int64(q, 1);

    if (state < STORE_IN_FLIGHT || state >= STORE_STATES)
        return;
    if (state == STORE_IN_FLIGHT)
        c->in_flight = n;
    else
        c->n[state] = n;
    c->urls += n;
    c->skipped += state > STORE_FAILED ? n : 0;
}

static void on_sums(struct store_status *ret, sqlite3_stmt *q)
{
    ret->bytes = sqlite3_column_int64(q, 0);
    ret->seconds = sqlite3_column_double(q, 1);
}

static void on_reason(struct store_status *ret, sqlite3_stmt *q)
{
    copy_text(ret->reason[ret->n_reasons].text, sizeof(ret->reason[0].text), q, 0);
    ret->reason[ret->n_reasons++].n = (uint64_t)sqlite3_column_int64(q, 1);
}

static void on_feed(struct store_status *ret, sqlite3_stmt *q)
{
    copy_text(ret->feed, sizeof(ret->feed), q, 0);
    ret->feed_bytes = sqlite3_column_int64(q, 1);
    ret->feed_rows = sqlite3_column_int64(q, 2);
}

static void on_hold(struct store_status *ret, sqlite3_stmt *q)
{
    copy_text(ret->hold[ret->n_holds].host, sizeof(ret->hold[0].host), q, 0);
    ret->hold[ret->n_holds++].until_ms = sqlite3_column_int64(q, 1);
}

static int say(char *err, int code, const char *path, const char *what)
{
    snprintf(err, STORE_ERR_MAX, "%.200s: %s", path, what ? what : strerror(-code));
    return code;
}

/* Calls `on` for each row. */
static int look_at(sqlite3 *db, const char *sql, void (*on)(struct store_status *, sqlite3_stmt *),
                   struct store_status *ret)
{
    sqlite3_stmt *q = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &q, NULL);

    if (rc == SQLITE_OK)
        while ((rc = sqlite3_step(q)) == SQLITE_ROW)
            on(ret, q);
    sqlite3_finalize(q);
    return rc == SQLITE_DONE ? 0 : store__code(db, rc);
}

struct identity {
    int64_t app, version;
};

static int look_identity(sqlite3 *db, struct identity *ret)
{
    static const char *const ask[] = {"PRAGMA application_id", "PRAGMA user_version"};
    int64_t got[2] = {0, 0};

    for (int i = 0; i < 2; i++) {
        sqlite3_stmt *q = NULL;
        int rc = sqlite3_prepare_v2(db, ask[i], -1, &q, NULL);
        if (rc == SQLITE_OK && (rc = sqlite3_step(q)) == SQLITE_ROW)
            got[i] = sqlite3_column_int64(q, 0);
        sqlite3_finalize(q);
        if (rc != SQLITE_ROW)
            return store__code(db, rc);
    }
    *ret = (struct identity){got[0], got[1]};
    return 0;
}

static int look_all(sqlite3 *db, struct store_status *ret)
{
    int r;

    if ((r = look_at(db, "SELECT value FROM meta WHERE key = 'scope'", on_scope, ret)) < 0 ||
        (r = look_at(db, "SELECT state, n FROM tally", on_tally, ret)) < 0 ||
        (r = look_at(db, "SELECT sum(bytes), sum(seconds) FROM result", on_sums, ret)) < 0 ||
        (r = look_at(db,
                     "SELECT reason, count(*) AS n FROM result WHERE reason IS NOT NULL "
                     "GROUP BY reason ORDER BY n DESC, reason LIMIT 16",
                     on_reason, ret)) < 0 ||
        (r = look_at(
             db,
             "SELECT substr(key, 6), value FROM meta WHERE key >= 'hold ' AND key < 'hold!' "
             "ORDER BY value DESC, key LIMIT 16",
             on_hold, ret)) < 0)
        return r;
    return look_at(db, "SELECT path, offset, seq FROM feed ORDER BY rowid DESC LIMIT 1", on_feed,
                   ret);
}
_Static_assert(STORE_REASONS_MAX == 16 && STORE_HOLDS_MAX == 16, "the LIMITs above");
_Static_assert(sizeof STORE_HOLD == 6, "the substr above");

/* Opens it and asks who it is. */
static int look_open(const char *name, int flags, sqlite3 **ret_db, struct identity *ret)
{
    int rc =
        sqlite3_open_v2(name, ret_db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | flags, NULL);

    if (rc != SQLITE_OK)
        return store__code(*ret_db, rc);
    return sqlite3_busy_timeout(*ret_db, 5000) == SQLITE_OK ? look_identity(*ret_db, ret) : -ENOMEM;
}

/* Is part of it in the log?  A crawl that ended in order leaves none. */
static bool log_is_there(const char *path)
{
    struct buf name = {0};

    buf_printf(&name, "%s-wal", path);
    bool there = buf_error(&name) < 0 || access(name.p, F_OK) == 0;
    buf_free(&name);
    return there;
}

/* Where nothing may be written SQLite cannot make a log to look into, and refuses; if there was
 * none, the database is read as a file that nobody changes. */
static int look_open_alone(const char *path, sqlite3 **ret_db, struct identity *ret)
{
    struct buf uri = {0};

    buf_puts(&uri, *path == '/' ? "file://" : "file:");
    for (; *path; path++)
        buf_printf(&uri, strchr("%?#", *path) ? "%%%02x" : "%c", *path);
    buf_puts(&uri, "?immutable=1");
    int r = buf_error(&uri);
    if (r == 0)
        r = look_open(uri.p, SQLITE_OPEN_URI, ret_db, ret);
    buf_free(&uri);
    return r;
}

/* Does a crawl hold the lock?  Asks only; the descriptor is not one of this process's crawls. */
static int look_running(const char *path, bool *ret)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = STORE_LOCK_AT, .l_len = 1};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), r;

    if (fd < 0)
        return -errno;
    r = fcntl(fd, F_OFD_GETLK, &lock) < 0 ? -errno : 0;
    *ret = r == 0 && lock.l_type != F_UNLCK;
    close(fd);
    return r;
}

int store_status(const char *path, struct store_status *ret, char err[STORE_ERR_MAX])
{
    struct store_status *got = calloc(1, sizeof(*got));
    struct identity id = {0, 0};
    sqlite3 *db = NULL;
    int r;

    if (!got)
        return say(err, -ENOMEM, path, NULL);
    if ((r = look_running(path, &got->running)) < 0) {
        say(err, r, path, NULL);
        goto out;
    }
    r = look_open(path, 0, &db, &id);
    if (db && sqlite3_errcode(db) == SQLITE_CANTOPEN && !log_is_there(path)) {
        sqlite3_close(db);
        db = NULL;
        r = look_open_alone(path, &db, &id);
    }
    if (r == 0 && id.app != STORE_APP_ID)
        r = -EBADMSG;
    if (r == 0 && id.version != STORE_VERSION)
        r = -EPROTONOSUPPORT;
    if (r == 0)
        r = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK ? look_all(db, got) : -EIO;
    if (r < 0) {
        say(err, r, path, r == -EBADMSG ? "not a database of hob crawl's" : NULL);
        goto out;
    }
    if (!got->running) {
        got->counts.n[STORE_PENDING] += got->counts.in_flight;
        got->counts.in_flight = 0;
    }
    *ret = *got;
out:
    sqlite3_close(db);
    free(got);
    return r;
}
