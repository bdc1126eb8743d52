/* SPDX-License-Identifier: MIT
 *
 * picture.c - a recording, ready to be drawn: which lanes, their names, and the curves
 *
 * HOW         One pass over all intervals scores the threads and sums the curves up; then only the
 *             threads that are shown, and the cores, are filled in.  A thread's score is its time
 *             on CPU, a part of its time in I/O, and a trifle of any other that says something, so
 *             that of idle threads none takes the place of one that did work.
 *
 *   A program that uses hob has threads and tasks, and a task runs on some thread's time: at most
 *   half of the lanes are threads then.
 *
 * REJECTED    All threads of one name in one lane: which of them did the work is what one wants to
 *   see.
 */
#include "diag/picture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <hob/trace.h>

enum { CELLS = 1000, CELLS_MAX = 20000, CORES = 16, LANES = 24 };

static const double io_weight = .2, other_weight = .01, idle_weight = .0001;

static double score_of(const struct picture_stretch *s)
{
    double score = s->share[LOOK_CPU], length = (double)(s->to - s->from);

    score += io_weight * (s->share[LOOK_NET] + s->share[LOOK_DISK]);
    score += other_weight * (s->share[LOOK_READY] + s->share[LOOK_PIPE] + s->share[LOOK_LOCK] +
                             s->share[LOOK_SLEEP] + s->share[LOOK_CHILD]);
    return (score + idle_weight) * length;
}

/* The part of an interval that is in the picture; false: none is. */
static bool stretch_clip(const struct picture *p, const struct rec_ival *iv,
                         struct picture_stretch *s)
{
    picture_stretch_of(iv, s);
    s->from = s->from > p->from ? s->from : p->from;
    s->to = s->to < p->to ? s->to : p->to;
    return s->to > s->from;
}

struct scored {
    double score;
    uint32_t thread;
};

/* A loop that handles an answer still has the others in flight: while it is not waiting on its
 * set, the set counts as it last did. */
double picture_in_flight(const struct rec_ival *iv, double *set)
{
    bool io = rec_kind_class(iv->kind) == HOB_CLASS_IO && iv->kind != REC_FAULT;

    if (iv->state == REC_WAIT || iv->flags & REC_IVAL_FOLDED) {
        if (iv->flags & REC_IVAL_SET) {
            *set = iv->in_flight;
            return *set;
        }
        if (iv->flags & REC_IVAL_COPY)
            return *set;
        return *set + (io ? iv->in_flight ? iv->in_flight : 1 : 0);
    }
    return *set;
}

static void curves_add(struct picture *p, const struct rec_thread *th, double *score)
{
    struct picture_stretch s;
    double set = 0, n;

    for (size_t i = 0; i < th->n_ivals; i++) {
        n = picture_in_flight(&th->ivals[i], &set);
        if (!stretch_clip(p, &th->ivals[i], &s))
            continue;
        *score += score_of(&s);
        if (n > 0) {
            picture_spread(p, p->in_flight, 1, s.from, s.to, n);
            p->in_flight_mean += n * (double)(s.to - s.from);
        }
        if (s.share[LOOK_CPU] > 0 && !th->is_task) {
            picture_spread(p, p->cores, 1, s.from, s.to, s.share[LOOK_CPU]);
            p->cores_mean += s.share[LOOK_CPU] * (double)(s.to - s.from);
        }
    }
}

static int scored_order(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;

    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->thread > y->thread) - (x->thread < y->thread);
}

static int thread_order(const void *a, const void *b, void *arg)
{
    const struct recording *rec = arg;
    const struct rec_thread *x = &rec->threads[((const struct scored *)a)->thread];
    const struct rec_thread *y = &rec->threads[((const struct scored *)b)->thread];

    if (x->proc != y->proc)
        return x->proc < y->proc ? -1 : 1;
    if (x->born != y->born)
        return x->born < y->born ? -1 : 1;
    return (x > y) - (x < y);
}

