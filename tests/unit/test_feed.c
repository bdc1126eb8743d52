/* SPDX-License-Identifier: MIT */
#include "lib/feed.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/t.h"

static char dir[64], file[96], err[512];

static void setup(void)
{
    strcpy(dir, "/tmp/hob-feed-XXXXXX");
    CHECK(mkdtemp(dir) != NULL);
    snprintf(file, sizeof(file), "%s/rows.jsonl", dir);
}

static void teardown(void)
{
    unlink(file);
    CHECK(rmdir(dir) == 0);
}

static struct feed *open_feed(void)
{
    struct feed *f;

    CHECK_INT(feed_open(file, err, sizeof(err), &f), 0);
    return f;
}

static void row(struct feed *f, const char *url)
{
    const struct feed_row r = {
        .url = url, .status = 200, .bytes = 5, .seconds = 0.25, .depth = 1, .attempts = 1};

    CHECK_INT(feed_row(f, &r), 0);
}

static const char *content(void)
{
    static char text[65536];
    int fd = open(file, O_RDONLY);
    ssize_t n = read(fd, text, sizeof(text) - 1);

    CHECK(n >= 0);
    text[n] = 0;
    close(fd);
    return text;
}

TEST(a_row_is_one_json_object_in_a_line)
{
    struct feed_mark m;

    setup();
    struct feed *f = open_feed();
    const struct feed_row r = {.url = "http://h/a",
                               .final_url = "http://h/b",
                               .status = 200,
                               .bytes = 12,
                               .seconds = 0.5,
                               .depth = 3,
                               .attempts = 2,
                               .fields = "{\"price\":\"9\"}"};
    CHECK_INT(feed_row(f, &r), 0);
    CHECK_INT(feed_flush(f), 0);
    CHECK_INT(feed_sync(f, true, &m), 0);
    CHECK_STR(content(), "{\"url\":\"http://h/a\",\"final_url\":\"http://h/b\",\"status\":200,"
                         "\"bytes\":12,\"seconds\":0.500000,\"depth\":3,\"attempts\":2,"
                         "\"error\":null,\"fields\":{\"price\":\"9\"}}\n");
    feed_close(f);
    teardown();
}

TEST(text_of_any_bytes_becomes_valid_json)
{
    setup();
    struct feed *f = open_feed();
    const struct feed_row r = {
        .url = "q\"b\\n\n\x01 \xc3\xa9 \xf0\x9f\x8d\xb3 [\xc3] [\xed\xa0\x80] [\xc0\xaf] \xf4\x90"};
    CHECK_INT(feed_row(f, &r), 0);
    CHECK_INT(feed_flush(f), 0);
    const char *bad = "\xef\xbf\xbd";
    char want[512];
    snprintf(want, sizeof(want),
             "{\"url\":\"q\\\"b\\\\n\\u000a\\u0001 \xc3\xa9 \xf0\x9f\x8d\xb3 [%s] [%s%s%s] "
             "[%s%s] %s%s\",",
             bad, bad, bad, bad, bad, bad, bad, bad);
    CHECK(strncmp(content(), want, strlen(want)) == 0);
    CHECK(strstr(content(), "\"status\":null") != NULL);
    feed_close(f);
    teardown();
}

TEST(resume_cuts_off_what_does_not_count)
{
    struct feed_mark m, n;

    setup();
    struct feed *f = open_feed();
    row(f, "http://h/1");
    CHECK_INT(feed_flush(f), 0);
    CHECK_INT(feed_sync(f, true, &m), 0);
    row(f, "http://h/2");
    row(f, "http://h/2-and-more-than-what-comes-in-its-place");
    CHECK_INT(feed_flush(f), 0);
    feed_close(f);

    f = open_feed();
    CHECK(feed_size(f) > m.offset);
    CHECK(feed_matches(f, &m));
    CHECK_INT(feed_resume(f, &m), 0);
    row(f, "http://h/3");
    CHECK_INT(feed_flush(f), 0);
    CHECK_INT(feed_sync(f, true, &n), 0);
    CHECK(strstr(content(), "h/1") && !strstr(content(), "h/2") && strstr(content(), "h/3"));
    CHECK_INT(n.offset, 2 * m.offset);
    feed_close(f);
    teardown();
}

