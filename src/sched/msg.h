/* SPDX-License-Identifier: MIT
 *
 * msg.h - messages to a loop, from any thread
 *
 * WHAT        An intrusive list with one atomic word.  Pushing is one compare-and-swap; the loop
 *             takes all at once and runs them in the order they came.
 *
 * INVARIANTS  (I1) a message that was posted runs once, on its loop, in the order of posting
 *                  among those of one thread
 *             (I2) no lost wake-up: a loop sleeps only after it has changed the empty word to
 *                  ASLEEP, and who finds ASLEEP there wakes it
 *
 * ORDER       The word says both "what is there" and "the loop sleeps", so there is no second
 *             variable to race with, and no fence: sleep is a seq_cst exchange of NULL for ASLEEP
 *             which fails if a message is there.  The push is a release, the take an acquire.
 *
 * REJECTED    Vyukov's queue: its consumer can see a half-pushed message and must spin for it.
 *
 * Checked in every interleaving: tests/model/explore_inbox.c.
 */
#ifndef HOB_SCHED_MSG_H
#define HOB_SCHED_MSG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct msg {
    struct msg *next;
    void (*run)(struct msg *m); /* on the loop, in its own context: never parks */
};

struct inbox {
    _Atomic(struct msg *) word; /* the newest message, NULL, or ASLEEP */
};

#define INBOX_ASLEEP ((struct msg *)1)

static inline void inbox_init(struct inbox *in)
{
    atomic_init(&in->word, NULL);
}

/* True: the loop was asleep, and the caller must wake it. */
static inline bool inbox_push(struct inbox *in, struct msg *m)
{
    struct msg *old = atomic_load_explicit(&in->word, memory_order_relaxed);

    do {
        m->next = old == INBOX_ASLEEP ? NULL : old;
    } while (!atomic_compare_exchange_weak_explicit(&in->word, &old, m, memory_order_seq_cst,
                                                    memory_order_relaxed));
    return old == INBOX_ASLEEP;
}

static inline bool inbox_empty(struct inbox *in)
{
    struct msg *m = atomic_load_explicit(&in->word, memory_order_relaxed);

    return !m || m == INBOX_ASLEEP;
}

/* From any thread: whether the loop sleeps, or is about to. */
static inline bool inbox_asleep(struct inbox *in)
{
    return atomic_load_explicit(&in->word, memory_order_relaxed) == INBOX_ASLEEP;
}

/* False: there are messages, the loop must not sleep.  (I2) */
static inline bool inbox_sleep(struct inbox *in)
{
    struct msg *none = NULL;

    return atomic_compare_exchange_strong(&in->word, &none, INBOX_ASLEEP);
}

static inline void inbox_awake(struct inbox *in)
{
    struct msg *asleep = INBOX_ASLEEP;

    atomic_compare_exchange_strong(&in->word, &asleep, NULL);
}

/* All messages, oldest first; NULL when none. */
static inline struct msg *inbox_take(struct inbox *in)
{
    struct msg *m, *next, *oldest = NULL;

    if (inbox_empty(in))
        return NULL;
    m = atomic_exchange_explicit(&in->word, NULL, memory_order_acquire);
    for (; m && m != INBOX_ASLEEP; m = next) {
        next = m->next;
        m->next = oldest;
        oldest = m;
    }
    return oldest;
}

struct loop;

/* Posts a message; wakes the loop if it sleeps.  Any thread.  The message belongs to the loop
 * until it runs. */
void hob__loop_post(struct loop *l, struct msg *m);

#endif