/* The last part of a path. */
static const char *base_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;

    return slash ? slash + 1 : path ? path : "";
}

const char *picture_name(const struct recording *rec, uint32_t thread)
{
    const struct rec_thread *th = &rec->threads[thread];
    const struct rec_proc *proc = &rec->procs[th->proc];
    const char *name = th->name;

    if (!name[0] || (!th->is_task && th->tid == proc->pid && base_name(proc->exe)[0]))
        name = base_name(proc->exe);
    return name[0] ? name : th->is_task ? "task" : "thread";
}

/* Lanes of one name are told apart by a number. */
static void lane_name(struct picture *p, struct picture_lane *lane)
{
    const char *name = picture_name(p->rec, lane->index);
    uint32_t before = 0;
    size_t n;

    n = strnlen(name, sizeof lane->name - 8);
    while (n > 0 && ((unsigned char)name[n] & 0xc0) == 0x80)
        n--; /* not within a character */
    memcpy(lane->name, name, n);
    for (struct picture_lane *l = p->lanes; l < lane; l++)
        if (l->type == lane->type && strncmp(l->name, name, n) == 0 &&
            (l->name[n] == '\0' || l->name[n] == ' '))
            before++;
    if (before)
        snprintf(lane->name + n, sizeof lane->name - n, " %u", before + 1);
}

static int lane_thread(struct picture *p, uint32_t thread)
{
    const struct rec_thread *th = &p->rec->threads[thread];
    struct picture_lane *lane = &p->lanes[p->n_lanes];
    struct picture_stretch *all = calloc(th->n_ivals + 1, sizeof *all);
    size_t n = 0;
    int r;

    if (!all)
        return -ENOMEM;
    *lane = (struct picture_lane){.type = th->is_task ? LANE_TASK : LANE_THREAD, .index = thread};
    lane_name(p, lane);
    p->n_lanes++;
    for (size_t i = 0; i < th->n_ivals; i++)
        n += stretch_clip(p, &th->ivals[i], &all[n]);
    r = picture_lane_fill(p, lane, all, n);
    free(all);
    return r;
}

/* The best of `all`, in their own order; the others are counted. */
static int lanes_threads(struct picture *p, struct scored *all, size_t n, uint32_t most,
                         uint32_t *more)
{
    size_t take = n < most ? n : most;
    int r = 0;

    if (n)
        qsort(all, n, sizeof *all, scored_order);
    if (take)
        qsort_r(all, take, sizeof *all, thread_order, (void *)p->rec);
    for (size_t i = 0; i < take && r == 0; i++)
        r = lane_thread(p, all[i].thread);
    *more = (uint32_t)(n - take);
    return r;
}

static int turn_order(const void *a, const void *b)
{
    const struct picture_turn *x = a, *y = b;

    if (x->core != y->core)
        return x->core < y->core ? -1 : 1;
    return (x->from > y->from) - (x->from < y->from);
}

/* Into turns; NULL: only counts them. */
static size_t turns_of(const struct recording *rec, struct picture_turn *turns)
{
    size_t n = 0;

    for (uint32_t t = 0; t < rec->n_threads; t++) {
        const struct rec_thread *th = &rec->threads[t];

        for (size_t i = 0; i < th->n_ivals && !th->is_task; i++) {
            const struct rec_ival *iv = &th->ivals[i];
            bool folded = iv->flags & REC_IVAL_FOLDED;
            float share = folded ? (float)(iv->run_ppm / 1e6) : iv->state == REC_RUN;

            if (iv->core == REC_NO_CORE || share <= 0)
                continue;
            if (turns)
                turns[n] = (struct picture_turn){.from = iv->from,
                                                 .to = iv->to,
                                                 .thread = t,
                                                 .share = share,
                                                 .core = iv->core,
                                                 .many = folded};
            n++;
        }
    }
    return n;
}

/* Folded intervals of several threads may share a core and a time, and samples may disagree about
 * a moment: what both had is the first one's, and adds to its share. */
