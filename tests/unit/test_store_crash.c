/* SPDX-License-Identifier: MIT
 *
 * test_store_crash.c - a crawl that is killed, or fails, at each step, ends as one that is not
 *
 * HOW         A crawl of a site that exists only as arithmetic runs on the store in a child
 *   process.  Every step counts: each the store names, each write, sync and truncation of the feed
 *   (linked through --wrap), each write and truncation SQLite makes (through its own table of
 *   system calls).  At a chosen step the child kills itself with SIGKILL; inside a write, after
 *   half of its bytes.  Then it is started again until it ends, and the database and the feed are
 *   compared with what arithmetic says, row by row.  With a failure in the place of death (disk
 *   full, no memory) the same must hold.
 *
 *   What a power cut adds is not tried here: the page cache survives a kill.
 */
#include "lib/store.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/t.h"
#include "site_util.h"

enum { WINDOW = 12, BATCH = 7, STEPS_MAX = 40000 };

static char dir[64], db[96], jsonl[96];

/* --- steps, and what happens at one ------------------------------------------------------- */

enum fate { COUNT, KILL, DISK_FULL, DISK_FULL_ONCE, NO_MEMORY };

static enum fate fate;
static int fate_at;
/* Shared with the children: what the last one did. */
static struct shared {
    int steps, fetches, allocs;
    bool opened;
    char what[STEPS_MAX][20];
} * shared;

/* True if the call this step stands for is to fail. */
static bool step(const char *what)
{
    int at = ++shared->steps;

    if (at < STEPS_MAX)
        snprintf(shared->what[at], sizeof(shared->what[at]), "%s", what);
    if (fate == KILL && at == fate_at)
        kill(getpid(), SIGKILL);
    return (fate == DISK_FULL && at >= fate_at) || (fate == DISK_FULL_ONCE && at == fate_at);
}

/* The step before a write; a kill there leaves half of it. */
static size_t step_write(const char *what, size_t len, bool *fails)
{
    if (fate == KILL && shared->steps + 1 == fate_at)
        return len / 2;
    *fails = step(what);
    return len;
}

static void on_step(void *arg, const char *what)
{
    (void)arg;
    if (strcmp(what, "opened") == 0)
        shared->opened = true;
    step(what);
}

ssize_t __real_pwrite64(int fd, const void *buf, size_t len, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *buf, size_t len, off_t at);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_ftruncate64(int fd, off_t len);
int __wrap_ftruncate64(int fd, off_t len);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

ssize_t __wrap_pwrite64(int fd, const void *buf, size_t len, off_t at)
{
    bool fails = false;
    size_t part = step_write("feed write", len, &fails);

    if (fails) {
        errno = ENOSPC;
        return -1;
    }
    ssize_t n = __real_pwrite64(fd, buf, part, at);
    if (part < len)
        step("feed write");
    return n;
}

int __wrap_fdatasync(int fd)
{
    if (step("feed sync")) {
        errno = ENOSPC;
        return -1;
    }
    return __real_fdatasync(fd);
}

int __wrap_ftruncate64(int fd, off_t len)
{
    if (step("feed cut")) {
        errno = EIO;
        return -1;
    }
    return __real_ftruncate64(fd, len);
}

static bool no_memory(void)
{
    shared->allocs++;
    return fate == NO_MEMORY && shared->allocs >= fate_at;
}

void *__wrap_malloc(size_t size)
{
    return no_memory() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return no_memory() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return no_memory() ? NULL : __real_realloc(old, size);
}

static ssize_t sqlite_pwrite(int fd, const void *buf, size_t len, off_t at)
{
    bool fails = false;
    size_t part = step_write("sqlite write", len, &fails);

    if (fails) {
        errno = ENOSPC;
        return -1;
    }
    ssize_t n = __real_pwrite64(fd, buf, part, at);
    if (part < len)
        step("sqlite write");
    return n;
}

