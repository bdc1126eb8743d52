/* SPDX-License-Identifier: MIT
 *
 * inject.h - work from outside the pool: any thread puts it in, workers take it out in order
 *
 * WHAT    An inbox that submitters push to without a lock, and a list that only workers touch.
 *
 * HOW     submitters --push--> inbox (newest first) --all of it, turned round--> fifo --> workers
 *
 *   A submitter makes one compare-and-swap and one addition, and shares no lock with anybody: a
 *   loop must never wait for a pool thread, which may be preempted at nice 19 while it holds one.
 *   The lock is among workers only.
 *
 * INVARIANTS  (Q1) n_counted <= items in inbox and fifo: an item is counted after it is in, and
 *                  uncounted under the lock when it is taken (for a moment below zero, when it is
 *                  taken before its submitter counts it).  So n_counted > 0 under the lock means
 *                  there is an item.
 *             (Q2) the inbox is pushed to and taken as a whole: no ABA.
 *
 * ORDER   The addition to n_counted is sequentially consistent: it is the publication for
 *         idle.h.  The push releases the item to the exchange that takes the inbox.
 *
 * REJECTED  Vyukov's queue of producers: FIFO without turning round, but a submitter preempted
 *         between its two steps hides everything pushed after it.  Work into the workers' own
 *         deques: a waiting worker then has work in its deque that it must not run.
 */
#ifndef HOB_POOL_INJECT_H
#define HOB_POOL_INJECT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "plat/env.h"

struct inject {
    _Alignas(64) _Atomic(struct list *) inbox; /* linked by `next`; NULL: empty */
    atomic_int n_counted;
    _Alignas(64) pthread_mutex_t lock; /* workers */
    struct list fifo;                  /* under lock */
};

static inline void inject_init(struct inject *q)
{
    atomic_store_explicit(&q->inbox, NULL, memory_order_relaxed);
    atomic_store_explicit(&q->n_counted, 0, memory_order_relaxed);
    pthread_mutex_init(&q->lock, NULL);
    list_init(&q->fifo);
}

/* Any thread. */
static inline void inject_push(struct inject *q, struct env_work *w)
{
    struct list *head = atomic_load_explicit(&q->inbox, memory_order_relaxed);

    do
        w->node.next = head;
    while (!atomic_compare_exchange_weak_explicit(&q->inbox, &head, &w->node, memory_order_release,
                                                  memory_order_relaxed)); /* (Q2) */
    atomic_fetch_add(&q->n_counted, 1);                                   /* (Q1) */
}

/* Any thread: whether somebody should come and look. */
static inline bool inject_any(struct inject *q)
{
    return atomic_load(&q->n_counted) > 0;
}

/* A worker: the oldest; NULL: none. */
static inline struct env_work *inject_pop(struct inject *q)
{
    struct list *n;

    if (!inject_any(q))
        return NULL;
    pthread_mutex_lock(&q->lock);
    if (list_empty(&q->fifo)) {
        n = atomic_exchange_explicit(&q->inbox, NULL, memory_order_acquire);
        while (n) { /* newest first: each goes before the one that came after it */
            struct list *older = n->next;

            list_push_front(&q->fifo, n);
            n = older;
        }
    }
    n = list_pop(&q->fifo);
    if (n)
        atomic_fetch_sub(&q->n_counted, 1); /* (Q1) */
    pthread_mutex_unlock(&q->lock);
    return n ? list_entry(n, struct env_work, node) : NULL;
}

#endif
