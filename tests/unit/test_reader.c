/* SPDX-License-Identifier: MIT */
#include <hob/hob.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/each.h"
#include "net_util.h"

/* A stream in memory that gives pieces of changing lengths, lets others run, and fails on demand.
 */
struct source {
    const char *text;
    size_t n, at, step;
    int fail_at; /* the so manieth read is `fail`, once */
    int fail;
    int reads;
    size_t asked_most;
};

static ssize_t source_read(void *arg, void *buf, size_t n, hob_time until)
{
    struct source *s = arg;
    size_t left = s->n - s->at, k = 1 + s->step++ * 7 % 13;

    (void)until;
    s->asked_most = n > s->asked_most ? n : s->asked_most;
    if (++s->reads == s->fail_at)
        return s->fail;
    if (hob_on_fiber() && s->reads % 3 == 0) {
        int r = hob_yield();
        if (r < 0)
            return r;
    }
    k = k < left ? k : left;
    k = k < n ? k : n;
    memcpy(buf, s->text + s->at, k);
    s->at += k;
    return (ssize_t)k;
}

static hob_reader *reader_of(struct source *s, const char *text, size_t most)
{
    hob_reader *r;

    *s = (struct source){.text = text, .n = strlen(text)};
    CHECK_INT(
        hob_reader_new(-1, HOB_READER_OPTS(.read = source_read, .arg = s, .bytes_max = most), &r),
        0);
    return r;
}

static bool is(const char *p, size_t n, const char *want)
{
    return n == strlen(want) && memcmp(p, want, n) == 0;
}

static int lines(void *arg)
{
    static const char *const want[] = {"one", "", "three\rand more", "four", "the last"};
    struct source s;
    hob_reader *r = reader_of(&s, "one\r\n\nthree\rand more\nfour\r\nthe last", 0);
    const char *p = NULL;
    size_t n;

    (void)arg;
    for (size_t i = 0; i < 5; i++) {
        CHECK_INT(hob_reader_read_line(r, HOB_FOREVER, &p, &n), 1);
        CHECK(is(p, n, want[i]));
    }
    for (int i = 0; i < 2; i++)
        CHECK_INT(hob_reader_read_line(r, HOB_FOREVER, &p, &n), 0);
    hob_reader_free(r);
    return 0;
}

TEST(lines_end_with_either_and_the_last_needs_none)
{
    each_world_run(lines, NULL, NULL, 0);
    CHECK_INT(lines(NULL), 0); /* and off a fiber */
}

static int records(void *arg)
{
    struct source s;
    hob_reader *r = reader_of(&s, "a: b\r\n\r\n\r\n\r\nbody--endtail", 0);
    const char *p = NULL;
    size_t n = 7;
    char buf[16];

    (void)arg;
    CHECK_INT(hob_reader_read_until(r, "\r\n\r\n", 4, HOB_FOREVER, &p, &n), 1);
    CHECK(is(p, n, "a: b"));
    CHECK_INT(hob_reader_read_until(r, "\r\n\r\n", 4, HOB_FOREVER, &p, &n), 1);
    CHECK_INT(n, 0);
    CHECK_INT(hob_reader_read_exact(r, buf, 4, HOB_FOREVER), 4);
    CHECK(is(buf, 4, "body"));
    CHECK_INT(hob_reader_read_until(r, "--end", 5, HOB_FOREVER, &p, &n), 1);
    CHECK_INT(n, 0);
    p = NULL;
    n = 7;
    for (int i = 0; i < 2; i++) /* nothing was taken */
        CHECK_INT(hob_reader_read_until(r, "--end", 5, HOB_FOREVER, &p, &n), -ENODATA);
    CHECK(p == NULL && n == 7);
    CHECK_INT(hob_reader_pending(r), 4);
    CHECK_INT(hob_reader_read_until(r, "", 0, HOB_FOREVER, &p, &n), -EINVAL);
    CHECK_INT(hob_reader_read_exact(r, buf, sizeof buf, HOB_FOREVER), 4);
    CHECK(is(buf, 4, "tail"));
    CHECK_INT(hob_reader_read_exact(r, buf, sizeof buf, HOB_FOREVER), 0);
    CHECK_INT(hob_reader_read_until(r, "x", 1, HOB_FOREVER, &p, &n), 0);
    hob_reader_free(r);
    return 0;
}