static ssize_t sqlite_write(int fd, const void *buf, size_t len)
{
    bool fails = false;
    size_t part = step_write("sqlite write", len, &fails);

    if (fails) {
        errno = ENOSPC;
        return -1;
    }
    ssize_t n = write(fd, buf, part);
    if (part < len)
        step("sqlite write");
    return n;
}

static int sqlite_ftruncate(int fd, off_t len)
{
    step("sqlite cut");
    return __real_ftruncate64(fd, len);
}

static sqlite3_mem_methods sqlite_mem;

static void *sqlite_malloc(int size)
{
    return no_memory() ? NULL : sqlite_mem.xMalloc(size);
}

static void *sqlite_realloc(void *old, int size)
{
    return no_memory() ? NULL : sqlite_mem.xRealloc(old, size);
}

/* Puts this file between SQLite and the system; once a process. */
static void hook_sqlite(void)
{
    static bool hooked;
    static const struct {
        const char *name;
        sqlite3_syscall_ptr call;
    } calls[] = {{"pwrite", (sqlite3_syscall_ptr)sqlite_pwrite},
                 {"pwrite64", (sqlite3_syscall_ptr)sqlite_pwrite},
                 {"write", (sqlite3_syscall_ptr)sqlite_write},
                 {"ftruncate", (sqlite3_syscall_ptr)sqlite_ftruncate}};

    if (hooked)
        return;
    hooked = true;
    CHECK(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_mem) == SQLITE_OK);
    sqlite3_mem_methods ours = sqlite_mem;
    ours.xMalloc = sqlite_malloc;
    ours.xRealloc = sqlite_realloc;
    CHECK(sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) == SQLITE_OK);
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        CHECK(vfs->xSetSystemCall(vfs, calls[i].name, calls[i].call) == SQLITE_OK);
}

/* --- the crawl ---------------------------------------------------------------------------- */

static int page_links(struct store *st, const struct store_row *row, int page)
{
    char url[64];
    int r = 0, len = sprintf(url, "http://foreign.test/%d", page);

    r = store_link(st, url, (size_t)len, row->depth + 1, row->id, STORE_SKIP_SCOPE);
    for (int i = 0; r >= 0 && i < site_links(page); i++) {
        int to = site_link(page, i);
        site_url(to, url);
        r = store_link(st, url, strlen(url), row->depth + 1, row->id,
                       site_forbidden(to) ? STORE_SKIP_ROBOTS : STORE_PENDING);
    }
    return r;
}

static int page_fetched(struct store *st, const struct store_row *row, int64_t now)
{
    int page = atoi(strrchr(row->url, '/') + 1), r = 0;
    char fields[64];
    struct store_result res = {.state = STORE_DONE,
                               .status = 200,
                               .bytes = 1000 + page,
                               .seconds = page / 8.0,
                               .fields = fields};

    shared->fetches++;
    sprintf(fields, "{\"title\":\"page %d\"}", page);
    if (row->attempts < site_failures(page))
        return store_retry(st, row, now + 1 + page % 5);
    if (site_broken(page))
        res = (struct store_result){.state = STORE_FAILED, .reason = "reset"};
    else
        r = page_links(st, row, page);
    return r < 0 ? r : store_finish(st, row, &res);
}

