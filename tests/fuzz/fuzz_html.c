/* SPDX-License-Identifier: MIT
 *
 * fuzz_html.c - charset NUL page: whatever the page, the answer is well formed
 */
#include <string.h>

#include "fuzz/fuzz.h"
#include "lib/charset.h"
#include "lib/html.h"

static const char *const specs[] = {
    "price=css:.price, [itemprop=price]::attr(content)",
    "item=css:ul > li:nth-child(2n+1):not(.x) + li ~ li::text",
    "last=css:p:last-child",
    "title=xpath://h1",
    "n=xpath:count(//@*)",
    "join=xpath:concat(//a, ' ', //title)",
};

static struct html_rules *rules_once(void)
{
    static struct html_rules *rules;
    char err[256];

    if (rules)
        return rules;
    FUZZ_CHECK(html_rules_new(&rules) == 0);
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
        FUZZ_CHECK(html_rules_add(rules, specs[i], err, sizeof err) == 0);
    return rules;
}

static void check_text(const char *s)
{
    FUZZ_CHECK(!s || charset_is_utf8(s, strlen(s)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *charset = fuzz_part(&data, &n);
    struct html_page *p;

    FUZZ_CHECK(html_parse(rules_once(), (const char *)data, n, charset, "http://h/a/b?c", &p) == 0);
    check_text(p->title);
    check_text(p->canonical);
    FUZZ_CHECK(p->base && strncmp(p->base, "http", 4) == 0);
    for (size_t i = 0; i < p->n_links; i++)
        FUZZ_CHECK(strlen(p->links[i].url) == p->links[i].len &&
                   strncmp(p->links[i].url, "http", 4) == 0);
    FUZZ_CHECK(p->n_fields == sizeof specs / sizeof *specs);
    for (size_t i = 0; i < p->n_fields; i++)
        check_text(p->fields[i]);
    html_page_free(p);
    free(charset);
    return 0;
}
