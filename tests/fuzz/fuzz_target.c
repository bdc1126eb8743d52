/* SPDX-License-Identifier: MIT
 *
 * fuzz_target.c - base NUL url: where a request goes, on its own and as a redirect's; as a proxy
 */
#include <string.h>

#include "fuzz/fuzz.h"
#include "http/target.h"

static void check(const struct target *t)
{
    char words[URL_WORDS_MAX], *shown = malloc(strlen(t->url) + 1);
    struct target again;
    const char *why;
    size_t n = hob__url_shown(t->url, NULL);

    FUZZ_CHECK(t->host[0] && strlen(t->url) <= URL_MAX_BYTES);
    FUZZ_CHECK(strncmp(t->url, t->tls ? "https://" : "http://", t->tls ? 8 : 7) == 0);
    FUZZ_CHECK(n <= strlen(t->url) + 1 && hob__url_shown(t->url, shown) == n);
    FUZZ_CHECK(strlen(shown) + 1 == n);
    FUZZ_CHECK(strlen(hob__url_words(t->url, words)) < sizeof words);
    FUZZ_CHECK(hob__target_parse(t->url, NULL, &again, &why) == 0);
    FUZZ_CHECK(hob__target_same_origin(t, &again));
    hob__target_fini(&again);
    free(shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *base_text = fuzz_part(&data, &n), *text = fuzz_part(&data, &n), words[URL_WORDS_MAX];
    struct target base, t;
    struct proxy p;
    const char *why;
    bool has_base = hob__target_parse(base_text, NULL, &base, &why) == 0;

    if (has_base)
        check(&base);
    if (hob__target_parse(text, has_base ? &base : NULL, &t, &why) == 0) {
        check(&t);
        hob__target_fini(&t);
    } else {
        FUZZ_CHECK(why);
    }
    if (has_base)
        hob__target_fini(&base);
    if (hob__proxy_parse(text, &p) == 0) {
        FUZZ_CHECK(p.host[0] && p.alias && p.url && (!p.password || p.user));
        hob__proxy_fini(&p);
    }
    FUZZ_CHECK(strlen(hob__url_words(text, words)) < sizeof words);
    free(base_text);
    free(text);
    return 0;
}
