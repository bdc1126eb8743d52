/* SPDX-License-Identifier: MIT
 *
 * measure.c - a recording in numbers: the parts put together
 *
 * HOW         In flight first, because it finds the start-up; then two sweeps, over everything and
 *   without the start-up; then threads one by one.
 *
 *   Start-up is cut off because it is neither kind of work: an interpreter that reads its library
 *   computes and reads files whatever the program does.  Where nothing is waited for there is
 *   nothing to tell it by, so it stays.  It is over when events wait for a loop.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "diag/measure_impl.h"

static bool in_tree(const struct recording *r, int32_t pid)
{
    for (size_t i = 0; i < r->n_procs; i++)
        if (r->procs[i].pid == pid)
            return true;
    return false;
}

static int frame_open(struct measure_frame *f, const struct recording *r)
{
    *f = (struct measure_frame){.rec = r};
    f->outside = calloc(r->n_peers + 1, sizeof(*f->outside));
    if (!f->outside)
        return -ENOMEM;
    for (size_t i = 0; i < r->n_peers; i++)
        f->outside[i] =
            r->peers[i].kind == REC_IPC && r->peers[i].pid > 0 && !in_tree(r, r->peers[i].pid);
    for (size_t i = 0; i < r->n_threads; i++) {
        const struct rec_thread *t = &r->threads[i];
        if (t->n_ivals > 0 && t->ivals[t->n_ivals - 1].to > f->end)
            f->end = t->ivals[t->n_ivals - 1].to;
    }
    return measure_handed(f);
}

/*
 * Switch records say when a thread had its core, not when the core had a hypervisor's.  A disk of a
 * virtual machine is the host at work: a read there may never switch, and looks like computing.
 */
static double taken_of(const struct measures *m)
{
    const struct recording *r = m->rec;
    double counted = (double)(r->user + r->system) * 1e-9;
    const double least = .05, most = .95;

    if (r->tier == REC_T2 || r->attached || r->user < 0 || r->system < 0 || m->all.cpu <= 0)
        return 0;
    double taken = 1 - counted / m->all.cpu;
    return taken < least ? 0 : taken < most ? taken : most;
}

static void sums(struct measures *m)
{
    const struct recording *r = m->rec;
    const struct measure_span *s = &m->main;
    double busy = s->run * s->wall, wanted = busy + s->no_core * s->wall;

    m->user = r->user >= 0 && r->system >= 0 && r->user + r->system > 0
                  ? (double)r->user / (double)(r->user + r->system)
                  : 1;
    m->taken = taken_of(m);
    m->startup_cpu = m->all.cpu - s->cpu;
    m->cores = busy > 0 ? s->cpu / busy : 0;
    double ready = r->tier == REC_T2 ? fmin(s->ready, m->ready_known) : s->ready;
    m->demand = wanted > 0 ? (s->cpu + ready) / wanted : 0;
    m->press = s->wall > 0 ? (s->cpu + s->ready) / s->wall : 0;
    m->foreign = r->foreign;
}

int measure_take(const struct recording *r, struct measures *ret)
{
    struct measures m = {.rec = r};
    struct measure_span ending = {0};
    struct measure_frame f;
    double waited = INFINITY;
    int err = frame_open(&f, r);

    if (err == 0)
        err = measure_flight(&f, &m);
    if (err == 0)
        err = measure_events_waited(&f, &waited);
    m.startup = fmin(m.startup, waited);
    if (err == 0)
        err = measure_sweep(&f, 0, f.end, &m.all, &m);
    if (err == 0)
        err = measure_sweep(&f, (int64_t)(m.startup * 1e9), f.end, &m.main, NULL);
    if (err == 0 && m.ending > 0)
        err = measure_sweep(&f, f.end - (int64_t)(m.ending * 1e9), f.end, &ending, NULL);
    m.ending_cpu = ending.cpu;
    m.ending_idle = fmax(0, m.ending * (1 - ending.run - ending.no_core));
    if (err == 0)
        err = measure_threads(&f, &m);
    if (err == 0)
        err = measure_holders(&f, &m.holders);
    if (err == 0)
        err = measure_looks(&f, &m);
    if (err == 0) {
        m.told = measure_told(r);
        sums(&m);
        *ret = m;
    }
    free(f.outside);
    free(f.handed);
    return err;
}
