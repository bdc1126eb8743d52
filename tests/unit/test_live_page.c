/* SPDX-License-Identifier: MIT */
#include "diag/live_impl.h"

#include <string.h>

#include "diag_util.h"

static struct recording r;
static struct diagnosis d;

/* A process that asks a server from one thread while another computes. */
static void made(void)
{
    uint32_t asks, computes;

    made_open(&r, 4);
    rec_set_text(&r, &r.command, "prog \x1b[31m");
    asks = made_thread(&r, 40, 40, 0, "/bin/prog");
    computes = made_thread(&r, 40, 41, 0, "/bin/prog");
    snprintf(r.threads[computes].name, sizeof r.threads[computes].name, "worker");
    for (int i = 0; i < 100; i++) {
        made_wait(&r, asks, i, i + .9, REC_NET, "tcp 10.0.0.1:80");
        made_run(&r, asks, i + .9, i + 1);
    }
    made_run(&r, computes, 0, 30);
    made_wait(&r, computes, 30, 100, REC_LOCK, NULL);
    r.wall = 100 * HOB_MS;
    r.n_lost = 7;
    r.foreign = 1.5;
    CHECK_INT(diagnose(&r, &d), 0);
}

static const struct live_view *view(void)
{
    static struct live_view v;

    v = (struct live_view){
        .last = &d, .whole = &d, .now = 100 * HOB_MS, .command = r.command, .keys = "q ends"};
    return &v;
}

static struct buf page_of(uint32_t rows, const struct draw_term_how *how)
{
    struct buf b = {0};

    live_page(view(), how, rows, &b);
    CHECK_INT(buf_error(&b), 0);
    return b;
}

static uint32_t lines_of(const struct buf *b)
{
    uint32_t n = 0;

    for (size_t i = 0; i < b->len; i++)
        n += b->p[i] == '\n';
    return n;
}

TEST(a_page_has_it_all)
{
    struct buf b;

    made();
    b = page_of(60, &(struct draw_term_how){.width = 100});
    for (const char **s =
             (const char *[]){"--live — prog \\x1b[31m", "q ends", "LAST 0.1s", "SINCE 0 s",
                              "in flight 1.0", "tcp 10.0.0.1:80", "foreign load: 1.5 cores",
                              "7 records were lost", "T1: exact switches", NULL};
         *s; s++)
        if (!strstr(b.p, *s))
            t_fail(__FILE__, __LINE__, "'%s' is not in\n%s", *s, b.p);
    CHECK(!strchr(b.p, '\x1b'));
    buf_free(&b);
    rec_free(&r);
}

TEST(threads_come_by_cpu_time_and_say_what_they_wait_for)
{
    struct buf b;

    made();
    b = page_of(24, &(struct draw_term_how){.width = 100});
    const char *first = strstr(b.p, "worker"), *second = strstr(b.p, "prog    ");
    CHECK(first && second && first < second);
    CHECK(strstr(first, "  41    30 %     0 %  lock 70 %"));
    CHECK(strstr(second, "  40    10 %     0 %  network 90 %  tcp 10.0.0.1:80"));
    buf_free(&b);
    rec_free(&r);
}

TEST(a_page_keeps_to_its_lines_from_the_threads_on)
{
    made();
    for (uint32_t rows = 18; rows < 80; rows++) {
        struct buf b = page_of(rows, &(struct draw_term_how){.width = 100});

        if (lines_of(&b) > rows)
            t_fail(__FILE__, __LINE__, "%u lines of %u:\n%s", lines_of(&b), rows, b.p);
        buf_free(&b);
    }
    rec_free(&r);
}

TEST(a_narrow_page_has_the_tier_without_its_words)
{
    struct buf b;

    made();
    r.tier = REC_T1_PLUS;
    b = page_of(20, &(struct draw_term_how){.width = 80, .ascii = true});
    size_t head = strcspn(b.p, "\n");
    CHECK(head <= 80);
    CHECK(strncmp(b.p + head - 4, " T1+", 4) == 0);
    buf_free(&b);
    rec_free(&r);
}

TEST(a_narrow_page_wraps_its_words)
{
    struct buf b;

    made();
    b = page_of(10, &(struct draw_term_how){.width = 40, .ascii = true});
    for (const char *at = b.p; *at;) {
        size_t n = strcspn(at, "\n");

        if (strncmp(at, "  LAST", 6) == 0 || strncmp(at, "            ", 12) == 0)
            CHECK(n <= 40);
        at += n + (at[n] == '\n');
    }
    for (size_t i = 0; i < b.len; i++)
        CHECK((unsigned char)b.p[i] < 0x80);
    buf_free(&b);
    rec_free(&r);
}

TEST(a_line_has_a_word_for_each_column)
{
    struct buf b = {0};
    int words = 0, names = 0;

    made();
    live_line(view(), true, &b);
    for (char *at = b.p, *end = strchr(b.p, '\n'); at < end; at += strspn(at, " ")) {
        names += *at != ' ';
        at += strcspn(at, " \n");
    }
    for (char *at = strchr(b.p, '\n') + 1; *at; at += strspn(at, " \n")) {
        words += *at != ' ';
        at += strcspn(at, " \n");
    }
    CHECK_INT(words, names);
    CHECK(strstr(b.p, " 7  "));
    buf_free(&b);
    rec_free(&r);
}

/* --- draw_term.c's for it --------------------------------------------------------------------- */

static void cut(const char *line, uint32_t columns, const char *want)
{
    struct buf b = {0};

    draw_term_cut(&b, line, strlen(line), columns);
    CHECK_STR(b.p ? b.p : "", want);
    buf_free(&b);
}

TEST(a_line_is_cut_by_columns)
{
    cut("abc", 5, "abc");
    cut("abcdef", 3, "abc");
    cut("\x1b[1mab\x1b[0mcd", 3, "\x1b[1mab\x1b[0mc");
    cut("\x1b[1mabcd\x1b[0m", 3, "\x1b[1mabc\x1b[0m");
    cut("▁▂▃", 2, "▁▂");
    cut("a日b", 2, "a"); /* half a wide one is none */
    cut("a日b", 3, "a日");
    cut("abc", 0, "");
}