/* One process's part of the crawl; 0 at its end. */
static int crawl(const struct store_opts *opts, char err[STORE_ERR_MAX])
{
    struct store_row rows[WINDOW];
    size_t held = 0, n = 0;
    int64_t now = 0;
    struct store *st;
    int r, unsaved = 0;

    if ((r = store_open(db, "site", opts, &st, err)) < 0)
        return r;
    r = store_link(st, "http://site.test/p/0", 20, 0, 0, STORE_PENDING);
    while (r >= 0 && store_end(st) == STORE_RUNNING) {
        if ((r = store_next(st, now, WINDOW - held, rows + held, &n)) < 0)
            break;
        held += n;
        now++;
        if (held > 0) { /* pages come back in no order */
            size_t at = mix((uint64_t)now) % held;
            r = page_fetched(st, &rows[at], now);
            free(rows[at].url);
            rows[at] = rows[--held];
            unsaved++;
        } else {
            r = store_due(st, &now);
        }
        if (r >= 0 && unsaved >= BATCH) {
            r = store_commit(st);
            unsaved = 0;
        }
    }
    if (r >= 0)
        r = store_commit(st);
    while (held > 0)
        free(rows[--held].url);
    snprintf(err, STORE_ERR_MAX, "%s", store_error(st));
    store_close(st);
    return r;
}

/* --- what it must have come to ------------------------------------------------------------- */

static int64_t ask(sqlite3 *d, const char *sql)
{
    sqlite3_stmt *q;

    CHECK(sqlite3_prepare_v2(d, sql, -1, &q, NULL) == SQLITE_OK);
    CHECK(sqlite3_step(q) == SQLITE_ROW);
    int64_t n = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return n;
}

static void truth_line(int page, int depth, char ret[512])
{
    char url[64], fields[64] = "{}", status[8] = "null";

    site_url(page, url);
    if (!site_broken(page)) {
        sprintf(fields, "{\"title\":\"page %d\"}", page);
        strcpy(status, "200");
    }
    sprintf(ret,
            "{\"url\":\"%s\",\"final_url\":\"%s\",\"status\":%s,\"bytes\":%d,\"seconds\":%.6f,"
            "\"depth\":%d,\"attempts\":%u,\"error\":%s,\"fields\":%s}\n",
            url, url, status, site_broken(page) ? 0 : 1000 + page,
            site_broken(page) ? 0 : page / 8.0, depth, 1 + site_failures(page),
            site_broken(page) ? "\"reset\"" : "null", fields);
}

/* Each page's line once; in the order of the table of results. */
static void check_feed(sqlite3 *d, bool levels)
{
    char line[1024], want[512];
    bool had[PAGES_MAX] = {false};
    sqlite3_stmt *q;
    FILE *f = fopen(jsonl, "r");

    CHECK(f != NULL);
    CHECK(sqlite3_prepare_v2(d, "SELECT url, depth FROM result JOIN url USING(id) ORDER BY seq", -1,
                             &q, NULL) == SQLITE_OK);
    while (fgets(line, sizeof(line), f)) {
        CHECK(sqlite3_step(q) == SQLITE_ROW);
        int page = atoi(strrchr((const char *)sqlite3_column_text(q, 0), '/') + 1);
        int depth = sqlite3_column_int(q, 1);
        CHECK(!had[page]);
        had[page] = true;
        CHECK(!levels || depth == truth.depth[page]);
        truth_line(page, depth, want);
        CHECK_STR(line, want);
    }
    CHECK(sqlite3_step(q) == SQLITE_DONE);
    sqlite3_finalize(q);
    fclose(f);
}

