/* SPDX-License-Identifier: MIT */
#include "lib/out.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/t.h"

TEST(rows_are_json_whatever_is_in_them)
{
    struct buf b = {0};

    out_row(&b);
    out_text(&b, "url", "http://h/?a=\"b\"\\");
    out_text_n(&b, "odd", "\x01\x1f\n\t\x7f\0z", 7);
    out_text(&b, "utf8", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    out_text(&b, "bad", "a\xff\xc3(\xed\xa0\x80\xe2\x82");
    out_text(&b, "none", NULL);
    out_int(&b, "status", -5);
    out_bool(&b, "yes", true);
    out_object(&b, "fields");
    out_object_end(&b);
    out_object(&b, "more");
    out_null(&b, "x{");
    out_int(&b, "y", INT64_MIN);
    out_object_end(&b);
    out_seconds(&b, "s", 1234567890);
    out_seconds(&b, "t", -HOB_MS);
    out_number(&b, "n", 2.0 / 3, 3);
    out_number(&b, "inf", INFINITY, 3);
    out_row_end(&b);
    out_row(&b);
    out_row_end(&b);
    CHECK_STR(b.p, "{\"url\":\"http://h/?a=\\\"b\\\"\\\\\","
                   "\"odd\":\"\\u0001\\u001f\\n\\t\\u007f\\u0000z\","
                   "\"utf8\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\","
                   "\"bad\":\"a\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                   "\xef\xbf\xbd\xef\xbf\xbd\",\"none\":null,\"status\":-5,\"yes\":true,"
                   "\"fields\":{},\"more\":{\"x{\":null,\"y\":-9223372036854775808},"
                   "\"s\":1.234,\"t\":-0.001,\"n\":0.667,\"inf\":null}\n{}\n");
    buf_free(&b);
}

TEST(figures_are_short)
{
    static const struct {
        hob_dur d;
        const char *want;
    } durations[] = {
        {-1, "0 ns"},
        {999, "999 ns"},
        {850 * HOB_US, "850 us"},
        {999600, "1 ms"},
        {34 * HOB_MS, "34 ms"},
        {999600 * HOB_US, "1.0 s"},
        {1234 * HOB_MS, "1.2 s"},
        {59900 * HOB_MS, "59.9 s"},
        {59960 * HOB_MS, "1 min 0 s"},
        {125 * HOB_SEC, "2 min 5 s"},
        {190 * HOB_MIN, "3 h 10 min"},
        {HOB_FOREVER, "2562047 h 47 min"},
    };
    static const struct {
        uint64_t n;
        const char *bytes, *count;
    } numbers[] = {
        {0, "0 B", "0"},
        {999, "999 B", "999"},
        {1000, "1.0 kB", "1,000"},
        {999949, "999.9 kB", "999,949"},
        {999950, "1.0 MB", "999,950"},
        {3400000, "3.4 MB", "3,400,000"},
        {UINT64_MAX, "18.4 EB", "18,446,744,073,709,551,615"},
    };
    char to[OUT_FIGURE];

    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++)
        CHECK_STR(out_duration(durations[i].d, to), durations[i].want);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        CHECK_STR(out_bytes(numbers[i].n, to), numbers[i].bytes);
        CHECK_STR(out_count(numbers[i].n, to), numbers[i].count);
    }
}

TEST(nothing_but_a_terminal_is_one)
{
    int fd = open("/dev/null", O_WRONLY);
    struct out_progress p;
    struct buf b = {0};

    CHECK(!out_is_terminal(fd));
    out_progress_init(&p, fd);
    CHECK(!out_progress_due(&p, 0));
    out_progress_show(&p, 0, "x", &b);
    out_progress_clear(&p, &b);
    CHECK_INT(b.len, 0);
    close(fd);
}

TEST(a_terminal_that_cannot_erase_counts_as_none)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);

    if (master < 0)
        t_skip("no pseudo-terminals here");
    CHECK(grantpt(master) == 0 && unlockpt(master) == 0);
    int fd = open(ptsname(master), O_RDWR | O_NOCTTY);
    if (fd < 0)
        t_skip("no pseudo-terminals here");
    setenv("TERM", "xterm", 1);
    CHECK(out_is_terminal(fd));
    setenv("TERM", "dumb", 1);
    CHECK(!out_is_terminal(fd));
    unsetenv("TERM");
    CHECK(!out_is_terminal(fd));
    close(fd);
    close(master);
}

TEST(the_progress_line_moves_ten_times_a_second_at_most)
{
    struct out_progress p = {.on = true, .columns = 6};
    struct buf b = {0};

    out_progress_clear(&p, &b);
    CHECK_INT(b.len, 0);
    out_progress_show(&p, HOB_SEC, "abc", &b);
    CHECK_STR(b.p, "\r\x1b[Kabc");
    buf_reset(&b);
    CHECK(!out_progress_due(&p, HOB_SEC + 99 * HOB_MS));
    out_progress_show(&p, HOB_SEC + 99 * HOB_MS, "lost", &b);
    CHECK_INT(b.len, 0);
    out_progress_show(&p, HOB_SEC + 100 * HOB_MS,
                      "\xc3\xa9\xc3\xa9"
                      "cdefgh",
                      &b);
    CHECK_STR(b.p, "\r\x1b[K\xc3\xa9\xc3\xa9"
                   "cde");
    buf_reset(&b);
    out_progress_clear(&p, &b);
    CHECK_STR(b.p, "\r\x1b[K");
    CHECK(out_progress_due(&p, HOB_SEC + 101 * HOB_MS));
    buf_free(&b);
}
