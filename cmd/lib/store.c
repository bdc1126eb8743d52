/* SPDX-License-Identifier: MIT
 *
 * store.c - what a crawl knows: opening it, and making a batch true at once
 *
 * HOW         A batch is one transaction, opened by the first change and ended by store_commit:
 *
 *             rows of the feed -> file -> fsync          a file is ahead of its database, never
 *               -> feed's mark, counts -> COMMIT (fsync) behind: what is ahead is cut off
 *               -> stream                                a stream is behind, never ahead: what it
 *                                                        missed is written at the next start
 *
 *   Killed before COMMIT, the batch never happened: its pages are pending and its rows are bytes
 *   after the mark.  Killed after, it is all there.
 *
 * INVARIANTS  (I1) nothing is written to the database outside a batch
 *             (I2) a file's mark is stored only after the bytes before it are synced
 *             (I3) after a failure whose outcome is open, no call does anything
 *             (I4) n[] is what the rows of url say, the open batch included
 *
 *   (I3) is what keeps a full disk honest: what a failed COMMIT or fsync left behind nobody
 *   knows, so nobody builds on it; the next open reads it from the disk.
 *
 * SEE         docs/design/0004-frontier.md
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/store_impl.h"

const char *store_state_text(int state)
{
#define STORE_STATE_CASE(name, number, text)                                                       \
    case name:                                                                                     \
        return text;
    switch (state) {
        STORE_STATE_MAP(STORE_STATE_CASE)
    default:
        return "?";
    }
#undef STORE_STATE_CASE
}

/* The system's errno behind an I/O error of SQLite's.  A failed COMMIT has to be asked of the file
 * itself, and the log is the file it writes. */
static int store_os_error(sqlite3 *db)
{
    sqlite3_file *log = NULL;
    int code = db ? sqlite3_system_errno(db) : 0;

    if (db && !code)
        sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    if (log && log->pMethods)
        log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &code);
    if (db && !code)
        sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &code);
    return code > 0 ? -code : -EIO;
}

int store__code(sqlite3 *db, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_NOTADB:
        return -EBADMSG;
    case SQLITE_CORRUPT:
    case SQLITE_SCHEMA:
    case SQLITE_ERROR: /* our own SQL is right, so the tables are not */
        return -EUCLEAN;
    case SQLITE_PERM:
        return -EACCES;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return store_os_error(db);
    default:
        return -EIO;
    }
}

int store__fail(struct store *st, int code, const char *format, ...)
{
    va_list ap;
    int n = snprintf(st->err, sizeof(st->err), "%.200s: ", st->path);

    va_start(ap, format);
    vsnprintf(st->err + n, sizeof(st->err) - (size_t)n, format, ap);
    va_end(ap);
    if (code != -EINVAL)
        st->broken = code;
    return code;
}

int store__fail_sql(struct store *st, const char *doing)
{
    int code = store__code(st->db, st->db ? sqlite3_extended_errcode(st->db) : SQLITE_NOMEM);
    const char *why = code == -EBADMSG                   ? "not a database"
                      : code == -EIO || code == -EUCLEAN ? sqlite3_errmsg(st->db)
                                                         : strerror(-code);

    return store__fail(st, code, "%s: %s", doing, why);
}

