/* SPDX-License-Identifier: MIT
 *
 * threads.c - the threads that live now, by tid, and their processes, by pid
 *
 * HOW         Two hash tables with chains, of the same number of buckets, which doubles with the
 *             threads.  Records name a thread by its tid, one look-up each.
 *
 * INVARIANTS  (I1) proc.n_threads is the number of its threads in the table; a process is in its
 *                  table while that is not 0
 */
#include "diag/threads.h"

#include <errno.h>
#include <stdlib.h>

enum { BUCKETS_FIRST = 256 };

static size_t bucket(const struct threads *ts, int32_t id)
{
    return ((uint32_t)id * 0x9e3779b1u >> 7) & (ts->n_buckets - 1);
}

int threads_init(struct threads *ts)
{
    *ts = (struct threads){.thread = calloc(BUCKETS_FIRST, sizeof(struct thread *)),
                           .proc = calloc(BUCKETS_FIRST, sizeof(struct proc *)),
                           .n_buckets = BUCKETS_FIRST};
    if (ts->thread && ts->proc)
        return 0;
    free(ts->thread);
    free(ts->proc);
    *ts = (struct threads){0};
    return -ENOMEM;
}

void threads_fini(struct threads *ts)
{
    for (size_t i = 0; i < ts->n_buckets; i++)
        while (ts->thread[i])
            threads_remove(ts, ts->thread[i]);
    free(ts->thread);
    free(ts->proc);
    *ts = (struct threads){0};
}

struct thread *threads_find(const struct threads *ts, int32_t tid)
{
    struct thread *t = ts->thread[bucket(ts, tid)];

    while (t && t->tid != tid)
        t = t->next;
    return t;
}

struct proc *threads_proc(const struct threads *ts, int32_t pid)
{
    struct proc *p = ts->proc[bucket(ts, pid)];

    while (p && p->pid != pid)
        p = p->next;
    return p;
}

static void thread_put(struct threads *ts, struct thread *t)
{
    struct thread **at = &ts->thread[bucket(ts, t->tid)];

    t->next = *at;
    *at = t;
}

static void proc_put(struct threads *ts, struct proc *p)
{
    struct proc **at = &ts->proc[bucket(ts, p->pid)];

    p->next = *at;
    *at = p;
}

static void threads_grow(struct threads *ts)
{
    size_t n = 2 * ts->n_buckets;
    struct threads more = {.thread = calloc(n, sizeof(struct thread *)),
                           .proc = calloc(n, sizeof(struct proc *)),
                           .n = ts->n,
                           .n_buckets = n};
    struct thread *t;
    struct proc *p;

    if (!more.thread || !more.proc) { /* longer chains, no harm */
        free(more.thread);
        free(more.proc);
        return;
    }
    for (size_t i = 0; i < ts->n_buckets; i++) {
        while ((t = ts->thread[i])) {
            ts->thread[i] = t->next;
            thread_put(&more, t);
        }
        while ((p = ts->proc[i])) {
            ts->proc[i] = p->next;
            proc_put(&more, p);
        }
    }
    free(ts->thread);
    free(ts->proc);
    *ts = more;
}

struct thread *threads_add(struct threads *ts, int32_t pid, int32_t tid, int64_t at)
{
    struct proc *p = threads_proc(ts, pid), *made = NULL;
    struct thread *t = calloc(1, sizeof *t);

    if (!p)
        p = made = calloc(1, sizeof *p);
    if (!t || !p) {
        free(t);
        free(made);
        return NULL;
    }
    if (ts->n >= ts->n_buckets)
        threads_grow(ts);
    if (made) {
        p->pid = pid;
        proc_put(ts, p);
    }
    *t = (struct thread){.tid = tid, .proc = p, .since = at, .ran_since = at};
    thread_put(ts, t);
    p->n_threads++; /* (I1) */
    ts->n++;
    return t;
}

static void proc_remove(struct threads *ts, struct proc *p)
{
    struct proc **link = &ts->proc[bucket(ts, p->pid)];

    while (*link != p)
        link = &(*link)->next;
    *link = p->next;
    free(p->guesses);
    free(p);
}

void threads_remove(struct threads *ts, struct thread *t)
{
    struct thread **link = &ts->thread[bucket(ts, t->tid)];

    while (*link != t)
        link = &(*link)->next;
    *link = t->next;
    ts->n--;
    if (--t->proc->n_threads == 0) /* (I1) */
        proc_remove(ts, t->proc);
    free(t->guesses);
    free(t->kinds);
    free(t);
}

void threads_each(struct threads *ts, void (*f)(void *arg, struct thread *t, int64_t at), void *arg,
                  int64_t at)
{
    struct thread *next;

    for (size_t i = 0; i < ts->n_buckets; i++)
        for (struct thread *t = ts->thread[i]; t; t = next) {
            next = t->next;
            f(arg, t, at);
        }
}
