/* SPDX-License-Identifier: MIT
 *
 * draw_page.c - the panels of a page: lanes, curves and axis as SVG, and what a script shows of
 * them
 *
 * HOW         Everything that moves with the zoom stands in one group a panel, in units of time (a
 *             millionth of the width); the group's transform makes pixels of them.  A mark is a
 *             line as thick as it is high, so that it takes some eight octets: "m12 0h345".  All
 *             marks of one look in one lane are one path.
 *
 *   Patterns would be squeezed by that transform; theirs is the inverse.
 *
 *   For hovering, each lane's marks are text as well: "gap,length,words" or, where several short
 *   intervals share the mark, "gap,length,words,n,cpu,ready"; words is the number of a text.
 */
#include "diag/draw_page.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/out.h"

enum {
    LANE_H = 18,
    LANE_STEP = 22,
    GAP = 8,
    CURVE_H = 44,
    CHARS = 20,      /* of a label */
    LEVELS = 4,      /* heights of a mark that is on CPU in part */
    HITS = 12,       /* intervals of a lane with a tooltip, at most */
    LEAST = 300,     /* units of the narrowest mark: a third of a pixel */
    CURVE_MOST = 800 /* points of a curve */
};

/* --- marks ------------------------------------------------------------------------------------ */

struct path {
    struct buf b;
    int64_t at;       /* the pen's place, */
    int64_t from, to; /* and a line that may still grow */
};

static void path_flush(struct path *p, double y)
{
    if (p->to <= p->from)
        return;
    if (p->b.len)
        buf_printf(&p->b, "m%" PRId64 " 0", p->from - p->at);
    else
        buf_printf(&p->b, "M%" PRId64 " %g", p->from, y);
    buf_printf(&p->b, "h%" PRId64, p->to - p->from);
    p->at = p->to;
    p->from = p->to = 0;
}

static void path_add(struct path *p, double y, int64_t from, int64_t to)
{
    if (to < from + LEAST)
        to = from + LEAST;
    if (p->to > p->from && from <= p->to) {
        p->to = to > p->to ? to : p->to;
        return;
    }
    path_flush(p, y);
    p->from = from;
    p->to = to;
}

static void path_close(struct draw_page *pg, struct path *p, const char *css, double thick,
                       double y)
{
    path_flush(p, y);
    if (p->b.len)
        buf_printf(&pg->svg, "<path class=\"%s\" stroke-width=\"%g\" d=\"%s\"/>\n", css, thick,
                   p->b.p);
    pg->svg.failed |= p->b.failed;
    buf_free(&p->b);
}

static int64_t units(const struct draw_page *pg, int64_t ns)
{
    return llround((double)ns * PAGE_UNITS / (double)pg->range);
}

/* The paths of a lane: looks below, computing by tint and level above. */
struct strokes {
    struct path look[N_LOOKS];
    struct path cpu[DRAW_TINTS][LEVELS];
    double base; /* y of the lane's bottom */
};

static double look_y(const struct strokes *s, int look)
{
    return s->base - LANE_H * draw_looks[look].height / 200.0;
}

static double level_y(const struct strokes *s, int level)
{
    return s->base - LANE_H * (level + 1) / (2.0 * LEVELS);
}

static void strokes_part(struct strokes *s, const struct picture *p,
                         const struct picture_lane *lane, const struct picture_part *part,
                         int64_t from, int64_t to)
{
    float cpu = part->share[0], ready = part->share[1];
    uint32_t tint = draw_tint_of(p, lane->type == LANE_CORE ? part->who : lane->index);
    int level = (int)ceilf(cpu * LEVELS - .01f) - 1, look = part->look;

    if (lane->type != LANE_CORE && (part->n == 1 || 1 - cpu > .01f)) {
        if (part->n > 1 || look == LOOK_CPU)
            look = ready > 1 - cpu - ready || part->kind == REC_NO_KIND
                       ? LOOK_READY
                       : (int)picture_look_of((enum rec_kind)part->kind);
        if (cpu < .99f)
            path_add(&s->look[look], look_y(s, look), from, to);
    }
    if (cpu > 0) {
        level = level < 0 ? 0 : level >= LEVELS ? LEVELS - 1 : level;
        path_add(&s->cpu[tint][level], level_y(s, level), from, to);
    }
}

