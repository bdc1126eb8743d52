/* SPDX-License-Identifier: MIT
 *
 * fuzz_head.c - the head of an HTTP response, in lines: what is kept of it is whole
 */
#include <string.h>
#include <strings.h>

#include "fuzz/fuzz.h"
#include "http/head.h"

static void check(const struct head *h)
{
    const char *at = h->text, *end = at ? at + h->n : NULL;
    uint32_t n = 0;

    FUZZ_CHECK(h->n <= HEAD_MAX_BYTES && h->n_fields <= HEAD_MAX_FIELDS && h->length >= -1);
    for (; at && at < end; n++) {
        const char *name = at, *value = name + strlen(name) + 1, *found;

        FUZZ_CHECK(value <= end);
        at = value + strlen(value) + 1;
        FUZZ_CHECK(at <= end);
        found = hob__head_find(h, name);
        FUZZ_CHECK(found && found <= value);
    }
    FUZZ_CHECK(n == h->n_fields);
    FUZZ_CHECK(!hob__head_redirects(h) || hob__head_find(h, "location"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct head h = {0};
    const uint8_t *end = data + n;
    int r = 0;

    hob__head_reset(&h);
    while (r == 0 && data < end) {
        const uint8_t *line = data, *stop = memchr(line, '\n', (size_t)(end - line));

        data = stop ? stop + 1 : end;
        r = hob__head_line(&h, (const char *)line, (size_t)(data - line));
        check(&h);
    }
    hob__head_fini(&h);
    return 0;
}
