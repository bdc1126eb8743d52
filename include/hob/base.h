/* SPDX-License-Identifier: MIT */
#ifndef HOB_BASE_H
#define HOB_BASE_H

#include <stddef.h>
#include <stdint.h>

/*
 * What every hob header uses: linkage, time, errors
 * =================================================
 *
 * Errors are return values: 0 or a positive result is good, a negative errno
 * is bad.  `errno` itself is never an input nor an output of a hob call.  Out
 * parameters come last and are untouched on failure.
 *
 * Two codes mean the same everywhere.  -ECANCELED: the scope this fiber is in
 * was cancelled; the call did nothing.  -ETIMEDOUT: `until` passed first; the
 * call did nothing.  A call that did its work reports its result, never both.
 *
 * `until` 0 means the same everywhere: what can be had at once is taken, and what could only be
 * had by waiting is -ETIMEDOUT at once, with nothing started.
 *
 * Structures grow, and programs are compiled with one version and run with another.  So each that
 * may grow begins with `size`, the size its program was compiled with: options, elements of an
 * array (whose first element's size is the distance between them), and results, where the program
 * sets it before the call.  What a shorter one lacks is zero, the default.  A longer one is fine as
 * long as what this library does not know is zero, else -E2BIG; of a result that part is zeroed.
 * A size that was not set is -EINVAL.  Macros fill it in: HOB_X_OPTS(.field = ...).  A structure
 * without a size says "never grows", and where else what is new will be found.
 *
 * Strings in options are copied before the call returns, unless the field says otherwise.
 */

#ifdef __cplusplus
#define HOB_BEGIN_DECLS extern "C" {
#define HOB_END_DECLS   }
#else
#define HOB_BEGIN_DECLS
#define HOB_END_DECLS
#endif

#if defined(__GNUC__)
#define HOB_API          __attribute__((visibility("default")))
#define HOB_MUST_CHECK   __attribute__((warn_unused_result))
#define HOB_UNUSED       __attribute__((unused))
#define HOB_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define HOB_API
#define HOB_MUST_CHECK
#define HOB_UNUSED
#define HOB_PRINTF(f, a)
#endif

/* May switch to another fiber. */
#define HOB_PARKS
/* Callable from any thread, on a fiber or off; everything not marked so needs a fiber, and where
 * it can say so is -EPERM off one.  With HOB_PARKS as well: off a fiber it blocks the thread, but
 * in a pool job that is a mistake: -EDEADLK (debug builds abort). */
#define HOB_ANY_THREAD

HOB_BEGIN_DECLS

/** Nanoseconds on hob's clock (CLOCK_MONOTONIC; virtual under HOB_SIM): a point in time. */
typedef int64_t hob_time;
/** Nanoseconds: a length of time. */
typedef int64_t hob_dur;

#define HOB_NS      ((hob_dur)1)
#define HOB_US      ((hob_dur)1000)
#define HOB_MS      ((hob_dur)1000000)
#define HOB_SEC     ((hob_dur)1000000000)
#define HOB_MIN     (60 * HOB_SEC)
#define HOB_FOREVER INT64_MAX /* as `until`: no limit */

/**
 * What a fiber or a job runs.
 * A fiber's negative return means "the group cannot go on" and cancels it; 0 and above are good.
 */
typedef int (*hob_fn)(void *arg);

/**
 * Takes a piece of text: n bytes, whole lines, a 0 behind them that is not counted.
 * `text` is gone when it returns.
 */
typedef void (*hob_text_fn)(void *arg, const char *text, size_t n);

/**
 * Codes of hob's own, beside errno's.  They lie in 3000..3999: inside the kernel's window of
 * 4095 and off errno.  Functions return them negated.
 */
#define HOB_ERR_MAP(X)                                                                             \
    X(HOB_EDNS, 3001, "name not resolved")                                                         \
    X(HOB_ETLS, 3002, "TLS handshake or certificate failed")                                       \
    X(HOB_EHTTP, 3003, "not a valid HTTP response")                                                \
    X(HOB_EADDRGUARD, 3004, "address refused by the address guard")                                \
    X(HOB_EREDIRECT, 3005, "too many redirects")                                                   \
    X(HOB_EPROXY, 3006, "proxy failed")                                                            \
    X(HOB_ETOOBIG, 3007, "larger than the limit set for it")                                       \
    X(HOB_ETRUNCATED, 3008, "stream cut off before its end")

#define HOB_ERR_ENUM(name, code, text) name = code,
enum hob_err { HOB_ERR_MAP(HOB_ERR_ENUM) HOB_ERR_END = 3999 };
#undef HOB_ERR_ENUM

/** hob_strerror - words for a code, negative or positive, errno's or hob's; never NULL. */
HOB_API HOB_ANY_THREAD const char *hob_strerror(int code);

/** hob_version - "MAJOR.MINOR.PATCH" of the library in use. */
HOB_API HOB_ANY_THREAD const char *hob_version(void);

HOB_END_DECLS
#endif
