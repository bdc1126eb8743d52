/* SPDX-License-Identifier: MIT
 *
 * picture_lane.c - one lane of a picture: sums per slice of time, and the marks it is drawn with
 *
 * HOW         Stretches arrive in the order of time.  One at least as long as a slice is a mark of
 *             its own, with its exact times; shorter ones that begin in the same slice share a
 *             mark, unless there is only one.
 *
 *                 slices   |       |       |       |       |
 *                 lane     xxxxxxxxxxxxxxxxx.x.x.xxxxxxxxxxx
 *                 marks    <---- 1 --------><-3--><-- 4 --->
 *
 * INVARIANTS  (I1) a lane has at most three marks a slice: a long one begins in it, and before and
 *                  after it one of short ones
 *             (I2) marks do not overlap and lie in the order of time
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diag/picture.h"

/* Computing may be this much smaller than the rest of a mark and still give it its look. */
static const double cpu_weight = 2.5;

/* A cell with less than this of anything known is empty. */
static const float cell_least = .001f;

const char *picture_look_words(enum picture_look look)
{
    static const char *const words[N_LOOKS] = {
        [LOOK_CPU] = "on CPU",  [LOOK_READY] = "no core",    [LOOK_DISK] = "disk",
        [LOOK_NET] = "network", [LOOK_PIPE] = "pipe, ipc",   [LOOK_LOCK] = "lock",
        [LOOK_SLEEP] = "sleep", [LOOK_CHILD] = "child, job", [LOOK_OTHER] = "unknown",
        [LOOK_IDLE] = "idle"};

    return (unsigned)look < N_LOOKS ? words[look] : "";
}

enum picture_look picture_look_of(enum rec_kind kind)
{
    static const uint8_t look[REC_N_KINDS] = {
        [REC_NO_KIND] = LOOK_OTHER, [REC_DISK] = LOOK_DISK,    [REC_FSYNC] = LOOK_DISK,
        [REC_FAULT] = LOOK_DISK,    [REC_DNS] = LOOK_NET,      [REC_DB] = LOOK_NET,
        [REC_NET] = LOOK_NET,       [REC_IPC] = LOOK_PIPE,     [REC_PIPE] = LOOK_PIPE,
        [REC_SLEEP] = LOOK_SLEEP,   [REC_CHILD] = LOOK_CHILD,  [REC_LOCK] = LOOK_LOCK,
        [REC_TTY] = LOOK_IDLE,      [REC_SIGNAL] = LOOK_IDLE,  [REC_ACCEPT] = LOOK_IDLE,
        [REC_IDLE] = LOOK_IDLE,     [REC_UNKNOWN] = LOOK_OTHER};

    return (unsigned)kind < REC_N_KINDS ? look[kind] : LOOK_OTHER;
}

void picture_stretch_of(const struct rec_ival *iv, struct picture_stretch *ret)
{
    float cpu = iv->state == REC_RUN, ready = iv->state == REC_READY, wait;

    if (iv->flags & REC_IVAL_FOLDED) {
        cpu = (float)(iv->run_ppm / 1e6);
        ready = (float)(iv->ready_ppm / 1e6);
    }
    wait = 1 - cpu - ready;
    *ret = (struct picture_stretch){.from = iv->from,
                                    .to = iv->to,
                                    .guessed = iv->flags & REC_IVAL_GUESSED,
                                    .many = iv->flags & REC_IVAL_FOLDED};
    ret->share[LOOK_CPU] = cpu;
    ret->share[LOOK_READY] = ready;
    if (wait > 1e-6f) {
        ret->kind = iv->kind < REC_N_KINDS ? iv->kind : REC_UNKNOWN;
        ret->who = iv->peer;
        ret->share[picture_look_of(ret->kind)] += wait;
    }
}

void picture_spread(const struct picture *p, float *cells, size_t stride, int64_t from, int64_t to,
                    double weight)
{
    double width = (double)(p->to - p->from) / p->n_cells;
    double a = (double)(from - p->from) / width, z = (double)(to - p->from) / width;
    uint32_t i, last;

    a = a > 0 ? a : 0;
    z = z < p->n_cells ? z : p->n_cells;
    if (!(z > a))
        return;
    i = (uint32_t)a;
    last = (uint32_t)z < p->n_cells ? (uint32_t)z : p->n_cells - 1;
    if (i == last) {
        cells[i * stride] += (float)((z - a) * weight);
        return;
    }
    cells[i * stride] += (float)((i + 1 - a) * weight);
    for (i++; i < last; i++)
        cells[i * stride] += (float)weight;
    cells[last * stride] += (float)((z - last) * weight);
}

/* The mark that short stretches share. */
struct gather {
    int64_t from, to, longest;
    uint32_t cell, n, who;
    uint8_t kind;
    bool guessed;
    double sum[N_LOOKS]; /* ns */
};

struct filler {
    const struct picture *p;
    struct picture_lane *lane;
    size_t cap;
    struct gather now;
    double width; /* ns of a slice */
};

