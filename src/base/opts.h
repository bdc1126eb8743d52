/* SPDX-License-Identifier: MIT
 *
 * opts.h - how every function takes its options structure
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
    if (size < sizeof(size))
        return -EINVAL;
    for (size_t i = ret_size; i < size; i++)
        if (p[i])
            return -E2BIG;
    memset(ret, 0, ret_size);
    memcpy(ret, opts, size < ret_size ? size : ret_size);
    return 0;
}

#endif
