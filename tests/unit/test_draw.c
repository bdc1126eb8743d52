/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "diag/draw.h"
#include "diag/draw_file.h"
#include "diag/draw_page.h"
#include "diag/draw_term.h"
#include "lib/t.h"

static struct buf b;

static const char *time_of(int64_t ns)
{
    buf_reset(&b);
    draw_time(&b, ns);
    return b.p;
}

static const char *tick_of(int64_t at, int64_t step, int64_t range)
{
    buf_reset(&b);
    draw_tick(&b, at, step, range);
    return b.p;
}

static const char *xml_of(const char *text)
{
    buf_reset(&b);
    draw_xml(&b, text);
    return b.p;
}

static const char *name_of(const char *name, uint32_t columns, bool ascii)
{
    buf_reset(&b);
    draw_term_name(&b, name, columns, ascii);
    return b.p;
}

TEST(times_have_three_digits)
{
    CHECK_STR(time_of(0), "0");
    CHECK_STR(time_of(980), "980 ns");
    CHECK_STR(time_of(12400 * 1000), "12.4 ms");
    CHECK_STR(time_of(1240 * HOB_MS), "1.24 s");
    CHECK_STR(time_of(125 * HOB_SEC), "2 min 5 s");
    buf_free(&b);
}

TEST(ticks_fit_and_differ)
{
    CHECK_INT(draw_step(1360 * HOB_MS, 10), 200 * HOB_MS);
    CHECK_INT(draw_step(90 * HOB_SEC, 10), 10 * HOB_SEC);
    for (int64_t range = 1; range < INT64_MAX / 4; range *= 3) {
        int64_t step = draw_step(range, 8);
        CHECK(step > 0 && range / step <= 8);
    }
    CHECK_STR(tick_of(0, HOB_MS, HOB_SEC), "0");
    CHECK_STR(tick_of(1500 * HOB_MS, 500 * HOB_MS, 2 * HOB_SEC), "1.5 s");
    CHECK_STR(tick_of(120 * HOB_SEC, 60 * HOB_SEC, 600 * HOB_SEC), "2 min");
    CHECK_STR(tick_of(680000500, 500, 680001 * HOB_US), "680.0005 ms");
    buf_free(&b);
}

TEST(figures_are_short_and_never_a_false_zero)
{
    static const struct {
        double x;
        const char *text;
    } rows[] = {{0, "0"},       {.00372, "<0.01"}, {.365, "0.36"},  {.9966, "1"},
                {4, "4"},       {3.99, "4"},       {1.25, "1.2"},   {39.7, "39.7"},
                {99.96, "100"}, {9876.4, "9876"},  {10000, "10000"}};
    char text[DRAW_FIGURE];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_STR(draw_figure(text, rows[i].x), rows[i].text);
}

