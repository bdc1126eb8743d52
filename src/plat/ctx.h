/* SPDX-License-Identifier: MIT
 *
 * ctx.h - make and switch a machine context: two functions
 *
 * A context is a saved stack pointer.  A switch saves what the ABI says a callee keeps, and the
 * floating-point control words are not among what hob saves: fibers share them, as functions do.
 * Sanitizer hooks are the caller's affair (san.h): they must stand in the switching function.
 */
#ifndef HOB_PLAT_CTX_H
#define HOB_PLAT_CTX_H

#include <stddef.h>

struct ctx {
    void *sp; /* the saved stack pointer; with ucontext, the address of a ucontext_t */
};

/*
 * The first switch to *c calls entry(arg) on the stack [lo, lo + size); entry never returns.
 * size is at least 4 KiB (a ucontext_t alone takes one) and lo + size is a multiple of 16.
 */
void hob__ctx_make(struct ctx *c, void *lo, size_t size, void (*entry)(void *), void *arg);

/* Saves the running context into *save and resumes *to.  Returns when somebody switches back. */
void hob__ctx_switch(struct ctx *save, const struct ctx *to);

#endif