static void strokes_close(struct draw_page *pg, struct strokes *s)
{
    static const char *const tints[DRAW_TINTS] = {"cpu0", "cpu1", "cpu2"};

    for (int i = N_LOOKS - 1; i >= 0; i--)
        path_close(pg, &s->look[i], draw_looks[i].css, LANE_H * draw_looks[i].height / 100.0,
                   look_y(s, i));
    for (int t = 0; t < DRAW_TINTS; t++)
        for (int k = 0; k < LEVELS; k++)
            path_close(pg, &s->cpu[t][k], tints[t], (double)LANE_H * (k + 1) / LEVELS,
                       level_y(s, k));
}

/* --- what a script shows ---------------------------------------------------------------------- */

void draw_json(struct buf *b, const char *text)
{
    struct buf plain = {0};

    out_json_string(&plain, text, strlen(text));
    for (size_t i = 0; i < plain.len; i++)
        if (plain.p[i] == '<')
            buf_puts(b, "\\u003c"); /* no </script> and no <!-- */
        else
            buf_putc(b, plain.p[i]);
    b->failed |= plain.failed;
    buf_free(&plain);
}

/* The number of the text of a part: of a core's by thread, else by look, kind and peer. */
static uint32_t words_of(struct draw_page *pg, const struct picture *p,
                         const struct picture_lane *lane, const struct picture_part *part)
{
    size_t key = lane->type == LANE_CORE ? part->who
                 : part->kind == REC_NO_KIND
                     ? pg->rec->n_threads + part->look
                     : pg->rec->n_threads + N_LOOKS + pg->rec->n_peers * part->kind +
                           (part->who < pg->rec->n_peers ? part->who : 0);
    struct picture_part one = *part;
    struct buf text = {0};

    if (pg->words[key])
        return pg->words[key] - 1;
    one.n = 1;
    if (one.kind != REC_NO_KIND)
        one.look = (uint8_t)picture_look_of((enum rec_kind)one.kind);
    one.guessed = false;
    draw_part_words(&text, p, lane, &one);
    if (pg->n_texts)
        buf_putc(&pg->texts, ',');
    draw_json(&pg->texts, text.len ? text.p : "");
    pg->texts.failed |= text.failed;
    buf_free(&text);
    pg->words[key] = ++pg->n_texts;
    return pg->n_texts - 1;
}

static void data_part(struct draw_page *pg, const struct picture *p,
                      const struct picture_lane *lane, const struct picture_part *part, int64_t gap,
                      int64_t length)
{
    buf_printf(&pg->data, "%" PRId64 ",%" PRId64 ",%u", gap, length, words_of(pg, p, lane, part));
    if (part->n > 1)
        buf_printf(&pg->data, ",%u,%d,%d", part->n, (int)lroundf(part->share[0] * 100),
                   (int)lroundf(part->share[1] * 100));
    buf_putc(&pg->data, ';');
}

static void data_open(struct draw_page *pg, const char *name, double y, double h, int type)
{
    if (pg->data.len)
        buf_puts(&pg->data, ",\n");
    buf_puts(&pg->data, "{\"n\":");
    draw_json(&pg->data, name);
    buf_printf(&pg->data, ",\"y\":%g,\"h\":%g,\"t\":%d,\"d\":\"", y, h, type);
}

/* --- labels ----------------------------------------------------------------------------------- */

static void text_at(struct draw_page *pg, const char *css, double x, double y, const char *text)
{
    buf_printf(&pg->svg, "<text class=\"%s\" x=\"%g\" y=\"%g\">", css, x, y);
    draw_xml(&pg->svg, text);
    buf_puts(&pg->svg, "</text>\n");
}

/* A label of at most CHARS characters; the whole name and who it is are its tooltip. */
static void label(struct draw_page *pg, const struct picture_lane *lane, double y)
{
    const struct rec_thread *th = lane->type == LANE_CORE ? NULL : &pg->rec->threads[lane->index];
    char cut[PICTURE_NAME + 8];
    const char *at = lane->name, *from = at;
    int n = 0;

    while (*at && n < CHARS) {
        from = at;
        draw_char(&at);
        n++;
    }
    if (*at)
        snprintf(cut, sizeof cut, "%.*s…", (int)(from - lane->name), lane->name);
    else
        snprintf(cut, sizeof cut, "%s", lane->name);
    buf_printf(&pg->svg, "<text class=\"e\" x=\"%d\" y=\"%g\">", PAGE_LEFT - 10, y + LANE_H - 5);
    draw_xml(&pg->svg, cut);
    if (th) {
        buf_puts(&pg->svg, "<title>");
        draw_xml(&pg->svg, lane->name);
        if (th->tid > 0)
            buf_printf(&pg->svg, ", thread %d of process %d", th->tid,
                       pg->rec->procs[th->proc].pid);
        buf_puts(&pg->svg, "</title>");
    }
    buf_puts(&pg->svg, "</text>\n");
}

