/* SPDX-License-Identifier: MIT
 *
 * frontier.c - URLs: met, leased, finished, counted
 *
 * HOW         rows of url by id:
 *
 *             d d d d f P d P s d P P P P P s P P P P P      d done, f failed, s skipped,
 *                       ^   ^     |                          P pending
 *                   in flight   cursor: all at or after it was never leased
 *
 *   URLs are fetched in the order they were met, which is breadth first, so what is pending needs
 *   no index: the cursor passes each row once a run.  Meeting a URL is a look into the set of seen
 *   ones and, if it is new, one row appended.
 *
 *   A lease is kept in memory only.  One process owns the database, so what is in flight dies
 *   with it, and in the database it never was anything but pending: nothing to write at a lease,
 *   to expire, or to repair.
 *
 *   A URL that failed and is to be tried again leaves this order: it waits in `retry` by the time
 *   it is due, and is leased from there, now or by a later process, until it is final.
 *
 * INVARIANTS  (I1) a pending row before the cursor is in flight, was put off, or was passed by for
 *                  want of room (store_hosts.c); one at or after it is none of these
 *             (I2) a row of `retry` is WAITING; it is in flight when it has no time
 *             (I3) in_flight + finished pages <= max_pages
 *             (I4) levels: no row deeper than `level` is in flight
 *
 * REJECTED    An index on (state, depth, id): a third of the insert's time and 10 to 15 bytes a
 *   pending URL, to order URLs that come in order.  Marking leases in the database: two more row
 *   changes a page, and a pass to undo them at each start.
 *   A queue of its own beside the table of URLs: the URL twice.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/store_impl.h"

static uint64_t store_finished(const struct store *st)
{
    return st->n[STORE_DONE] + st->n[STORE_FAILED];
}

int store_link(struct store *st, const char *url, size_t len, unsigned depth, int64_t parent,
               enum store_state state)
{
    sqlite3_stmt *q = st->q[Q_LINK];
    int r;

    if (len == 0 || len > STORE_URL_MAX || state == STORE_WAITING || state == STORE_DONE ||
        state == STORE_FAILED)
        return store__fail(st, -EINVAL, "a link of %zu bytes in state %d", len, (int)state);
    if (st->broken)
        return st->broken;
    if ((r = seen_add(st->seen, url, len)) <= 0)
        return r == 0 ? 0 : store__fail(st, r, "no memory for the set of URLs seen");
    if ((r = store__begin(st)) < 0)
        return r;
    sqlite3_bind_text(q, 1, url, (int)len, SQLITE_STATIC);
    if (parent)
        sqlite3_bind_int64(q, 2, parent);
    else
        sqlite3_bind_null(q, 2);
    sqlite3_bind_int64(q, 3, depth);
    sqlite3_bind_int(q, 4, (int)state);
    if ((r = store__run(st, Q_LINK, "a URL cannot be written")) < 0)
        return r;
    st->n[state]++;
    store__step(st, "linked");
    return 1;
}

/* Takes the row a query stands on. */
static int store_lease(struct store *st, sqlite3_stmt *q, unsigned attempts, struct store_row *ret)
{
    const char *url = (const char *)sqlite3_column_text(q, 1);

    ret->url = url ? strdup(url) : NULL;
    if (!ret->url)
        return store__fail(st, -ENOMEM, "no memory");
    ret->id = sqlite3_column_int64(q, 0);
    ret->depth = (unsigned)sqlite3_column_int64(q, 2);
    ret->attempts = attempts;
    return 0;
}

static int store_next_due(struct store *st, int64_t now_ms, size_t max, struct store_row *ret,
                          size_t *n)
{
    sqlite3_stmt *q = st->q[Q_RETRY_DUE];
    int r = 0, rc;

    if (st->n[STORE_WAITING] == st->in_flight_again + st->put_off_again)
        return 0;
    sqlite3_bind_int64(q, 1, now_ms);
    sqlite3_bind_int64(q, 2, (sqlite3_int64)max);
    while (r == 0 && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        r = store_lease(st, q, (unsigned)sqlite3_column_int(q, 3), &ret[*n]);
        *n += r == 0;
    }
    if (r == 0 && rc != SQLITE_DONE)
        r = store__fail_sql(st, "cannot be read");
    sqlite3_reset(q);
    if (r == 0 && *n > 0)
        r = store__begin(st);
    for (size_t i = 0; r == 0 && i < *n; i++) {
        sqlite3_bind_int64(st->q[Q_RETRY_LEASE], 1, ret[i].id);
        r = store__run(st, Q_RETRY_LEASE, "a lease cannot be written");
        st->in_flight_again++;
        st->in_flight++;
    }
    return r;
}

