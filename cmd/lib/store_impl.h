/* SPDX-License-Identifier: MIT
 *
 * store_impl.h - what the files of the store share
 *
 * store.c         open, close, errors, the batch and its commit
 * store_schema.c  the database: lock, identity, tables, statements
 * store_feed.c    the feed's place in the database
 * store_load.c    what a database holds, read once
 * frontier.c      URLs: met, leased, finished, counted
 * store_hold.c    until when a host asked to be left alone
 * store_hosts.c   pending URLs that wait because their host has no room
 * store_status.c  a look from outside
 */
#ifndef HOB_CMD_STORE_IMPL_H
#define HOB_CMD_STORE_IMPL_H

#include <sqlite3.h>

#include "lib/feed.h"
#include "lib/seen.h"
#include "lib/store.h"

/*
 * X(name, SQL): prepared once, at open.  A lease needs no statement: see frontier.c.
 */
#define STORE_SQL_MAP(X)                                                                           \
    X(Q_BEGIN, "BEGIN IMMEDIATE")                                                                  \
    X(Q_COMMIT, "COMMIT")                                                                          \
    X(Q_LINK, "INSERT INTO url(url, parent, depth, state) VALUES(?1, ?2, ?3, ?4)")                 \
    X(Q_FRESH, "SELECT id, url, depth, state FROM url WHERE id >= ?1 ORDER BY id")                 \
    X(Q_STATE, "UPDATE url SET state = ?2 WHERE id = ?1 AND state = ?3")                           \
    X(Q_RESULT, "INSERT INTO result(id, status, reason, final_url, bytes, seconds, attempts, "     \
                "fields) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")                                  \
    X(Q_RETRY, "INSERT INTO retry(id, due, attempts) VALUES(?1, ?2, 1)")                           \
    X(Q_RETRY_AGAIN, "UPDATE retry SET due = ?2, attempts = attempts + 1 "                         \
                     "WHERE id = ?1 AND due IS NULL")                                              \
    X(Q_RETRY_DUE, "SELECT retry.id, url, depth, attempts FROM retry JOIN url USING(id) "          \
                   "WHERE due <= ?1 ORDER BY due, retry.id LIMIT ?2")                              \
    X(Q_RETRY_FIRST, "SELECT min(due) FROM retry WHERE due IS NOT NULL")                           \
    X(Q_RETRY_LEASE, "UPDATE retry SET due = NULL WHERE id = ?1")                                  \
    X(Q_RETRY_END, "DELETE FROM retry WHERE id = ?1 AND due IS NULL")                              \
    X(Q_REDIRECTS, "WITH RECURSIVE up(parent, depth, n) AS (SELECT parent, depth, 0 FROM url "     \
                   "WHERE id = ?1 UNION ALL SELECT url.parent, url.depth, n + 1 FROM up "          \
                   "JOIN url ON url.id = up.parent WHERE url.depth = up.depth AND n < ?2) "        \
                   "SELECT max(n) FROM up")                                                        \
    X(Q_TALLY, "INSERT OR REPLACE INTO tally(state, n) VALUES(?1, ?2)")                            \
    X(Q_FEED, "INSERT OR REPLACE INTO feed(path, seq, offset, tail, dev, ino) "                    \
              "VALUES(?1, ?2, ?3, ?4, ?5, ?6)")

#define STORE_SQL_ENUM(name, sql) name,
enum store_query { STORE_SQL_MAP(STORE_SQL_ENUM) Q_COUNT };
#undef STORE_SQL_ENUM

/* Row of `tally` for what was in flight at the last commit; no state has this number. */
enum { STORE_IN_FLIGHT = 1 };

/* Ids first .. first + n - 1. */
struct store_run {
    int64_t first, n;
};

struct store_host {
    char *name;
    struct store_run *run; /* [first_run, n_runs): its URLs that were passed by, in order */
    size_t first_run, n_runs, max_runs;
};

struct store {
    const char *path; /* as the user said it, for messages; copied */
    sqlite3 *db;
    int lock_fd;
    sqlite3_stmt *q[Q_COUNT];
    struct store_opts opts; /* opts.feed and opts.hosts are not kept */

    struct seen *seen;
    uint64_t n[STORE_STATES];       /* rows of url by state, open batch included */
    uint64_t n_saved[STORE_STATES]; /* what `tally` holds */
    uint64_t in_flight;             /* leased since open, not finished; PENDING or WAITING rows */
    uint64_t in_flight_again;       /* of these the WAITING ones */
    uint64_t put_off;               /* for the next start; PENDING or WAITING rows */
    uint64_t put_off_again;         /* of these the WAITING ones */
    int64_t cursor;                 /* the next row to look at for a fresh lease */
    int64_t level;                  /* opts.levels: depth that is open for leases */

    struct store_host *host; /* n_hosts, by name; 0: hosts do not matter */
    size_t n_hosts;
    uint64_t n_passed; /* rows before the cursor that wait for room */

    struct feed *feed;
    int64_t seq;            /* of the last row of result */
    int64_t feed_seq;       /* of the last row known to be in the feed */
    int64_t feed_seq_saved; /* the same as of the last commit */

    bool in_batch;
    int broken; /* the error that ended this store's life, else 0 */
    char err[STORE_ERR_MAX];
};

/* Rows that have no final state yet. */
static inline int64_t store__open_rows(const struct store *st)
{
    return (int64_t)(st->n[STORE_PENDING] + st->n[STORE_WAITING]);
}

static inline void store__step(struct store *st, const char *what)
{
    if (st->opts.step)
        st->opts.step(st->opts.step_arg, what);
}

/* Says "path: text" in the error line; an error that is not -EINVAL is final.  Returns code. */
int store__fail(struct store *st, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for what SQLite said last, while `doing`. */
int store__fail_sql(struct store *st, const char *doing);
/* What a result code of SQLite's means; db may be NULL. */
int store__code(sqlite3 *db, int rc);

/* Opens the batch unless it is open.  Every function that changes the database calls it first. */
int store__begin(struct store *st);
/* Runs a prepared statement that returns no row, and resets it. */
int store__run(struct store *st, enum store_query q, const char *doing);
/* Runs SQL text. */
int store__exec(struct store *st, const char *sql, const char *doing);

/* store_schema.c: on failure the error line is set and what was opened is in st, for close. */
int store__lock(struct store *st);
int store__connect(struct store *st, const char *scope);
int store__prepare(struct store *st);

/* store_load.c: reads every URL once: the set, the counts, the cursor. */
int store__load(struct store *st);

/* store_hosts.c */
int store__hosts_new(struct store *st);
void store__hosts_free(struct store *st);
/* The host of a canonical URL; NULL: none of ours. */
struct store_host *store__host_of(struct store *st, const char *url);
/* Remembers a pending row that the cursor passes by. */
int store__pass_by(struct store *st, struct store_host *h, int64_t id);
/* The first of its runs, NULL if there is none; and its first id is leased. */
struct store_run *store__passed(struct store_host *h);
void store__passed_take(struct store *st, struct store_host *h);

/* Before a host's name, the key of its row in meta. */
#define STORE_HOLD "hold "

/* store_feed.c */
int store__feed_attach(struct store *st, const char *path);
int store__feed_row(struct store *st, const struct feed_row *row);
/* Before and after the commit. */
int store__feed_count(struct store *st);
int store__feed_counted(struct store *st);

enum { STORE_APP_ID = 0x686f6243, STORE_VERSION = 1 }; /* "hobC" */

/* The byte of the database that is locked, far behind any that SQLite uses. */
#define STORE_LOCK_AT ((off_t)1 << 62)

#endif