static void note(struct draw_page *pg, const struct picture *p, const struct picture_lane *lane,
                 double y)
{
    int most = lane->type == LANE_CORE ? LOOK_CPU : picture_lane_most(lane);
    char text[64];

    if (most == N_LOOKS)
        return;
    snprintf(text, sizeof text, "%s%s%.0f %%",
             lane->type == LANE_CORE ? "" : picture_look_words((enum picture_look)most),
             lane->type == LANE_CORE ? "" : " ",
             100.0 * (double)lane->sum[most] / (double)(p->to - p->from));
    text_at(pg, "m", PAGE_LEFT + pg->plot + 8, y + LANE_H - 5, text);
}

/* --- panels ----------------------------------------------------------------------------------- */

static void plot_open(struct draw_page *pg, double h)
{
    buf_printf(&pg->svg,
               "<svg class=\"plot\" x=\"%d\" y=\"%g\" width=\"%g\" height=\"%g\">"
               "<g class=\"z\" transform=\"scale(%.8f 1)\">\n",
               PAGE_LEFT, pg->y, pg->plot, h, pg->plot / PAGE_UNITS);
}

static void plot_close(struct draw_page *pg)
{
    buf_puts(&pg->svg, "</g></svg>\n");
}

/* Without a script: the longest intervals have a tooltip of their own. */
static void hit_draw(struct draw_page *pg, struct buf *hits, const struct picture *p,
                     const struct picture_lane *lane, const struct picture_part *part)
{
    int64_t from = units(pg, part->from - p->from), to = units(pg, part->to - p->from);
    struct buf words = {0};

    buf_printf(hits,
               "<rect class=\"hit\" x=\"%" PRId64 "\" width=\"%" PRId64 "\" height=\"%d\"><title>",
               from, to - from, LANE_H);
    draw_part_words(&words, p, lane, part);
    buf_puts(&words, ", ");
    draw_time(&words, part->to - part->from);
    buf_puts(&words, ", at ");
    draw_time(&words, part->from - p->from);
    draw_xml(hits, words.len ? words.p : "");
    buf_puts(hits, "</title></rect>\n");
    hits->failed |= words.failed;
    buf_free(&words);
}

static void lane_draw(struct draw_page *pg, const struct picture *p,
                      const struct picture_lane *lane)
{
    struct strokes s = {.base = LANE_H};
    struct buf hits = {0}; /* above the marks */
    int64_t at = 0;

    label(pg, lane, pg->y);
    note(pg, p, lane, pg->y);
    plot_open(pg, LANE_H);
    buf_printf(&pg->svg, "<path class=\"track\" stroke-width=\"%d\" d=\"M0 %d h%" PRId64 "\"/>\n",
               LANE_H, LANE_H / 2, units(pg, p->to - p->from));
    if (pg->hover)
        data_open(pg, lane->name, pg->y, LANE_H, lane->type);
    for (size_t i = 0; i < lane->n_parts; i++) {
        const struct picture_part *part = &lane->parts[i];
        int64_t from = units(pg, part->from - p->from), to = units(pg, part->to - p->from);

        strokes_part(&s, p, lane, part, from, to);
        if (pg->hover)
            data_part(pg, p, lane, part, from - at, to - from);
        else if (to - from > PAGE_UNITS / HITS)
            hit_draw(pg, &hits, p, lane, part);
        at = to;
    }
    if (pg->hover)
        buf_puts(&pg->data, "\"}");
    strokes_close(pg, &s);
    buf_add(&pg->svg, hits.p ? hits.p : "", hits.len);
    pg->svg.failed |= hits.failed;
    buf_free(&hits);
    plot_close(pg);
    pg->y += LANE_STEP;
}

static void more(struct draw_page *pg, uint32_t n, const char *what)
{
    char text[64];

    if (!n)
        return;
    snprintf(text, sizeof text, "+%u more %s%s", n, what, n == 1 ? "" : "s");
    text_at(pg, "m e", PAGE_LEFT - 10, pg->y + 10, text);
    pg->y += LANE_STEP;
}

