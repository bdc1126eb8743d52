/* SPDX-License-Identifier: MIT
 *
 * pollset_impl.h - what the files of poll sets share
 */
#ifndef HOB_DIAG_POLLSET_IMPL_H
#define HOB_DIAG_POLLSET_IMPL_H

#include "diag/look_impl.h"

enum {
    SET_FD_MAX = 1 << 20,
    SET_SLOTS = 32, /* peers told apart */
    SET_TAKEN = 32, /* the last ones */
    SET_WHOLE = 64  /* a set of this size is asked in full */
};

struct member {
    uint64_t ino;
    int64_t sent_at; /* hob_now(); 0: not known */
    int fd;
    uint32_t peer;
    uint8_t role;
    uint8_t kind;
    uint8_t awaits;
    bool told;      /* of what happens elsewhere, when it happens */
    bool ready;     /* of another program, and there is something to read, */
    bool ended;     /* or an idle connection's end */
    uint64_t moved; /* changes when the program sends or reads */
    bool seen;
    bool gone; /* closed when it was asked: no member, for all that is known */
};

struct slot {
    uint32_t peer, awaiting;
    uint8_t kind;
};

/* A connection that the program took out of the set, and may not have closed. */
struct taken {
    int fd;
    uint64_t ino;
};

struct pollset {
    int32_t pid;
    uint64_t key; /* the descriptor of an epoll set; else the address of the array */
    struct member *members;
    size_t n, cap;
    uint32_t *by_fd; /* index + 1 into members */
    size_t cap_by_fd;
    size_t event; /* whose turn it is of those that are asked for events, */
    int64_t event_at, event_cost;
    int64_t events_at;     /* when all were */
    size_t cursor, stride; /* whose turn it is; no common divisor with n */
    int64_t read_at, read_cost;
    int every;       /* while the process opens few: the list again after so many times read_cost */
    uint32_t n_open; /* descriptors that the process had then; 0: not known */
    double size;     /* members now, as far as can be told without reading the list again */
    uint32_t n_seen, n_counts, n_awaiting; /* asked; that count; that await an answer (I1) */
    uint32_t n_gone, n_told;               /* (I1) */
    uint32_t n_role[FILE_OTHER + 1], role_peer[FILE_OTHER + 1];
    uint8_t role_kind[FILE_OTHER + 1];
    struct slot slots[SET_SLOTS];
    size_t n_slots;
    struct taken taken[SET_TAKEN];
    size_t n_taken;
    bool estimated;
    uint32_t estimate;
};

/** pollset_of - the set that a call waits for, made when new; NULL: no memory. */
struct pollset *pollset_of(struct looker *l, int32_t pid, const struct call *c);

/** pollset_kept - the copy that pollset_keep made for a process; NULL: there is none.  make: for it
 * to fill. */
struct pollset *pollset_kept(struct looker *l, int32_t pid, bool make);

/* Behind it is another program, or will be. */
static inline bool is_outside(uint8_t role)
{
    return role == FILE_CLIENT || role == FILE_SERVER || role == FILE_LISTENS ||
           role == FILE_DATAGRAM || role == FILE_UNIX_NAMED;
}

static inline uint32_t outside_of(const struct pollset *s)
{
    uint32_t sum = 0;

    for (uint8_t role = 0; role <= FILE_OTHER; role++)
        sum += is_outside(role) ? s->n_role[role] : 0;
    return sum;
}

#endif
