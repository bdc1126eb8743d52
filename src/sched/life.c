/* SPDX-License-Identifier: MIT
 *
 * life.c - what the rest of a process does to loops that run: fork, and the end of their thread
 *
 * WHAT        fork()         The child has the memory of all fibers and the thread of one.  It may
 *                            exec or _exit.  If it lets the fiber return it would go on to run the
 *                            others, which the parent runs too: requests sent twice.  That aborts,
 *                            with one line.  Calls that need a loop are -EPERM; a debug build
 *                            aborts there too.
 *             pthread_exit   of a loop's thread, out of a fiber, leaves its other fibers without
 *                            it and the program waiting for them: that aborts, with one line.
 *
 * HOW         The child's handler cuts the running turn short (left = 1), so the next switch, or
 *             the fiber's end, asks turn_goes_on, which finds hob__life_forked: no switch pays for
 *             it.  The end of a thread is told by the destructor of a key that is set while it
 *             loops.
 *
 * REJECTED    Cancelling the child's copy of the fibers: their cleanup is the parent's to do.
 *             Cancelling the root in an atexit handler: exit() in a fiber runs it on the very loop
 *               that would have to go on, and exit() elsewhere beside a loop 0 that then returns
 *               into main, and calls exit() too.
 */
#include "sched/life.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "plat/threads.h"
#include "sched/loop.h"
#include "sched/rt.h"

bool hob__life_forked;

static pthread_once_t life_once = PTHREAD_ONCE_INIT;
static pthread_key_t life_key;
static bool life_has_key;

static void life_say(const char *text, size_t n)
{
    (void)!write(STDERR_FILENO, text, n); /* it aborts next; stdio's locks may be anybody's */
}

static void life_child(void)
{
    struct loop *l = hob__loop;

    atomic_store(&hob__threads_own, 0);
    if (hob_loops() == 0)
        return;
    hob__life_forked = true;
    hob__loop = NULL;
    if (l)
        l->left = 1;
}

void hob__life_run_on(void)
{
    static const char text[] =
        "hob: the child of a fork() let its fiber go on: it may only exec or _exit, or be made by "
        "posix_spawn\n";

    life_say(text, sizeof text - 1);
    abort();
}

int hob__off_fiber(void)
{
#ifndef NDEBUG
    static const char text[] = "hob: misuse: the child of a fork() calls for a fiber or a loop: it "
                               "may only exec or _exit, or be made by posix_spawn\n";

    if (hob__life_forked) {
        life_say(text, sizeof text - 1);
        abort();
    }
#endif
    return -EPERM;
}

static void thread_ends(void *loop)
{
    static const char text[] =
        "hob: a loop's thread ended under its fibers: pthread_exit in a fiber?\n";

    (void)loop;
    life_say(text, sizeof text - 1);
    abort();
}

static void life_make(void)
{
    pthread_atfork(NULL, NULL, life_child);
    life_has_key = pthread_key_create(&life_key, thread_ends) == 0;
}

void hob__life_init(void)
{
    pthread_once(&life_once, life_make);
}

void hob__life_begin(struct loop *l)
{
    if (life_has_key)
        (void)pthread_setspecific(life_key, l); /* without memory for it: it goes without */
}

void hob__life_end(void)
{
    if (life_has_key)
        (void)pthread_setspecific(life_key, NULL);
}
