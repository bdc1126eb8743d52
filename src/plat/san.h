/* SPDX-License-Identifier: MIT
 *
 * san.h - the only file that names the fiber hooks of ASan, LSan, TSan and valgrind
 *
 * Without these hooks a sanitizer is silent, not wrong: LSan ignores every leak made on a fiber,
 * and TSan loses its shadow stack.  The two switch hooks must be inlined into the function that
 * switches: TSan pushes that function's frame on the old shadow stack and pops it from the new.
 *
 *     san_leave(&from->san, &to->san, from_never_runs_again);
 *     hob__ctx_switch(&from->ctx, &to->ctx);
 *     san_enter(&from->san, &whoever_switched_here->san); // also first thing on a new fiber
 */
#ifndef HOB_PLAT_SAN_H
#define HOB_PLAT_SAN_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define HOB_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HOB_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define HOB_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HOB_TSAN 1
#endif
#endif

#ifdef HOB_ASAN
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef HOB_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* What a context needs beside its registers; empty but for the bounds in ordinary builds. */
struct san {
#ifdef HOB_ASAN
    void *fake;     /* ASan's fake stack while this context is switched out */
    const void *lo; /* lowest address of its stack */
    size_t size;
#endif
#ifdef HOB_TSAN
    void *fiber;
    bool own; /* created by san_new, not the thread's own */
#endif
    char unused_; /* a struct has a member */
};

/* The context a thread already runs on: nothing to create. */
static inline void san_thread(struct san *s)
{
#ifdef HOB_ASAN
    s->fake = NULL;
    s->lo = NULL; /* learnt at the first switch away from it */
    s->size = 0;
#endif
#ifdef HOB_TSAN
    s->fiber = __tsan_get_current_fiber();
    s->own = false;
#endif
    (void)s;
}

/* A new context on the stack [lo, lo + size). */
static inline void san_new(struct san *s, const void *lo, size_t size)
{
#ifdef HOB_ASAN
    s->fake = NULL;
    s->lo = lo;
    s->size = size;
    __lsan_register_root_region(lo, size);
#endif
#ifdef HOB_TSAN
    s->fiber = __tsan_create_fiber(0);
    s->own = true;
#endif
    (void)s, (void)lo, (void)size;
}

/* The context will not run again; called from another one. */
static inline void san_free(struct san *s)
{
#ifdef HOB_ASAN
    __lsan_unregister_root_region(s->lo, s->size);
#endif
#ifdef HOB_TSAN
    if (s->own)
        __tsan_destroy_fiber(s->fiber);
#endif
    (void)s;
}

static inline __attribute__((always_inline)) void san_leave(struct san *from, struct san *to,
                                                            bool last)
{
#ifdef HOB_ASAN
    __sanitizer_start_switch_fiber(last ? NULL : &from->fake, to->lo, to->size);
#endif
#ifdef HOB_TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    (void)from, (void)to, (void)last;
}

/* `left`: the context that switched to this one; its bounds are filled in if unknown. */
static inline __attribute__((always_inline)) void san_enter(struct san *self, struct san *left)
{
#ifdef HOB_ASAN
    const void *lo;
    size_t size;

    __sanitizer_finish_switch_fiber(self->fake, &lo, &size);
    if (left && !left->lo) {
        left->lo = lo;
        left->size = size;
    }
#endif
    (void)self, (void)left;
}

#endif
