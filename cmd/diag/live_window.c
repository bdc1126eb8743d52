/* SPDX-License-Identifier: MIT
 *
 * live_window.c - a part of a recording that grows, as a recording of its own
 *
 * HOW         Of each thread's row the first interval that ends after the copy's last one is
 *   found by bisection; from there on all are added.  rec_add cuts what overlaps, so an interval
 *   of which a beginning was copied goes on where that ended, and one that was folded meanwhile
 *   with older ones is cut in two.
 *
 * LIMITS      What the recorder corrects afterwards (the kind of a wait that nobody looked at,
 *   time without a core) is not corrected in what was copied before.
 */
#include "diag/live_window.h"

#include <stdlib.h>
#include <string.h>

void live_window_init(struct live_window *w, const struct recording *from, int64_t since,
                      size_t most)
{
    *w = (struct live_window){.from = from, .since = since};
    rec_init(&w->rec);
    w->rec.max_ivals = most;
    w->rec.root = from->root;
    w->rec.attached = from->attached || since > 0; /* then there is no start-up in it */
}

void live_window_free(struct live_window *w)
{
    rec_free(&w->rec);
    free(w->procs.to);
    free(w->threads.to);
    free(w->peers.to);
    *w = (struct live_window){0};
}

/* --- what is called what in the copy ---------------------------------------------------------- */

/* Where the copy's index of entry i stands; NULL: no memory. */
static uint32_t *map_at(struct live_window *w, struct live_map *m, uint32_t i)
{
    if (i >= m->cap) {
        size_t cap = m->cap ? m->cap : 64;

        while (cap <= i)
            cap *= 2;
        uint32_t *to = reallocarray(m->to, cap, sizeof *to);
        if (!to) {
            w->rec.failed = true;
            return NULL;
        }
        memset(to + m->cap, 0, (cap - m->cap) * sizeof *to);
        *m = (struct live_map){to, cap};
    }
    return &m->to[i];
}

static void text_follow(struct live_window *w, char **to, const char *from)
{
    if (strcmp(*to, from) != 0)
        rec_set_text(&w->rec, to, from);
}

static uint32_t proc_of(struct live_window *w, uint32_t i)
{
    const struct rec_proc *from = &w->from->procs[i];
    uint32_t *at = map_at(w, &w->procs, i);

    if (!at)
        return 0;
    if (!*at)
        *at = rec_proc_of(&w->rec, from->pid) + 1;
    if (*at > w->rec.n_procs) /* no memory for it */
        return 0;
    struct rec_proc *to = &w->rec.procs[*at - 1];
    to->parent = from->parent;
    to->born = from->born - w->since;
    to->died = from->died == INT64_MAX ? INT64_MAX : from->died - w->since;
    to->opaque = from->opaque;
    to->listens = from->listens;
    text_follow(w, &to->exe, from->exe);
    text_follow(w, &to->command, from->command);
    return *at - 1;
}

static uint32_t thread_of(struct live_window *w, uint32_t i)
{
    const struct rec_thread *from = &w->from->threads[i];
    uint32_t *at = map_at(w, &w->threads, i), proc = proc_of(w, from->proc);

    if (!at || proc >= w->rec.n_procs)
        return UINT32_MAX;
    if (!*at)
        *at = rec_thread_new(&w->rec, w->rec.procs[proc].pid, from->tid) + 1;
    if (*at > w->rec.n_threads)
        return UINT32_MAX;
    struct rec_thread *to = &w->rec.threads[*at - 1];
    memcpy(to->name, from->name, sizeof to->name);
    to->born = from->born - w->since;
    to->died = from->died == INT64_MAX ? INT64_MAX : from->died - w->since;
    to->is_task = from->is_task;
    return *at - 1;
}

static uint32_t peer_of(struct live_window *w, uint32_t i)
{
    const struct rec_peer *from = i < w->from->n_peers ? &w->from->peers[i] : NULL;
    uint32_t *at = from && i ? map_at(w, &w->peers, i) : NULL;

    if (!at)
        return 0;
    if (!*at) {
        *at = rec_peer_of(&w->rec, (enum rec_kind)from->kind, from->name) + 1;
        w->rec.peers[*at - 1].pid = from->pid;
    }
    return *at - 1;
}

/* --- what is copied --------------------------------------------------------------------------- */