int store__exec(struct store *st, const char *sql, const char *doing)
{
    return sqlite3_exec(st->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0
                                                                    : store__fail_sql(st, doing);
}

int store__run(struct store *st, enum store_query q, const char *doing)
{
    int r = sqlite3_step(st->q[q]) == SQLITE_DONE ? 0 : store__fail_sql(st, doing);

    sqlite3_reset(st->q[q]);
    return r;
}

int store__begin(struct store *st)
{
    if (st->broken)
        return st->broken; /* (I3) */
    if (st->in_batch)
        return 0;
    int r = store__run(st, Q_BEGIN, "cannot be written");
    st->in_batch = r == 0;
    return r;
}

static int store_take_opts(struct store *st, const struct store_opts *opts)
{
    const unsigned char *tail = (const unsigned char *)opts;

    if (!opts)
        return 0;
    for (size_t i = sizeof(*opts); i < opts->size; i++)
        if (tail[i])
            return store__fail(st, -E2BIG, "an option this version does not know");
    memcpy(&st->opts, opts, opts->size < sizeof(*opts) ? opts->size : sizeof(*opts));
    return 0;
}

static int store_open_parts(struct store *st, const char *scope)
{
    const char *feed = st->opts.feed;
    int r;

    st->opts.feed = NULL;
    if ((r = store__hosts_new(st)) < 0)
        return r;
    if ((r = store__lock(st)) < 0 || (r = store__connect(st, scope)) < 0 ||
        (r = store__prepare(st)) < 0)
        return r;
    if (seen_new(&st->seen) < 0)
        return store__fail(st, -ENOMEM, "no memory for the set of URLs seen");
    if ((r = store__load(st)) < 0)
        return r;
    return feed ? store__feed_attach(st, feed) : 0;
}

int store_open(const char *path, const char *scope, const struct store_opts *opts,
               struct store **ret, char err[STORE_ERR_MAX])
{
    struct store *st = calloc(1, sizeof(*st));
    int r;

    if (!st || !(st->path = strdup(path))) {
        snprintf(err, STORE_ERR_MAX, "%.200s: no memory", path);
        free(st);
        return -ENOMEM;
    }
    st->lock_fd = -1;
    r = store_take_opts(st, opts);
    if (r == 0)
        r = store_open_parts(st, scope);
    if (r < 0) {
        memcpy(err, st->err, STORE_ERR_MAX);
        store_close(st);
        return r;
    }
    store__step(st, "opened");
    *ret = st;
    return 0;
}

void store_close(struct store *st)
{
    if (!st)
        return;
    if (st->in_batch) {
        /* A batch never tried to commit: its rows may be cut off at once.  After a COMMIT that
         * failed only the next open knows whether they count. */
        if (sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK && st->feed)
            feed_rewind(st->feed);
    } else if (!st->broken && st->feed && st->feed_seq != st->feed_seq_saved) {
        store_commit(st); /* how far a stream got; if not, it is told the rest twice */
    }
    feed_close(st->feed);
    for (int i = 0; i < Q_COUNT; i++)
        sqlite3_finalize(st->q[i]);
    sqlite3_close(st->db);
    if (st->lock_fd >= 0)
        close(st->lock_fd);
    seen_free(st->seen);
    store__hosts_free(st);
    free((char *)st->path);
    free(st);
}

const char *store_error(const struct store *st)
{
    return st->err;
}

static int store_save_tally(struct store *st)
{
    struct store_counts now;
    int r = 0;

    store_counts(st, &now);
    now.n[STORE_IN_FLIGHT] = now.in_flight;
    for (int i = STORE_IN_FLIGHT; r == 0 && i < STORE_STATES; i++) {
        if (now.n[i] == st->n_saved[i])
            continue;
        sqlite3_bind_int(st->q[Q_TALLY], 1, i);
        sqlite3_bind_int64(st->q[Q_TALLY], 2, (sqlite3_int64)now.n[i]);
        r = store__run(st, Q_TALLY, "counts cannot be written");
    }
    memcpy(st->n_saved, now.n, sizeof(st->n_saved));
    return r;
}

int store_commit(struct store *st)
{
    int r;

    if (!st->in_batch && st->feed_seq == st->feed_seq_saved && !st->broken)
        return 0;
    if ((r = store__begin(st)) < 0 || (r = store__feed_count(st)) < 0 || /* (I2) */
        (r = store_save_tally(st)) < 0)
        return r;
    store__step(st, "counted");
    st->in_batch = false;
    r = store__run(st, Q_COMMIT, "a batch cannot be committed");
    if (r < 0)
        return r;
    store__step(st, "committed");
    return store__feed_counted(st);
}
