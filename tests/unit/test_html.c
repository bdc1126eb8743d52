/* SPDX-License-Identifier: MIT */
#include "lib/html.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/t.h"
#include <hob/base.h>

static struct html_page *parse_with(struct html_rules *rules, const char *text, size_t n,
                                    const char *charset)
{
    struct html_page *page;

    CHECK_INT(html_parse(rules, text, n, charset, "http://h/dir/page?q", &page), 0);
    return page;
}

static struct html_page *parse_bytes(const char *text, size_t n, const char *charset)
{
    struct html_rules *rules;

    CHECK_INT(html_rules_new(&rules), 0);
    struct html_page *page = parse_with(rules, text, n, charset);
    html_rules_free(rules);
    return page;
}

static struct html_page *parse(const char *text)
{
    return parse_bytes(text, strlen(text), NULL);
}

static struct html_rules *rules_of(const char *a, const char *b, const char *c)
{
    const char *spec[] = {a, b, c};
    struct html_rules *rules;
    char err[256];

    CHECK_INT(html_rules_new(&rules), 0);
    for (size_t i = 0; i < 3; i++)
        if (spec[i] && html_rules_add(rules, spec[i], err, sizeof err) < 0)
            t_fail(__FILE__, __LINE__, "%s", err);
    return rules;
}

TEST(links_are_canonical_and_in_order)
{
    struct html_page *p = parse("<!doctype html><title> A \n page</title>"
                                "<a href='x/../y?b&amp;a#f'>1</a><A HREF=\"//G/%7e\">2</A>"
                                "<map><area href=' /z\n ' rel='external NoFollow'></map>"
                                "<a href=mailto:x@h>3</a><a href='http://[bad'>4</a><a name=n>5</a>"
                                "<a href=''>6</a>");

    CHECK_INT(p->n_links, 4);
    CHECK_STR(p->links[0].url, "http://h/dir/y?b&a");
    CHECK_STR(p->links[1].url, "http://g/%7e");
    CHECK_STR(p->links[2].url, "http://h/z");
    CHECK_STR(p->links[3].url, "http://h/dir/page?q");
    CHECK(!p->links[0].nofollow && p->links[2].nofollow);
    CHECK_INT(p->links[2].len, strlen(p->links[2].url));
    CHECK_INT(p->n_other, 2);
    CHECK_STR(p->title, "A page");
    CHECK_STR(p->base, "http://h/dir/page?q");
    CHECK(p->canonical == NULL);
    CHECK(!p->noindex && !p->nofollow && !p->cut);
    html_page_free(p);
}

TEST(the_first_base_counts_for_all)
{
    struct html_page *p = parse("<a href=a>1</a><base target=x><base href='/b/'><base href='/c/'>"
                                "<link rel='Canonical' href=me><a href=a>2</a>");

    CHECK_STR(p->base, "http://h/b/");
    CHECK_STR(p->links[0].url, "http://h/b/a");
    CHECK_STR(p->links[1].url, "http://h/b/a");
    CHECK_STR(p->canonical, "http://h/b/me");
    html_page_free(p);
}

TEST(meta_robots_are_read)
{
    static const struct {
        const char *content;
        bool noindex, nofollow;
    } cases[] = {{"noindex, nofollow", true, true},
                 {"NOINDEX", true, false},
                 {"none", true, true},
                 {"all", false, false},
                 {"max-snippet:5,nofollow", false, true}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[128];
        snprintf(text, sizeof text, "<meta name=Robots content='%s'>x", cases[i].content);
        struct html_page *p = parse(text);
        CHECK_INT(p->noindex, cases[i].noindex);
        CHECK_INT(p->nofollow, cases[i].nofollow);
        html_page_free(p);
    }
}

