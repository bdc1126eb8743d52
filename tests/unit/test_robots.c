/* SPDX-License-Identifier: MIT */
#include "lib/robots.h"

#include <stdlib.h>

#include "lib/tsv.h"
#include "lib/url.h"

static struct robots *read_for(const char *text, const char *agent)
{
    struct robots *r;

    CHECK_INT(robots_parse(text, strlen(text), agent, &r), 0);
    return r;
}

static bool allowed(const char *text, const char *agent, const char *path)
{
    struct robots *r = read_for(text, agent);
    bool yes = robots_allowed(r, path);

    robots_free(r);
    return yes;
}

/* A row names a path or a URL; the path as a crawler has it comes out. */
static const char *row_path(const struct tsv *t)
{
    static char text[URL_MAX + 1];
    struct url base, u;
    char base_text[16];
    const char *in = t->field[5];

    if (strncmp(in, "ftp:", 4) == 0)
        in += 4; /* "//host/path": the decision does not look at the scheme */
    CHECK_INT(url_parse("http://h/", 9, NULL, base_text, sizeof base_text, &base), 0);
    CHECK_INT(url_parse(in, strlen(in), &base, text, sizeof text, &u), 0);
    return url_path_query(&u);
}

static bool row_right(const struct tsv *t)
{
    struct robots *r;

    CHECK_INT(robots_parse(t->field[3], t->len[3], t->field[4], &r), 0);
    bool yes = robots_allowed(r, row_path(t));
    robots_free(r);
    return yes == (t->field[6][0] == '1');
}

/* Where we answer otherwise than a source that goes beyond or against RFC 9309, and why. */
static struct disagreement {
    const char *source, *name;
    unsigned rows;
    const char *why;
    unsigned seen;
} disagreements[] = {
    {"google", "ID_LineSyntax_Line", 1, "a line without a colon is not a record"},
    {"google", "GoogleOnly_AcceptUserAgentUpToFirstSpace", 1, "our name ends at a space as well"},
    {"google", "ID_Encoding", 3, "paths are compared encoded, as 2.2.2 asks"},
    {"google", "GoogleOnly_IndexHTMLisDirectory", 1, "index.html is a name like any other"},
    {"protego", "test_malformed_disallow", 5, "misspelt directives are not guessed at"},
    {"protego", "test_unicode_url_and_useragent", 1, "a name comes first in a User-Agent"},
    {"protego", "test_grouping_unknown_keys", 3, "2.2.4: other records do not end a group"},
    {"protego", "test_generosity", 3, "no colon; no wildcards in names"},
    {"protego", "test_index_html_is_directory", 1, "index.html is a name like any other"},
    {"protego", "test_special_symbols_dual_behaviour", 2, "an unencoded $ at the end is the end"},
    {"protego", "test_with_absolute_urls", 1, "a pattern starts where the path does"},
    {"protego", "test_user_agent_precedence", 4, "a name that begins like ours is another"},
    {"reppy", "no leading user-agent: rules taken as default group", 1, "2.2.1: ignored"},
    {"reppy", "unknown keys end a group", 1, "2.2.4: other records do not end a group"},
    {"temoto", "robotstxt.org: agent prefix", 1, "a name that begins like ours is another"},
};

enum { N_DISAGREEMENTS = sizeof disagreements / sizeof *disagreements };

static struct disagreement *disagreement_of(const struct tsv *t)
{
    for (size_t i = 0; i < N_DISAGREEMENTS; i++)
        if (strcmp(disagreements[i].source, t->field[0]) == 0 &&
            strcmp(disagreements[i].name, t->field[1]) == 0)
            return &disagreements[i];
    return NULL;
}

TEST(cases_that_agree_with_the_rfc)
{
    struct tsv t;
    unsigned rows = 0, wrong = 0;

    tsv_open(&t, TEST_DATA "/robots/robots.tsv");
    while (tsv_next(&t, 7)) {
        if (strcmp(t.field[2], "rfc") != 0)
            continue;
        rows++;
        if (row_right(&t))
            continue;
        fprintf(stderr, "line %u: %s %s: %s for %s is not %s\n", t.number, t.field[0], t.field[1],
                t.field[5], t.field[4], t.field[6]);
        wrong++;
    }
    tsv_close(&t);
    CHECK_INT(wrong, 0);
    CHECK_INT(rows, 631);
}

TEST(cases_beyond_the_rfc_are_answered_as_chosen)
{
    struct tsv t;
    unsigned rows = 0;

    tsv_open(&t, TEST_DATA "/robots/robots.tsv");
    while (tsv_next(&t, 7)) {
        if (strcmp(t.field[2], "extension") != 0)
            continue;
        rows++;
        if (row_right(&t))
            continue;
        struct disagreement *d = disagreement_of(&t);
        if (!d)
            t_fail(__FILE__, __LINE__, "line %u (%s): not as its source, and not listed", t.number,
                   t.field[1]);
        d->seen++;
    }
    tsv_close(&t);
    for (size_t i = 0; i < N_DISAGREEMENTS; i++)
        if (disagreements[i].seen != disagreements[i].rows)
            t_fail(__FILE__, __LINE__, "%s: %u rows, not %u (%s)", disagreements[i].name,
                   disagreements[i].seen, disagreements[i].rows, disagreements[i].why);
    CHECK_INT(rows, 40);
}

