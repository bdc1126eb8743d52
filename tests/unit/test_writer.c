/* SPDX-License-Identifier: MIT */
#include <hob/hob.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/each.h"
#include "net_util.h"

/* Where the bytes go: it takes pieces of changing lengths, lets others run, fails on demand. */
struct sink {
    char text[4096];
    size_t n, step;
    int writes;
    int fail_at; /* the so manieth write is `fail`, once */
    int fail;
    bool whole; /* takes all at once */
};

static ssize_t sink_write(void *arg, const void *buf, size_t n, hob_time until)
{
    struct sink *s = arg;
    size_t k = s->whole ? n : 1 + s->step++ * 7 % 13;

    (void)until;
    if (++s->writes == s->fail_at)
        return s->fail;
    if (hob_on_fiber() && s->writes % 3 == 0) {
        int r = hob_yield();
        if (r < 0)
            return r;
    }
    k = k < n ? k : n;
    CHECK(s->n + k <= sizeof s->text);
    memcpy(s->text + s->n, buf, k);
    s->n += k;
    return (ssize_t)k;
}

static hob_writer *writer_of(struct sink *s, size_t bytes)
{
    hob_writer *w;

    *s = (struct sink){.n = 0};
    CHECK_INT(
        hob_writer_new(-1, HOB_WRITER_OPTS(.write = sink_write, .arg = s, .bytes = bytes), &w), 0);
    return w;
}

static bool has(const struct sink *s, const char *want)
{
    return s->n == strlen(want) && memcmp(s->text, want, s->n) == 0;
}

static int collects(void *arg)
{
    struct sink s;
    hob_writer *w = writer_of(&s, 16);

    (void)arg;
    s.whole = true;
    CHECK_INT(hob_writer_write(w, "0123456", 7, HOB_FOREVER), 7);
    CHECK_INT(hob_writer_print(w, HOB_FOREVER, "%s-%d", "ab", 42), 5);
    CHECK(s.writes == 0 && hob_writer_pending(w) == 12);
    CHECK_INT(hob_writer_print(w, HOB_FOREVER, "%s", "longer"), 6); /* no room: written first */
    CHECK(s.writes == 1 && has(&s, "0123456ab-42"));
    CHECK_INT(hob_writer_print(w, HOB_FOREVER, "%s", "12345678901234567"), -HOB_ETOOBIG);
    CHECK_INT(hob_writer_print(w, HOB_FOREVER, "%s", "1234567890123456"), 16); /* just fits */
    CHECK_INT(hob_writer_pending(w), 16);
    CHECK_INT(hob_writer_write(w, "<a piece larger than the block>", 31, HOB_FOREVER), 31);
    CHECK_INT(hob_writer_pending(w), 0);
    CHECK(has(&s, "0123456ab-42longer1234567890123456<a piece larger than the block>"));
    CHECK_INT(hob_writer_write(w, "x", 1, HOB_FOREVER), 1);
    CHECK_INT(hob_writer_write(w, "", 0, HOB_FOREVER), 0);
    CHECK_INT(hob_writer_flush(w, HOB_FOREVER), 0);
    CHECK_INT(hob_writer_flush(w, HOB_FOREVER), 0);
    CHECK_INT(s.text[s.n - 1], 'x');
    hob_writer_free(w);
    hob_writer_free(NULL);
    return 0;
}

TEST(small_pieces_are_written_together)
{
    each_world_run(collects, NULL, NULL, 0);
    CHECK_INT(collects(NULL), 0); /* and off a fiber */
}