TEST(fields_are_the_first_match)
{
    const char text[] = "<h1>\n A <i>b</i>  c</h1><h1>second</h1>"
                        "<p class=price content=12.50>12,<b>50</b>&nbsp;\xe2\x82\xac</p>";
    struct html_rules *rules =
        rules_of("price=css:.price", "title=xpath://h1", "n=xpath:count(//h1)");
    struct html_page *p = parse_with(rules, text, strlen(text), NULL);

    CHECK_INT(html_rules_count(rules), 3);
    CHECK_STR(html_rules_name(rules, 0), "price");
    CHECK_STR(html_rules_text(rules, 0), "price=css:.price");
    CHECK_STR(p->fields[0], "12,50\xc2\xa0\xe2\x82\xac");
    CHECK_STR(p->fields[1], "A b c");
    CHECK_STR(p->fields[2], "2");
    html_page_free(p);
    html_rules_free(rules);

    rules = rules_of("none=css:video", "attr=css:.price::attr(content)", "c=xpath://p/@class");
    p = parse_with(rules, text, strlen(text), NULL);
    CHECK(p->fields[0] == NULL);
    CHECK_STR(p->fields[1], "12.50");
    CHECK_STR(p->fields[2], "price");
    html_page_free(p);
    p = parse_with(rules, "", 0, NULL);
    CHECK(p->fields[0] == NULL && p->fields[1] == NULL && p->n_links == 0 && !p->title);
    html_page_free(p);
    html_rules_free(rules);
}

TEST(a_bad_field_is_one_clear_line)
{
    static const struct {
        const char *spec;
        int code;
        const char *line;
    } cases[] = {
        {"price", -EINVAL, "'price' is not a field (like 'price=css:.price')"},
        {"=css:p", -EINVAL, "'=css:p' is not a field (like 'price=css:.price')"},
        {"a=css:p", -EEXIST, "field 'a' is declared twice"},
        {"p=.price", -EINVAL, "'p=.price': column 3: css: or xpath: expected"},
        {"p=css:.", -EINVAL, "'p=css:.': column 8: a class expected"},
        {"p=xpath://h1[", -EINVAL, "'p=xpath://h1[': column 14: this is not valid XPath"},
        {"p=xpath:", -EINVAL, "'p=xpath:': column 9: this is not valid XPath"},
        {"p=xpath:nope()", -EINVAL, "'p=xpath:nope()': column 9: no such function"},
        {"p=xpath:x:y", -EINVAL, "'p=xpath:x:y': column 9: a namespace prefix nobody declared"},
        {"p=xpath:'x", -EINVAL, "'p=xpath:'x': column 11: the string is not closed"},
    };
    struct html_rules *rules = rules_of("a=css:b", NULL, NULL);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char err[128] = "";
        CHECK_INT(html_rules_add(rules, cases[i].spec, err, sizeof err), cases[i].code);
        CHECK_STR(err, cases[i].line);
    }
    CHECK_INT(html_rules_count(rules), 1);
    html_rules_free(rules);
}

TEST(fields_that_take_for_ever_are_given_up)
{
    size_t n = 0, max = 400 * 1024;
    char *text = malloc(max + 16);
    struct html_rules *rules = rules_of(
        "slow=xpath:count(//i[count(preceding::i) > count(following::i)])", "ok=css:i", NULL);

    while (n < max)
        n += (size_t)sprintf(text + n, "<i>x</i>");
    struct html_page *p = parse_with(rules, text, n, NULL);
    CHECK(p->fields[0] == NULL);
    CHECK_STR(p->fields[1], "x");
    CHECK_INT(p->n_failed, 1);
    html_page_free(p);
    html_rules_free(rules);
    free(text);
}