TEST(records_end_with_their_delimiter)
{
    each_world_run(records, NULL, NULL, 0);
    CHECK_INT(records(NULL), 0);
}

static ssize_t byte_read(void *arg, void *buf, size_t n, hob_time until)
{
    const char **p = arg;

    (void)n, (void)until;
    if (!**p)
        return 0;
    *(char *)buf = *(*p)++;
    return 1;
}

TEST(a_delimiter_is_found_where_two_reads_meet)
{
    const char *text = "aababaabaac", *p;
    hob_reader *r;
    size_t n;

    CHECK_INT(hob_reader_new(-1, HOB_READER_OPTS(.read = byte_read, .arg = &text), &r), 0);
    CHECK_INT(hob_reader_read_until(r, "abaa", 4, HOB_FOREVER, &p, &n), 1);
    CHECK(is(p, n, "aab"));
    CHECK_INT(hob_reader_read_until(r, "aac", 3, HOB_FOREVER, &p, &n), 1);
    CHECK(is(p, n, "b"));
    CHECK_INT(hob_reader_read_until(r, "aac", 3, HOB_FOREVER, &p, &n), 0);
    hob_reader_free(r);
}

static char long_text[20001];

static int bounded(void *arg)
{
    struct source s;
    const char *p = NULL;
    size_t n = 7;
    char buf[64];

    (void)arg;
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[9999] = '\n';
    hob_reader *r = reader_of(&s, long_text, 10000);
    CHECK_INT(hob_reader_read_line(r, HOB_FOREVER, &p, &n), 1); /* just fits */
    CHECK_INT(n, 9999);
    for (int i = 0; i < 2; i++)
        CHECK_INT(hob_reader_read_line(r, HOB_FOREVER, &p, &n), -HOB_ETOOBIG);
    CHECK_INT(hob_reader_pending(r), 10000);
    CHECK(s.asked_most <= 10000);
    CHECK_INT(hob_reader_read(r, buf, sizeof buf, HOB_FOREVER), sizeof buf);
    CHECK_INT(hob_reader_read_line(r, HOB_FOREVER, &p, &n), 1);
    CHECK_INT(n, 20000 - 10000 - sizeof buf);
    hob_reader_free(r);
    r = reader_of(&s, "ab\nc", 1); /* the smallest there is */
    CHECK_INT(hob_reader_read_line(r, HOB_FOREVER, &p, &n), -HOB_ETOOBIG);
    CHECK_INT(hob_reader_read_exact(r, buf, 4, HOB_FOREVER), 4);
    CHECK(is(buf, 4, "ab\nc"));
    hob_reader_free(r);
    return 0;
}

TEST(a_line_has_a_bound_and_what_is_beyond_is_not_lost)
{
    on_pollers(bounded, NULL, 0);
    CHECK_INT(bounded(NULL), 0);
}

/* Each read fails once, at any place: the same lines come. */
static int failing(void *arg)
{
    static const char text[] = "first line\nsecond, longer line\n\nlast";
    static const int codes[] = {-ETIMEDOUT, -ECANCELED, -EIO, -ENOMEM};

    (void)arg;
    for (int at = 1; at < 20; at++) {
        struct source s;
        hob_reader *r = reader_of(&s, text, 0);
        const char *p;
        char all[64], got[3];
        size_t n, len = 0;
        int rc, failed = 0;
        s.fail_at = at;
        s.fail = codes[at % 4];
        while ((rc = hob_reader_read_line(r, HOB_FOREVER, &p, &n)) != 0) {
            if (rc < 0) {
                CHECK_INT(rc, s.fail);
                failed++;
                continue;
            }
            memcpy(all + len, p, n);
            len += n;
            all[len++] = '\n';
        }
        CHECK(failed <= 1);
        CHECK(len == sizeof text && memcmp(all, text, len - 1) == 0);
        hob_reader_free(r);
        r = reader_of(&s, text, 0);
        s.fail_at = at;
        s.fail = codes[at % 4];
        for (len = 0; (n = (size_t)(rc = (int)hob_reader_read_exact(r, got, 3, HOB_FOREVER)));) {
            if (rc < 0)
                continue;
            memcpy(all + len, got, n);
            len += n;
        }
        CHECK(len == sizeof text - 1 && memcmp(all, text, len) == 0);
        hob_reader_free(r);
    }
    return 0;
}