/* True if a row of this depth has to wait for smaller ones; opens its level if nothing is. */
static bool store_level_closed(struct store *st, int64_t depth)
{
    if (!st->opts.levels || depth <= st->level)
        return false;
    if (st->in_flight + st->n_passed > 0 || st->n[STORE_WAITING] > st->put_off_again)
        return true;
    st->level = depth;
    return false;
}

/* Room for hosts; room NULL: hosts do not matter. */
struct fair {
    unsigned *room;
    size_t n_open; /* hosts that have some */
};

static void fair_take(struct fair *f, struct store *st, struct store_host *h)
{
    unsigned *room = f->room && h ? &f->room[h - st->host] : NULL;

    if (room && *room > 0 && --*room == 0)
        f->n_open--;
}

/* What was passed by, as far as its host has room now. */
static int store_next_passed(struct store *st, struct fair *f, struct store_host *h, size_t max,
                             struct store_row *ret, size_t *n)
{
    sqlite3_stmt *q = st->q[Q_FRESH];
    const struct store_run *run;
    int r = 0;

    while (r == 0 && *n < max && f->room[h - st->host] > 0 && (run = store__passed(h)) != NULL) {
        size_t left = (size_t)run->n;
        sqlite3_bind_int64(q, 1, run->first);
        for (; r == 0 && left > 0 && *n < max && f->room[h - st->host] > 0; left--) {
            if (sqlite3_step(q) != SQLITE_ROW)
                r = store__fail_sql(st, "cannot be read");
            else if ((r = store_lease(st, q, 0, &ret[*n])) == 0) {
                *n += 1;
                st->in_flight++;
                store__passed_take(st, h);
                fair_take(f, st, h);
            }
        }
        sqlite3_reset(q);
    }
    return r;
}

/* The pending row the cursor stands on: leased, or passed by. */
static int store_take_fresh(struct store *st, struct fair *f, sqlite3_stmt *q,
                            struct store_row *ret, size_t *n)
{
    struct store_host *h = NULL;
    int r;

    if (f->room) {
        const char *url = (const char *)sqlite3_column_text(q, 1);
        h = url ? store__host_of(st, url) : NULL;
        if (h && f->room[h - st->host] == 0)
            return store__pass_by(st, h, sqlite3_column_int64(q, 0));
    }
    if ((r = store_lease(st, q, 0, &ret[*n])) < 0)
        return r;
    *n += 1;
    st->in_flight++;
    fair_take(f, st, h);
    return 0;
}

static int store_next_fresh(struct store *st, struct fair *f, size_t max, struct store_row *ret,
                            size_t *n)
{
    uint64_t not_now = st->in_flight - st->in_flight_again + st->put_off - st->put_off_again;
    sqlite3_stmt *q = st->q[Q_FRESH];
    int r = 0, rc = SQLITE_DONE;

    if (*n == max || st->n[STORE_PENDING] == not_now)
        return 0;
    for (size_t i = 0; r == 0 && f->room && st->n_passed > 0 && i < st->n_hosts; i++)
        r = store_next_passed(st, f, &st->host[i], max, ret, n);
    sqlite3_bind_int64(q, 1, st->cursor);
    while (r == 0 && *n < max && (!f->room || f->n_open > 0) &&
           (rc = sqlite3_step(q)) == SQLITE_ROW) {
        if (sqlite3_column_int(q, 3) == STORE_PENDING) {
            if (store_level_closed(st, sqlite3_column_int64(q, 2)))
                break;
            if ((r = store_take_fresh(st, f, q, ret, n)) < 0)
                break;
        }
        st->cursor = sqlite3_column_int64(q, 0) + 1; /* (I1) */
    }
    if (r == 0 && rc != SQLITE_ROW && rc != SQLITE_DONE)
        r = store__fail_sql(st, "cannot be read");
    sqlite3_reset(q);
    return r;
}

