/* SPDX-License-Identifier: MIT */
#include "lib/store.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "store_util.h"

TEST(two_processes_never_share_a_database)
{
    int status;

    setup();
    struct store *st = open_plain();
    CHECK_INT(refused("scope", NULL), -EBUSY); /* in one process */
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        _exit(refused("scope", NULL) == -EBUSY ? 0 : 1);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, 0);
    store_close(st);
    store_close(open_plain());
    teardown();
}

TEST(a_lock_dies_with_its_process)
{
    int status;

    setup();
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        seed(open_plain(), 3, 0);
        kill(getpid(), SIGKILL);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status));
    struct store *st = open_plain();
    CHECK_INT(count(st, STORE_PENDING), 3);
    store_close(st);
    teardown();
}

TEST(two_crawls_never_share_a_feed)
{
    char other[128];

    setup();
    snprintf(other, sizeof(other), "%s/other.db", dir);
    struct store *st = open_with(STORE_OPTS(.feed = jsonl));
    strcpy(db, other);
    CHECK_INT(refused("scope", STORE_OPTS(.feed = jsonl)), -EBUSY);
    unlink(other);
    store_close(st);
    snprintf(db, sizeof(db), "%s/crawl.db", dir);
    teardown();
}

TEST(another_scope_version_or_program_is_refused_and_untouched)
{
    setup();
    store_close(open_plain());
    CHECK_INT(refused("scope2", NULL), -EEXIST);
    CHECK(strstr(err, "scope2"));
    CHECK_INT(refused("scop", NULL), -EEXIST);
    change("PRAGMA user_version = 99");
    CHECK_INT(refused("scope", NULL), -EPROTONOSUPPORT);
    unlink(db);
    change("CREATE TABLE theirs(x); INSERT INTO theirs VALUES(7)");
    CHECK_INT(refused("scope", NULL), -EBADMSG);
    CHECK_INT(ask("SELECT x FROM theirs"), 7);
    CHECK_INT(ask("SELECT count(*) FROM sqlite_master"), 1);
    teardown();
}

TEST(what_is_no_database_is_refused_and_untouched)
{
    setup();
    for (int i = 0; i < 3000; i++) {
        FILE *f = fopen(db, "a");
        CHECK(f && fputs("just text\n", f) >= 0 && fclose(f) == 0);
    }
    CHECK_INT(refused("scope", NULL), -EBADMSG);
    CHECK_INT(size_of(db), 30000);
    unlink(db);
    write_file(db, "short");
    CHECK_INT(refused("scope", NULL), -EBADMSG);
    unlink(db);
    CHECK(mkdir(db, 0755) == 0);
    CHECK_INT(refused("scope", NULL), -EISDIR);
    CHECK(rmdir(db) == 0);
    strcpy(db, "/dev/null");
    CHECK_INT(refused("scope", NULL), -EBADMSG);
    strcpy(db, "/nowhere/crawl.db");
    CHECK_INT(refused("scope", NULL), -ENOENT);
    snprintf(db, sizeof(db), "%s/crawl.db", dir);
    teardown();
}

TEST(counts_that_do_not_add_up_are_damage)
{
    setup();
    struct store *st = open_plain();
    seed(st, 5, 0);
    crawl_some(st, 2);
    store_close(st);
    change("DELETE FROM url WHERE id = 1");
    CHECK_INT(refused("scope", NULL), -EUCLEAN);
    change("DROP TABLE url");
    CHECK_INT(refused("scope", NULL), -EUCLEAN);
    teardown();
}

TEST(a_database_that_may_not_be_written_is_refused)
{
    setup();
    store_close(open_plain());
    CHECK(chmod(db, 0444) == 0 && chmod(dir, 0777) == 0);
    if (geteuid() == 0)
        CHECK(seteuid(65534) == 0);
    CHECK_INT(refused("scope", NULL), -EACCES);
    if (getuid() == 0)
        CHECK(seteuid(0) == 0);
    teardown();
}

static int64_t held(struct store *st, const char *host)
{
    int64_t ms = -7;

    CHECK_INT(store_held(st, host, &ms), 0);
    return ms;
}

TEST(what_a_host_asked_for_is_part_of_its_batch_and_outlives_the_process)
{
    struct store_status status;

    setup();
    struct store *st = open_plain();
    CHECK_INT(held(st, "a.test"), 0);
    CHECK_INT(store_hold(st, "a.test", 5000), 0);
    CHECK_INT(store_hold(st, "b.test", 9000), 0);
    CHECK_INT(store_hold(st, "a.test", 7000), 0);
    CHECK_INT(store_commit(st), 0);
    CHECK_INT(store_hold(st, "a.test", 8000), 0); /* not committed */
    store_close(st);
    st = open_plain();
    CHECK_INT(held(st, "a.test"), 7000);
    CHECK_INT(held(st, "b.test"), 9000);
    CHECK_INT(held(st, "c.test"), 0);
    store_close(st);
    CHECK_INT(store_status(db, &status, err), 0);
    CHECK_INT(status.n_holds, 2);
    CHECK_STR(status.hold[0].host, "b.test");
    CHECK_INT(status.hold[1].until_ms, 7000);
    teardown();
}