static void ival_take(struct live_window *w, uint32_t to, const struct rec_ival *iv)
{
    const struct rec_thread *t = &w->rec.threads[to];
    int64_t last = t->n_ivals ? t->ivals[t->n_ivals - 1].to : 0;
    struct rec_ival v = *iv;

    v.from -= w->since;
    v.to -= w->since;
    if (v.from < last) /* of the one that lies across the beginning: what is inside */
        v.from = last;
    if (v.from >= v.to)
        return;
    v.peer = peer_of(w, v.peer);
    double part = v.flags & REC_IVAL_FOLDED ? v.run_ppm * 1e-6 : v.state == REC_RUN;
    w->run += (int64_t)((double)(v.to - v.from) * part);
    rec_add(&w->rec, to, &v);
}

/* The first interval of a row that ends after `at`. */
static size_t row_after(const struct rec_thread *t, int64_t at)
{
    size_t low = 0, high = t->n_ivals;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (t->ivals[mid].to > at)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

/* Until when thread i has been copied, in the recording's time. */
static int64_t copied_to(const struct live_window *w, uint32_t i)
{
    uint32_t to = i < w->threads.cap ? w->threads.to[i] : 0;

    if (!to || w->rec.threads[to - 1].n_ivals == 0)
        return w->since;
    const struct rec_thread *t = &w->rec.threads[to - 1];
    return t->ivals[t->n_ivals - 1].to + w->since;
}

static void row_take(struct live_window *w, uint32_t i)
{
    const struct rec_thread *t = &w->from->threads[i];
    int64_t done = copied_to(w, i);

    if (t->n_ivals == 0 || t->ivals[t->n_ivals - 1].to <= done)
        return;
    uint32_t to = thread_of(w, i);
    for (size_t k = row_after(t, done); to < w->rec.n_threads && k < t->n_ivals; k++)
        ival_take(w, to, &t->ivals[k]);
}

static void open_take(void *arg, uint32_t thread, const struct rec_ival *iv)
{
    struct live_window *w = arg;
    uint32_t to = thread < w->from->n_threads ? thread_of(w, thread) : UINT32_MAX;

    if (to < w->rec.n_threads)
        ival_take(w, to, iv);
}

static void looks_take(struct live_window *w)
{
    size_t n = w->from->n_looks, i = w->n_looks;

    if (i == 0)
        for (i = n; i > 0 && w->from->looks[i - 1].at >= w->since; i--)
            ;
    for (; i < n; i++) {
        struct rec_look look = w->from->looks[i];
        uint32_t to = look.thread < w->threads.cap ? w->threads.to[look.thread] : 0;

        look.at -= w->since;
        look.thread = to - 1;
        if (to)
            rec_add_look(&w->rec, &look);
    }
    w->n_looks = n;
}

static void counts_take(struct live_window *w)
{
    size_t n = w->from->n_counts, i = w->n_counts;

    if (i == 0)
        for (i = n; i > 0 && w->from->counts[i - 1].at >= w->since; i--)
            ;
    for (; i < n; i++) {
        struct rec_count count = w->from->counts[i];
        uint32_t to = count.thread < w->threads.cap ? w->threads.to[count.thread] : 0;

        count.at -= w->since;
        count.thread = to - 1;
        if (to)
            rec_add_count(&w->rec, &count);
    }
    w->n_counts = n;
}

void live_window_take(struct live_window *w, const struct rec_source *source, void *state,
                      int64_t now)
{
    const struct recording *from = w->from;

    for (uint32_t i = 0; i < from->n_threads; i++)
        row_take(w, i);
    if (source)
        source->open(state, now, open_take, w);
    looks_take(w);
    counts_take(w);
    w->rec.tier = from->tier;
    w->rec.n_cpus = from->n_cpus;
    w->rec.tick = from->tick;
    w->rec.wall = now - w->since;
    w->rec.grain = from->grain > w->rec.grain ? from->grain : w->rec.grain;
}

static size_t ivals_since(const struct recording *from, int64_t since)
{
    size_t n = 0;

    for (size_t i = 0; i < from->n_threads; i++) {
        const struct rec_thread *t = &from->threads[i];

        if (t->n_ivals && t->ivals[t->n_ivals - 1].to > since)
            n += t->n_ivals - row_after(t, since);
    }
    return n;
}

int64_t live_window_since(const struct recording *from, int64_t since, int64_t now, size_t most)
{
    while (now - since > HOB_MS && ivals_since(from, since) > most)
        since = now - (now - since) / 2;
    return since;
}
