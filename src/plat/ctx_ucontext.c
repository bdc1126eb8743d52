/* SPDX-License-Identifier: MIT
 *
 * ctx_ucontext.c - the context switch for any machine with <ucontext.h>
 *
 * WHAT        The fallback of ctx.h for machines without a hand-written switch, and a second
 *             opinion about the hand-written one (meson option ctx=ucontext).
 *
 * HOW         A ucontext_t holds about a kilobyte.  The one of a context that does not run lives
 *             in the frame of its hob__ctx_switch, with what that is to return; the one of a
 *             context that never ran lives at the top of its stack, above its first frame.
 *
 *   The signal mask is the thread's, as under a hand-written switch: what one fiber has blocked
 *   stays so when another runs.  Each context would bring back the mask it had when it left, so it
 *   is given the present one first.
 *
 * REJECTED    swapcontext for the first entry only and sigsetjmp after it: each switch would save
 *               the system call for the signal mask, but _FORTIFY_SOURCE's longjmp refuses to go
 *               "up", and pointer mangling makes a saved stack pointer unreadable for dumps.
 */
#include "plat/ctx.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "base/assert.h"

/* What a struct ctx points to. */
struct ctx_left {
    ucontext_t uc;
    int value;
};

/* makecontext passes ints only: a pointer travels as two of them. */
struct ctx_first {
    struct ctx_left left;
    void (*entry)(void *);
    void *arg;
};

const size_t hob__ctx_begin_size = sizeof(struct ctx_first) + 64 + 128; /* makecontext's frame */

#ifdef __x86_64__
#define SAVED_AT(reg) (uint16_t) offsetof(ucontext_t, uc_mcontext.gregs[reg])
const uint16_t hob__ctx_saved[8] = {SAVED_AT(REG_R15), SAVED_AT(REG_R14), SAVED_AT(REG_R13),
                                    SAVED_AT(REG_R12), SAVED_AT(REG_RBX), SAVED_AT(REG_RBP),
                                    SAVED_AT(REG_RIP), SAVED_AT(REG_RSP)};
#else
const uint16_t hob__ctx_saved[8] = {0};
#endif

static void ctx_start(unsigned hi, unsigned lo)
{
    struct ctx_first *f = (struct ctx_first *)((uintptr_t)hi << 32 | lo);

    f->entry(f->arg);
    abort(); /* entry never returns */
}

void hob__ctx_make(struct ctx *c, void *lo, size_t size, void (*entry)(void *), void *arg)
{
    uintptr_t top = ((uintptr_t)lo + size - sizeof(struct ctx_first)) & ~(uintptr_t)63;
    struct ctx_first *f = (struct ctx_first *)top;

    memset(f, 0, sizeof *f);
    HOB_ASSERT(getcontext(&f->left.uc) == 0);
    f->left.uc.uc_stack.ss_sp = lo;
    f->left.uc.uc_stack.ss_size = top - (uintptr_t)lo;
    f->entry = entry;
    f->arg = arg;
    makecontext(&f->left.uc, (void (*)(void))ctx_start, 2, (unsigned)((uintptr_t)f >> 32),
                (unsigned)(uintptr_t)f);
    c->sp = &f->left;
}

/* Ready to go on, under the present signal mask, with `value`. */
static ucontext_t *ctx_prepared(const struct ctx *to, int value)
{
    struct ctx_left *left = to->sp;

    HOB_ASSERT(pthread_sigmask(SIG_SETMASK, NULL, &left->uc.uc_sigmask) == 0);
    left->value = value;
    return &left->uc;
}

int hob__ctx_switch(struct ctx *save, const struct ctx *to, int value)
{
    struct ctx_left here;

    /* AddressSanitizer clears the shadow of the stack a context names; this one names none. */
    memset(&here.uc.uc_stack, 0, sizeof here.uc.uc_stack);
    save->sp = &here;
    HOB_ASSERT(swapcontext(&here.uc, ctx_prepared(to, value)) == 0);
    return here.value;
}

void hob__ctx_leave(const struct ctx *to, int value)
{
    setcontext(ctx_prepared(to, value));
    abort(); /* it could not: there is nowhere to go */
}