TEST(an_option_from_the_future_is_refused)
{
    struct {
        struct store_opts opts;
        char more;
    } future = {.opts.size = sizeof(future)};

    setup();
    struct store *st = open_with(&future.opts); /* larger, but zero: its default */
    store_close(st);
    future.more = 1;
    CHECK_INT(refused("scope", &future.opts), -E2BIG);
    teardown();
}

static void limit_file_size(bool on)
{
    const struct rlimit small = {300000, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};

    signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, on ? &small : &none) == 0);
}

/* A file system of this process's own over the case's folder; on: small, off: larger. */
static void limit_disk(bool on)
{
    if (!on) {
        CHECK(mount("none", dir, "tmpfs", MS_REMOUNT, "size=8m") == 0);
        return;
    }
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", dir, "tmpfs", 0, "size=500k") < 0) {
        int code = errno;
        teardown();
        t_skip("no file system of its own: %s", strerror(code));
    }
}

/* Fills until the limit stops it; then all that was committed must be there, and nothing else.
 * With a feed one batch has no end: then the feed is what meets the limit first. */
static void full(const char *feed, void (*limit)(bool on), int want)
{
    const struct store_result res = {.state = STORE_DONE, .status = 200, .fields = "{\"a\":\"b\"}"};
    int64_t committed = 0;
    int r = 0;
    char url[64];

    limit(true);
    struct store *st = open_with(STORE_OPTS(.feed = feed));
    for (int i = 0; r == 0; i++) {
        struct store_row row;
        size_t n;
        int len = snprintf(url, sizeof(url), "http://h/%d", i);
        r = store_link(st, url, (size_t)len, 0, 0, STORE_PENDING);
        if (r == 1 && (r = store_next(st, 0, 1, &row, &n)) == 0) {
            r = store_finish(st, &row, &res);
            free(row.url);
        }
        if (r == 0 && i % 10 == 9 && (!feed || i < 100) && (r = store_commit(st)) == 0)
            committed = i + 1;
    }
    fprintf(stderr, "%lld committed, then %d: %s\n", (long long)committed, r, store_error(st));
    CHECK_INT(r, want);
    CHECK(committed >= 100 && strstr(store_error(st), strerror(-want)));
    CHECK(!feed || strstr(store_error(st), feed));
    CHECK_INT(store_commit(st), r); /* final */
    CHECK_INT(store_link(st, "http://x/", 9, 0, 0, STORE_PENDING), r);
    store_close(st);

    limit(false);
    st = open_with(STORE_OPTS(.feed = feed));
    CHECK_INT(count(st, STORE_DONE), committed);
    CHECK_INT(link_in(st, "http://x/", 0, STORE_PENDING), 1);
    CHECK_INT(store_commit(st), 0);
    store_close(st);
    if (feed)
        CHECK_INT(lines(), committed);
}

TEST(a_database_that_cannot_grow_loses_nothing)
{
    setup();
    full(NULL, limit_file_size, -EFBIG);
    teardown();
}

TEST(a_feed_that_cannot_grow_loses_nothing)
{
    setup();
    full(jsonl, limit_file_size, -EFBIG);
    teardown();
}

TEST(a_database_on_a_full_disk_loses_nothing)
{
    setup();
    full(NULL, limit_disk, -ENOSPC);
    CHECK(umount(dir) == 0);
    teardown();
}

TEST(a_feed_on_a_full_disk_loses_nothing)
{
    setup();
    full(jsonl, limit_disk, -ENOSPC);
    CHECK(umount(dir) == 0);
    teardown();
}

TEST(status_sees_a_crawl_from_outside)
{
    struct store_status s;
    int status;

    setup();
    struct store *st = open_with(STORE_OPTS(.feed = jsonl));
    seed(st, 9, 0);
    CHECK_INT(link_in(st, "http://else/", 1, STORE_SKIP_SCOPE), 1);
    crawl_some(st, 4);
    struct store_row row = next_one(st);
    CHECK_INT(link_in(st, "http://deep/", 9, STORE_SKIP_DEPTH), 1);
    CHECK_INT(store_commit(st), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK_INT(store_status(db, &s, err), 0);
        CHECK(s.running);
        CHECK_INT(s.counts.in_flight, 1);
        CHECK_INT(s.counts.n[STORE_PENDING], 4);
        CHECK_INT(s.counts.skipped, 2);
        CHECK_INT(s.counts.urls, 11);
        CHECK_STR(s.scope, "scope");
        CHECK_STR(s.feed, jsonl);
        CHECK_INT(s.feed_rows, 4);
        CHECK_INT(s.feed_bytes, size_of(jsonl));
        CHECK_INT(s.bytes, 40);
        CHECK_INT(s.n_reasons, 1);
        CHECK_STR(s.reason[0].text, "reset");
        CHECK_INT(s.reason[0].n, 2);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, 0);
    free(row.url);
    store_close(st);

    CHECK_INT(store_status(db, &s, err), 0);
    CHECK(!s.running);
    CHECK_INT(s.counts.in_flight, 0);
    CHECK_INT(s.counts.n[STORE_PENDING], 5);
    CHECK_INT(store_status("/nowhere/x.db", &s, err), -ENOENT);
    CHECK_INT(store_status("/etc/passwd", &s, err), -EBADMSG);
    CHECK_INT(store_status(jsonl, &s, err), -EBADMSG);
    teardown();
}
