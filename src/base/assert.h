/* SPDX-License-Identifier: MIT
 *
 * assert.h - HOB_ASSERT for our own invariants, HOB_MISUSE for a caller's mistakes
 *
 * An invariant broken means memory is not to be trusted: HOB_ASSERT stays on in every build
 * except where a measurement says otherwise; there HOB_DEBUG_ASSERT (debug builds only).
 * A caller's mistake aborts in debug builds, where it is cheap to find, and is -EINVAL (or the
 * code named) in release builds, where a server should live.
 */
#ifndef HOB_BASE_ASSERT_H
#define HOB_BASE_ASSERT_H

#include <stdio.h>
#include <stdlib.h>

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* A function that is seldom called: out of the way of its caller, which saves no registers for it.
 */
#define HOB_RARE __attribute__((noinline, cold))

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline __attribute__((noreturn, cold)) void hob__assert_failed(const char *what,
                                                                      const char *file, int line)
{
    fprintf(stderr, "hob: %s:%d: broken invariant: %s\n", file, line, what);
    abort();
}

#define HOB_ASSERT(cond) (likely(cond) ? (void)0 : hob__assert_failed(#cond, __FILE__, __LINE__))

#ifdef NDEBUG
#define HOB_DEBUG_ASSERT(cond)          ((void)0)
#define HOB_MISUSE_OF(call, code, what) (code)
#else
#define HOB_DEBUG_ASSERT(cond)          HOB_ASSERT(cond)
#define HOB_MISUSE_OF(call, code, what) (hob__misuse(call, what), (code))
#endif

/* In the public call itself; HOB_MISUSE_OF elsewhere, which names it. */
#define HOB_MISUSE(code, what) HOB_MISUSE_OF(__func__, code, what)

/* err.c */
__attribute__((noreturn, cold)) void hob__misuse(const char *call, const char *what);

/* The running fiber's name, or NULL; NULL: there are no fibers here. */
extern const char *(*_Atomic hob__misuse_fiber)(void);

#endif
