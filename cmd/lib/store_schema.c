/* SPDX-License-Identifier: MIT
 *
 * store_schema.c - the database of a crawl: its lock, its identity, its tables
 *
 * HOW         url      one row a URL ever met; id = the order of meeting = the order of fetching
 *             result   one row a finished page; seq = the order of finishing = the order of a feed
 *             retry    URLs that failed and wait; due NULL = leased
 *             tally    how many URLs are in which state, kept with each commit
 *             feed     how far each feed is counted
 *             meta     scope, the version of hob that made it; hosts that asked to be left alone
 *             page     a view for people: everything about a URL in one row
 *
 *   A row of url never changes its size: its state is one byte from first to last.  SQLite packs
 *   appended rows into full pages; a row that grew would split its page, at each page crawled.
 *
 *   There is no index.  What is pending is found by a cursor (frontier.c), a URL by the set of
 *   seen ones; about 82 bytes a URL of 62.
 *
 * PRAGMAS     journal_mode WAL: readers (--status) never stop the crawl, one fsync a commit.
 *   synchronous FULL: NORMAL would lose the last commits in a power cut, and the feed would then
 *   be ahead of the database; at a batch a commit the difference did not show.
 *   wal_autocheckpoint 4000 pages: 16 MB of log between copies into the database, not 4.
 *   journal_size_limit: the log gives back what one huge batch made it grow to.
 *   cache_size 8 MB: the frontier is appended to and read in order, little is read twice.
 *   No mmap: a disk that fails would be SIGBUS instead of an error.
 *
 * LOCKING     A byte of the database file is locked by fcntl, with the lock on the open file
 *   (F_OFD_SETLK), so that kill -9 frees it and no lock file is left.  The descriptor is opened
 *   before SQLite's and closed after it: closing any descriptor of a file drops the process's
 *   classic locks, which are SQLite's.
 *
 * REJECTED    locking_mode=EXCLUSIVE: it keeps --status out too.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/store_impl.h"

static const char store_tables[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE url(id INTEGER PRIMARY KEY, url TEXT NOT NULL, parent INTEGER, depth INTEGER, "
    "state INTEGER NOT NULL);"
    "CREATE TABLE result(seq INTEGER PRIMARY KEY, id INTEGER NOT NULL, status INTEGER, "
    "reason TEXT, final_url TEXT, bytes INTEGER, seconds REAL, attempts INTEGER, fields TEXT);"
    "CREATE INDEX result_reason ON result(reason) WHERE reason IS NOT NULL;"
    "CREATE TABLE retry(id INTEGER PRIMARY KEY, due INTEGER, attempts INTEGER NOT NULL);"
    "CREATE INDEX retry_due ON retry(due) WHERE due IS NOT NULL;"
    "CREATE TABLE tally(state INTEGER PRIMARY KEY, n INTEGER NOT NULL);"
    "CREATE TABLE feed(path TEXT PRIMARY KEY, seq INTEGER, offset INTEGER, tail INTEGER, "
    "dev INTEGER, ino INTEGER);"
    "CREATE TABLE state(state INTEGER PRIMARY KEY, text TEXT NOT NULL);"
    "CREATE VIEW page AS SELECT url.id, url, depth, state.text AS state, status, reason, "
    "coalesce(final_url, url) AS final_url, bytes, seconds, result.attempts, fields, parent "
    "FROM result JOIN url USING(id) JOIN state USING(state);";

int store__lock(struct store *st)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = STORE_LOCK_AT, .l_len = 1};
    struct stat sb;

    st->lock_fd = open(st->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
    if (st->lock_fd < 0 || fstat(st->lock_fd, &sb) < 0)
        return store__fail(st, -errno, "%s", strerror(errno));
    if (!S_ISREG(sb.st_mode))
        return store__fail(st, -EBADMSG, "not a regular file, so not a database");
    if (fcntl(st->lock_fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return store__fail(st, -EBUSY, "another process is crawling with this database");
    return store__fail(st, -errno, "cannot be locked: %s", strerror(errno));
}

/* One number, or one text, out of a query; no row leaves ret as it is. */
static int store_ask(struct store *st, const char *sql, int64_t *ret, char *text, size_t size)
{
    sqlite3_stmt *q;
    int rc;

    if (sqlite3_prepare_v2(st->db, sql, -1, &q, NULL) != SQLITE_OK)
        return store__fail_sql(st, "cannot be read");
    rc = sqlite3_step(q);
    if (rc == SQLITE_ROW && ret)
        *ret = sqlite3_column_int64(q, 0);
    if (rc == SQLITE_ROW && text) {
        const char *value = (const char *)sqlite3_column_text(q, 0);
        snprintf(text, size, "%s", value ? value : "");
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        store__fail_sql(st, "cannot be read");
    sqlite3_finalize(q);
    return st->broken;
}

static int store_create(struct store *st, const char *scope)
{
    char *sql = sqlite3_mprintf("BEGIN IMMEDIATE;%s PRAGMA application_id = %d;"
                                "PRAGMA user_version = %d;"
                                "INSERT INTO meta VALUES('scope', %Q), ('hob', %Q);",
                                store_tables, STORE_APP_ID, STORE_VERSION, scope, HOB_VERSION);
    int r = sql ? store__exec(st, sql, "cannot be set up") : store__fail(st, -ENOMEM, "no memory");

    sqlite3_free(sql);
    for (int state = STORE_PENDING; r == 0 && state < STORE_STATES; state++) {
        sql = sqlite3_mprintf("INSERT INTO state VALUES(%d, %Q)", state, store_state_text(state));
        r = sql ? store__exec(st, sql, "cannot be set up") : store__fail(st, -ENOMEM, "no memory");
        sqlite3_free(sql);
    }
    return r < 0 ? r : store__exec(st, "COMMIT", "cannot be set up");
}

/* Ours and of this scope, or empty and then made ours; anything else is left untouched. */
static int store_identify(struct store *st, const char *scope)
{
    int64_t app = 0, version = 0, tables = 0;
    char *found;
    int r;

    if ((r = store_ask(st, "SELECT count(*) FROM sqlite_master", &tables, NULL, 0)) < 0 ||
        (r = store_ask(st, "PRAGMA application_id", &app, NULL, 0)) < 0 ||
        (r = store_ask(st, "PRAGMA user_version", &version, NULL, 0)) < 0)
        return r;
    if (app == 0 && tables == 0)
        return 1;
    if (app != STORE_APP_ID)
        return store__fail(st, -EBADMSG, "a database, but not one of hob crawl's");
    if (version != STORE_VERSION)
        return store__fail(st, -EPROTONOSUPPORT,
                           "of format %lld; this hob (%s) reads and writes format %d",
                           (long long)version, HOB_VERSION, STORE_VERSION);
    size_t size = strlen(scope) + 2; /* one more than fits: a longer scope is another one */
    if (!(found = calloc(1, size > 256 ? size : 256)))
        return store__fail(st, -ENOMEM, "no memory");
    r = store_ask(st, "SELECT value FROM meta WHERE key = 'scope'", NULL, found,
                  size > 256 ? size : 256);
    if (r == 0 && strcmp(found, scope) != 0)
        r = store__fail(
            st, -EEXIST,
            "holds another crawl (%.150s), not this one (%.150s); --db takes another file", found,
            scope);
    free(found);
    return r;
}

static int store_pragmas(struct store *st)
{
    char mode[16] = "";
    int r = store_ask(st, "PRAGMA journal_mode = WAL", NULL, mode, sizeof(mode));

    if (r == 0 && strcmp(mode, "wal") != 0)
        r = store__fail(st, -EOPNOTSUPP, "no write-ahead log on this file system");
    if (r == 0)
        r = store__exec(st,
                        st->opts.sync == STORE_SYNC_OFF ? "PRAGMA synchronous = OFF"
                                                        : "PRAGMA synchronous = FULL",
                        "cannot be set up");
    if (r == 0)
        r = store__exec(st,
                        "PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864;"
                        "PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;"
                        "PRAGMA trusted_schema = OFF;",
                        "cannot be set up");
    return r;
}

int store__connect(struct store *st, const char *scope)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    char *real = realpath(st->path, NULL); /* SQLite gives names like ":memory:" a meaning */
    int r, fresh;

    if (!real)
        return store__fail(st, -errno, "%s", strerror(errno));
    r = sqlite3_open_v2(real, &st->db, flags, NULL);
    free(real);
    if (r != SQLITE_OK)
        return store__fail_sql(st, "cannot be opened");
    sqlite3_busy_timeout(st->db, 5000); /* somebody's sqlite3 shell, for a moment */
    if ((fresh = store_identify(st, scope)) < 0)
        return fresh;
    if ((r = store_pragmas(st)) < 0)
        return r;
    return fresh ? store_create(st, scope) : 0;
}

int store__prepare(struct store *st)
{
#define STORE_SQL_TEXT(name, sql) sql,
    static const char *const text[] = {STORE_SQL_MAP(STORE_SQL_TEXT)};
#undef STORE_SQL_TEXT

    for (int i = 0; i < Q_COUNT; i++)
        if (sqlite3_prepare_v3(st->db, text[i], -1, SQLITE_PREPARE_PERSISTENT, &st->q[i], NULL) !=
            SQLITE_OK)
            return store__fail_sql(st, "is damaged");
    return 0;
}
