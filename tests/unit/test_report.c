/* SPDX-License-Identifier: MIT
 *
 * test_report.c - the page for people and the line for programs
 */
#include <stdlib.h>

#include "diag/json.h"
#include "diag/page.h"
#include "diag/report.h"
#include "diag_util.h"

static void make(struct recording *r, const char *exe, const char *command)
{
    made_open(r, 2);
    rec_set_text(r, &r->command, command);
    uint32_t t = made_thread(r, 10, 10, 0, exe);
    for (int i = 0; i < 50; i++) {
        made_run(r, t, i * 10, i * 10 + 1);
        made_wait(r, t, i * 10 + 1, i * 10 + 10, REC_NET, "tcp 10.0.0.1:80");
    }
}

static char *text_of(const struct diagnosis *d, const struct report_how *how)
{
    char *text = NULL;
    size_t n;
    FILE *to = open_memstream(&text, &n);

    CHECK(to != NULL);
    if (how)
        report(d, how, to);
    else
        CHECK_INT(json_write(d, to), 0);
    CHECK_INT(fclose(to), 0);
    return text;
}

static bool holds(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

TEST(the_page_says_what_to_do_and_why)
{
    struct recording r;
    struct diagnosis d;

    make(&r, "/usr/bin/python3.11", "python3 a.py");
    CHECK_INT(diagnose(&r, &d), 0);
    char *text = text_of(&d, &(struct report_how){.width = 100, .explain = true});
    CHECK(holds(text, "I/O-bound (92 % waiting for the network)") || holds(text, "I/O-bound (9"));
    CHECK(holds(text, "DO THIS"));
    CHECK(holds(text, "asyncio"));
    CHECK(holds(text, "tcp 10.0.0.1:80"));
    CHECK(holds(text, "what if"));
    CHECK(holds(text, "in flight 1"));
    CHECK(holds(text, "the rule, step by step"));
    free(text);
    rec_free(&r);
}

TEST(a_long_command_has_a_line_of_its_own_and_loses_its_middle)
{
    struct recording r;
    struct diagnosis d;
    struct page p = {.ascii = true};
    char command[300] = "python3 ";

    memset(command + 8, 'x', 200);
    strcpy(command + 208, " to the end.py");
    make(&r, "/usr/bin/python3.11", command);
    CHECK_INT(diagnose(&r, &d), 0);
    char *text = text_of(&d, &(struct report_how){.width = 80, .ascii = true});
    CHECK(holds(text, " hob diagnose - python3 xxx"));
    CHECK(holds(text, "x..x"));
    CHECK(holds(text, "x to the end.py\n "));
    CHECK(strcspn(text, "\n") <= 80);
    free(text);
    rec_free(&r);
    for (uint32_t columns = 8; columns < 30; columns++) {
        buf_reset(&p.out);
        page_middle(&p, "\xc3\xa4 0123456789 abcdefg \x1b", columns);
        CHECK(p.out.len <= columns);
    }
    buf_reset(&p.out);
    CHECK_INT(page_middle(&p, "short", 8), 5);
    CHECK_STR(p.out.p, "short");
    buf_free(&p.out);
}

TEST(a_page_in_ascii_without_colours_is_that)
{
    struct recording r;
    struct diagnosis d;

    make(&r, "/usr/bin/python3.11", "python3 \xc3\xa4.py");
    CHECK_INT(diagnose(&r, &d), 0);
    char *text = text_of(&d, &(struct report_how){.width = 80, .ascii = true});
    for (const char *s = text; *s; s++)
        CHECK((*s >= ' ' && *s < 0x7f) || *s == '\n');
    free(text);
    rec_free(&r);
}

TEST(names_cannot_write_to_the_terminal)
{
    struct recording r;
    struct diagnosis d;

    make(&r, "/tmp/x", "evil\033[2J\nname\xff\xe2\x80\xae");
    r.peers[1].name[0] = '\a';
    CHECK_INT(diagnose(&r, &d), 0);
    char *text = text_of(&d, &(struct report_how){.width = 120});
    CHECK(!holds(text, "\033"));
    CHECK(!holds(text, "\a"));
    CHECK(!holds(text, "\xff"));
    CHECK(!holds(text, "\xe2\x80\xae"));
    CHECK(holds(text, "evil\\x1b[2J\\x0aname"));
    free(text);
    rec_free(&r);
}

static size_t longest_line(const char *text)
{
    size_t longest = 0, columns = 0;

    for (; *text; text++) {
        if (*text == '\n')
            columns = 0;
        else
            columns += ((unsigned char)*text & 0xc0) != 0x80;
        longest = columns > longest ? columns : longest;
    }
    return longest;
}

TEST(no_line_is_wider_than_the_terminal)
{
    struct recording r;
    struct diagnosis d;
    char long_name[400];

    memset(long_name, 'n', sizeof(long_name));
    long_name[sizeof(long_name) - 1] = '\0';
    make(&r, "/usr/bin/node", long_name);
    CHECK_INT(diagnose(&r, &d), 0);
    for (uint32_t width = 80; width <= 160; width += 20) {
        char *text = text_of(&d, &(struct report_how){.width = width, .explain = true});
        CHECK(longest_line(text) <= width);
        free(text);
    }
    rec_free(&r);
}

TEST(shares_have_bars_at_80_columns_and_no_line_ends_with_a_blank)
{
    struct recording r;
    struct diagnosis d;

    make(&r, "/usr/bin/python3.11", "python3 a.py");
    CHECK_INT(diagnose(&r, &d), 0);
    for (uint32_t width = 60; width <= 120; width += 10) {
        char *text = text_of(&d, &(struct report_how){.width = width, .ascii = true});
        CHECK(width < 80 || holds(text, " % ##########"));
        CHECK(!holds(text, " \n"));
        free(text);
    }
    rec_free(&r);
}

TEST(nobody_who_ended_waits_has_no_heading)
{
    struct recording r;
    struct diagnosis d;

    made_open(&r, 2);
    uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/dash");
    snprintf(r.threads[t].name, sizeof r.threads[t].name, "sh");
    made_wait(&r, t, 0, 500, REC_PIPE, NULL);
    made_run(&r, t, 500, 510);
    r.tier = REC_T1_PLUS;
    CHECK_INT(diagnose(&r, &d), 0);
    char *text = text_of(&d, &(struct report_how){.width = 100});
    CHECK(!holds(text, "who ended"));
    CHECK(holds(text, "wakers known: 0 % of 1 waits"));
    free(text);
    rec_add_wake(&r, &(struct rec_wake){.at = 500 * HOB_MS, .woken = t, .waker = t});
    CHECK_INT(diagnose(&r, &d), 0);
    text = text_of(&d, &(struct report_how){.width = 100});
    CHECK(holds(text, "who ended the waits for others\n   pipe       dash (10) "));
    free(text);
    rec_free(&r);
}

TEST(a_sleeper_is_not_sent_to_a_quiet_machine)
{
    struct recording r;
    struct diagnosis d;

    made_open(&r, 2);
    uint32_t t = made_thread(&r, 10, 10, 0, "/usr/bin/sleep");
    made_run(&r, t, 0, 1);
    made_wait(&r, t, 1, 1000, REC_SLEEP, NULL);
    r.foreign = 2;
    CHECK_INT(diagnose(&r, &d), 0);
    CHECK(d.prediction.refused != NULL);
    char *text = text_of(&d, &(struct report_how){.width = 200});
    CHECK(holds(text, "no gain to be expected"));
    CHECK(!holds(text, "quiet machine"));
    free(text);
    rec_free(&r);
}

TEST(processes_one_after_the_other_are_not_a_pool)
{
    struct recording r;
    struct diagnosis d;

    made_open(&r, 2);
    for (int32_t i = 0; i < 30; i++) {
        uint32_t t = made_thread(&r, 10 + i, 10 + i, 0, "/usr/bin/get");
        made_run(&r, t, i * 50, i * 50 + 2);
        made_wait(&r, t, i * 50 + 2, i * 50 + 50, REC_NET, "tcp 10.0.0.1:80");
    }
    CHECK_INT(diagnose(&r, &d), 0);
    char *text = text_of(&d, &(struct report_how){.width = 100});
    CHECK(holds(text, "30 processes, 1.0 in flight at a time"));
    free(text);
    rec_free(&r);
}

TEST(json_has_the_words_that_scripts_read)
{
    struct recording r;
    struct diagnosis d;

    make(&r, "/usr/bin/python3.11", "python3 \"a\".py");
    CHECK_INT(diagnose(&r, &d), 0);
    char *text = text_of(&d, NULL);
    CHECK(holds(text, "\"hob_diagnose\":1,\"command\":\"python3 \\\"a\\\".py\""));
    CHECK(
        holds(text, "\"verdict\":{\"bound\":\"io\",\"advice\":\"concurrency\",\"mismatch\":null"));
    CHECK(holds(text, "\"prediction\":{\"refused\":null,\"low\":"));
    CHECK(holds(text, "\"in_flight\":1.00"));
    CHECK(text[strlen(text) - 1] == '\n');
    CHECK(strchr(text, '\n') == text + strlen(text) - 1);
    free(text);
    rec_free(&r);
}

TEST(lost_records_are_said)
{
    struct recording r;
    struct diagnosis d;

    make(&r, "/usr/bin/python3.11", "python3 a.py");
    r.n_switches = 100;
    r.n_lost = 77;
    CHECK_INT(diagnose(&r, &d), 0);
    char *text = text_of(&d, &(struct report_how){.width = 100});
    CHECK(holds(text, "77 records were lost"));
    CHECK(holds(text, "too many of the kernel's records were lost to be sure; as far"));
    CHECK(holds(text, "no prediction: too many of the kernel's records were lost"));
    free(text);
    rec_free(&r);
}

/* Ten rounds of 100 ms: so long on CPU, without a core, and waiting; others keep the cores. Without
 * the first turn, which is start-up. */
static char *page_of(double run, double ready, bool kernel)
{
    struct recording r;
    struct diagnosis d;

    made_open(&r, 2);
    rec_set_text(&r, &r.command, "./program");
    uint32_t t = made_thread(&r, 10, 10, 0, "/nonexistent/program");
    for (int i = 0; i < 10; i++) {
        made_run(&r, t, i * 100, i * 100 + run);
        made_ready(&r, t, i * 100 + run, i * 100 + run + ready);
        made_wait(&r, t, i * 100 + run + ready, i * 100 + 100, REC_NET, "tcp 10.0.0.1:80");
    }
    r.user = (int64_t)(kernel ? 0 : 10 * run * HOB_MS);
    r.system = (int64_t)(kernel ? 10 * run * HOB_MS : 0);
    r.foreign = ready > 0 ? 2 : 0;
    CHECK_INT(diagnose(&r, &d), 0);
    char *text = text_of(&d, &(struct report_how){.width = 400});
    rec_free(&r);
    return text;
}

TEST(the_verdict_has_the_share_that_decided)
{
    static const struct {
        double run, ready;
        bool kernel;
        const char *want;
    } rows[] = {
        {20, 64, false,
         "both (56 % computing, 44 % waiting for the network, of the time that others left "
         "it):"},
        {5, 45, false,
         "I/O-bound (92 % waiting for the network, of the time that others left it):"},
        {40, 0, true, "I/O-bound (100 % waiting for the network and the kernel's work for it):"},
        {10, 0, false, "I/O-bound (91 % waiting for the network):"},
        {90, 0, false, "CPU-bound (90 % computing):"},
        {30, 65, false, "CPU-bound (86 % computing, of the time that others left it):"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = page_of(rows[i].run, rows[i].ready, rows[i].kernel);
        if (!holds(text, rows[i].want))
            t_fail(__FILE__, __LINE__, "row %zu: no \"%s\" in %s", i, rows[i].want, text);
        free(text);
    }
}

TEST(what_could_not_be_read_is_said_and_nothing_else)
{
    struct recording r;
    struct diagnosis d;

    made_open(&r, 2);
    rec_set_text(&r, &r.command, "./program");
    uint32_t t = made_thread(&r, 10, 10, 0, "/nonexistent/program");
    made_run(&r, t, 0, 10);
    made_wait(&r, t, 10, 1000, REC_UNKNOWN, NULL);
    r.procs[0].opaque = true;
    CHECK_INT(diagnose(&r, &d), 0);
    char *text = text_of(&d, &(struct report_how){.width = 400});
    CHECK(holds(text, "unknown: what it waits for could not be read for 99 % of the time, as it "
                      "belongs to another user or is setuid"));
    CHECK(holds(text, "no prediction: most of its time could not be read"));
    CHECK(!holds(text, "DO THIS"));
    CHECK(!holds(text, "what if"));
    free(text);
    text = text_of(&d, NULL);
    CHECK(holds(text, "\"verdict\":{\"bound\":\"unknown\",\"advice\":null,\"mismatch\":null"));
    CHECK(holds(text, "\"do\":null"));
    free(text);
    rec_free(&r);
}

TEST(an_empty_recording_still_makes_a_page)
{
    struct recording r;
    struct diagnosis d;

    made_open(&r, 2);
    CHECK_INT(diagnose(&r, &d), 0);
    free(text_of(&d, &(struct report_how){.explain = true}));
    free(text_of(&d, NULL));
    rec_free(&r);
}

TEST(a_local_server_that_is_the_limit_is_named)
{
    struct recording r;
    struct diagnosis d;

    make(&r, "/usr/bin/python3.11", "python3 a.py");
    uint32_t peer = rec_peer_of(&r, REC_NET, "tcp 10.0.0.1:80");
    r.peers[peer].peer_cpu = 10 * HOB_MS;
    CHECK_INT(diagnose(&r, &d), 0);
    char *text = text_of(&d, &(struct report_how){.width = 200});
    CHECK(!holds(text, "the other end"));
    free(text);
    text = text_of(&d, NULL);
    CHECK(holds(text, "\"limit\":null"));
    free(text);
    r.peers[peer].peer_cpu = 400 * HOB_MS;
    CHECK_INT(diagnose(&r, &d), 0);
    text = text_of(&d, &(struct report_how){.width = 200});
    CHECK(holds(text, "the other end, tcp 10.0.0.1:80 on this machine, computed 0.40 s"));
    free(text);
    text = text_of(&d, NULL);
    CHECK(holds(text, "\"limit\":{\"peer\":\"tcp 10.0.0.1:80\",\"seconds\":0.400}"));
    free(text);
    rec_free(&r);
}