TEST(an_agent_is_its_product_token)
{
    const char *text = "user-agent: Hob\ndisallow: /a\n\nuser-agent: *\ndisallow: /b\n";

    CHECK(!allowed(text, "hob", "/a"));
    CHECK(allowed(text, "hob", "/b"));
    CHECK(!allowed(text, "hob/0.1 (+https://h/)", "/a"));
    CHECK(allowed(text, "hobnob", "/a"));
    CHECK(!allowed(text, "hobnob", "/b"));
    CHECK(!allowed(text, "hob2", "/a")); /* the part of it the RFC knows */
    CHECK(allowed("user-agent: hob\ndisallow: /\nuser-agent: hob2\nallow: /\n", "hob2", "/a"));
}

TEST(an_own_group_without_rules_allows_all)
{
    CHECK(allowed("user-agent: hob\n\nuser-agent: *\ndisallow: /\n", "x", "/") == false);
    CHECK(allowed("user-agent: *\ndisallow: /\n\nuser-agent: hob\ncrawl-delay: 1\n", "hob", "/a"));
}

TEST(the_longest_match_decides_and_allow_wins_a_tie)
{
    const char *text = "user-agent: *\ndisallow: /a\nallow: /a/b\ndisallow: /a/b\n"
                       "disallow: /*.gif$\nallow: /pub/*.gif$\n";

    CHECK(!allowed(text, "x", "/a"));
    CHECK(allowed(text, "x", "/a/b"));
    CHECK(!allowed(text, "x", "/x.gif"));
    CHECK(allowed(text, "x", "/x.gif?1"));
    CHECK(allowed(text, "x", "/pub/x.gif"));
    CHECK(!allowed("user-agent: *\ndisallow: /a$\n", "x", "/a"));
    CHECK(allowed("user-agent: *\ndisallow: /a$\n", "x", "/a/a"));
}

TEST(patterns_and_paths_meet_in_one_encoding)
{
    const char *text = "user-agent: *\ndisallow: /\xc3\xa4\ndisallow: /%62\ndisallow: /q{\n"
                       "disallow: /s%2fx\n";

    CHECK(!allowed(text, "x", "/%c3%a4"));
    CHECK(!allowed(text, "x", "/b"));
    CHECK(!allowed(text, "x", "/q%7B"));
    CHECK(!allowed(text, "x", "/s%2Fx"));
    CHECK(allowed(text, "x", "/s/x"));
}

TEST(delay_and_sitemaps_are_read)
{
    struct robots *r = read_for("Sitemap: https://h/1.xml # c\nuser-agent: *\ncrawl-delay: 9\n"
                                "user-agent: hob\nuser-agent: b\ncrawl-delay: 1.5\n"
                                "SITEMAP:https://h/2.xml\ndisallow: /x\n",
                                "hob");

    /* "*" and "hob" are one group: nothing but a rule ends the list of agents. */
    CHECK_INT(robots_delay(r), 1500 * HOB_MS);
    CHECK_STR(robots_sitemap(r, 0), "https://h/1.xml");
    CHECK_STR(robots_sitemap(r, 1), "https://h/2.xml");
    CHECK(robots_sitemap(r, 2) == NULL);
    robots_free(r);

    static const char *const bad[] = {"-1", "1e99", "nan", "x", "", "5 apples", "inf"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[64];
        snprintf(text, sizeof text, "user-agent: *\ncrawl-delay: %s\n", bad[i]);
        r = read_for(text, "hob");
        CHECK_INT(robots_delay(r), -1);
        robots_free(r);
    }
}

TEST(no_file_allows_all_and_no_answer_allows_nothing)
{
    static const struct {
        int status;
        bool allowed;
    } cases[] = {{200, false}, {204, false}, {301, true},  {404, true},
                 {403, true},  {500, false}, {503, false}, {0, false}};
    const char *text = "user-agent: *\ndisallow: /a\n";

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct robots *r;
        CHECK_INT(robots_from_status(cases[i].status, text, strlen(text), "hob", &r), 0);
        CHECK_INT(robots_allowed(r, "/a"), cases[i].allowed);
        CHECK(robots_allowed(r, "/robots.txt"));
        robots_free(r);
    }
}

TEST(a_huge_file_is_read_to_its_limit)
{
    size_t n = 2 * ROBOTS_SIZE_MAX, at = 0;
    char *text = malloc(n);
    struct robots *r;

    at += (size_t)sprintf(text, "user-agent: *\ndisallow: /first\n");
    while (at < ROBOTS_SIZE_MAX - 16) /* "disallow: /cut-i" */
        text[at++] = '\n';
    at += (size_t)sprintf(text + at, "disallow: /cut-in-two\ndisallow: /late\n");
    memset(text + at, '\n', n - at);
    CHECK_INT(robots_parse(text, n, "hob", &r), 0);
    CHECK(!robots_allowed(r, "/first"));
    CHECK(robots_allowed(r, "/cut-in-two"));
    CHECK(robots_allowed(r, "/late"));
    robots_free(r);
    free(text);
}

/* One star after the other against a path of the same letter: exponential when done naively, and
 * half a second at worst when not; the case's own time limit is the check. */
TEST(hostile_patterns_take_linear_time)
{
    size_t n = 400 * 1024, at = 0;
    char *text = malloc(n + 64), path[4097];
    struct robots *r;

    memset(path, 'a', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    at += (size_t)sprintf(text, "user-agent: *\n");
    while (at < n)
        at += (size_t)sprintf(text + at, "disallow: /*a*a*a*a*a*a*a*a*a*a*aaaaaaaaaaaaaaaaaab\n");
    CHECK_INT(robots_parse(text, at, "hob", &r), 0);
    CHECK(robots_allowed(r, path));
    robots_free(r);
    free(text);
}
