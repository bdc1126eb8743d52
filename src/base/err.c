/* SPDX-License-Identifier: MIT
 *
 * err.c - words for error codes, a caller's mistakes, and the library's version
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <hob/base.h>

#include "base/assert.h"

const char *hob_strerror(int code)
{
    int positive = code < 0 ? -code : code;

    switch (positive) {
#define ERR_CASE(name, number, text)                                                               \
    case number:                                                                                   \
        return text;
        HOB_ERR_MAP(ERR_CASE)
#undef ERR_CASE
    default:
        break;
    }
    const char *text = strerrordesc_np(positive);
    return text ? text : "unknown error";
}

const char *(*_Atomic hob__misuse_fiber)(void);

void hob__misuse(const char *call, const char *what)
{
    const char *(*of)(void) = atomic_load_explicit(&hob__misuse_fiber, memory_order_relaxed);
    const char *fiber = of ? of() : NULL;

    if (fiber)
        fprintf(stderr, "hob: %s: misuse: %s; fiber %s\n", call, what, fiber);
    else
        fprintf(stderr, "hob: %s: misuse: %s\n", call, what);
    abort();
}

const char *hob_version(void)
{
    return HOB_VERSION;
}