static uint8_t look_of_sums(const double sum[N_LOOKS])
{
    double best = 0;
    uint8_t look = LOOK_OTHER;

    for (uint8_t i = 0; i < N_LOOKS; i++) {
        double d = i == LOOK_CPU ? sum[i] * cpu_weight : sum[i];
        if (d > best) {
            best = d;
            look = i;
        }
    }
    return look;
}

static int gather_flush(struct filler *f)
{
    struct picture_lane *lane = f->lane;
    struct gather *g = &f->now;
    double all = (double)(g->to - g->from);

    if (g->n == 0)
        return 0;
    if (lane->n_parts == f->cap) {
        size_t more = f->cap ? f->cap * 2 : 64;
        struct picture_part *bigger = reallocarray(lane->parts, more, sizeof *bigger);
        if (!bigger)
            return -ENOMEM;
        lane->parts = bigger;
        f->cap = more;
    }
    lane->parts[lane->n_parts++] = (struct picture_part){
        .from = g->from,
        .to = g->to,
        .who = g->who,
        .n = g->n,
        .share = {(float)(g->sum[LOOK_CPU] / all), (float)(g->sum[LOOK_READY] / all)},
        .look = look_of_sums(g->sum),
        .kind = g->kind,
        .guessed = g->guessed};
    *g = (struct gather){0};
    return 0;
}

static int fill_one(struct filler *f, const struct picture_stretch *s)
{
    struct gather *g = &f->now;
    int64_t length = s->to - s->from;
    uint32_t cell = (uint32_t)((double)(s->from - f->p->from) / f->width);
    bool wide = (double)length >= f->width;
    int64_t waited = 0;

    if (g->n && (wide || cell != g->cell)) {
        int r = gather_flush(f);
        if (r < 0)
            return r;
    }
    if (g->n == 0)
        *g = (struct gather){.from = s->from, .cell = cell, .longest = -1};
    for (int i = 0; i < N_LOOKS; i++) {
        g->sum[i] += s->share[i] * (double)length;
        if (i > LOOK_READY)
            waited += (int64_t)(s->share[i] * (double)length);
    }
    g->to = s->to;
    g->n += s->many ? 2 : 1;
    g->guessed |= s->guessed;
    if (f->lane->type == LANE_CORE)
        waited = length;
    if (waited > g->longest && (s->kind != REC_NO_KIND || f->lane->type == LANE_CORE)) {
        g->longest = waited;
        g->who = s->who;
        g->kind = s->kind;
    }
    return wide ? gather_flush(f) : 0;
}

/* The thread that had most of each slice of a core; its stretches lie in the order of time. */
static void fill_who(const struct picture *p, struct picture_lane *lane,
                     const struct picture_stretch *s, size_t n)
{
    double width = (double)(p->to - p->from) / p->n_cells;
    size_t at = 0;

    for (uint32_t cell = 0; cell < p->n_cells; cell++) {
        double from = (double)p->from + cell * width, to = from + width, best = 0;

        while (at < n && (double)s[at].to <= from)
            at++;
        for (size_t i = at; i < n && (double)s[i].from < to; i++) {
            double d = fmin(to, (double)s[i].to) - fmax(from, (double)s[i].from);
            if (d > best) {
                best = d;
                lane->who[cell] = s[i].who;
            }
        }
    }
}

int picture_lane_fill(const struct picture *p, struct picture_lane *lane,
                      const struct picture_stretch *stretches, size_t n)
{
    struct filler f = {.p = p, .lane = lane, .width = (double)(p->to - p->from) / p->n_cells};
    int r = 0;

    lane->cell = calloc((size_t)p->n_cells * N_LOOKS, sizeof *lane->cell);
    if (lane->type == LANE_CORE)
        lane->who = calloc(p->n_cells, sizeof *lane->who);
    if (!lane->cell || (lane->type == LANE_CORE && !lane->who))
        return -ENOMEM;
    for (size_t i = 0; i < n && r == 0; i++) {
        struct picture_stretch s = stretches[i];

        s.from = s.from > p->from ? s.from : p->from;
        s.to = s.to < p->to ? s.to : p->to;
        if (s.to <= s.from)
            continue;
        for (int k = 0; k < N_LOOKS; k++)
            if (s.share[k] > 0) {
                picture_spread(p, lane->cell + k, N_LOOKS, s.from, s.to, s.share[k]);
                lane->sum[k] += llround(s.share[k] * (double)(s.to - s.from));
            }
        r = fill_one(&f, &s);
    }
    if (r == 0)
        r = gather_flush(&f);
    if (r == 0 && lane->who)
        fill_who(p, lane, stretches, n);
    return r;
}

int picture_cell_look(const struct picture_lane *lane, uint32_t cell)
{
    const float *c = lane->cell + (size_t)cell * N_LOOKS;
    double sum[N_LOOKS];
    float all = 0;

    for (int i = 0; i < N_LOOKS; i++) {
        sum[i] = c[i];
        all += c[i];
    }
    return all < cell_least ? N_LOOKS : look_of_sums(sum);
}

int picture_lane_most(const struct picture_lane *lane)
{
    int most = N_LOOKS;

    for (int i = 0; i < N_LOOKS; i++)
        if (lane->sum[i] > (most == N_LOOKS ? 0 : lane->sum[most]))
            most = i;
    return most;
}