static void check_crawl(bool levels)
{
    sqlite3 *d;
    char sql[160], url[64];

    CHECK(sqlite3_open(db, &d) == SQLITE_OK);
    CHECK_INT(ask(d, "SELECT count(*) FROM result"), truth.done + truth.failed);
    CHECK_INT(ask(d, "SELECT count(DISTINCT id) FROM result"), truth.done + truth.failed);
    CHECK_INT(ask(d, "SELECT count(*) FROM url"), truth.met + truth.foreign);
    CHECK_INT(ask(d, "SELECT count(DISTINCT url) FROM url"), truth.met + truth.foreign);
    CHECK_INT(ask(d, "SELECT count(*) FROM url WHERE state = 6"), truth.forbidden);
    CHECK_INT(ask(d, "SELECT count(*) FROM url WHERE state = 8"), truth.foreign);
    CHECK_INT(ask(d, "SELECT count(*) FROM page WHERE state = 'failed' AND reason = 'reset'"),
              truth.failed);
    CHECK_INT(ask(d, "SELECT count(*) FROM retry"), 0);
    CHECK_INT(ask(d, "SELECT sum(n) FROM tally WHERE state IN (1, 2, 3)"), 0);
    CHECK_INT(ask(d, "SELECT n FROM tally WHERE state = 4"), truth.done);
    for (int page = 0; page < site_pages; page++) {
        site_url(page, url);
        sprintf(sql, "SELECT count(*) FROM url WHERE url = '%s'", url);
        CHECK_INT(ask(d, sql), truth.depth[page] >= 0);
    }
    CHECK_INT(ask(d, "SELECT count(*) FROM pragma_integrity_check "
                     "WHERE integrity_check <> 'ok'"),
              0);
    check_feed(d, levels);
    sqlite3_close(d);
}

static void wipe(void)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    char path[128];

    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        snprintf(path, sizeof(path), "%s%s", db, ends[i]);
        unlink(path);
    }
    unlink(jsonl);
}

static void setup(void)
{
    strcpy(dir,
           access("/dev/shm", W_OK) == 0 ? "/dev/shm/hob-crash-XXXXXX" : "/tmp/hob-crash-XXXXXX");
    CHECK(mkdtemp(dir) != NULL);
    snprintf(db, sizeof(db), "%s/crawl.db", dir);
    snprintf(jsonl, sizeof(jsonl), "%s/rows.jsonl", dir);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    hook_sqlite();
    truth_make();
    CHECK(truth.met > site_pages / 2 && truth.failed > 2 && truth.forbidden > 2);
}

static void teardown(void)
{
    wipe();
    CHECK(rmdir(dir) == 0);
}

static const struct store_opts *opts_of(bool levels)
{
    static struct store_opts opts;

    opts =
        (struct store_opts){.size = sizeof(opts), .levels = levels, .feed = jsonl, .step = on_step};
    return &opts;
}

/* A process that crawls and meets its fate at a step: true if it lived to the end. */
static bool run(const struct store_opts *opts, enum fate what, int at)
{
    char err[STORE_ERR_MAX];
    int status;

    shared->steps = 0;
    shared->opened = false;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        fate = what;
        fate_at = at;
        int r = crawl(opts, err);
        if (r < 0)
            fprintf(stderr, "%s\n", err);
        _exit(r < 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status) ? what == KILL && WTERMSIG(status) == SIGKILL : status == 0);
    return status == 0;
}

/* --- killed ------------------------------------------------------------------------------- */

static void kill_once_at(const struct store_opts *opts, int at, int steps)
{
    wipe();
    shared->fetches = 0;
    CHECK(!run(opts, KILL, at));
    fprintf(stderr, " %d (%s)", at * 1000 / steps, shared->what[at]);
    CHECK(run(opts, COUNT, 0));
    check_crawl(opts->levels);
    CHECK(shared->fetches <= truth.fetches + WINDOW + BATCH); /* few pages twice */
}

static int find_commit(int steps, bool last)
{
    int at = 0;

    for (int i = 1; i <= steps; i++)
        if (strcmp(shared->what[i], "committed") == 0 && (at == 0 || last))
            at = i;
    return at;
}

TEST(killed_at_forty_eight_instants_between_first_and_last_commit)
{
    enum { POINTS = 48 };
    const struct store_opts *opts;
    int at[POINTS];

    t_timeout(60);
    setup();
    opts = opts_of(true);
    CHECK(run(opts, COUNT, 0));
    int steps = shared->steps, first = find_commit(steps, false), last = find_commit(steps, true);
    check_crawl(true);
    CHECK(steps < STEPS_MAX && last - first > 20 * POINTS);
    for (int i = 0; i < POINTS; i++) /* one in each 48th, where in it the seed decides */
        at[i] = first + (int)(((uint64_t)i * (uint64_t)(last - first) +
                               mix(42 + (uint64_t)i) % (uint64_t)(last - first)) /
                              POINTS);
    fprintf(stderr, "%d steps, commits from %d to %d of 1000; killed at", steps,
            first * 1000 / steps, last * 1000 / steps);
    for (int i = 0; i < POINTS; i++)
        kill_once_at(opts, at[i], steps);
    fprintf(stderr, "\n");
    teardown();
}