TEST(encodings_are_found_in_the_order_of_the_standard)
{
    static const struct {
        const char *text;
        const char *charset, *title;
        size_t n;
    } cases[] = {
        {"<title>\xc3\xa9</title>", NULL, "\xc3\xa9", 0},
        {"<title>\xe9</title>", NULL, "\xc3\xa9", 0},
        {"<title>\xc3\xa9\xc3\xa9\xff</title>", NULL, "\xc3\xa9\xc3\xa9\xef\xbf\xbd", 0},
        {"<title>\xe9</title>", "utf-8", "\xef\xbf\xbd", 0},
        {"<title>\xe9</title>", "ISO-8859-2", "\xc3\xa9", 0},
        {"<title>\x80</title>", " latin1 ", "\xe2\x82\xac", 0},
        {"<title>\xe9</title>", "no-such", "\xc3\xa9", 0},
        {"<meta charset=koi8-r><title>\xc1</title>", NULL, "\xd0\xb0", 0},
        {"<meta charset=koi8-r><title>\xc1</title>", "windows-1251", "\xd0\x91", 0},
        {"<meta http-equiv=Content-Type content='text/html; charset=shift_jis'><title>\x83\x41",
         NULL, "\xe3\x82\xa2", 0},
        {"<!-- <meta charset=koi8-r> --><title>\xe9", NULL, "\xc3\xa9", 0},
        {"<meta charset=utf-16><title>\xc3\xa9", NULL, "\xc3\xa9", 0},
        {"\xef\xbb\xbf<title>\xc3\xa9</title>", "koi8-r", "\xc3\xa9", 0},
        {"\xff\xfe<\0t\0i\0t\0l\0e\0>\0\xe9\0<\0/\0", NULL, "\xc3\xa9", 22},
        {"<title>\xb1\xe9</title>", "gb2312", "\xe9\x81\x8d", 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = cases[i].n ? cases[i].n : strlen(cases[i].text);
        struct html_page *p = parse_bytes(cases[i].text, n, cases[i].charset);
        if (!p->title || strncmp(p->title, cases[i].title, strlen(cases[i].title)) != 0)
            t_fail(__FILE__, __LINE__, "case %zu: title is \"%s\"", i, p->title ? p->title : "");
        html_page_free(p);
    }
}

TEST(hostile_pages_cost_nothing_but_themselves)
{
    enum { N = 200000 };
    char *text = malloc(N * 8 + 64);
    size_t n;

    for (n = 0; n < N * 5; n += 5) /* deep */
        memcpy(text + n, "<div>", 5);
    n += (size_t)sprintf(text + n, "<a href=/deep>x</a>");
    html_page_free(parse_bytes(text, n, NULL));

    n = (size_t)sprintf(text, "<a href='/"); /* wide */
    memset(text + n, 'a', N);
    n += N;
    n += (size_t)sprintf(text + n, "'>x</a><a href=/after>y</a>");
    struct html_page *p = parse_bytes(text, n, NULL);
    CHECK_INT(p->n_other, 1);
    CHECK_STR(p->links[0].url, "http://h/after");
    html_page_free(p);

    static const char nuls[] = "<ti\0tle>a\0b\xc3\xa9</title>\0<a hr\0ef=/x\0y>";
    p = parse_bytes(nuls, sizeof nuls - 1, NULL);
    CHECK_STR(p->title, "ab\xc3\xa9");
    CHECK_STR(p->links[0].url, "http://h/xy");
    html_page_free(p);

    memset(text, '<', N);
    html_page_free(parse_bytes(text, N, NULL));
    for (n = 0; n < N * 6; n += 6)
        memcpy(text + n, "&#x41;", 6);
    html_page_free(parse_bytes(text, n, NULL));
    free(text);
    html_page_free(parse("plain words, no tag"));
    html_page_free(parse("\x89PNG\r\n\x1a\n\xff\xfe\x01"));
}

TEST(a_page_deeper_than_the_parser_goes_says_so)
{
    char text[400 * 5 + 64];
    size_t n = 0;

    for (; n < 400 * 5; n += 5)
        memcpy(text + n, "<div>", 5);
    n += (size_t)sprintf(text + n, "<a href=/deep>x</a>");
    struct html_page *p = parse_bytes(text, n, NULL);
    CHECK(p->cut || p->n_links == 1);
    html_page_free(p);
}

TEST(too_much_is_refused)
{
    struct html_rules *rules = rules_of(NULL, NULL, NULL);
    struct html_page *p;

    CHECK_INT(html_parse(rules, "", (size_t)HTML_SIZE_MAX + 1, NULL, "http://h/", &p),
              -HOB_ETOOBIG);
    CHECK_INT(html_parse(rules, "", 0, NULL, "page", &p), -EINVAL);
    html_rules_free(rules);
}

enum { THREADS = 4, PAGES = 50 };

static void *parse_many(void *arg)
{
    struct html_rules *rules = arg;

    for (int i = 0; i < PAGES; i++) {
        char text[128];
        struct html_page *p;
        int n = snprintf(text, sizeof text, "<h1>%d</h1><a href=/%d>x</a>", i, i);
        if (html_parse(rules, text, (size_t)n, NULL, "http://h/", &p) < 0)
            return NULL;
        bool right = p->fields[0] && atoi(p->fields[0]) == i && atoi(p->links[0].url + 9) == i &&
                     p->fields[1] && atoi(p->fields[1]) == i;
        html_page_free(p);
        if (!right)
            return NULL;
    }
    return arg;
}

TEST(one_set_of_rules_serves_many_threads)
{
    struct html_rules *rules = rules_of("a=css:h1", "b=xpath:string(//h1)", "c=css:a::attr(href)");
    pthread_t thread[THREADS];
    void *ok;

    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&thread[i], NULL, parse_many, rules), 0);
    for (int i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_join(thread[i], &ok), 0);
        CHECK(ok != NULL);
    }
    html_rules_free(rules);
}
