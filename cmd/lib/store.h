/* SPDX-License-Identifier: MIT
 *
 * store.h - what a crawl knows: every URL in one named state, results, and the feed of rows
 *
 * One SQLite database holds a crawl.  store_next leases pending URLs, store_finish, store_retry
 * and store_link say what became of them, store_commit makes all of that true at once.  Whatever
 * a returned store_commit covered survives kill -9 and a power cut; whatever it did not cover
 * never happened, in the database and in the feed alike, and is done again after a restart.
 *
 *     store_open(path, scope, opts, &st, err);
 *     store_link(st, seed, strlen(seed), 0, 0, STORE_PENDING);
 *     store_commit(st);
 *     while (store_end(st) == STORE_RUNNING) {
 *         store_next(st, now_ms, 64, rows, &n);          leases n rows; 0: see store_due
 *         for each row of a page fetched:
 *             for each link of it: store_link(st, link, len, row.depth + 1, row.id, state);
 *             store_finish(st, &row, &result);           or store_retry
 *         store_commit(st);                              a batch: tens to thousands of pages
 *     }
 *     store_close(st);
 *
 * A page's links and its store_finish belong into one batch: that is what loses no page.
 *
 * Threads: a store is used by one thread at a time, and blocks it: a lane's.  No globals.
 *
 * Errors: negative errno, and one line for the user in `err` or store_error().  An error that
 * leaves the outcome of a batch open (full disk, I/O, memory) is final: every later call returns
 * it, nothing of the batch counts, close and open again.  -EINVAL for a caller's mistake is not.
 */
#ifndef HOB_CMD_STORE_H
#define HOB_CMD_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

enum { STORE_ERR_MAX = 512, STORE_URL_MAX = 65536 };

/*
 * X(name, number in the database, word for the user).
 * Numbers never change; from 2 on, because SQLite keeps 0 and 1 in no byte at all and a row that
 * grew by one would not fit its page (store_schema.c).
 */
#define STORE_STATE_MAP(X)                                                                         \
    X(STORE_PENDING, 2, "pending")                                                                 \
    X(STORE_WAITING, 3, "waiting to be tried again")                                               \
    X(STORE_DONE, 4, "done")                                                                       \
    X(STORE_FAILED, 5, "failed")                                                                   \
    X(STORE_SKIP_ROBOTS, 6, "skipped: robots.txt")                                                 \
    X(STORE_SKIP_DEPTH, 7, "skipped: too deep")                                                    \
    X(STORE_SKIP_SCOPE, 8, "skipped: out of scope")                                                \
    X(STORE_SKIP_SCHEME, 9, "skipped: scheme")                                                     \
    X(STORE_SKIP_TYPE, 10, "skipped: content type")                                                \
    X(STORE_SKIP_OTHER, 11, "skipped")

#define STORE_STATE_ENUM(name, number, text) name = number,
enum store_state { STORE_STATE_MAP(STORE_STATE_ENUM) STORE_STATES };
#undef STORE_STATE_ENUM

/* Words for a state; "?" for a number that is none. */
const char *store_state_text(int state);

enum store_sync {
    STORE_SYNC_FULL = 0, /* a returned commit survives a power cut */
    STORE_SYNC_OFF,      /* it survives kill -9, not a power cut: for benches and throw-aways */
};

struct store_opts {
    size_t size; /* sizeof(struct store_opts); STORE_OPTS fills it */
    enum store_sync sync;
    uint64_t max_pages; /* pages done or failed over all runs on this database; 0: no limit */
    /* No URL is leased before every URL of a smaller depth has its final state.  Depths are then
     * true distances from the seeds, so that a depth limit cuts the same pages each time. */
    bool levels;
    const char *feed; /* a JSONL file, or "-"; NULL: none */
    /* The hosts of URLs that will be pending, in the order of strcmp, each once: for store_next_of.
     * Copied.  None: leases go by order alone. */
    const char *const *hosts;
    size_t n_hosts;
    /* Called at each step inside a batch and a commit, for tests that kill or fail there. */
    void (*step)(void *arg, const char *what);
    void *step_arg;
};

#define STORE_OPTS(...) (&(struct store_opts){.size = sizeof(struct store_opts), __VA_ARGS__})

/*
 * store_open - open a crawl, or begin one
 * @path:  the database; made if missing
 * @scope: what is crawled, in words of the caller's; a database of another scope is refused
 * @opts:  NULL for all defaults
 * @ret:   untouched on failure
 * @err:   on failure one line that names the file and what is wrong
 *
 * URLs in flight when the last process died are pending again.  A feed is cut back to the rows
 * that count, and rows that count and are not in it (a new feed, or a run without one) are
 * written first: a feed always holds every finished page, in the order of finishing.
 *
 * Return: 0, or
 * -EBUSY (another process has the database or the feed), -EEXIST (database of another scope; feed
 * not empty and not of this crawl), -ESTALE (feed shorter than, or not, what was counted),
 * -EBADMSG (not a database of hob's), -EPROTONOSUPPORT (of another version of hob), -EUCLEAN (a
 * damaged one), -E2BIG (an option newer than this store), -ENOMEM, -ENOSPC, -EROFS, -EACCES, ...
 */
