/* SPDX-License-Identifier: MIT
 *
 * fuzz_perf.c - tail byte, then what the kernel would have written into a ring of perf_event_open
 */
#include <string.h>

#include "diag/records.h"
#include "diag/wakers.h"
#include "fuzz/fuzz.h"

enum { RING_BYTES = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct wakers_format wakes = {.id = 1, .pid_at = 24, .flags_at = 2};
    unsigned char *bytes = calloc(1, RING_BYTES); /* its own, so that reading past it is seen */
    struct switch_event e;
    uint64_t tail, end, rounds = 0;

    FUZZ_CHECK(bytes != NULL);
    if (n < 1 || n - 1 > RING_BYTES)
        goto out;
    tail = 8u * data[0];
    end = tail + n - 1;
    for (uint64_t i = tail; i < end; i++)
        bytes[i % RING_BYTES] = data[1 + i - tail];
    struct ring rings[2] = {{.data = bytes, .size = RING_BYTES, .head = end, .tail = tail},
                            {.data = bytes, .size = RING_BYTES, .head = end, .tail = tail}};
    rings[1].wakes = &wakes;
    while (rings_next(rings, 2, UINT64_MAX, &e)) {
        FUZZ_CHECK(e.what <= SWITCH_LOST && memchr(e.name, '\0', sizeof e.name));
        FUZZ_CHECK(++rounds <= n);
    }
    FUZZ_CHECK(rings[0].tail <= end && rings[1].tail <= end);
out:
    free(bytes);
    return 0;
}
