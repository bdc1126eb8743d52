/* SPDX-License-Identifier: MIT
 *
 * fuzz_part.c - inputs made of several strings
 */
#include "fuzz/fuzz.h"

#include <string.h>

char *fuzz_part(const uint8_t **data, size_t *n)
{
    const uint8_t *end = *n ? memchr(*data, '\0', *n) : NULL;
    size_t len = end ? (size_t)(end - *data) : *n, step = end ? len + 1 : len;
    char *s = malloc(len + 1);

    if (!s)
        abort();
    if (len > 0)
        memcpy(s, *data, len);
    s[len] = '\0';
    *data += step;
    *n -= step;
    return s;
}
