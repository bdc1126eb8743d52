/* SPDX-License-Identifier: MIT
 *
 * store_load.c - what the database holds, read once at open: the set, the counts, the cursor
 */
#include <errno.h>

#include "lib/store_impl.h"

/* One row at start: into the set, the counts, the place to go on. */
static int store_load_row(struct store *st, sqlite3_stmt *q)
{
    int64_t id = sqlite3_column_int64(q, 0), depth = sqlite3_column_int64(q, 2);
    const char *url = (const char *)sqlite3_column_text(q, 1);
    int state = sqlite3_column_int(q, 3);

    if (!url)
        return store__fail(st, -ENOMEM, "no memory");
    if (seen_load(st->seen, url, (size_t)sqlite3_column_bytes(q, 1)) < 0)
        return store__fail(st, -ENOMEM, "no memory for the set of URLs seen");
    if (state < STORE_PENDING || state >= STORE_STATES)
        return store__fail(st, -EUCLEAN, "is damaged: a URL in state %d", state);
    if (store__open_rows(st) == 0 || depth < st->level)
        if (state == STORE_PENDING || state == STORE_WAITING)
            st->level = depth;
    if (state == STORE_PENDING && st->n[STORE_PENDING] == 0)
        st->cursor = id;
    st->n[state]++;
    return 0;
}

/* What was in flight for another try waits for it again, due at once (I2). */
static int store_load_retries(struct store *st)
{
    sqlite3_stmt *q;
    int r = 0, rc;

    if (sqlite3_prepare_v2(st->db, "SELECT 1 FROM retry WHERE due IS NULL", -1, &q, NULL))
        return store__fail_sql(st, "cannot be read");
    rc = sqlite3_step(q);
    sqlite3_finalize(q);
    if (rc == SQLITE_DONE)
        return 0;
    if ((r = store__begin(st)) < 0)
        return r;
    return store__exec(st, "UPDATE retry SET due = 0 WHERE due IS NULL", "cannot be written");
}

/* Counts kept by commits against rows counted now: both were true at the same instant. */
static int store_load_tally(struct store *st)
{
    sqlite3_stmt *q;
    int64_t open = store__open_rows(st);
    bool same = true;
    int rc;

    if (sqlite3_prepare_v2(st->db, "SELECT state, n FROM tally", -1, &q, NULL))
        return store__fail_sql(st, "cannot be read");
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        int state = sqlite3_column_int(q, 0);
        if (state >= STORE_IN_FLIGHT && state < STORE_STATES)
            st->n_saved[state] = (uint64_t)sqlite3_column_int64(q, 1);
    }
    sqlite3_finalize(q);
    if (rc != SQLITE_DONE)
        return store__fail_sql(st, "cannot be read");
    for (int i = STORE_DONE; i < STORE_STATES; i++)
        same = same && st->n[i] == st->n_saved[i];
    for (int i = STORE_IN_FLIGHT; i < STORE_DONE; i++)
        open -= (int64_t)st->n_saved[i];
    if (!same || open != 0)
        return store__fail(st, -EUCLEAN, "is damaged: URLs do not add up to the counts");
    return 0;
}

/* Room for all of them at once: growing by the way costs as much as filling.  Without it the set
 * grows as it does later. */
static int store_load_room(struct store *st)
{
    sqlite3_stmt *q;

    if (sqlite3_prepare_v2(st->db, "SELECT max(id) FROM url", -1, &q, NULL))
        return store__fail_sql(st, "cannot be read");
    if (sqlite3_step(q) == SQLITE_ROW && sqlite3_column_int64(q, 0) > 0)
        (void)seen_reserve(st->seen, (uint64_t)sqlite3_column_int64(q, 0));
    sqlite3_finalize(q);
    return 0;
}

int store__load(struct store *st)
{
    sqlite3_stmt *q;
    int r, rc;

    if ((r = store_load_retries(st)) < 0 || (r = store_load_room(st)) < 0)
        return r;
    if (sqlite3_prepare_v2(st->db, "SELECT id, url, depth, state FROM url ORDER BY id", -1, &q,
                           NULL))
        return store__fail_sql(st, "cannot be read");
    st->cursor = 1;
    while (r == 0 && (rc = sqlite3_step(q)) == SQLITE_ROW)
        r = store_load_row(st, q);
    if (r == 0 && rc != SQLITE_DONE)
        r = store__fail_sql(st, "cannot be read");
    sqlite3_finalize(q);
    if (r == 0 && seen_load_end(st->seen) < 0)
        r = store__fail(st, -ENOMEM, "no memory for the set of URLs seen");
    if (r < 0 || (r = store_load_tally(st)) < 0)
        return r;
    if (sqlite3_prepare_v2(st->db, "SELECT max(seq) FROM result", -1, &q, NULL))
        return store__fail_sql(st, "cannot be read");
    if (sqlite3_step(q) == SQLITE_ROW)
        st->seq = sqlite3_column_int64(q, 0);
    else
        r = store__fail_sql(st, "cannot be read");
    sqlite3_finalize(q);
    return r;
}
