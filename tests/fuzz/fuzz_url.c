/* SPDX-License-Identifier: MIT
 *
 * fuzz_url.c - base NUL url: what comes out is canonical, ASCII, and parses to itself
 */
#include <errno.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "lib/url.h"

static void check(const struct url *u)
{
    char again_text[URL_MAX + 1], origin[URL_MAX + 1];
    struct url again;

    FUZZ_CHECK(strlen(u->text) == u->len && u->len <= URL_MAX);
    FUZZ_CHECK(u->text[u->path_at] == '/' && u->host_len > 0);
    FUZZ_CHECK(u->query_at == u->len || u->text[u->query_at] == '?');
    for (const char *s = u->text; *s; s++)
        FUZZ_CHECK(*s > ' ' && *s < 0x7f && *s != '#');
    FUZZ_CHECK(url_parse(u->text, u->len, NULL, again_text, sizeof again_text, &again) == 0);
    FUZZ_CHECK(strcmp(u->text, again.text) == 0);
    FUZZ_CHECK(url_same_origin(u, &again) && u->path_at == again.path_at);
    FUZZ_CHECK(url_origin(u, origin, sizeof origin) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char base_text[URL_MAX + 1], text[URL_MAX + 1], *base_in = fuzz_part(&data, &n);
    struct url base, u;

    int r = url_parse(base_in, strlen(base_in), NULL, base_text, sizeof base_text, &base);
    if (r == 0)
        check(&base);
    /* Behind the NUL anything goes, further NULs too. */
    if (url_parse((const char *)data, n, r == 0 ? &base : NULL, text, sizeof text, &u) == 0) {
        size_t cap = u.len;
        check(&u);
        FUZZ_CHECK(url_parse((const char *)data, n, r == 0 ? &base : NULL, text, cap, &u) ==
                   -ENAMETOOLONG);
    }
    free(base_in);
    return 0;
}
