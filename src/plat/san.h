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
 *     san_enter(&from->san); // also first thing on a new context
 *
 * ASan must be told the bounds of the stack it is led to, and nobody knows those of the thread's
 * own stack (which may be a fiber of another library).  ASan tells them on arrival, about the
 * stack just left; so san_leave notes in `to` who left, and san_enter files the bounds there.
 *
 * LSan looks for pointers on the stacks that threads run on now.  Every other stack is made a
 * root: those of a cache for as long as they are mapped (the free ones are poisoned, and LSan
 * passes over poisoned memory), a thread's own once it was left.  One gap: with
 * detect_stack_use_after_return=1 locals live on ASan's fake stack, and LSan does not see that of
 * a parked fiber: what only such a local holds is reported as a leak.
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
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef HOB_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#ifdef HOB_VALGRIND /* the build found the header; outside valgrind a no-op */
#include <valgrind/memcheck.h>
#endif

/* A function that runs in another process on this one's memory: no sanitizer notes what it does. */
#if defined(HOB_TSAN) && defined(__clang__)
#define SAN_UNSEEN __attribute__((disable_sanitizer_instrumentation))
#else
#define SAN_UNSEEN __attribute__((no_sanitize("address", "thread", "undefined")))
#endif

/* Whether one of them has to be told on arrival at a stack. */
#if defined(HOB_ASAN) || defined(HOB_TSAN)
#define SAN_FIBERS 1
#else
#define SAN_FIBERS 0
#endif

/* What a context needs beside its registers; empty in ordinary builds. */
struct san {
#ifdef HOB_ASAN
    void *fake;       /* ASan's fake stack while this context is switched out */
    const void *lo;   /* lowest address of its stack; NULL: not known yet */
    size_t size;      /* of its stack */
    struct san *from; /* who switched here last; good until san_enter */
    bool root;        /* the thread's own stack, registered with LSan */
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
    *s = (struct san){0};
#ifdef HOB_TSAN
    s->fiber = __tsan_get_current_fiber();
#endif
}

/* A new context on the stack [lo, lo + size). */
static inline void san_new(struct san *s, const void *lo, size_t size)
{
#if SAN_FIBERS
    *s = (struct san){0};
#endif
#ifdef HOB_ASAN
    s->lo = lo;
    s->size = size;
#endif
#ifdef HOB_TSAN
    s->fiber = __tsan_create_fiber(0);
    s->own = true;
#endif
    (void)s, (void)lo, (void)size;
}

/* The context will not run again, and another one calls; or, for a thread's own, the thread
 * itself calls and will not switch any more. */
static inline void san_free(struct san *s)
{
#ifdef HOB_ASAN
    if (s->root)
        __lsan_unregister_root_region(s->lo, s->size);
    s->root = false;
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
    to->from = from;
    __sanitizer_start_switch_fiber(last ? NULL : &from->fake, to->lo, to->size);
    if (last)
        from->fake = NULL; /* it is gone; on the same stack another call may begin */
#endif
#ifdef HOB_TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    (void)from, (void)to, (void)last;
}

/* First thing after every switch, and on a new context. */
static inline __attribute__((always_inline)) void san_enter(struct san *self)
{
#ifdef HOB_ASAN
    const void *lo;
    size_t size;

    __sanitizer_finish_switch_fiber(self->fake, &lo, &size);
    if (!self->from->lo) {
        self->from->lo = lo;
        self->from->size = size;
        self->from->root = true;
        __lsan_register_root_region(lo, size);
    }
#endif
    (void)self;
}

/* Memory that will be stacks, one after another, until san_stack_unmap.  Returns an id for that. */
static inline unsigned san_stack_map(const void *lo, size_t size)
{
    unsigned id = 0;

#ifdef HOB_ASAN
    __lsan_register_root_region(lo, size);
#endif
#ifdef HOB_VALGRIND
    id = VALGRIND_STACK_REGISTER(lo, (const char *)lo + size - 1);
#endif
    (void)lo, (void)size;
    return id;
}

static inline void san_stack_unmap(const void *lo, size_t size, unsigned id)
{
#ifdef HOB_ASAN
    ASAN_UNPOISON_MEMORY_REGION(lo, size);
    __lsan_unregister_root_region(lo, size);
#endif
#ifdef HOB_VALGRIND
    VALGRIND_STACK_DEREGISTER(id);
#endif
    (void)lo, (void)size, (void)id;
}

/* Frames that never returned leave ASan's marks behind: the next user starts without them. */
static inline void san_stack_take(const void *lo, size_t size)
{
#ifdef HOB_ASAN
    ASAN_UNPOISON_MEMORY_REGION(lo, size);
#endif
#if defined(HOB_VALGRIND) && !defined(NDEBUG) /* a nanosecond: not on the spawn of a release */
    VALGRIND_MAKE_MEM_UNDEFINED(lo, size);
#endif
    (void)lo, (void)size;
}

/* From here on nobody may touch it: a pointer to a dead fiber's local is found out. */
static inline void san_stack_give(const void *lo, size_t size)
{
#ifdef HOB_ASAN
    ASAN_POISON_MEMORY_REGION(lo, size);
#endif
#if defined(HOB_VALGRIND) && !defined(NDEBUG)
    VALGRIND_MAKE_MEM_NOACCESS(lo, size);
#endif
    (void)lo, (void)size;
}

#endif