/* Each write fails once, at any place: what was not taken is given again, and all comes once. */
static int failing(void *arg)
{
    static const int codes[] = {-ETIMEDOUT, -ECANCELED, -EPIPE};
    char text[400];

    (void)arg;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 26);
    for (int at = 1; at < 90; at++) {
        struct sink s;
        hob_writer *w = writer_of(&s, 1 + (size_t)at % 20);
        size_t done = 0;
        int r;
        s.fail_at = at;
        s.fail = codes[at % 3];
        for (size_t k = 1; done < sizeof text; k = 1 + k * 5 % 37) {
            size_t left = sizeof text - done;
            ssize_t n = hob_writer_write(w, text + done, k < left ? k : left, HOB_FOREVER);
            CHECK(n > 0 || n == s.fail);
            done += n > 0 ? (size_t)n : 0;
        }
        while ((r = hob_writer_flush(w, HOB_FOREVER)) < 0)
            CHECK_INT(r, s.fail);
        CHECK(s.n == sizeof text && memcmp(s.text, text, s.n) == 0);
        hob_writer_free(w);
    }
    return 0;
}

TEST(a_failed_write_loses_nothing_and_repeats_nothing)
{
    CHECK_INT(failing(NULL), 0);
    setenv("HOB_SIM", "5", 1);
    CHECK_INT(hob_run(NULL, failing, NULL), 0);
}

static char big[1 << 20];

static int writes_big(void *arg)
{
    hob_writer *w = arg;
    ssize_t n;

    CHECK_INT(hob_writer_write(w, "head", 4, HOB_FOREVER), 4);
    n = hob_writer_write(w, big, sizeof big, HOB_FOREVER);
    CHECK(n > 0 && n < (ssize_t)sizeof big);
    CHECK_INT(hob_writer_write(w, big, 1, HOB_FOREVER), -ECANCELED);
    CHECK_INT(hob_writer_print(w, HOB_FOREVER, "x"), -ECANCELED);
    CHECK_INT(hob_writer_flush(w, HOB_FOREVER), -ECANCELED);
    return (int)n;
}

static int over_a_socket(void *arg)
{
    hob_writer *w;
    hob_group g;
    int pair[2];
    char head[4];

    (void)arg;
    CHECK_INT(hob_unix_pair(pair), 0);
    CHECK_INT(hob_writer_new(pair[0], NULL, &w), 0);
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, writes_big, w), 0);
    CHECK_INT(hob_sleep(HOB_MS), 0); /* it runs until nobody takes any more */
    hob_group_cancel(&g, -ESTALE);
    CHECK_INT(hob_group_join(&g, 0), -ESTALE);
    CHECK_INT(hob_read(pair[1], head, sizeof head, HOB_FOREVER), 4);
    CHECK(memcmp(head, "head", 4) == 0);
    hob_close(pair[1]);
    CHECK_INT(hob_writer_write(w, "y", 1, HOB_FOREVER), 1);
    for (int i = 0; i < 2; i++)
        CHECK_INT(hob_writer_flush(w, HOB_FOREVER), -EPIPE);
    CHECK_INT(hob_writer_pending(w), 1);
    hob_writer_free(w);
    hob_close(pair[0]);
    return 0;
}

TEST(a_cancel_says_what_was_taken)
{
    on_pollers(over_a_socket, NULL, 0);
}

static int simulated(void *arg)
{
    hob_writer *w;

    (void)arg;
    CHECK_INT(hob_writer_new(0, NULL, &w), 0);
    CHECK_INT(hob_writer_write(w, "x", 1, HOB_FOREVER), 1);
    CHECK_INT(hob_writer_flush(w, HOB_FOREVER), -EOPNOTSUPP);
    hob_writer_free(w);
    return 0;
}

TEST(the_simulator_refuses_descriptors)
{
    setenv("HOB_SIM", "1", 1);
    CHECK_INT(hob_run(NULL, simulated, NULL), 0);
}

TEST(options_are_checked)
{
    hob_writer *w = NULL;

    CHECK_INT(hob_writer_new(0, &(struct hob_writer_opts){.size = 1}, &w), -EINVAL);
    CHECK_INT(hob_writer_new(0, HOB_WRITER_OPTS(.bytes = SIZE_MAX), &w), -ENOMEM);
    CHECK(w == NULL);
}
