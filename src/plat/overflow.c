/* SPDX-License-Identifier: MIT
 *
 * overflow.c - says which fiber ran off its stack, before the process dies of it
 *
 * WHAT        A fault in a guard page becomes one line on standard error:
 *
 *               hob: stack overflow: fiber NAME, stack of 64 KiB; make it larger with
 *               .stack_size of HOB_OPTS
 *
 *             and then the death it would have been anyway: the program's own crash reporter if
 *             it had one, else the default action with its core dump, at the same instruction.
 *
 * HOW         The handler runs on an alternate stack of the thread (a fiber's is full).  Having
 *             printed, it gives the signal back and returns; the instruction faults once more,
 *             and the core shows the registers of the overflow, not of a raise() in here.
 *
 * INVARIANTS  (O1) Between the fault and the end only calls safe in a handler: write, sigaction.
 *             (O2) A fault that is not in a guard reaches the previous owner of the signal as if
 *                  this file did not exist, on the alternate stack if the thread has one.
 *             (O3) overflow_previous is written before the handler can run, and never again.
 *
 * THREADS     Anybody may install; one wins.  The describe pointer is atomic.
 *
 * REJECTED    Recovering by ending the fiber alone: it may hold locks, and destructors of C have
 *               no way to run.
 *             SIGSEGV of one loop thread only (signal masks): the action is the process's.
 */
#include "plat/overflow.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

enum {
    LINE_MAX_BYTES = 256,
    ALT_GUARD_BYTES = 4096,
    ALT_EXTRA_BYTES = 32 * 1024, /* for the handlers; the kernel's frame comes on top */
};

/* Which signal a guard raises is the kernel's choice: SIGSEGV, on some machines SIGBUS. */
static const int overflow_signals[] = {SIGSEGV, SIGBUS};
enum { N_SIGNALS = sizeof overflow_signals / sizeof overflow_signals[0] };

static struct sigaction overflow_previous[N_SIGNALS]; /* (O3) */
static _Atomic(overflow_describe) overflow_lookup;

/* --- one line without stdio ------------------------------------------------------------------ */

struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
};

static void line_add(struct line *l, const char *s)
{
    while (*s && l->len < sizeof l->text - 1)
        l->text[l->len++] = *s++;
}

static void line_add_number(struct line *l, size_t n)
{
    char digits[24];
    size_t at = sizeof digits - 1;

    digits[at] = '\0';
    do
        digits[--at] = (char)('0' + n % 10);
    while (n /= 10);
    line_add(l, digits + at);
}

static void overflow_print(const char *name, size_t bytes)
{
    struct line l = {.len = 0};

    line_add(&l, "hob: stack overflow: fiber ");
    for (size_t i = 0; name[i] && i < 64; i++) {
        char c[2] = {(unsigned char)name[i] < ' ' ? '?' : name[i], '\0'};
        line_add(&l, c);
    }
    line_add(&l, ", stack of ");
    line_add_number(&l, bytes / 1024);
    line_add(&l, " KiB; make it larger with .stack_size of HOB_OPTS\n");
    ssize_t n = write(STDERR_FILENO, l.text, l.len);
    (void)n; /* nobody is left to tell */
}

/* --- the handler ----------------------------------------------------------------------------- */

/* The default action comes when the handler returns: by the fault, or by this signal. */
static void overflow_default(int sig, const siginfo_t *info)
{
    struct sigaction dfl = {.sa_handler = SIG_DFL};

    sigaction(sig, &dfl, NULL);
    if (info->si_code <= 0) /* sent by a process: it will not come again by itself */
        raise(sig);
}

static void overflow_handler(int sig, siginfo_t *info, void *context)
{
    const struct sigaction *prev = &overflow_previous[sig == overflow_signals[0] ? 0 : 1];
    overflow_describe describe = atomic_load_explicit(&overflow_lookup, memory_order_acquire);
    size_t bytes = 0;
    const char *name = NULL;
    int saved = errno;

    if (describe && info->si_code > 0)
        name = describe(info->si_addr, &bytes);
    if (name)
        overflow_print(name, bytes);

    if (prev->sa_flags & SA_SIGINFO)
        prev->sa_sigaction(sig, info, context);
    else if (prev->sa_handler != SIG_DFL && prev->sa_handler != SIG_IGN)
        prev->sa_handler(sig);
    else if (prev->sa_handler == SIG_DFL || info->si_code > 0) /* a real fault is not ignored */
        overflow_default(sig, info);
    if (name)
        overflow_default(sig, info); /* nobody repairs a full stack */
    errno = saved;
}

int hob__overflow_install(overflow_describe describe)
{
    static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
    static bool installed;
    struct sigaction sa = {.sa_sigaction = overflow_handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    int r = 0;

    atomic_store_explicit(&overflow_lookup, describe, memory_order_release);
    pthread_mutex_lock(&once);
    if (!installed) {
        sigemptyset(&sa.sa_mask);
        for (int i = 0; i < N_SIGNALS && r == 0; i++)
            if (sigaction(overflow_signals[i], NULL, &overflow_previous[i]) != 0 || /* (O3) */
                sigaction(overflow_signals[i], &sa, NULL) != 0)
                r = -errno;
        installed = r == 0;
    }
    pthread_mutex_unlock(&once);
    return r;
}

/* --- alternate stacks ------------------------------------------------------------------------ */

int hob__overflow_thread_start(struct overflow_thread *t)
{
    size_t need = getauxval(AT_MINSIGSTKSZ) + ALT_EXTRA_BYTES;
    stack_t now, ss = {0};

    *t = (struct overflow_thread){0};
    if (sigaltstack(NULL, &now) == 0 && !(now.ss_flags & SS_DISABLE))
        return 0;
    need = (need + ALT_GUARD_BYTES - 1) / ALT_GUARD_BYTES * ALT_GUARD_BYTES;
    char *p = mmap(NULL, need + ALT_GUARD_BYTES, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (p == MAP_FAILED)
        return -ENOMEM;
    (void)mprotect(p, ALT_GUARD_BYTES, PROT_NONE); /* without it, no harm but in a crash's crash */
    ss.ss_sp = p + ALT_GUARD_BYTES;
    ss.ss_size = need;
    HOB_ASSERT(sigaltstack(&ss, NULL) == 0);
    t->mapping = p;
    t->size = need + ALT_GUARD_BYTES;
    return 0;
}

void hob__overflow_thread_stop(struct overflow_thread *t)
{
    stack_t now, off = {.ss_flags = SS_DISABLE};

    if (!t->mapping)
        return;
    /* Somebody may have put another in its place meanwhile: that one is theirs. */
    if (sigaltstack(NULL, &now) == 0 && now.ss_sp == (char *)t->mapping + ALT_GUARD_BYTES)
        HOB_ASSERT(sigaltstack(&off, NULL) == 0);
    munmap(t->mapping, t->size);
    t->mapping = NULL;
}