int store_next_of(struct store *st, int64_t now_ms, size_t max, unsigned *room,
                  struct store_row *ret, size_t *ret_n)
{
    uint64_t taken = store_finished(st) + st->in_flight;
    struct fair f = {.room = st->n_hosts > 0 ? room : NULL};
    size_t n = 0;
    int r;

    if (st->broken)
        return st->broken;
    if (st->opts.max_pages) {
        uint64_t left = st->opts.max_pages > taken ? st->opts.max_pages - taken : 0;
        max = max < left ? max : (size_t)left; /* (I3) */
    }
    for (size_t i = 0; f.room && i < st->n_hosts; i++)
        f.n_open += f.room[i] > 0;
    r = store_next_due(st, now_ms, max, ret, &n);
    for (size_t i = 0; r == 0 && f.room && i < n; i++)
        fair_take(&f, st, store__host_of(st, ret[i].url));
    if (r == 0)
        r = store_next_fresh(st, &f, max, ret, &n);
    if (r < 0) {
        while (n > 0)
            free(ret[--n].url);
        return r;
    }
    *ret_n = n;
    return 0;
}

int store_next(struct store *st, int64_t now_ms, size_t max, struct store_row *ret, size_t *ret_n)
{
    return store_next_of(st, now_ms, max, NULL, ret, ret_n);
}

int store_due(struct store *st, int64_t *ret_ms)
{
    sqlite3_stmt *q = st->q[Q_RETRY_FIRST];
    uint64_t taken = store_finished(st) + st->in_flight;
    int r = 0;

    if (st->broken)
        return st->broken;
    if (st->n[STORE_WAITING] == st->in_flight_again + st->put_off_again ||
        (st->opts.max_pages && taken >= st->opts.max_pages)) {
        *ret_ms = INT64_MAX;
        return 0;
    }
    if (sqlite3_step(q) == SQLITE_ROW)
        *ret_ms = sqlite3_column_int64(q, 0);
    else
        r = store__fail_sql(st, "cannot be read");
    sqlite3_reset(q);
    return r;
}

int store_redirects(struct store *st, const struct store_row *row, unsigned max, unsigned *ret)
{
    sqlite3_stmt *q = st->q[Q_REDIRECTS];
    int r = st->broken;

    if (r < 0)
        return r;
    sqlite3_bind_int64(q, 1, row->id);
    sqlite3_bind_int(q, 2, (int)max);
    if (sqlite3_step(q) == SQLITE_ROW)
        *ret = (unsigned)sqlite3_column_int(q, 0);
    else
        r = store__fail_sql(st, "cannot be read");
    sqlite3_reset(q);
    return r;
}

static int store_not_in_flight(struct store *st, const struct store_row *row)
{
    return store__fail(st, -EINVAL, "URL %lld is not in flight", (long long)row->id);
}

/* From in flight for the first time to `state`, in the batch. */
static int store_move(struct store *st, const struct store_row *row, enum store_state from,
                      enum store_state state)
{
    sqlite3_stmt *q = st->q[Q_STATE];
    int r;

    sqlite3_bind_int64(q, 1, row->id);
    sqlite3_bind_int(q, 2, (int)state);
    sqlite3_bind_int(q, 3, (int)from);
    if ((r = store__run(st, Q_STATE, "a page's state cannot be written")) < 0)
        return r;
    if (sqlite3_changes(st->db) != 1)
        return store_not_in_flight(st, row);
    st->n[from]--;
    st->n[state]++;
    st->in_flight--;
    store__step(st, "moved");
    return 0;
}

/* A statement on the row of `retry` of a URL that is in flight again (I2). */
static int store_again(struct store *st, const struct store_row *row, enum store_query q)
{
    int r;

    sqlite3_bind_int64(st->q[q], 1, row->id);
    if ((r = store__run(st, q, "a page's state cannot be written")) < 0)
        return r;
    if (sqlite3_changes(st->db) != 1)
        return store_not_in_flight(st, row);
    st->in_flight_again--;
    return 0;
}

/* Can this row be in flight? */
static bool store_in_flight(const struct store *st, const struct store_row *row)
{
    return st->in_flight > 0 && (row->attempts > 0 || row->id < st->cursor); /* (I1) */
}

/* Before anything is changed. */
static int store_check_row(struct store *st, const struct store_row *row)
{
    if (st->broken)
        return st->broken;
    return store_in_flight(st, row) ? store__begin(st) : store_not_in_flight(st, row);
}