TEST(killed_at_each_kind_of_step)
{
    static int at[STEPS_MAX], n;
    static struct shared before;
    const struct store_opts *opts;

    t_timeout(60);
    setup();
    opts = opts_of(false);
    CHECK(run(opts, COUNT, 0));
    memcpy(&before, shared, sizeof(before));
    for (int i = 1; i <= before.steps; i++) { /* the first of its kind, the tenth, the hundredth */
        int nth = 1;
        for (int k = 1; k < i; k++)
            nth += strcmp(before.what[k], before.what[i]) == 0;
        if (nth == 1 || nth == 10 || nth == 100)
            at[n++] = i;
    }
    CHECK(n >= 20);
    fprintf(stderr, "killed at");
    for (int i = 0; i < n; i++)
        kill_once_at(opts, at[i], before.steps);
    fprintf(stderr, "\n");
    teardown();
}

TEST(killed_again_and_again_in_one_crawl)
{
    int kills = 0, unopened = 0;

    t_timeout(60);
    site_pages = 600;
    setup();
    const struct store_opts *opts = opts_of(false);
    while (!run(opts, KILL, 1 + (int)(mix(7777 + (uint64_t)kills) % 300))) {
        kills++;
        unopened += !shared->opened;
        CHECK(kills < 2000);
    }
    fprintf(stderr, "%d kills, %d of them before the store was open; %d fetches for %d\n", kills,
            unopened, shared->fetches, truth.fetches);
    CHECK(kills >= 40 && kills - unopened >= 30);
    CHECK(shared->fetches <= truth.fetches + kills * (WINDOW + BATCH));
    check_crawl(false);
    teardown();
}

/* --- failing ------------------------------------------------------------------------------ */

/* Fails at a step in this process, then goes on without failures. */
static void fail_at(const struct store_opts *opts, enum fate what, int at)
{
    char err[STORE_ERR_MAX] = "";

    wipe();
    shared->steps = shared->allocs = 0;
    fate = what;
    fate_at = at;
    int r = crawl(opts, err);
    fate = COUNT;
    if (r < 0) {
        bool known = what == NO_MEMORY ? r == -ENOMEM : r == -ENOSPC || r == -EIO;
        if (!known || !err[0] || strchr(err, '\n'))
            t_fail(__FILE__, __LINE__, "at %d: %d: %s", at, r, err);
        r = crawl(opts, err);
    }
    if (r < 0)
        t_fail(__FILE__, __LINE__, "after %d: %d: %s", at, r, err);
    check_crawl(opts->levels);
}

static void fail_all(enum fate what, int every)
{
    char err[STORE_ERR_MAX];

    t_timeout(60);
    site_pages = 60;
    setup();
    const struct store_opts *opts = opts_of(true);
    CHECK_INT(crawl(opts, err), 0);
    int n = what == NO_MEMORY ? shared->allocs : shared->steps;
    for (int at = 1; at <= n; at += at < 40 ? 1 : every)
        fail_at(opts, what, at);
    teardown();
}

TEST(a_disk_that_fills_at_any_step_loses_nothing)
{
    fail_all(DISK_FULL, 5);
}

TEST(a_write_that_fails_once_loses_nothing)
{
    fail_all(DISK_FULL_ONCE, 5);
}

TEST(memory_that_ends_at_any_allocation_loses_nothing)
{
    fail_all(NO_MEMORY, 13);
}
