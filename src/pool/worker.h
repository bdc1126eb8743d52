/* SPDX-License-Identifier: MIT
 *
 * worker.h - seats, the jobs on them, and the state of the pool: for the files of src/pool/ only
 */
#ifndef HOB_POOL_WORKER_H
#define HOB_POOL_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pool/deque.h"
#include "pool/idle.h"
#include "pool/inject.h"

enum { POOL_WORKERS_MAX = 256, POOL_GUESTS_MAX = 64 };
enum { POOL_SEATS_MAX = POOL_WORKERS_MAX + POOL_GUESTS_MAX };

/* What one wake of a sleeping thread costs: who waits spins about that long before it sleeps. */
#define POOL_SPIN (50 * HOB_US)

struct seat;

/* A piece of work that its maker waits for.  It lies in the maker's frame. */
struct job {
    void (*run)(struct job *j, struct seat *me);
    struct seat *owner;           /* who pushed it and waits for it; fixed before the push */
    _Atomic(struct seat *) thief; /* who took it; NULL while nobody did */
    atomic_uint state;            /* enum job_state */
};

enum job_state {
    JOB_OPEN,
    JOB_PARKED, /* its owner sleeps, or is about to, until somebody moves it on */
    JOB_DONE,   /* the job's memory is its owner's again */
};

/* Who may hold jobs that others steal: a worker, or a guest thread while it is in hob_for. */
struct seat {
    struct deque deque;
    _Alignas(64) atomic_uint permit; /* futex: 1 when the owner of a PARKED job was moved on */
    atomic_bool taken;               /* a guest's seat: in use */
    atomic_int tid;                  /* a worker's; 0: not running yet */
    pthread_t thread;                /* a worker's */
    struct job *serving; /* own thread: the stolen job it runs, the innermost; or NULL */
    uint32_t dice;       /* own thread: where the next search for work starts */
    _Atomic uint64_t jobs, pieces, sleeps, busy_ns; /* written by the own thread only */
};

struct pool {
    struct idle idle;
    struct inject inject;
    _Alignas(64) atomic_uint n_joiners; /* threads waiting for a stolen job: hungry as well */
    atomic_uint n_workers;              /* whose seats count; 0: not started */
    atomic_bool running;                /* there is at least one worker */
    atomic_uint n_guest_seats;          /* guests' seats in use are below this */
    atomic_bool stopping;
    atomic_bool trace;
    atomic_int nice; /* POOL_NICE_UNSET: whatever the starting thread has */
    _Atomic uint64_t n_wakes;
    pthread_mutex_t lock;              /* start and stop */
    struct seat seats[POOL_SEATS_MAX]; /* workers from 0, guests from POOL_WORKERS_MAX */
};

enum { POOL_NICE_UNSET = 1000 };

extern struct pool hob__pool;

/* The calling thread's seat, or NULL; and how many jobs it is inside of. */
extern __thread struct seat *hob__seat __attribute__((tls_model("initial-exec")));
extern __thread unsigned hob__job_depth __attribute__((tls_model("initial-exec")));

/* What a worker thread does, from its birth to the pool's stop. */
void hob__worker_main(struct seat *me);

/* A guest's seat, or NULL when all are taken; and back. */
struct seat *hob__seat_take(void);
void hob__seat_give(struct seat *s);

/*
 * Offers j to whoever is hungry.  False: there is no room; nothing was done.  Jobs are joined in
 * the reverse order of their pushes, by the thread that pushed them.
 */
bool hob__job_push(struct seat *me, struct job *j);

/* True: nobody took j, and the caller runs it itself.  False: somebody did, and it is done. */
bool hob__job_join(struct seat *me, struct job *j);

/* How many threads look for work; *ret_awake: whether one of them is awake. */
unsigned hob__pool_hungry(bool *ret_awake);

/* Wakes a worker if that is needed for work just published to be found. */
void hob__pool_notify(void);

#endif
