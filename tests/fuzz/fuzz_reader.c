/* SPDX-License-Identifier: MIT
 *
 * fuzz_reader.c - bound, delimiter length, delimiter, then pieces: length byte, bytes
 *
 * A reader gives the same records whatever pieces the bytes come in: each is compared with a search
 * in the whole.
 */
#include <errno.h>
#include <string.h>

#include <hob/buf.h>

#include "fuzz/fuzz.h"

struct pieces {
    const uint8_t *data;
    size_t n;
    uint8_t *all; /* what was given so far, and what will be */
    size_t given;
    size_t left; /* of the present piece */
};

/* The next piece, cut to n; its rest comes next. */
static ssize_t pieces_read(void *arg, void *buf, size_t n, hob_time until)
{
    struct pieces *p = arg;

    (void)until;
    while (p->left == 0 && p->n > 0) {
        p->left = *p->data++;
        p->n--;
        if (p->left == 255) { /* stands for a read that fails */
            p->left = 0;
            return -ETIMEDOUT;
        }
    }
    size_t k = p->left < p->n ? p->left : p->n;
    k = k < n ? k : n;
    memcpy(buf, p->data, k);
    memcpy(p->all + p->given, p->data, k);
    p->data += k;
    p->n -= k;
    p->given += k;
    p->left -= k;
    return (ssize_t)k;
}

static void check_records(struct pieces *p, size_t bound, const uint8_t *delim, size_t delim_n)
{
    hob_reader *r;
    const char *got;
    uint8_t rest[256];
    size_t at = 0, got_n;
    int rc;

    FUZZ_CHECK(hob_reader_new(-1,
                              HOB_READER_OPTS(.read = pieces_read, .arg = p, .bytes_max = bound),
                              &r) == 0);
    while ((rc = hob_reader_read_until(r, delim, delim_n, 0, &got, &got_n)) != 0) {
        const uint8_t *from = p->all + at;
        const uint8_t *hit = memmem(from, p->given - at, delim, delim_n);
        FUZZ_CHECK(hob_reader_pending(r) <= bound);
        if (rc == 1) {
            FUZZ_CHECK(hit && got_n == (size_t)(hit - from) && got_n + delim_n <= bound);
            FUZZ_CHECK(memcmp(got, from, got_n) == 0);
            at += got_n + delim_n;
            continue;
        }
        FUZZ_CHECK(rc == -ETIMEDOUT || rc == -ENODATA || rc == -HOB_ETOOBIG);
        FUZZ_CHECK(!hit && hob_reader_pending(r) == p->given - at);
        if (rc == -ETIMEDOUT)
            continue;
        FUZZ_CHECK(rc == -ENODATA || p->given - at == bound);
        ssize_t n = hob_reader_read(r, rest, sizeof rest, 0);
        FUZZ_CHECK(n > 0 && memcmp(rest, from, (size_t)n) == 0);
        at += (size_t)n;
    }
    FUZZ_CHECK(at == p->given && p->n == 0);
    hob_reader_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 3)
        return 0;
    size_t bound = 1 + data[0] * 40u, delim_n = 1 + data[1] % 4u;
    if (n < 2 + delim_n)
        return 0;
    uint8_t *all = malloc(n);
    struct pieces p = {.data = data + 2 + delim_n, .n = n - 2 - delim_n, .all = all};
    FUZZ_CHECK(all != NULL);
    check_records(&p, bound, data + 2, delim_n);
    free(all);
    return 0;
}
