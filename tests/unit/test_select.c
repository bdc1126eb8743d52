/* SPDX-License-Identifier: MIT */
#include "lib/select.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/html.h"
#include "lib/t.h"

static const char page_text[] =
    "<html><body>"
    "<div id=top class='box first'><p class=a>one</p><p class='b c'>two</p>three"
    "<p data-x='en-US' title=\"it's\">four</p></div>"
    "<div class=box2 data-x=en><p class=a>five <b>bold</b> tail</p>"
    "<ul><li>1</li><li>2</li><li>3</li><li>4</li><li>5</li><li>6</li></ul></div>"
    "<span title='a\"b'>six</span><a href=/x rel='next nofollow' DATA-Big=Y>link</a>"
    "<i> \n </i><i>late</i>"
    "</body></html>";

/* What the selector finds first; NULL for nothing. */
static char *first(const char *css)
{
    char spec[256], err[256] = "";
    struct html_rules *rules;
    struct html_page *page;

    snprintf(spec, sizeof spec, "f=css:%s", css);
    CHECK_INT(html_rules_new(&rules), 0);
    if (html_rules_add(rules, spec, err, sizeof err) < 0)
        t_fail(__FILE__, __LINE__, "%s", err);
    CHECK_INT(html_parse(rules, page_text, sizeof page_text - 1, NULL, "http://h/", &page), 0);
    CHECK_INT(page->n_failed, 0);
    char *text = page->fields[0] ? strdup(page->fields[0]) : NULL;
    html_page_free(page);
    html_rules_free(rules);
    return text;
}

/* NULL: nothing.  Against page_text. */
static const struct {
    const char *css, *want;
} selectors[] = {
    {"p", "one"},
    {"P", "one"},
    {"ul *", "1"},
    {"*:not(html):not(body)", "onetwothreefour"},
    {"#top .c", "two"},
    {".b.c", "two"},
    {".box", "onetwothreefour"},
    {"div > p + p", "two"},
    {"p.a + :last-child", "123456"},
    {"p.a ~ p:last-child", "four"},
    {"div ul li:first-child", "1"},
    {"li:last-child", "6"},
    {"li:nth-child(3)", "3"},
    {"li:nth-child(even)", "2"},
    {"li:nth-child(odd):not(:first-child)", "3"},
    {"li:nth-child(2n + 3)", "3"},
    {"li:nth-child( -n+2 ):not(:nth-child(1))", "2"},
    {"li:nth-child(n+4)", "4"},
    {"li:nth-child(3n-1)", "2"},
    {"li:nth-child(4n):not(:last-child)", "4"},
    {"li:nth-child(+5)", "5"},
    {"li:nth-child(0n+6)", "6"},
    {"li:nth-child(0)", NULL},
    {"li:nth-child(-1)", NULL},
    {"li:nth-child(-n)", NULL},
    {"[data-x]", "four"},
    {"[data-x=en]", "five bold tail123456"},
    {"[data-x|=en]", "four"},
    {"[data-x^='en']", "four"},
    {"[data-x$=US]", "four"},
    {"[data-x*=\"-\"]", "four"},
    {"[data-x^='']", NULL},
    {"[data-x$='']", NULL},
    {"[data-x*='']", NULL},
    {"[rel~=nofollow]", "link"},
    {"[rel~='next nofollow']", NULL},
    {"[rel~='']", NULL},
    {"[rel=\"next nofollow\"]", "link"},
    {"[data-big=Y]", "link"},
    {"[Data-Big='y']", NULL},
    {"[title=\"it's\"]", "four"},
    {"[title='a\"b']", "six"},
    {"[title='a\\22 b']", "six"},
    {"[title*='\"']", "six"},
    {"[title=\"it's \\\"quoted\\\"\"]", NULL},
    {"p:not(.a)", "two"},
    {"p:not(p)", NULL},
    {"div:not(#top) p", "five bold tail"},
    {"div p:not([class])", "four"},
    {"nothing, span, i", "six"},
    {"i , span", "six"},
    {"#\\74op > .a", "one"},
    {"a::attr(href)", "/x"},
    {"a::attr( HREF )", "/x"},
    {"::attr(data-x)", "en-US"},
    {"div::text", "three"},
    {"#top::text", "three"},
    {"i::text", "late"},
    {".box2 .a::text", "five"},
    {"b ::text", NULL},
    {".box2 ::text", "five"},
    {"::text", "one"},
    {"i", ""},
    {"svg\\:a", NULL},
    {"[xlink\\:href]", NULL},
    {"div>p", "one"},
    {"p, \\3 x", "one"}, /* U+0003 cannot be in a page, nor in XPath */
    {"p, \xef\xbf\xbd", "one"},
    {"ul>li~li+li", "3"},
    {"  p  ", "one"},
};