static void bind_text(sqlite3_stmt *q, int at, const char *text)
{
    if (text)
        sqlite3_bind_text(q, at, text, -1, SQLITE_STATIC);
    else
        sqlite3_bind_null(q, at);
}

static int store_put_result(struct store *st, const struct store_row *row,
                            const struct store_result *res)
{
    const char *final_url =
        res->final_url && strcmp(res->final_url, row->url) != 0 ? res->final_url : NULL;
    struct feed_row line = {
        .url = row->url,
        .final_url = final_url,
        .status = res->status,
        .bytes = res->bytes,
        .seconds = res->seconds,
        .depth = row->depth,
        .attempts = row->attempts + 1,
        .error = res->reason,
        .fields = res->fields,
    };
    sqlite3_stmt *q = st->q[Q_RESULT];
    int r;

    sqlite3_bind_int64(q, 1, row->id);
    if (res->status)
        sqlite3_bind_int(q, 2, res->status);
    else
        sqlite3_bind_null(q, 2);
    bind_text(q, 3, res->reason);
    bind_text(q, 4, final_url);
    sqlite3_bind_int64(q, 5, res->bytes);
    sqlite3_bind_double(q, 6, res->seconds);
    sqlite3_bind_int64(q, 7, line.attempts);
    bind_text(q, 8, res->fields);
    if ((r = store__run(st, Q_RESULT, "a result cannot be written")) < 0)
        return r;
    st->seq = sqlite3_last_insert_rowid(st->db);
    store__step(st, "result");
    return st->feed ? store__feed_row(st, &line) : 0;
}

int store_finish(struct store *st, const struct store_row *row, const struct store_result *res)
{
    enum store_state from = row->attempts ? STORE_WAITING : STORE_PENDING;
    int r;

    if (res->state < STORE_DONE || res->state >= STORE_STATES)
        return store__fail(st, -EINVAL, "a page cannot finish in state %d", (int)res->state);
    if ((r = store_check_row(st, row)) < 0 ||
        (row->attempts && (r = store_again(st, row, Q_RETRY_END)) < 0) ||
        (r = store_move(st, row, from, res->state)) < 0)
        return r;
    return res->state <= STORE_FAILED ? store_put_result(st, row, res) : 0;
}

int store_retry(struct store *st, const struct store_row *row, int64_t at_ms)
{
    enum store_query how = row->attempts ? Q_RETRY_AGAIN : Q_RETRY;
    int r;

    if ((r = store_check_row(st, row)) < 0)
        return r;
    sqlite3_bind_int64(st->q[how], 2, at_ms);
    if (row->attempts) {
        if ((r = store_again(st, row, how)) < 0)
            return r;
        st->in_flight--;
    } else {
        if ((r = store_move(st, row, STORE_PENDING, STORE_WAITING)) < 0)
            return r;
        sqlite3_bind_int64(st->q[how], 1, row->id);
        if ((r = store__run(st, how, "a page's state cannot be written")) < 0)
            return r;
    }
    store__step(st, "retried");
    return 0;
}

int store_put_off(struct store *st, const struct store_row *row)
{
    if (st->broken)
        return st->broken;
    if (!store_in_flight(st, row))
        return store_not_in_flight(st, row);
    st->in_flight--;
    st->put_off++;
    if (row->attempts) { /* in `retry` it is leased until the next start (I2) */
        st->in_flight_again--;
        st->put_off_again++;
    }
    return 0;
}

enum store_ending store_end(const struct store *st)
{
    if (store__open_rows(st) == 0)
        return STORE_COMPLETE;
    if (st->opts.max_pages && store_finished(st) >= st->opts.max_pages && st->in_flight == 0)
        return STORE_BUDGET;
    return STORE_RUNNING;
}

void store_counts(const struct store *st, struct store_counts *ret)
{
    memset(ret, 0, sizeof(*ret));
    for (int i = STORE_PENDING; i < STORE_STATES; i++) {
        ret->n[i] = st->n[i];
        ret->urls += st->n[i];
        ret->skipped += i > STORE_FAILED ? st->n[i] : 0;
    }
    ret->n[STORE_PENDING] -= st->in_flight - st->in_flight_again;
    ret->n[STORE_WAITING] -= st->in_flight_again;
    ret->in_flight = st->in_flight;
}

size_t store_seen_bytes(const struct store *st)
{
    return seen_bytes(st->seen);
}
