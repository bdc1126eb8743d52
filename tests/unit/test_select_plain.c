/* SPDX-License-Identifier: MIT */
#include "lib/select_plain.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/html.h"
#include "lib/select.h"
#include "lib/t.h"

TEST(plain_is_type_id_and_classes)
{
    static const char *const plain[] = {"h1", "p", ".a", "#x", "p.a", "p#x.a.b", ".A_b-c9", "a#b"};
    static const char *const not_plain[] = {
        "",     "*",         "H1",   "p a",  "p,a", "p>a",       ".",     "p.",
        "p..a", ".9a",       "-p",   "p[a]", "p:x", "p::text",   ".a\\b", "_p",
        ".-a",  ".\xc3\xa4", "p.a ", " p",   "p-q", ".a:not(.b)"};

    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (!select_is_plain(plain[i]))
            t_fail(__FILE__, __LINE__, "%s", plain[i]);
    for (size_t i = 0; i < sizeof not_plain / sizeof not_plain[0]; i++)
        if (select_is_plain(not_plain[i]))
            t_fail(__FILE__, __LINE__, "%s", not_plain[i]);
}

static const char page_text[] =
    "<html xmlns='http://www.w3.org/1999/xhtml'><body id=top class='box first'>"
    "<p class=''>none</p><p class>none</p><p class='  '>blank</p><p id=''>noid</p>"
    "<p class='ab'>joined</p><p class='a&#32;b'>entity</p><p class='\ta\nc\r'>controls</p>"
    "<p class='a\fd'>form feed</p><p class='A'>upper</p><p CLASS=e class=f ID=x id=y>twice</p>"
    "<svg:rect class=g>prefixed</svg:rect><svg><rect id=z class='h  i'>in svg</rect></svg>"
    "<h1>one <b class='b j'>bold</b></h1><h1>two</h1><a id='k l'>two words</a><p id=k>k</p>"
    "<!-- .m --><p class='\xc3\xa4 n'>umlaut</p><p class='-o _p q-r'>dashes</p><h2></h2>"
    "<table class=s><tr><td class=s>cell</table><script class=t>var x;</script></body></html>";

/* What the field finds; NULL: nothing. */
static char *found(const char *spec)
{
    char err[256] = "";
    struct html_rules *rules;
    struct html_page *page;

    CHECK_INT(html_rules_new(&rules), 0);
    if (html_rules_add(rules, spec, err, sizeof err) < 0)
        t_fail(__FILE__, __LINE__, "%s", err);
    CHECK_INT(html_parse(rules, page_text, sizeof page_text - 1, "utf-8", "http://h/", &page), 0);
    char *text = page->fields[0] ? strdup(page->fields[0]) : NULL;
    html_page_free(page);
    html_rules_free(rules);
    return text;
}

static void both_find(const char *css, size_t *n_found)
{
    char spec[80], *xpath, *other;
    struct select_error err = {0};

    CHECK(select_is_plain(css));
    snprintf(spec, sizeof spec, "f=css:%s", css);
    CHECK_INT(select_to_xpath(css, &xpath, &err), 0);
    CHECK(asprintf(&other, "f=xpath:(%s)[1]", xpath) > 0);
    char *mine = found(spec), *theirs = found(other);
    if (mine ? !theirs || strcmp(mine, theirs) != 0 : theirs != NULL)
        t_fail(__FILE__, __LINE__, "%s: %s, and by XPath %s", css, mine ? mine : "(nothing)",
               theirs ? theirs : "(nothing)");
    *n_found += mine != NULL;
    free(mine);
    free(theirs);
    free(other);
    free(xpath);
}

/* Every selector of these parts finds what its XPath finds. */
TEST(it_finds_what_the_xpath_finds)
{
    static const char *const types[] = {"",  "p",    "html", "body",  "h1", "h2",
                                        "b", "rect", "a",    "table", "td", "script"};
    static const char *const rest[] = {
        "",     ".a",   ".b",      ".c",   ".d", ".A", ".e",   ".f", "#x", "#y",   ".g",
        ".h",   ".h.i", ".j",      ".b.j", "#k", ".n", ".q-r", ".s", ".t", "#top", "#top.box.first",
        "#z.h", ".ab",  ".nowhere"};
    size_t n_found = 0;
    char css[64];

    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
        for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++) {
            snprintf(css, sizeof css, "%s%s", types[t], rest[i]);
            if (css[0])
                both_find(css, &n_found);
        }
    CHECK(n_found > 40);
}