TEST(selectors_find_what_css_says)
{
    for (size_t i = 0; i < sizeof selectors / sizeof *selectors; i++) {
        char *got = first(selectors[i].css);
        const char *want = selectors[i].want;
        if (!got != !want || (got && strcmp(got, want) != 0))
            t_fail(__FILE__, __LINE__, "%s finds \"%s\", not \"%s\"", selectors[i].css,
                   got ? got : "(nothing)", want ? want : "(nothing)");
        free(got);
    }
}

TEST(a_mistake_is_named_with_its_place)
{
    static const struct {
        const char *css, *text;
        size_t at;
    } cases[] = {
        {"", "a selector expected", 0},
        {"  ", "a selector expected", 2},
        {"p,", "a selector expected", 2},
        {"p >", "a selector expected", 3},
        {"> p", "a selector expected", 0},
        {".", "a class expected", 1},
        {".5", "a class expected", 1},
        {"#", "an id expected", 1},
        {"#-1", "an id expected", 1},
        {"p[", "an attribute's name expected", 2},
        {"p[a", "one of = ~= |= ^= $= *= or ] expected", 3},
        {"p[a!=b]", "one of = ~= |= ^= $= *= or ] expected", 3},
        {"p[a=", "a name or a string expected", 4},
        {"p[a=1]", "a name or a string expected", 4},
        {"p[a='x]", "the string is not closed", 4},
        {"p[a=x", "] expected", 5},
        {"p[a=x i]", "] expected", 6},
        {"p:", "a pseudo-class expected", 2},
        {"p:hover",
         "this pseudo-class is not understood (:first-child, :last-child, :nth-child(), :not() "
         "are)",
         2},
        {"p:nth-child()", "odd, even, a number or an+b expected", 12},
        {"p:nth-child(2n+)", "a number expected", 15},
        {"p:nth-child(99999999999n)", "the number is too large", 12},
        {"p:nth-child(2", ") expected", 13},
        {"p:not(.a .b)", ") expected: :not() takes one simple selector", 9},
        {"p:not(:not(p))", ":not() inside :not() is not understood", 7},
        {"p:not(", "a selector expected", 6},
        {"p::before", "::text and ::attr(name) are understood", 3},
        {"p::text b", "nothing may follow ::text and ::attr(name)", 8},
        {"p::attr()", "an attribute's name expected", 8},
        {"p::attr(x", ") expected", 9},
        {"p$", "this does not belong to a selector", 1},
        {"p{}", "this does not belong to a selector", 1},
        {"a[b='\x03']", "not a character of UTF-8 text", 5},
        {"a\xff", "not a character of UTF-8 text", 1},
        {"a\xef\xbf\xbf", "not a character of UTF-8 text", 1},
        {"p\\", "a backslash needs a character behind it", 2},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct select_error err = {0};
        char *xpath = NULL;
        if (select_to_xpath(cases[i].css, &xpath, &err) != -EINVAL)
            t_fail(__FILE__, __LINE__, "'%s' gives %s", cases[i].css, xpath);
        CHECK(xpath == NULL);
        if (strcmp(err.text, cases[i].text) != 0 || err.at != cases[i].at)
            t_fail(__FILE__, __LINE__, "'%s': at %zu: %s", cases[i].css, err.at, err.text);
    }
}
