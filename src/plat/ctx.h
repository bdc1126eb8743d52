/* SPDX-License-Identifier: MIT
 *
 * ctx.h - make, switch, leave and call a machine context: four functions
 *
 * A context is a saved stack pointer.  A switch saves what the ABI says a callee keeps, and the
 * floating-point control words are not among what hob saves: fibers share them, as functions do.
 * Sanitizer hooks are the caller's affair (san.h): they must stand in the switching function.
 */
#ifndef HOB_PLAT_CTX_H
#define HOB_PLAT_CTX_H

#include <stddef.h>
#include <stdint.h>

struct ctx {
    void *sp; /* the saved stack pointer, odd: it begins; with ucontext, of a ucontext_t */
};

/*
 * The first switch to *c calls entry(arg) on the stack [lo, lo + size); entry never returns.
 * size is at least 4 KiB (a ucontext_t alone takes one) and lo + size is a multiple of 16.  With
 * the value *c has now it may begin again, on the same stack, once it has been left.
 */
void hob__ctx_make(struct ctx *c, void *lo, size_t size, void (*entry)(void *), void *arg);

/* Bytes at the end of the stack that hob__ctx_make writes and the first switch reads. */
extern const size_t hob__ctx_begin_size;

/*
 * For debuggers, on x86-64: how many bytes above a saved sp r15, r14, r13, r12, rbx, rbp and rip
 * lie. Last where rsp lies; 0: it is not written down, it is the first byte above the others.
 */
extern const uint16_t hob__ctx_saved[8];

/*
 * Saves the running context into *save and resumes *to, where the switch that left it returns
 * `value`.  Returns when somebody switches back.
 */
int hob__ctx_switch(struct ctx *save, const struct ctx *to, int value);

/* The same, and saves nothing: the running context is over.  Through ctx_leave. */
void hob__ctx_leave(const struct ctx *to, int value);

/*
 * Returns entry(arg), called on the stack of `on`, a context that begins, whoever was switched to
 * in between.  Until then *save looks to a debugger like a context that was
 * switched from; only that return resumes it.  With ucontext there is no such call.
 */
#ifndef HOB_CTX_UCONTEXT
#define HOB_CTX_CALLS 1
int hob__ctx_call(struct ctx *save, const struct ctx *on, int (*entry)(void *), void *arg);
#endif

/* A jump, where that matters (ctx_x86_64.S, H2), from a frame that nobody will leave. */
static inline __attribute__((always_inline, noreturn)) void ctx_leave(const struct ctx *to,
                                                                      int value)
{
#if defined(__x86_64__) && defined(__OPTIMIZE__)
    __asm__ volatile("jmp hob__ctx_leave" : : "D"(to), "S"(value) : "memory");
#elif defined(__aarch64__) && defined(__OPTIMIZE__)
    register const struct ctx *x0 __asm__("x0") = to;
    register int w1 __asm__("w1") = value;

    __asm__ volatile("b hob__ctx_leave" : : "r"(x0), "r"(w1) : "memory");
#else
    hob__ctx_leave(to, value);
#endif
    __builtin_unreachable();
}

#endif