TEST(rewind_takes_back_to_the_last_mark)
{
    struct feed_mark m;

    setup();
    struct feed *f = open_feed();
    row(f, "http://h/1");
    CHECK_INT(feed_flush(f), 0);
    CHECK_INT(feed_sync(f, true, &m), 0);
    row(f, "http://h/2");
    CHECK_INT(feed_flush(f), 0);
    row(f, "http://h/3");
    feed_rewind(f);
    CHECK_INT(feed_pending(f), 0);
    CHECK_INT(strlen(content()), m.offset);
    feed_close(f);
    teardown();
}

TEST(another_file_does_not_match)
{
    struct feed_mark m, empty;

    setup();
    struct feed *f = open_feed();
    CHECK_INT(feed_sync(f, true, &empty), 0);
    row(f, "http://h/1");
    CHECK_INT(feed_flush(f), 0);
    CHECK_INT(feed_sync(f, true, &m), 0);
    feed_close(f);

    f = open_feed();
    CHECK(feed_matches(f, &m));
    CHECK(feed_matches(f, &empty)); /* the same inode, nothing counted */
    empty.ino++;
    CHECK(!feed_matches(f, &empty));
    m.offset++;
    CHECK(!feed_matches(f, &m)); /* shorter than the mark */
    m.offset = FEED_NO_FILE;
    CHECK(!feed_matches(f, &m));
    feed_close(f);

    CHECK_INT(feed_sync((f = open_feed()), true, &empty), 0);
    int fd = open(file, O_WRONLY);
    CHECK(fd >= 0 && pwrite(fd, "[", 1, 0) == 1); /* the same size, other bytes */
    close(fd);
    m.offset = feed_size(f);
    CHECK(!feed_matches(f, &m));
    feed_close(f);
    teardown();
}

TEST(one_file_has_one_writer)
{
    struct feed *f, *g = NULL;

    setup();
    f = open_feed();
    CHECK_INT(feed_open(file, err, sizeof(err), &g), -EBUSY);
    CHECK(g == NULL && strstr(err, "another process"));
    feed_close(f);
    feed_close(open_feed());
    teardown();
}

TEST(a_path_that_cannot_be_opened_is_one_clear_line)
{
    struct feed *f = NULL;

    CHECK_INT(feed_open("/nowhere/at/all", err, sizeof(err), &f), -ENOENT);
    CHECK_STR(err, "/nowhere/at/all: No such file or directory");
    CHECK_INT(feed_open("/tmp", err, sizeof(err), &f), -EISDIR);
    CHECK(f == NULL && !strchr(err, '\n'));
}

TEST(a_limit_on_file_size_keeps_what_fits)
{
    const struct rlimit small = {1000, 1000};
    struct feed_mark m;

    setup();
    signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    struct feed *f = open_feed();
    row(f, "http://h/1");
    CHECK_INT(feed_flush(f), 0);
    CHECK_INT(feed_sync(f, true, &m), 0);
    for (int i = 0; i < 20; i++)
        row(f, "http://h/x");
    CHECK_INT(feed_flush(f), -EFBIG); /* after a short write up to the limit */
    CHECK_INT(strlen(content()), 1000);
    feed_rewind(f);
    CHECK_INT(strlen(content()), m.offset);
    feed_close(f);
    teardown();
}

TEST(a_stream_says_what_its_reader_does)
{
    struct feed *f;
    int p[2];

    CHECK_INT(feed_open("/dev/full", err, sizeof(err), &f), 0);
    CHECK(!feed_is_file(f));
    row(f, "http://h/1");
    CHECK_INT(feed_flush(f), -ENOSPC);
    feed_close(f);

    signal(SIGPIPE, SIG_IGN);
    CHECK(pipe(p) == 0);
    int out = dup(STDOUT_FILENO);
    CHECK(dup2(p[1], STDOUT_FILENO) >= 0);
    close(p[1]);
    CHECK_INT(feed_open("-", err, sizeof(err), &f), 0);
    row(f, "http://h/1");
    CHECK_INT(feed_flush(f), 0);
    char got[16] = "";
    CHECK(read(p[0], got, 8) == 8);
    CHECK_STR(got, "{\"url\":\"");
    close(p[0]);
    row(f, "http://h/2");
    CHECK_INT(feed_flush(f), -EPIPE);
    feed_close(f);
    CHECK(dup2(out, STDOUT_FILENO) >= 0); /* still open: it was not ours to close */
    close(out);
}
