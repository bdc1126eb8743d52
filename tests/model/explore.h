/* SPDX-License-Identifier: MIT
 *
 * explore.h - runs lock-free code through its interleavings, one after another
 *
 * WHAT    Included before the sources under test, by them or by the compiler (-include).  It
 *         replaces the atomic operations, the futex and the mutex by ones that let a scheduler
 *         decide, before each of them, which of a few virtual threads goes on.  The scheduler tries
 * every decision with at most `preemptions` switches away from a thread that could have gone on (a
 * thread that blocks or ends is free); most bugs of such code need two.
 *
 * LIMITS  Sequential consistency: an operation of weaker order is explored as if it were strong.
 *         What the orders allow beyond that, ThreadSanitizer and the ORDER sections answer for.
 *         A futex wake picks the lowest thread; there are no spurious wakes.
 *
 * A run fails by explore_fail, by an abort of the code under test, by a deadlock (nobody can go
 * on, and somebody has not ended), or by taking too many steps.  The decisions are printed.
 */
#ifndef EXPLORE_H
#define EXPLORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define EXPLORE_THREADS 4

/* Each scheduling point. */
void explore_step(void);
/* The calling virtual thread goes on once ready(arg); ready must not itself be a step. */
void explore_wait(bool (*ready)(void *arg), void *arg);
__attribute__((noreturn, format(printf, 1, 2))) void explore_fail(const char *format, ...);

struct explore_case {
    const char *name;
    void (*reset)(void);                   /* before each run */
    void (*thread[EXPLORE_THREADS])(void); /* NULL: fewer */
    void (*check)(void);                   /* after each run */
    unsigned preemptions;
    void (*switched)(unsigned from, unsigned to); /* from virtual thread to another; or NULL */
    bool (*over)(long long until);                /* whether a futex's time is over; NULL: never */
};

/* Tries every schedule; returns how many there were. */
unsigned long explore(const struct explore_case *c);

/* The virtual thread that runs, 0 and up. */
unsigned explore_self(void);

void explore_futex_wait(atomic_uint *word, unsigned seen);
void explore_futex_wait_until(atomic_uint *word, unsigned seen, long long until);
void explore_futex_wake(atomic_uint *word, int n_max);
/* A spin: nothing is gained by going on before another thread has. */
int explore_relax(void);
/* Whether it was set, and then only once it is not: nobody spins here. */
bool explore_flag_set(volatile void *flag);
int explore_mutex(pthread_mutex_t *m, bool take);

#ifndef EXPLORE_ITSELF /* the explorer's own atomics, if any, are real */

#define HOB_PLAT_FUTEX_H        /* not the real one */
#define futex_wait              explore_futex_wait
#define futex_wait_until        explore_futex_wait_until
#define futex_wake              explore_futex_wake
#define sched_yield()           explore_relax()
#define pthread_mutex_lock(m)   explore_mutex(m, true)
#define pthread_mutex_unlock(m) explore_mutex(m, false)

#undef atomic_load
#undef atomic_load_explicit
#undef atomic_store
#undef atomic_store_explicit
#undef atomic_exchange
#undef atomic_exchange_explicit
#undef atomic_fetch_add
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_or
#undef atomic_fetch_and
#undef atomic_flag_test_and_set_explicit
#undef atomic_flag_clear_explicit
#undef atomic_compare_exchange_weak
#undef atomic_compare_exchange_weak_explicit
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_strong_explicit

#define explore_type(p) __typeof__((void)0, *(p))

#define atomic_load(p)              (explore_step(), *(p))
#define atomic_load_explicit(p, mo) atomic_load(p)
#define atomic_store(p, v)                                                                         \
    ({                                                                                             \
        explore_type(p) explore_v = (v);                                                           \
        explore_step();                                                                            \
        *(p) = explore_v;                                                                          \
    })
#define atomic_store_explicit(p, v, mo) atomic_store(p, v)
#define explore_update(p, expression)                                                              \
    ({                                                                                             \
        explore_step();                                                                            \
        explore_type(p) explore_old = *(p);                                                        \
        *(p) = (expression);                                                                       \
        explore_old;                                                                               \
    })
#define atomic_exchange(p, v)                    explore_update(p, v)
#define atomic_exchange_explicit(p, v, mo)       explore_update(p, v)
#define atomic_fetch_add(p, v)                   explore_update(p, explore_old + (v))
#define atomic_fetch_add_explicit(p, v, mo)      atomic_fetch_add(p, v)
#define atomic_fetch_sub(p, v)                   explore_update(p, explore_old - (v))
#define atomic_fetch_sub_explicit(p, v, mo)      atomic_fetch_sub(p, v)
#define atomic_fetch_or(p, v)                    explore_update(p, explore_old | (v))
#define atomic_fetch_and(p, v)                   explore_update(p, explore_old &(v))
#define atomic_flag_test_and_set_explicit(p, mo) explore_flag_set(p)
#define atomic_flag_clear_explicit(p, mo)                                                          \
    (explore_step(), (void)(*(volatile unsigned char *)(p) = 0))
#define atomic_compare_exchange_strong(p, seen, v)                                                 \
    ({                                                                                             \
        explore_step();                                                                            \
        explore_type(p) explore_now = *(p);                                                        \
        bool explore_same = explore_now == *(seen);                                                \
        if (explore_same)                                                                          \
            *(p) = (v);                                                                            \
        else                                                                                       \
            *(seen) = explore_now;                                                                 \
        explore_same;                                                                              \
    })
#define atomic_compare_exchange_weak(p, seen, v) atomic_compare_exchange_strong(p, seen, v)
#define atomic_compare_exchange_weak_explicit(p, seen, v, yes, no)                                 \
    atomic_compare_exchange_strong(p, seen, v)
#define atomic_compare_exchange_strong_explicit(p, seen, v, yes, no)                               \
    atomic_compare_exchange_strong(p, seen, v)

#endif
#endif
