/* SPDX-License-Identifier: MIT
 *
 * fuzz_select.c - a selector: an error with a place in it, or an expression that works
 */
#include <string.h>

#include "fuzz/fuzz.h"
#include "lib/html.h"
#include "lib/select.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char page[] = "<div id=a class='b c'><p>x</p><p title=t>y</p></div><ul><li>z</ul>";
    char *css = fuzz_part(&data, &n), *xpath, *spec, err[256];
    struct select_error where = {0};
    struct html_rules *rules;
    struct html_page *p;

    if (select_to_xpath(css, &xpath, &where) < 0) {
        FUZZ_CHECK(where.text && where.at <= strlen(css));
    } else {
        FUZZ_CHECK(html_rules_new(&rules) == 0);
        FUZZ_CHECK(asprintf(&spec, "f=xpath:%s", xpath) > 0);
        FUZZ_CHECK(html_rules_add(rules, spec, err, sizeof err) == 0);
        FUZZ_CHECK(html_parse(rules, page, sizeof page - 1, NULL, "http://h/", &p) == 0);
        FUZZ_CHECK(p->n_failed == 0);
        html_page_free(p);
        html_rules_free(rules);
        free(spec);
        free(xpath);
    }
    free(css);
    return 0;
}
