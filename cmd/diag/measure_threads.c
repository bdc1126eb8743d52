/* SPDX-License-Identifier: MIT
 *
 * measure_threads.c - threads and processes one by one: who computes, who waits, in what language
 *
 * HOW         A process's weight is its time on CPU and in waits for I/O.  The heaviest one gives
 *   the language: neither the shell that started it nor the shim before it.  Where a shell runs
 *   many small programs none of them weighs much, and the shell's script is what can be changed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "diag/measure_impl.h"

/* Of the one that waits most; whoever waits less does not take part in the I/O. */
static const double io_part = .15;
/* Of all weight; below it no single program is the one to change. */
static const double heavy_part = .4;

/* Of a thread that lived shorter a sample or two say little about when it had a core. */
static const int64_t lived_min = 50 * HOB_MS;

struct thread_sums {
    double cpu, io, ready;
};

struct proc_id {
    int32_t pid;
    uint32_t index;
};

static struct thread_sums thread_sums(const struct measure_frame *f, const struct rec_thread *t,
                                      struct measures *m)
{
    struct thread_sums sums = {0};

    for (size_t k = 0; k < t->n_ivals; k++) {
        const struct rec_ival *iv = &t->ivals[k];
        struct measure_parts p = measure_parts_of(iv);
        double d = measure_s(iv->to - iv->from);

        if (!t->is_task)
            sums.cpu += p.run * d;
        if (p.wait > 0 && !(iv->flags & REC_IVAL_COPY) && measure_is_io(f, iv))
            sums.io += p.wait * d;
        m->has_loop |= (iv->flags & REC_IVAL_SET) != 0;
        sums.ready += p.ready * d;
    }
    int64_t lived = t->n_ivals > 0 ? t->ivals[t->n_ivals - 1].to - t->ivals[0].from : 0;
    if (lived >= lived_min)
        m->ready_known += sums.ready;
    return sums;
}

static int by_pid(const void *a, const void *b)
{
    const struct proc_id *x = a, *y = b;

    return x->pid != y->pid ? (x->pid < y->pid ? -1 : 1)
                            : (x->index > y->index) - (x->index < y->index);
}

static int proc_parents(const struct recording *r, struct measure_proc *procs)
{
    struct proc_id *ids = calloc(r->n_procs + 1, sizeof(*ids));

    if (!ids)
        return -ENOMEM;
    for (size_t i = 0; i < r->n_procs; i++)
        ids[i] = (struct proc_id){r->procs[i].pid, (uint32_t)i};
    qsort(ids, r->n_procs, sizeof(*ids), by_pid);
    for (size_t i = 0; i < r->n_procs; i++) {
        struct proc_id key = {r->procs[i].parent, 0};
        size_t low = 0, high = r->n_procs;

        while (low < high) {
            size_t mid = (low + high) / 2;
            if (by_pid(&ids[mid], &key) < 0)
                low = mid + 1;
            else
                high = mid;
        }
        /* The kernel reuses pids: the last one before it.  A parent stands before its child. */
        procs[i].parent = -1;
        for (; key.pid > 0 && low < r->n_procs && ids[low].pid == key.pid; low++)
            if (ids[low].index < i)
                procs[i].parent = ids[low].index;
    }
    free(ids);
    return 0;
}

/* The program's path, or that of the process it was forked from. */
static const char *exe_of(const struct recording *r, const struct measure_proc *procs, size_t i)
{
    while (!(r->procs[i].exe && *r->procs[i].exe) && procs[i].parent >= 0)
        i = (size_t)procs[i].parent;
    return r->procs[i].exe ? r->procs[i].exe : "";
}

static enum language language_of(const struct recording *r, const struct measure_proc *procs,
                                 size_t i)
{
    struct rec_proc p = r->procs[i];

    p.exe = (char *)exe_of(r, procs, i);
    return lang_of(&p);
}

/* Workers that their own program made by fork: started by a shell they would be another program. */
static bool is_forked(const struct recording *r, const struct measure_proc *procs, size_t i)
{
    const char *exe = exe_of(r, procs, i);

    return procs[i].parent >= 0 && *exe &&
           strcmp(exe, exe_of(r, procs, (size_t)procs[i].parent)) == 0;
}