TEST(markup_and_controls_do_not_get_through)
{
    CHECK_STR(xml_of("<a b=\"c\">&'"), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;");
    CHECK_STR(xml_of("\x1b[1m\n"), "\xef\xbf\xbd[1m\xef\xbf\xbd");
    CHECK_STR(xml_of("a\xff\xc3"), "a\xef\xbf\xbd\xef\xbf\xbd");
    CHECK_STR(xml_of("\xe2\x80\xae"), "\xef\xbf\xbd"); /* turns text around */
    CHECK_STR(xml_of("Grüße 日本"), "Grüße 日本");
    CHECK_STR(xml_of("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* half a pair */
    buf_free(&b);
}

TEST(json_stays_inside_its_script)
{
    draw_json(&b, "</script><!-- \"\\ \n");
    CHECK_STR(b.p, "\"\\u003c/script>\\u003c!-- \\\"\\\\ \\n\"");
    buf_free(&b);
}

TEST(names_fill_their_columns)
{
    CHECK_STR(name_of("abc", 5, false), "abc  ");
    CHECK_STR(name_of("abcde", 5, false), "abcde");
    CHECK_STR(name_of("abcdef", 5, false), "abcd…");
    CHECK_STR(name_of("abcdef", 5, true), "abcd>");
    CHECK_STR(name_of("日本語", 6, false), "日本語");
    CHECK_STR(name_of("日本語", 5, false), "日本…");
    CHECK_STR(name_of("a\x1b", 6, false), "a\\x1b ");
    CHECK_STR(name_of("\xff", 6, false), "\\xff  ");
    CHECK_STR(name_of("é", 6, true), "\\xe9  ");
    CHECK_STR(name_of("", 3, false), "   ");
    buf_free(&b);
}

TEST(lines_are_indented_and_escaped)
{
    draw_term_lines(&b, "one \x1b[31m\ntwo é", 80, false);
    CHECK_STR(b.p, " one \\x1b[31m\n two é\n");
    buf_reset(&b);
    draw_term_lines(&b, "é\n", 80, true);
    CHECK_STR(b.p, " \\xe9\n");
    buf_reset(&b);
    draw_term_lines(&b, "one two three four-and-more\nfive", 10, false);
    CHECK_STR(b.p, " one two\n three\n four-and-more\n five\n");
    buf_free(&b);
}

/* One thread that does each thing in turn. */
static void scene(struct recording *r)
{
    rec_init(r);
    r->wall = 1700;
    r->n_cores = r->n_cpus = 1;
    uint32_t t = rec_thread_of(r, 1, 1);
    snprintf(r->threads[t].name, sizeof r->threads[t].name, "all kinds");
    for (int kind = 0; kind < REC_N_KINDS; kind++) {
        struct rec_ival v = {.from = kind * 100,
                             .to = kind * 100 + 100,
                             .state = kind ? REC_WAIT : REC_RUN,
                             .kind = (uint8_t)kind,
                             .core = kind ? REC_NO_CORE : 0};
        rec_add(r, t, &v);
    }
}

TEST(looks_differ_in_colour_and_in_sign_or_height)
{
    for (int i = 0; i < N_LOOKS; i++)
        for (int k = 0; k < i; k++) {
            CHECK(strcmp(draw_looks[i].sign, draw_looks[k].sign) != 0);
            CHECK(draw_looks[i].ascii != draw_looks[k].ascii);
            CHECK(draw_looks[i].light != draw_looks[k].light ||
                  draw_looks[i].height != draw_looks[k].height);
        }
}

TEST(a_terminals_colours_end_with_their_line)
{
    struct recording r;

    scene(&r);
    for (int c = DRAW_NO_COLOURS; c <= DRAW_TRUE; c++) {
        struct draw_term_how how = {.width = 90, .colours = (enum draw_colours)c};
        buf_reset(&b);
        CHECK_INT(draw_term(&r, &how, &b), 0);
        CHECK((strchr(b.p, '\x1b') != NULL) == (c != DRAW_NO_COLOURS));
        for (char *line = strtok(b.p, "\n"); line; line = strtok(NULL, "\n")) {
            const char *last = NULL;
            for (const char *at = line; (at = strchr(at, '\x1b')) != NULL; at++)
                last = at;
            CHECK(!last || strncmp(last, "\x1b[0m", 4) == 0);
        }
    }
    buf_free(&b);
    rec_free(&r);
}

TEST(any_width_is_kept)
{
    struct recording r;

    scene(&r);
    for (uint32_t width = 1; width < 300; width += 7) {
        struct draw_term_how how = {.width = width, .ascii = true};
        buf_reset(&b);
        CHECK_INT(draw_term(&r, &how, &b), 0);
        for (char *line = strtok(b.p, "\n"); line; line = strtok(NULL, "\n"))
            CHECK(strlen(line) <= width);
    }
    buf_free(&b);
    rec_free(&r);
}

TEST(an_axis_counts_from_where_the_picture_begins_or_from_zero)
{
    struct draw_term_how how = {.width = 80, .ascii = true};
    struct recording r;

    scene(&r);
    how.from = r.wall / 4;
    how.to = r.wall / 2;
    buf_reset(&b);
    CHECK_INT(draw_term(&r, &how, &b), 0);
    CHECK(strstr(b.p, " '0 ") != NULL);
    how.from_zero = true;
    buf_reset(&b);
    CHECK_INT(draw_term(&r, &how, &b), 0);
    CHECK(strstr(b.p, " '0 ") == NULL);
    buf_free(&b);
    rec_free(&r);
}

static enum draw_colours colours_with(const char *term, const char *more, const char *no_color)
{
    struct draw_term_how how;
    int fd = posix_openpt(O_RDWR | O_NOCTTY);

    if (fd < 0)
        t_skip("no pseudoterminal");
    setenv("TERM", term, 1);
    setenv("COLORTERM", more, 1);
    setenv("NO_COLOR", no_color, 1);
    draw_term_detect(fd, &how);
    close(fd);
    return how.colours;
}

TEST(one_legend_has_what_all_its_pictures_show)
{
    bool looks[N_LOOKS] = {0};
    struct draw_term_how above = {.from = 100, .to = 200, .no_legend = true, .looks = looks};
    struct draw_term_how below = {.from = 0, .to = 100, .looks = looks};
    struct recording r;

    scene(&r);
    below.looks = NULL;
    CHECK_INT(draw_term(&r, &below, &b), 0);
    CHECK(strstr(b.p, "█ on CPU\n"));
    CHECK(!strstr(b.p, "disk"));
    buf_reset(&b);
    CHECK_INT(draw_term(&r, &above, &b), 0);
    CHECK(!strstr(b.p, "on CPU"));
    buf_reset(&b);
    below.looks = looks;
    CHECK_INT(draw_term(&r, &below, &b), 0);
    CHECK(strstr(b.p, "█ on CPU  "));
    buf_free(&b);
    rec_free(&r);
}

TEST(the_environment_says_what_a_terminal_shows)
{
    CHECK_INT(colours_with("xterm", "", ""), DRAW_16);
    CHECK_INT(colours_with("xterm-256color", "", ""), DRAW_256);
    CHECK_INT(colours_with("xterm-256color", "truecolor", ""), DRAW_TRUE);
    CHECK_INT(colours_with("xterm-256color", "truecolor", "1"), DRAW_NO_COLOURS);
    CHECK_INT(colours_with("dumb", "truecolor", ""), DRAW_NO_COLOURS);

    struct draw_term_how how;
    setenv("LC_ALL", "", 1);
    setenv("LC_CTYPE", "", 1);
    setenv("LANG", "de_DE.utf8", 1);
    draw_term_detect(-1, &how);
    CHECK(!how.ascii);
    CHECK_INT(how.colours, DRAW_NO_COLOURS);
    setenv("LC_ALL", "C", 1);
    setenv("COLUMNS", "123", 1);
    draw_term_detect(-1, &how);
    CHECK(how.ascii);
    CHECK_INT(how.width, 123);
}

TEST(pages_grow_no_larger_than_they_may)
{
    struct recording r;

    rec_init(&r);
    r.wall = 1000000;
    for (int i = 0; i < 30; i++) {
        uint32_t t = rec_thread_of(&r, 1, 1 + i);
        for (int64_t at = i; at < 999000; at += 60 + i) {
            struct rec_ival v = {.from = at,
                                 .to = at + 50 + i,
                                 .state = (uint8_t)(at / 60 % 3),
                                 .kind = at / 60 % 3 == REC_WAIT ? REC_NET : REC_NO_KIND,
                                 .core = REC_NO_CORE};
            rec_add(&r, t, &v);
        }
    }
    static const uint32_t most[] = {80000, 150000, 300000, 2000000};
    for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
        buf_reset(&b);
        CHECK_INT(draw_html(&r, &(struct draw_page_how){.max_bytes = most[i]}, &b), 0);
        CHECK(b.len <= most[i]);
        CHECK(b.len > 20000);
        buf_reset(&b);
        CHECK_INT(draw_svg(&r, &(struct draw_page_how){.max_bytes = most[i]}, &b), 0);
        CHECK(b.len <= most[i]);
    }
    buf_free(&b);
    rec_free(&r);
}

TEST(windows_are_panels_of_one_scale)
{
    struct recording r;
    const struct draw_window windows[] = {{0, 1000, "the <first>"}, {1000, 1500, "the second"}};

    scene(&r);
    CHECK_INT(draw_svg(&r, &(struct draw_page_how){.windows = windows, .n_windows = 2}, &b), 0);
    CHECK(strstr(b.p, "the &lt;first&gt;") && strstr(b.p, "the second"));
    CHECK(strstr(b.p, "h1000000\"/>") && strstr(b.p, "h500000\"/>")); /* the tracks */
    buf_free(&b);
    rec_free(&r);
}

TEST(formats_go_by_name)
{
    enum draw_format f = DRAW_N_FORMATS;

    CHECK_INT(draw_format_for("a.html", &f), 0);
    CHECK_INT(f, DRAW_HTML);
    CHECK_INT(draw_format_for("a.b.pftrace", &f), 0);
    CHECK_INT(f, DRAW_PERFETTO);
    CHECK_INT(draw_format_for("svg", &f), -EINVAL);
    CHECK_INT(draw_format_for(".svg", &f), -EINVAL);
    CHECK_INT(draw_format_of("json", &f), 0);
    CHECK_INT(f, DRAW_CHROME);
    CHECK_INT(draw_format_of("gif", &f), -EINVAL);
}
