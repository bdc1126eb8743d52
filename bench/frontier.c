/* SPDX-License-Identifier: MIT
 *
 * frontier.c - what the store of a crawl takes: URLs offered, pages finished, starts, bytes
 *
 * WHAT    link_70    URLs offered a CPU second, seven of ten seen before: what a real site gives
 *         link_0     the same, each of them new
 *         page       pages leased and finished with a result and a row of the feed, a CPU second
 *         start      seconds to open the database with all of them
 *         flat       how much more an offer costs in the last tenth than in the second: 1.0 = flat
 *         disk, set  bytes a URL: of the database before any result, of the set in memory
 *
 * HOW     2,000 URLs or 500 pages a transaction, each synced to disk; URLs of 70 bytes made by
 *         snprintf, which is in the figures.  Prints a JSON row a figure.
 *
 *         frontier [URLS [RUNS [FOLDER]]]    1,000,000 URLs, 3 runs, in the folder it is run in
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/store.h"

enum { LINKS_A_BATCH = 2000, PAGES_A_BATCH = 500, RUNS_MAX = 16 };

static const struct {
    const char *name, *unit;
} figures[] = {
    {"link_70", "urls/cpu-s"},
    {"link_70_wall", "urls/s"},
    {"link_0", "urls/cpu-s"},
    {"page", "pages/cpu-s"},
    {"start", "s"},
    {"flat", "ratio"},
    {"disk", "bytes/url"},
    {"set", "bytes/url"},
    {"rss", "MB"},
};
enum { LINK_70, LINK_70_WALL, LINK_0, PAGE, START, FLAT, DISK, SET, RSS, N_FIGURES };

static double value[N_FIGURES][RUNS_MAX];
static char db[512], jsonl[512];

static double now(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double cpu(void)
{
    return now(CLOCK_PROCESS_CPUTIME_ID);
}

static void must(int r, const struct store *st)
{
    if (r >= 0)
        return;
    fprintf(stderr, "frontier: %d: %s\n", r, st ? store_error(st) : "");
    exit(1);
}

static void wipe(void)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    char path[520];

    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s%s", db, ends[i]);
        unlink(path);
    }
    unlink(jsonl);
}

static struct store *begin(const char *feed, bool fresh)
{
    char err[STORE_ERR_MAX];
    struct store *st;

    if (fresh)
        wipe();
    if (store_open(db, "bench", STORE_OPTS(.feed = feed), &st, err) < 0) {
        fprintf(stderr, "frontier: %s\n", err);
        exit(1);
    }
    return st;
}

/* The i-th of the URLs offered: three of ten are new, or all. */
static int offer(long i, bool all_new, char url[128])
{
    static uint64_t r = 88172645463325252ULL;
    long id = i;

    if (!all_new) {
        r ^= r << 13;
        r ^= r >> 7;
        r ^= r << 17;
        id = i % 10 < 3 ? i / 10 * 3 + i % 10 : (long)(r % (uint64_t)(i / 10 * 3 + 1));
    }
    return snprintf(url, 128,
                    "https://shop%03ld.example.test/catalog/section-%02ld/product-%09ld.html",
                    id % 997, id % 89, id);
}

/* Offers n URLs; flat: cost of the last tenth over that of the second (the first fills caches). */
static struct store *links(long n, bool all_new, double *flat)
{
    struct store *st = begin(NULL, true);
    double mark[11] = {0};
    char url[128];

    for (long i = 0; i < n; i++) {
        if (i % (n / 10) == 0)
            mark[i / (n / 10) % 11] = cpu();
        int len = offer(i, all_new, url);
        must(store_link(st, url, (size_t)len, 3, i + 1, STORE_PENDING), st);
        if (i % LINKS_A_BATCH == LINKS_A_BATCH - 1)
            must(store_commit(st), st);
    }
    must(store_commit(st), st);
    mark[10] = cpu();
    *flat = (mark[10] - mark[9]) / (mark[2] - mark[1]);
    return st;
}

static long pages(struct store *st, long n)
{
    static const struct store_result res = {
        .state = STORE_DONE,
        .status = 200,
        .bytes = 28900,
        .seconds = 0.0123,
        .fields = "{\"title\":\"A product of quality\",\"price\":\"19.99\"}"};
    struct store_row rows[PAGES_A_BATCH];
    long done = 0;
    size_t got;

    while (done < n) {
        must(store_next(st, 0, PAGES_A_BATCH, rows, &got), st);
        if (got == 0)
            break;
        for (size_t i = 0; i < got; i++) {
            must(store_finish(st, &rows[i], &res), st);
            free(rows[i].url);
        }
        must(store_commit(st), st);
        done += (long)got;
    }
    return done;
}

static double file_size(const char *path)
{
    struct stat sb;

    return stat(path, &sb) < 0 ? 0 : (double)sb.st_size;
}

static void run(long n, int at)
{
    struct store_counts c;
    struct rusage ru;
    double c0, w0, flat;

    c0 = cpu();
    store_close(links(n, true, &flat));
    value[LINK_0][at] = (double)n / (cpu() - c0);

    c0 = cpu();
    w0 = now(CLOCK_MONOTONIC);
    struct store *st = links(n, false, &flat);
    value[LINK_70][at] = (double)n / (cpu() - c0);
    value[LINK_70_WALL][at] = (double)n / (now(CLOCK_MONOTONIC) - w0);
    value[FLAT][at] = flat;
    store_counts(st, &c);
    value[SET][at] = (double)store_seen_bytes(st) / (double)c.urls;
    getrusage(RUSAGE_SELF, &ru);
    value[RSS][at] = (double)ru.ru_maxrss / 1024;
    store_close(st);
    value[DISK][at] = file_size(db) / (double)c.urls;

    w0 = now(CLOCK_MONOTONIC);
    st = begin(jsonl, false);
    value[START][at] = now(CLOCK_MONOTONIC) - w0;
    c0 = cpu();
    long done = pages(st, n / 10);
    value[PAGE][at] = (double)done / (cpu() - c0);
    store_close(st);
    wipe();
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    long n = argc > 1 ? atol(argv[1]) : 1000000;
    int runs = argc > 2 ? atoi(argv[2]) : 3;
    const char *folder = argc > 3 ? argv[3] : ".";

    if (n < 1000 || runs < 1 || runs > RUNS_MAX) {
        fprintf(stderr, "usage: frontier [URLS [RUNS [FOLDER]]]   1000 URLs and more, %d runs\n",
                RUNS_MAX);
        return 2;
    }
    snprintf(db, sizeof(db), "%s/bench-frontier.db", folder);
    snprintf(jsonl, sizeof(jsonl), "%s/bench-frontier.jsonl", folder);
    for (int i = 0; i < runs; i++)
        run(n, i);
    for (int i = 0; i < N_FIGURES; i++) {
        qsort(value[i], (size_t)runs, sizeof(double), compare);
        printf("{\"bench\": \"frontier\", \"subject\": \"%s\", \"unit\": \"%s\", \"median\": %.6g, "
               "\"min\": %.6g, \"max\": %.6g, \"n\": %d, \"n_cores\": 1, \"urls\": %ld}\n",
               figures[i].name, figures[i].unit, value[i][runs / 2], value[i][0],
               value[i][runs - 1], runs, n);
    }
    return 0;
}
