/* SPDX-License-Identifier: MIT
 *
 * ahead.h - tasks whose opener waits for them go first, for every other turn
 *
 * WHAT        A tree of tasks that is run in the order in which its tasks were started is opened
 *             level by level: all of its inner nodes wait at the same time, each with a stack.
 *             Depth first, only one path of it does.  So where a fiber parks in a join, what it
 *             started since it began to run goes ahead of the others, and the opener runs at once
 *             when the last of it has ended.
 *
 * HOW         even turns   ready                  then, when that is empty, ahead
 *             odd turns    ahead, mark, ready     one list: a switch pops its head, as ever
 *
 *   While `ahead` is in `ready`, the mark says where it ends: who wakes or yields is queued behind
 *   it, who joins puts tasks in front of all.  After the turn the list is cut at the mark again.
 *   What could stay there for ever, because newer tasks always go before it, is `aged`: all that
 *   was in `ahead` at some moment.  One of it is queued as others are every AGED_TURNS turns, until
 *   all were; then it is filled again.  One at a time: each may open a level of its tree.
 *
 * INVARIANTS  (I1) outside of step 2 of a turn the mark is in no list
 *             (I2) of two turns one runs what is in `ready` in the order it came, to the end of
 *                  the turn or of the list
 *             (I3) the k-th in `ahead` when `aged` is filled is in `ready` AGED_TURNS * k turns
 *                  later at the latest, or (I4) came first; to be filled `aged` has to be empty,
 *                  AGED_TURNS turns for each in it, and what joins until then goes before
 *             (I4) what is in `aged` runs when nothing else is there to run
 *             (I5) l->fresh is a link of `ready`, or NULL: nobody is taken off between the two
 *                  moments it is used in
 *
 * REJECTED    A share of each turn for either: turns that end by time have too few runs to share.
 *             The child at once in hob_go: see fiber.c.
 */
#ifndef HOB_SCHED_AHEAD_H
#define HOB_SCHED_AHEAD_H

#include "sched/loop.h"

enum { AGED_TURNS = 4 };

static inline void runq_prepend(struct runq *q, struct runnable *first, struct runnable **tail)
{
    *tail = q->head;
    if (!q->head)
        q->tail = tail;
    q->head = first;
}

/* `ahead` is not empty: its tasks to the head of `ready`. */
static inline void ahead_begin(struct loop *l)
{
    struct runnable **tail = l->ahead.tail;

    runq_prepend(&l->ready, &l->mark, &l->mark.next);
    l->mark.state = RUN_NEW;
    runq_prepend(&l->ready, l->ahead.head, tail);
    runq_init(&l->ahead);
    l->ahead.tail = tail; /* kept for the end; nothing is pushed there meanwhile */
    l->ahead_on = true;
}

static inline void runq_move(struct runq *to, struct runq *from)
{
    if (from->head)
        *to = *from;
    else
        runq_init(to);
    runq_init(from);
}

/* The mark came to the head of `ready`, and is taken off. */
static inline void ahead_over(struct loop *l)
{
    l->ahead_on = false;
    runq_init(&l->ahead);
}

/* `ready` is empty in the middle of a turn: may it go on?  (I4) */
static inline bool ahead_more(struct loop *l)
{
    if (likely(!l->ahead.head)) {
        if (likely(!l->aged.head))
            return false;
        runq_move(&l->ahead, &l->aged);
    }
    ahead_begin(l);
    return true;
}

/* The opener parks in a join: what it started, the end of `ready`, goes first. */
static inline void ahead_join(struct loop *l)
{
    struct runnable **cut = l->fresh, *first = *cut, **tail = l->ready.tail;

    *cut = NULL;
    l->ready.tail = cut;
    l->fresh = NULL;
    if (!l->ahead_on) {
        runq_prepend(&l->ahead, first, tail);
        return;
    }
    if (l->ready.head == &l->mark)
        l->ahead.tail = tail;
    runq_prepend(&l->ready, first, tail);
}

/* Before a turn's fibers.  (I2) */
static inline void ahead_turn(struct loop *l)
{
    if (l->ahead.head && l->n_turns % 2)
        ahead_begin(l);
}

/* The part of `ready` before the mark is `ahead` again. */
static inline void ahead_cut(struct loop *l)
{
    if (l->ready.head == &l->mark) {
        ahead_over(l);
    } else {
        l->ahead.head = l->ready.head;
        *l->ahead.tail = NULL;
        l->ahead_on = false;
    }
    l->ready.head = l->mark.next;
    if (!l->ready.head)
        runq_init(&l->ready);
}

/* After a turn's fibers.  (I1) */
static inline void ahead_end(struct loop *l)
{
    if (l->ahead_on)
        ahead_cut(l);
    if (likely(!l->ahead.head && !l->aged.head) || l->n_turns % AGED_TURNS != 0)
        return;
    if (!l->aged.head)
        runq_move(&l->aged, &l->ahead);
    runq_push(&l->ready, runq_pop(&l->aged)); /* (I3) */
}

#endif