static void io_workers(const struct recording *r, const struct measure_proc *procs,
                       const double *thread_io, struct measures *m)
{
    double most_proc = 0, most_thread = 0;
    uint32_t n_forked = 0;

    for (size_t i = 0; i < r->n_procs; i++)
        most_proc = procs[i].io > most_proc ? procs[i].io : most_proc;
    for (size_t i = 0; i < r->n_threads; i++)
        most_thread = thread_io[i] > most_thread ? thread_io[i] : most_thread;
    for (size_t i = 0; i < r->n_procs; i++)
        if (procs[i].io > 0 && procs[i].io >= io_part * most_proc) {
            m->io_procs++;
            n_forked += is_forked(r, procs, i);
        }
    for (size_t i = 0; i < r->n_threads; i++)
        m->io_threads += thread_io[i] > 0 && thread_io[i] >= io_part * most_thread;
    m->forked = n_forked >= 2 && m->language != LANG_SHELL;
}

/* Where packages install: whoever runs a program from there has not its source at hand. */
static bool is_installed(const char *exe)
{
    static const char *const where[] = {"/usr/", "/bin/", "/sbin/", "/opt/", "/snap/", "/lib/"};

    for (size_t i = 0; i < sizeof where / sizeof *where; i++)
        if (strncmp(exe, where[i], strlen(where[i])) == 0)
            return true;
    return false;
}

static void language_find(const struct recording *r, const struct measure_proc *procs,
                          struct measures *m)
{
    double total = 0, most = -1;

    for (size_t i = 0; i < r->n_procs; i++) {
        double weight = procs[i].cpu + procs[i].io;

        total += weight;
        if (weight > most) {
            most = weight;
            m->worst = (uint32_t)i;
        }
    }
    if (r->n_procs == 0)
        return;
    m->language = language_of(r, procs, m->worst);
    m->installed = is_installed(exe_of(r, procs, m->worst));
    for (int64_t i = m->worst; i >= 0 && !m->script; i = procs[i].parent)
        m->script = language_of(r, procs, (size_t)i) == LANG_SHELL;
    /* Copies of one program count together. */
    double same = 0;
    const char *exe = exe_of(r, procs, m->worst);
    for (size_t i = 0; i < r->n_procs && is_forked(r, procs, m->worst); i++)
        if (strcmp(exe, exe_of(r, procs, i)) == 0)
            same += procs[i].cpu + procs[i].io;
    if (m->script && most < heavy_part * total && same < heavy_part * total)
        m->language = LANG_SHELL;
}

int measure_threads(const struct measure_frame *f, struct measures *m)
{
    const struct recording *r = f->rec;
    struct measure_proc *procs = calloc(r->n_procs + 1, sizeof(*procs));
    double *cpu = calloc(r->n_threads + 1, sizeof(*cpu));
    double *io = calloc(r->n_threads + 1, sizeof(*io));
    int err = -ENOMEM;
    uint32_t busiest = 0;

    if (!procs || !cpu || !io)
        goto out;
    for (size_t i = 0; i < r->n_threads; i++) {
        struct thread_sums sums = thread_sums(f, &r->threads[i], m);

        /* what stands for all that was too short to see is no thread */
        m->n_threads += !r->threads[i].is_task && r->threads[i].tid > 0;
        cpu[i] = sums.cpu;
        io[i] = sums.io;
        procs[r->threads[i].proc].cpu += sums.cpu;
        procs[r->threads[i].proc].io += sums.io;
    }
    m->n_procs = (uint32_t)r->n_procs;
    for (size_t i = 0; i < r->n_procs; i++) {
        m->server |= r->procs[i].listens;
        if (procs[i].cpu > procs[busiest].cpu)
            busiest = (uint32_t)i;
    }
    err = proc_parents(r, procs);
    if (err < 0)
        goto out;
    language_find(r, procs, m);
    io_workers(r, procs, io, m);
    err = measure_rivals(f, busiest, cpu, &m->rivals);
    if (err == 0 && (m->rivals.n < 2 || m->rivals.contended <= 0))
        err = measure_sharers(f, procs, &m->rivals);
out:
    free(procs);
    free(cpu);
    free(io);
    return err;
}