static void curve_draw(struct draw_page *pg, const struct picture *p, const char *name,
                       const char *css, const float *cells, double highest, const char *about)
{
    uint32_t step = (p->n_cells + CURVE_MOST - 1) / CURVE_MOST;
    double last = 0;

    if (highest <= 0)
        return;
    text_at(pg, "e", PAGE_LEFT - 10, pg->y + CURVE_H / 2.0 + 4, name);
    text_at(pg, "m", PAGE_LEFT + pg->plot + 8, pg->y + CURVE_H / 2.0 + 4, about);
    plot_open(pg, CURVE_H);
    buf_printf(&pg->svg, "<path class=\"track\" stroke-width=\"%d\" d=\"M0 %d h%" PRId64 "\"/>\n",
               CURVE_H, CURVE_H / 2, units(pg, p->to - p->from));
    buf_printf(&pg->svg, "<path class=\"%s\" d=\"M0 %d", css, CURVE_H);
    if (pg->hover)
        data_open(pg, name, pg->y, CURVE_H, 3);
    for (uint32_t i = 0; i < p->n_cells; i += step) {
        double sum = 0, h;
        uint32_t n = 0;

        for (; n < step && i + n < p->n_cells; n++)
            sum += cells[i + n];
        sum /= n;
        h = round(sum / highest * (CURVE_H - 2) * 2) / 2;
        if (h != last)
            buf_printf(&pg->svg, "H%" PRId64 "V%g",
                       units(pg, (int64_t)((double)(p->to - p->from) * i / p->n_cells)),
                       CURVE_H - h);
        last = h;
        if (pg->hover)
            buf_printf(&pg->data, "%.3g;", sum);
    }
    if (pg->hover)
        buf_printf(&pg->data, "\",\"w\":%" PRId64 "}", units(pg, p->to - p->from));
    buf_printf(&pg->svg, "H%" PRId64 "V%dz\"/>\n", units(pg, p->to - p->from), CURVE_H);
    plot_close(pg);
    pg->y += CURVE_H + GAP;
}

static void axis_draw(struct draw_page *pg, double top)
{
    int64_t step = draw_step(pg->range, (int)(pg->plot / 100) + 1);

    buf_printf(&pg->svg, "<g class=\"axis\" data-top=\"%g\" data-y=\"%g\">\n", top, pg->y);
    for (int64_t t = 0; t <= pg->range; t += step) {
        double x = PAGE_LEFT + pg->plot * (double)t / (double)pg->range;
        struct buf text = {0};

        draw_tick(&text, t, step, pg->range);
        buf_printf(&pg->svg, "<path class=\"grid\" d=\"M%.1f %gV%g\"/>", x, top, pg->y);
        buf_printf(&pg->svg, "<text class=\"m c\" x=\"%.1f\" y=\"%g\">%s</text>\n", x, pg->y + 14,
                   text.len ? text.p : "");
        pg->svg.failed |= text.failed;
        buf_free(&text);
    }
    buf_puts(&pg->svg, "</g>\n");
    pg->y += 26;
}

static void panel_draw(struct draw_page *pg, const struct picture *p, const char *title)
{
    double top;
    char about[2 * DRAW_FIGURE + 16], mean[DRAW_FIGURE], most[DRAW_FIGURE];

    if (title) {
        text_at(pg, "h", 16, pg->y + 16, title);
        pg->y += 28;
    }
    top = pg->y;
    for (size_t i = 0; i < p->n_lanes; i++) {
        if (i > 0 && p->lanes[i].type != p->lanes[i - 1].type) {
            if (p->lanes[i - 1].type == LANE_CORE)
                more(pg, p->more_cores, "core");
            else
                more(pg, p->more_threads, "thread");
            pg->y += GAP;
        }
        lane_draw(pg, p, &p->lanes[i]);
    }
    if (!p->n_lanes || p->lanes[p->n_lanes - 1].type != LANE_TASK)
        more(pg, p->more_threads, "thread");
    more(pg, p->more_tasks, "task");
    pg->y += GAP;
    snprintf(about, sizeof about, "mean %s of %s", draw_figure(mean, p->in_flight_mean),
             draw_figure(most, p->in_flight_max));
    curve_draw(pg, p, "in flight", "fly", p->in_flight, p->in_flight_max, about);
    snprintf(about, sizeof about, "mean %s of %s", draw_figure(mean, p->cores_mean),
             draw_figure(most, picture_cores(p)));
    if (p->cores_mean > 0)
        curve_draw(pg, p, "cores busy", "busy", p->cores, picture_cores(p), about);
    axis_draw(pg, top);
}

void draw_page_panels(struct draw_page *pg)
{
    for (size_t i = 0; i < pg->n_pictures; i++)
        panel_draw(pg, &pg->pictures[i], pg->how.n_windows ? pg->how.windows[i].title : NULL);
}
