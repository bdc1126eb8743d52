/* SPDX-License-Identifier: MIT
 *
 * store_hold.c - until when a host asked to be left alone
 *
 * HOW         A row of meta a host, "hold example.org" with the wall clock's milliseconds: it is
 *   written in the batch of the page that was answered so, and outlives the process.  One whose
 *   time has gone by says nothing, so nobody removes it; the next one replaces it.
 */
#include <errno.h>
#include <stdio.h>

#include "lib/store_impl.h"

enum { KEY_MAX = 300 };

static int hold_run(struct store *st, const char *sql, const char *host, int64_t until_ms,
                    int64_t *ret_ms)
{
    char key[KEY_MAX];
    sqlite3_stmt *q;
    int rc;

    snprintf(key, sizeof key, "%s%s", STORE_HOLD, host);
    if (sqlite3_prepare_v2(st->db, sql, -1, &q, NULL) != SQLITE_OK)
        return store__fail_sql(st, "a host's Retry-After");
    sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
    if (!ret_ms)
        sqlite3_bind_int64(q, 2, until_ms);
    rc = sqlite3_step(q);
    if (rc == SQLITE_ROW && ret_ms)
        *ret_ms = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : store__fail_sql(st, "a host's Retry-After");
}

int store_hold(struct store *st, const char *host, int64_t until_ms)
{
    int r = store__begin(st);

    return r < 0 ? r
                 : hold_run(st, "INSERT OR REPLACE INTO meta(key, value) VALUES(?1, ?2)", host,
                            until_ms, NULL);
}

int store_held(struct store *st, const char *host, int64_t *ret_ms)
{
    int64_t ms = 0;
    int r = st->broken;

    if (r == 0)
        r = hold_run(st, "SELECT value FROM meta WHERE key = ?1", host, 0, &ms);
    if (r == 0)
        *ret_ms = ms;
    return r;
}
