/* SPDX-License-Identifier: MIT
 *
 * pollset_events.c - of a poll set whose owner does not wait for it: does anybody wait for that?
 *
 * HOW         Asked often, so little at a time: some connections in turn, each whether there is
 *   something to read, and what has gone by it.  All of it is asked anew (pollset.c) when that was
 *   long ago and there is time for it.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hob/trace.h>

#include "diag/pollset_impl.h"

enum {
    SET_EVENTS = 16,  /* connections asked at once whether they were served, */
    EVENT_SHARE = 100 /* for one part in so many of the time */
};

static const int64_t events_every = 50 * HOB_MS; /* then all is asked anew */

void pollset_keep(struct looker *l, int32_t pid, const struct call *c)
{
    const struct pollset *from = pollset_of(l, pid, c);
    struct pollset *to = pollset_kept(l, pid, true);
    size_t n = from && from->estimated ? from->n : 0;
    struct member *copy = to && n > 0 ? reallocarray(to->members, n, sizeof *copy) : NULL;

    if (!copy)
        return;
    memcpy(copy, from->members, n * sizeof *copy);
    to->members = copy;
    to->n = to->cap = n;
    to->estimated = true;
}

/* Some of the connections, in turn: has anything come to them or gone? */
static void events_ask(struct look_proc *p, struct pollset *s)
{
    int64_t began = look_cpu();

    for (size_t i = 0, asked = 0; i < s->n && asked < SET_EVENTS; i++) {
        struct member *m = &s->members[s->event++ % s->n];
        struct pollfd poll_fd = {.events = POLLIN};

        if (!m->seen || !is_outside(m->role))
            continue;
        poll_fd.fd = file_dup(p, m->fd);
        m->ready = poll_fd.fd >= 0 && poll(&poll_fd, 1, 0) > 0;
        m->ended = m->ready && socket_ended(poll_fd.fd);
        m->ready &= !m->ended;
        m->moved = poll_fd.fd >= 0 ? socket_moved(poll_fd.fd) : 0;
        if (poll_fd.fd >= 0)
            close(poll_fd.fd);
        asked++;
    }
    s->event_cost = look_cpu() - began;
}

/* All of the set, as long ago as that may be. */
static int events_look(struct looker *l, struct look_proc *p, struct pollset *s,
                       const struct call *c)
{
    struct look k = {.timeout = -1};

    pollset_look(l, p, c, &k);
    if (k.stale)
        return -EAGAIN;
    s->events_at = hob_now();
    return 0;
}

/* A loop that never waits is looked at here alone; so it is known to listen, too. */
int pollset_events(struct looker *l, struct look_proc *p, const struct call *c,
                   enum set_waits *ret_waits, uint64_t *moved)
{
    struct pollset *s = c ? pollset_of(l, p->pid, c) : pollset_kept(l, p->pid, false);
    int64_t now = hob_now();
    size_t n_ready = 0, n_ended = 0, n_several = 0, n_asks = 0;
    int r = 0;

    if (!s)
        return c ? -EAGAIN : -ENOENT;
    if (!c || (s->estimated && (now - s->events_at < events_every || !look_allowed(l)))) {
        if (now - s->event_at < EVENT_SHARE * s->event_cost)
            return -EAGAIN;
        events_ask(p, s);
    } else {
        r = events_look(l, p, s, c);
        s->event_cost /= 2; /* it may have been dear by chance: it is tried again */
    }
    if (r < 0)
        return r;
    s->event_at = now;
    for (size_t i = 0; i < s->n; i++) {
        const struct member *m = &s->members[i];
        bool counts =
            !c || c->how != CALL_OTHER || m->role == FILE_SERVER || m->role == FILE_LISTENS;

        n_several += m->seen && counts && is_outside(m->role);
        n_asks += m->seen && m->role == FILE_CLIENT;
        n_ready += counts && m->ready;
        n_ended += counts && m->ended;
        *moved += ((m->ino ^ m->moved * 0x9e3779b97f4a7c15u) | 1) * 0xff51afd7ed558ccdu;
    }
    uint32_t apart = c && c->how == CALL_OTHER ? s->n_role[FILE_LISTENS] : 0;
    /* Connections of clients alone, with nothing in them: nobody waits, whatever the loop told
     * itself. */
    *ret_waits = n_several > 1 + apart && n_ready > 0                           ? SET_WAITS
                 : n_ready + n_ended > 0 || (n_asks > 0 && n_asks == n_several) ? SET_NOBODY
                                                                                : SET_UNKNOWN;
    return 0;
}

/* Of a set: how many have been closed by the other end alone. */
static int left_of(struct look_proc *p, struct pollset *s)
{
    size_t n_taken = s->n_taken < SET_TAKEN ? s->n_taken : SET_TAKEN;
    int n = 0;

    for (size_t i = 0; s->n <= SET_WHOLE && i < s->n; i++)
        if (s->members[i].role == FILE_CLIENT)
            n += socket_left(p, s->members[i].fd, s->members[i].ino);
    for (size_t i = 0; i < n_taken; i++) {
        if (s->taken[i].ino == 0)
            continue;
        if (socket_left(p, s->taken[i].fd, s->taken[i].ino))
            n++;
        else
            s->taken[i].ino = 0;
    }
    return n;
}

/* At the end of its answer a loop takes a connection out, and closes it in its next turn.  The one
 * whose turn it is waits for nobody. */
int pollset_left(struct looker *l, struct look_proc *p)
{
    int64_t began = look_cpu();
    int n_left = 0;

    if (!look_allowed(l))
        return -EAGAIN;
    for (size_t k = 0; k < LOOK_PROCS && n_left < 2; k++)
        if (l->sets[k] && l->sets[k]->pid == p->pid && l->sets[k]->key < SET_FD_MAX)
            n_left += left_of(p, l->sets[k]);
    l->allowance -= look_cpu() - began;
    return n_left > 1;
}