int store_open(const char *path, const char *scope, const struct store_opts *opts,
               struct store **ret, char err[STORE_ERR_MAX]);

/* What was not committed is dropped.  NULL is a no-op. */
void store_close(struct store *st);

/* The line for the last call that failed; "" if none has. */
const char *store_error(const struct store *st);

/*
 * store_link - a URL was met
 * @url:   canonical: two spellings are two URLs
 * @state: STORE_PENDING, or why it will not be fetched
 *
 * Return: 1: new and recorded.  0: known before, nothing changes, not even a smaller depth.
 */
int store_link(struct store *st, const char *url, size_t len, unsigned depth, int64_t parent,
               enum store_state state);

struct store_row {
    int64_t id;
    char *url; /* the caller's, to free */
    unsigned depth;
    unsigned attempts; /* made before this one and counted */
};

/*
 * store_next - lease pending URLs, oldest first: breadth first
 * @now_ms: wall clock; a URL that waits for another try comes when its time has
 * @ret:    room for max rows
 *
 * With a page limit never more than what is left of it, rows in flight included.  The cost does
 * not depend on how much has been crawled.
 *
 * Return: 0; *ret_n is 0 when there is nothing to lease now: wait for a page in flight, or until
 * store_due(), or it is the end.
 */
int store_next(struct store *st, int64_t now_ms, size_t max, struct store_row *ret, size_t *ret_n);

/*
 * store_next_of - the same, at most so many of each host
 * @room: one a host of the options, in their order; counted down by what was leased of it
 *
 * What its host has no room for is passed by and comes first once it has: one host that is slow
 * does not hold back the others.  URLs that wait for another try come whatever the room.
 */
int store_next_of(struct store *st, int64_t now_ms, size_t max, unsigned *room,
                  struct store_row *ret, size_t *ret_n);

/* The earliest time of a URL that waits and may be leased then; INT64_MAX if none may: what is left
 * of a page limit is in flight already. */
int store_due(struct store *st, int64_t *ret_ms);

/* store_redirects - how many redirects, one after another, led to this row: targets of redirects
 * are linked at the depth of where they were met, links one deeper. Counts up to `max`. */
int store_redirects(struct store *st, const struct store_row *row, unsigned max, unsigned *ret);

struct store_result {
    enum store_state state; /* DONE, FAILED, or a SKIP: then nothing below counts, nor the page */
    int status;             /* HTTP's; 0: there was no answer */
    const char *reason;     /* NULL: none.  A short phrase of few kinds: they are counted */
    const char *final_url;  /* NULL: the URL itself */
    int64_t bytes;
    double seconds;
    const char *fields; /* JSON text of an object, valid, in one line; NULL: none */
};

/* store_finish - the page of a leased row has its final state. -EINVAL: it was not in flight. */
int store_finish(struct store *st, const struct store_row *row, const struct store_result *res);

/* store_retry - the page failed and is to be tried again, not before at_ms. -EINVAL as above. */
int store_retry(struct store *st, const struct store_row *row, int64_t at_ms);

/* store_put_off - not now: it stays pending, and is not leased again before the next start. -EINVAL
 * as above. */
int store_put_off(struct store *st, const struct store_row *row);

/* store_hold - the host asks for no request before until_ms; for later runs, part of the batch */
int store_hold(struct store *st, const char *host, int64_t until_ms);

/* store_held - what the host asked for last, in whatever run; 0: nothing */
int store_held(struct store *st, const char *host, int64_t *ret_ms);

/* store_commit - end the batch: durable and counted once this has returned 0. */
int store_commit(struct store *st);

enum store_ending {
    STORE_RUNNING,  /* something is pending, waiting, in flight or put off */
    STORE_COMPLETE, /* every URL has its final state */
    STORE_BUDGET,   /* max_pages pages are finished */
};

/* The one place that says whether a crawl is over. */
enum store_ending store_end(const struct store *st);

struct store_counts {
    uint64_t n[STORE_STATES]; /* by state; those in flight are not among the pending */
    uint64_t in_flight, skipped, urls;
};

void store_counts(const struct store *st, struct store_counts *ret);

/* Memory of the set of seen URLs. */
size_t store_seen_bytes(const struct store *st);

enum { STORE_REASONS_MAX = 16, STORE_HOLDS_MAX = 16 };

struct store_status {
    struct store_counts counts;
    bool running; /* a process has it open now; else what was in flight is counted as pending */
    char scope[STORE_ERR_MAX];
    char feed[STORE_ERR_MAX]; /* the last one; "": none */
    int64_t feed_bytes, feed_rows;
    int64_t bytes;  /* of all pages */
    double seconds; /* spent fetching, over all pages */
    size_t n_reasons;
    struct {
        char text[64];
        uint64_t n;
    } reason[STORE_REASONS_MAX]; /* of pages that failed, most frequent first */
    size_t n_holds;
    struct {
        char host[256];
        int64_t until_ms;
    } hold[STORE_HOLDS_MAX]; /* hosts that asked to be left alone, for longest first */
};

/*
 * store_status - look at a database, also one another process crawls with
 *
 * Not for a database this process has open itself (store_counts is): closing a second descriptor
 * of a file drops the locks of the first.  Codes as store_open's.
 */
int store_status(const char *path, struct store_status *ret, char err[STORE_ERR_MAX]);

#endif