TEST(a_failed_read_loses_nothing)
{
    CHECK_INT(failing(NULL), 0);
    setenv("HOB_SIM", "5", 1);
    CHECK_INT(hob_run(NULL, failing, NULL), 0);
}

struct held {
    hob_reader *r;
    bool waits;
};

static int reads_lines(void *arg)
{
    struct held *h = arg;
    const char *p;
    size_t n;
    int rc;

    while ((rc = hob_reader_read_line(h->r, HOB_FOREVER, &p, &n)) == 1)
        h->waits = true;
    CHECK_INT(rc, -ECANCELED);
    CHECK_INT(hob_reader_read_line(h->r, HOB_FOREVER, &p, &n), -ECANCELED);
    CHECK_INT(hob_reader_read(h->r, (char[1]){0}, 1, HOB_FOREVER), -ECANCELED);
    return rc;
}

static int over_a_socket(void *arg)
{
    struct held h = {NULL, false};
    char big[5000];
    const char *p;
    hob_group g;
    size_t n;
    int pair[2];

    (void)arg;
    CHECK_INT(hob_unix_pair(pair), 0);
    CHECK_INT(hob_reader_new(pair[0], NULL, &h.r), 0);
    CHECK_INT(hob_write(pair[1], "one\nhalf a li", 13, HOB_FOREVER), 13);
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, reads_lines, &h), 0);
    while (!h.waits || hob_reader_pending(h.r) != 9)
        CHECK_INT(hob_sleep(HOB_MS), 0);
    hob_group_cancel(&g, -ESTALE);
    CHECK_INT(hob_group_join(&g, 0), -ESTALE);
    CHECK_INT(hob_reader_read_line(h.r, hob_in(HOB_MS), &p, &n), -ETIMEDOUT);
    CHECK_INT(hob_reader_read_line(h.r, 0, &p, &n), -ETIMEDOUT);
    CHECK_INT(hob_write(pair[1], "ne\nrest", 7, HOB_FOREVER), 7);
    CHECK_INT(hob_reader_read_line(h.r, HOB_FOREVER, &p, &n), 1);
    CHECK(is(p, n, "half a line"));
    CHECK_INT(hob_reader_read_line(h.r, 0, &p, &n), -ETIMEDOUT);
    CHECK_INT(hob_reader_read(h.r, big, sizeof big, 0), 4); /* what it holds, before all else */
    memset(big, 'z', sizeof big);
    CHECK_INT(hob_write(pair[1], big, sizeof big, HOB_FOREVER), sizeof big);
    CHECK_INT(hob_reader_read_exact(h.r, big, sizeof big, HOB_FOREVER), sizeof big);
    hob_close(pair[1]);
    CHECK_INT(hob_reader_read_line(h.r, HOB_FOREVER, &p, &n), 0);
    hob_reader_free(h.r);
    hob_reader_free(NULL);
    hob_close(pair[0]);
    return 0;
}

TEST(a_cancel_and_a_time_out_leave_what_was_read)
{
    on_pollers(over_a_socket, NULL, 0);
}

static int simulated(void *arg)
{
    hob_reader *r;
    const char *p;
    size_t n;

    (void)arg;
    CHECK_INT(hob_reader_new(0, NULL, &r), 0);
    CHECK_INT(hob_reader_read_line(r, HOB_FOREVER, &p, &n), -EOPNOTSUPP);
    hob_reader_free(r);
    return 0;
}

TEST(the_simulator_refuses_descriptors)
{
    setenv("HOB_SIM", "1", 1);
    CHECK_INT(hob_run(NULL, simulated, NULL), 0);
}

TEST(options_are_checked)
{
    hob_reader *r = NULL;

    CHECK_INT(hob_reader_new(0, &(struct hob_reader_opts){.size = 1}, &r), -EINVAL);
    CHECK(r == NULL);
}
