/* SPDX-License-Identifier: MIT
 *
 * opts.h - how every function takes its options structure, and gives its results
 *
 * An options structure begins with `size_t size`, the size its caller was compiled with.  Older
 * callers send a shorter one: the rest is zero, which is the default of every field.  Newer ones
 * send a longer one: fine as long as what we do not know is zero (openat2's rule).
 */
#ifndef HOB_BASE_OPTS_H
#define HOB_BASE_OPTS_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Beyond it a size is no size, but what lay in the caller's memory. */
enum { OPTS_SIZE_MAX = 64 * 1024 };

/* NULL means all defaults.  -E2BIG: an option newer than this library.  -EINVAL: size not set. */
static inline int hob__opts_copy(void *ret, size_t ret_size, const void *opts)
{
    const unsigned char *p = opts;
    size_t size;

    if (!opts) {
        memset(ret, 0, ret_size);
        return 0;
    }
    memcpy(&size, opts, sizeof(size));
    if (size < sizeof(size) || size > OPTS_SIZE_MAX)
        return -EINVAL;
    for (size_t i = ret_size; i < size; i++)
        if (p[i])
            return -E2BIG;
    memset(ret, 0, ret_size);
    memcpy(ret, opts, size < ret_size ? size : ret_size);
    return 0;
}

/* Element i of an array of such structures: the first one's size is the distance between them. */
static inline int hob__opts_copy_nth(void *ret, size_t ret_size, const void *array, size_t i)
{
    size_t first, size;

    memcpy(&first, array, sizeof(first));
    const unsigned char *p = (const unsigned char *)array + i * first;
    memcpy(&size, p, sizeof(size));
    return size == first ? hob__opts_copy(ret, ret_size, p) : -EINVAL;
}

/* A result, into a caller's structure of the size that it says; what we do not know is zeroed. */
static inline int hob__result_copy(void *ret, const void *mine, size_t mine_size)
{
    size_t size;

    memcpy(&size, ret, sizeof(size));
    if (size < sizeof(size) || size > OPTS_SIZE_MAX)
        return -EINVAL;
    memset(ret, 0, size);
    memcpy(ret, mine, size < mine_size ? size : mine_size);
    memcpy(ret, &size, sizeof(size));
    return 0;
}

#endif
