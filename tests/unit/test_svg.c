/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "lib/t.h"
#include "trace/svg.h"

/* What is in s; empties it. */
static const char *taken(struct svg *s)
{
    static char text[4096];

    CHECK(!s->failed && s->n < sizeof(text));
    memcpy(text, s->n ? s->p : "", s->n);
    text[s->n] = '\0';
    free(s->p);
    *s = (struct svg){0};
    return text;
}

static const char *num(double v)
{
    struct svg s = {0};

    hob__svg_num(&s, v);
    return taken(&s);
}

static const char *text(const char *in)
{
    struct svg s = {0};

    hob__svg_text(&s, in);
    return taken(&s);
}

static const char *length(hob_dur d)
{
    struct svg s = {0};

    hob__svg_time(&s, d);
    return taken(&s);
}

static const char *tick(hob_dur at, hob_dur step, hob_dur range)
{
    struct svg s = {0};

    hob__svg_tick(&s, at, step, range);
    return taken(&s);
}

TEST(coordinates_have_one_decimal_or_none)
{
    CHECK_STR(num(0), "0");
    CHECK_STR(num(12), "12");
    CHECK_STR(num(12.34), "12.3");
    CHECK_STR(num(12.96), "13");
    CHECK_STR(num(-0.5), "-0.5");
    CHECK_STR(num(-0.01), "0");
}

TEST(markup_in_a_name_is_text)
{
    CHECK_STR(text("a<b>&\"c'"), "a&lt;b&gt;&amp;&quot;c&#39;");
    CHECK_STR(text("]]>"), "]]&gt;");
    CHECK_STR(text("h\xc3\xb6llo \xe2\x82\xac \xf0\x9f\x8d\xb3"),
              "h\xc3\xb6llo \xe2\x82\xac \xf0\x9f\x8d\xb3");
}

TEST(what_xml_does_not_allow_is_replaced)
{
    CHECK_STR(text("\x01"), "\xef\xbf\xbd");
    CHECK_STR(text("a\x1b[0m"), "a\xef\xbf\xbd[0m");
    CHECK_STR(text("\xff"), "\xef\xbf\xbd");
    CHECK_STR(text("\xc3"), "\xef\xbf\xbd");                 /* cut off */
    CHECK_STR(text("\xe2\x82"), "\xef\xbf\xbd\xef\xbf\xbd"); /* cut off */
    CHECK_STR(text("\xc0\xaf"), "\xef\xbf\xbd\xef\xbf\xbd"); /* too long a form */
    CHECK_STR(text("\xe0\x80\xaf"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    CHECK_STR(text("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* surrogate */
    CHECK_STR(text("\xef\xbf\xbf"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* U+FFFF */
}

TEST(lengths_have_three_digits_and_a_unit)
{
    CHECK_STR(length(0), "0 ns");
    CHECK_STR(length(-5), "0 ns");
    CHECK_STR(length(980), "980 ns");
    CHECK_STR(length(1240), "1.24 \xc2\xb5s");
    CHECK_STR(length(12400 * HOB_US), "12.4 ms");
    CHECK_STR(length(124 * HOB_MS), "124 ms");
    CHECK_STR(length(1240 * HOB_MS), "1.24 s");
    CHECK_STR(length(99 * HOB_SEC), "99 s");
    CHECK_STR(length(125 * HOB_SEC), "2 min 5 s");
    CHECK_STR(length(180 * HOB_SEC), "3 min");
}

TEST(ticks_of_an_axis_share_a_unit)
{
    CHECK_STR(tick(0, HOB_SEC, 3 * HOB_SEC), "0");
    CHECK_STR(tick(200 * HOB_MS, 200 * HOB_MS, 2 * HOB_SEC), "0.2 s");
    CHECK_STR(tick(1000 * HOB_MS, 200 * HOB_MS, 2 * HOB_SEC), "1 s");
    CHECK_STR(tick(1050 * HOB_MS, 50 * HOB_MS, 2 * HOB_SEC), "1.05 s");
    CHECK_STR(tick(100 * HOB_MS, 100 * HOB_MS, 800 * HOB_MS), "100 ms");
    CHECK_STR(tick(2 * HOB_MIN, HOB_MIN, 9 * HOB_MIN), "2 min");
    CHECK_STR(tick(30 * HOB_SEC, 10 * HOB_SEC, 90 * HOB_SEC), "30 s");
}

TEST(tick_steps_are_round_and_as_many_as_fit)
{
    for (hob_dur range = 1; range > 0 && range < 100 * 60 * HOB_MIN; range = range * 7 / 3 + 1) {
        hob_dur step = hob__svg_tick_step(range, 10);

        CHECK(step > 0 && range / step <= 10);
        CHECK(range < 20 || range / step >= 2);
    }
    CHECK_INT(hob__svg_tick_step(2 * HOB_SEC, 10), 200 * HOB_MS);
    CHECK_INT(hob__svg_tick_step(35 * HOB_SEC, 10), 5 * HOB_SEC);
    CHECK_INT(hob__svg_tick_step(300 * HOB_SEC, 10), 30 * HOB_SEC);
}

TEST(long_pieces_are_kept_whole)
{
    struct svg s = {0};
    char big[3000];

    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    hob__svg_add(&s, "%s", big);
    CHECK_INT(s.n, sizeof(big) - 1);
    hob__svg_add(&s, "<%s>", "y");
    CHECK(strcmp(taken(&s) + sizeof(big) - 1, "<y>") == 0);
}