static void turn_overlap(struct picture_turn *first, struct picture_turn *t)
{
    int64_t to = t->to < first->to ? t->to : first->to;
    float more = t->share * (float)(to - t->from) / (float)(first->to - first->from);

    if (first->share < 1) {
        first->share = first->share + more < 1 ? first->share + more : 1;
        first->many = true;
    }
    t->from = first->to;
}

int picture_turns(const struct recording *rec, struct picture_turn **ret, size_t *ret_n)
{
    size_t n = turns_of(rec, NULL), kept = 0;
    struct picture_turn *turns = calloc(n + 1, sizeof *turns);

    if (!turns)
        return -ENOMEM;
    turns_of(rec, turns);
    if (n)
        qsort(turns, n, sizeof *turns, turn_order);
    for (size_t i = 0; i < n; i++) {
        struct picture_turn t = turns[i];

        if (kept && turns[kept - 1].core == t.core && t.from < turns[kept - 1].to)
            turn_overlap(&turns[kept - 1], &t);
        if (t.to > t.from)
            turns[kept++] = t;
    }
    *ret = turns;
    *ret_n = kept;
    return 0;
}

static int lane_core(struct picture *p, const struct picture_turn *turns, size_t n)
{
    struct picture_lane *lane = &p->lanes[p->n_lanes];
    struct picture_stretch *all = calloc(n + 1, sizeof *all);
    size_t kept = 0;
    int r;

    if (!all)
        return -ENOMEM;
    *lane = (struct picture_lane){.type = LANE_CORE, .index = turns[0].core};
    snprintf(lane->name, sizeof lane->name, "core %u", lane->index);
    p->n_lanes++;
    for (size_t i = 0; i < n; i++) {
        if (turns[i].to <= p->from || turns[i].from >= p->to)
            continue;
        all[kept] = (struct picture_stretch){.from = turns[i].from,
                                             .to = turns[i].to,
                                             .who = turns[i].thread,
                                             .many = turns[i].many};
        all[kept++].share[LOOK_CPU] = turns[i].share;
    }
    r = picture_lane_fill(p, lane, all, kept);
    free(all);
    return r;
}

/* The turns of one core, and how busy it was in the picture's range. */
struct core_turns {
    size_t from, n;
    double busy;
    bool shown;
};

static double core_busy(const struct picture *p, const struct picture_turn *turns, size_t n)
{
    double busy = 0;

    for (size_t i = 0; i < n; i++) {
        int64_t from = turns[i].from > p->from ? turns[i].from : p->from;
        int64_t to = turns[i].to < p->to ? turns[i].to : p->to;
        busy += to > from ? (double)(to - from) * turns[i].share : 0;
    }
    return busy;
}

/* The busiest `most` are shown, in the order of their numbers. */
static void cores_choose(struct picture *p, struct core_turns *cores, size_t n, uint32_t most)
{
    for (uint32_t k = 0; k < most; k++) {
        struct core_turns *best = NULL;

        for (size_t i = 0; i < n; i++)
            if (!cores[i].shown && cores[i].busy > (best ? best->busy : 0))
                best = &cores[i];
        if (!best)
            return;
        best->shown = true;
    }
    for (size_t i = 0; i < n; i++)
        p->more_cores += !cores[i].shown && cores[i].busy > 0;
}

static int lanes_cores(struct picture *p, uint32_t most)
{
    struct picture_turn *turns;
    struct core_turns *cores;
    size_t n, most_cores = 0, n_cores = 0;
    int r = picture_turns(p->rec, &turns, &n);

    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++)
        most_cores += i == 0 || turns[i].core != turns[i - 1].core;
    cores = calloc(most_cores + 1, sizeof *cores);
    r = cores ? 0 : -ENOMEM;
    for (size_t i = 0, end; i < n && r == 0; i = end) {
        for (end = i + 1; end < n && turns[end].core == turns[i].core;)
            end++;
        cores[n_cores++] =
            (struct core_turns){.from = i, .n = end - i, .busy = core_busy(p, &turns[i], end - i)};
    }
    if (r == 0)
        cores_choose(p, cores, n_cores, most);
    for (size_t i = 0; i < n_cores && r == 0; i++)
        if (cores[i].shown)
            r = lane_core(p, &turns[cores[i].from], cores[i].n);
    free(cores);
    free(turns);
    return r;
}

static int picture_lanes(struct picture *p, uint32_t max_cores, uint32_t max_lanes)
{
    const struct recording *rec = p->rec;
    struct scored *threads = calloc(rec->n_threads + 1, sizeof *threads);
    struct scored *tasks = calloc(rec->n_threads + 1, sizeof *tasks);
    size_t n_threads = 0, n_tasks = 0;
    int r = -ENOMEM;

    p->lanes = calloc((size_t)max_cores + max_lanes, sizeof *p->lanes);
    if (!threads || !tasks || !p->lanes)
        goto out;
    for (uint32_t i = 0; i < rec->n_threads; i++) {
        struct scored s = {.thread = i};

        curves_add(p, &rec->threads[i], &s.score);
        if (s.score <= 0)
            continue;
        if (rec->threads[i].is_task)
            tasks[n_tasks++] = s;
        else
            threads[n_threads++] = s;
    }
    r = lanes_cores(p, max_cores);
    if (r == 0) {
        uint32_t room = n_tasks && n_threads > max_lanes / 2 ? max_lanes / 2 : max_lanes;
        uint32_t shown = n_threads < room ? (uint32_t)n_threads : room;

        r = lanes_threads(p, threads, n_threads, room, &p->more_threads);
        if (r == 0)
            r = lanes_threads(p, tasks, n_tasks, max_lanes - shown, &p->more_tasks);
    }
out:
    free(threads);
    free(tasks);
    return r;
}

static void picture_finish(struct picture *p)
{
    double range = (double)(p->to - p->from);

    p->in_flight_mean /= range;
    p->cores_mean /= range;
    for (uint32_t i = 0; i < p->n_cells; i++) {
        if (p->in_flight[i] > p->in_flight_max)
            p->in_flight_max = p->in_flight[i];
        if (p->cores[i] > p->cores_max)
            p->cores_max = p->cores[i];
    }
    for (size_t i = 0; i < p->n_lanes; i++)
        for (int k = 0; k < N_LOOKS; k++)
            p->used[k] |= p->lanes[i].sum[k] > 0;
}

int picture_make(const struct recording *rec, const struct picture_how *how, struct picture *ret)
{
    struct picture_how h = how ? *how : (struct picture_how){0};
    struct picture p = {.rec = rec, .from = h.from, .to = h.to ? h.to : rec->wall};
    int r = -ENOMEM;

    p.n_cells = h.n_cells ? h.n_cells : CELLS;
    if (p.n_cells > CELLS_MAX)
        p.n_cells = CELLS_MAX;
    if (p.to <= p.from)
        p.to = p.from + 1;
    p.in_flight = calloc(p.n_cells, sizeof *p.in_flight);
    p.cores = calloc(p.n_cells, sizeof *p.cores);
    if (p.in_flight && p.cores)
        r = picture_lanes(&p, h.max_cores ? h.max_cores : CORES, h.max_lanes ? h.max_lanes : LANES);
    if (r < 0) {
        picture_free(&p);
        return r;
    }
    picture_finish(&p);
    *ret = p;
    return 0;
}

void picture_free(struct picture *p)
{
    for (size_t i = 0; i < p->n_lanes; i++) {
        free(p->lanes[i].cell);
        free(p->lanes[i].who);
        free(p->lanes[i].parts);
    }
    free(p->lanes);
    free(p->in_flight);
    free(p->cores);
    *p = (struct picture){0};
}

double picture_cores(const struct picture *p)
{
    return p->rec->n_cores ? p->rec->n_cores : p->cores_max;
}
