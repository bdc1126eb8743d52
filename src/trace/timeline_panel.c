/* SPDX-License-Identifier: MIT
 *
 * timeline_panel.c - draws one recording: threads, tasks, how many at once, the axis
 *
 * Every mark is a sum over a slice of time.  All marks of a colour are one path, with coordinates
 * relative to the mark before: about seven bytes a mark.  Intervals long enough to be pointed at
 * get an invisible element of their own, for its tooltip.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trace/timeline_svg.h"
#include "trace/wait.h"

/* Of two readings of one slice, computing is the rarer and the more telling: it may be smaller. */
#define CPU_WEIGHT 2.5f

static void path_close(struct svg *s, struct svg *path, const char *css, double thickness)
{
    if (path->n) {
        hob__svg_add(s, "<path class=\"%s\"", css);
        if (thickness > 0) {
            hob__svg_add(s, " fill=\"none\" stroke-width=\"");
            hob__svg_num(s, thickness);
            hob__svg_add(s, "\"");
        }
        hob__svg_add(s, " d=\"%.*s\"/>\n", (int)path->n, path->p);
    }
    s->failed |= path->failed;
    free(path->p);
    *path = (struct svg){0};
}

/* Figures of a thread's lane at its right, and more of them as its tooltip. */
static void lane_label(struct svg *s, const struct view *v, const struct tl_lane *l, double y)
{
    static const char *const kind[TRACE_N_LANE_KINDS] = {"loop", "pool", "blocking", "thread"};
    const struct trace_lane_info *info = &v->tl.trace->lanes[l->lane];
    double share = (double)l->busy / (double)panel_wall(v->panel);
    char name[TRACE_LANE_NAME_MAX + 16];

    if (info->name[0])
        snprintf(name, sizeof(name), "%s", info->name);
    else
        snprintf(name, sizeof(name), "%s %u", kind[info->kind], info->id);
    hob__page_label(s, "e", LEFT - 10, y + LANE_H - 3, name, 22);
    hob__page_text_open(s, "m s", LEFT + v->width + 8, y + LANE_H - 3);
    hob__svg_add(s, "%d %%", (int)(share * 100 + .5));
    hob__page_text_close(s);
    hob__svg_add(s, "<rect class=\"track\" x=\"%d\" y=\"", LEFT);
    hob__svg_num(s, y);
    hob__svg_add(s, "\" width=\"");
    hob__svg_num(s, v->width);
    hob__svg_add(s, "\" height=\"%d\"><title>", LANE_H);
    hob__svg_text(s, name);
    hob__svg_add(s, ": %d %% %s, %" PRIu64 " turns, the longest ", (int)(share * 100 + .5),
                 info->kind == TRACE_LANE_BLOCK ? "in blocking calls" : "on CPU", l->n_runs);
    hob__svg_time(s, l->longest);
    hob__svg_add(s, "</title></rect>\n");
}

/* One bar a slice, as high as its share on CPU; two shades tell one task from the next. */
static void lane_draw(struct page *p, const struct view *v, const struct tl_lane *l, double y)
{
    bool block = v->tl.trace->lanes[l->lane].kind == TRACE_LANE_BLOCK;
    const char *css[2] = {block ? "io" : "cpu", block ? "io odd" : "cpu odd"};
    struct svg path[2] = {{0}, {0}};
    uint32_t i = 0, n = v->tl.n_slices;

    lane_label(&p->body, v, l, y);
    while (i < n) {
        uint32_t from = i;
        int level = -1, shade = 0;

        for (; i < n; i++) {
            float a = l->own[0][i], b = l->own[1][i];
            int h = (int)ceilf((a + b) * LANE_LEVELS - .02f);

            h = h > LANE_LEVELS ? LANE_LEVELS : h;
            if (level >= 0 && (h != level || (b > a) != shade))
                break;
            level = h;
            shade = b > a;
        }
        if (level <= 0)
            continue;
        p->used[block ? TL_IO : TL_CPU] = true;
        hob__svg_add(&path[shade], "M%u %dv%dh%uv%d", LEFT + from * p->slice, LANE_H,
                     -level * LANE_H / LANE_LEVELS, (i - from) * p->slice,
                     level * LANE_H / LANE_LEVELS);
    }
    hob__svg_add(&p->body, "<g pointer-events=\"none\" transform=\"translate(0,");
    hob__svg_num(&p->body, y);
    hob__svg_add(&p->body, ")\">");
    for (int k = 0; k < 2; k++)
        path_close(&p->body, &path[k], css[k], 0);
    hob__svg_add(&p->body, "</g>\n");
}

static void lanes_draw(struct page *p, struct view *v)
{
    uint32_t drawn = 0, left_out = 0;

    for (size_t i = 0; i < v->tl.n_lanes; i++) {
        if (!v->tl.lanes[i].n_runs)
            continue;
        if (drawn == p->opts.max_lanes) {
            left_out++;
            continue;
        }
        lane_draw(p, v, &v->tl.lanes[i], p->y);
        p->y += LANE_STEP;
        drawn++;
    }
    if (left_out) {
        hob__page_text_open(&p->body, "m s e", LEFT - 10, p->y + 8);
        hob__svg_add(&p->body, "and %u more threads", left_out);
        hob__page_text_close(&p->body);
        p->y += LANE_STEP;
    }
}

/* What a row shows in a slice: TL_N_STATES is nothing. */
static int row_state(const struct tl_row *r, uint32_t slice)
{
    float best = 0, all = 0;
    int state = TL_N_STATES;

    for (int i = 0; i < TL_N_STATES; i++) {
        float f = r->state[i][slice];

        all += f;
        f *= i == TL_CPU ? CPU_WEIGHT : 1;
        if (f > best) {
            best = f;
            state = i;
        }
    }
    return all < .1f ? TL_N_STATES : state;
}

static void row_draw(struct page *p, const struct view *v, const struct tl_row *r, double y,
                     struct svg path[TL_N_STATES])
{
    uint32_t i = 0, n = v->tl.n_slices, at[TL_N_STATES] = {0};

    while (i < n) {
        uint32_t from = i, x = LEFT + from * p->slice, w;
        int state = row_state(r, i);
        const char *gap;

        do
            i++;
        while (i < n && row_state(r, i) == state && !r->begins[i]);
        if (state == TL_N_STATES)
            continue;
        p->used[state] = true;
        w = (i - from) * p->slice;
        gap = r->begins[from] && from && w > 1 ? ".6" : ""; /* tells a task from the one before */
        if (at[state]) {
            hob__svg_add(&path[state], "m%u%s 0", x - at[state], gap);
        } else {
            hob__svg_add(&path[state], "M%u%s ", x, gap);
            hob__svg_num(&path[state], y);
        }
        hob__svg_add(&path[state], *gap ? "h%u.4" : "h%u", *gap ? w - 1 : w);
        at[state] = x + w;
    }
}

static const char *group_name(const struct view *v, const struct tl_group *g)
{
    const char *name = g->stage ? hob__record_text(v->tl.trace, TRACE_EV_STAGE, g->stage) : NULL;

    return name ? name : "tasks";
}

static void group_label(struct svg *s, const struct view *v, const struct tl_group *g, double y,
                        double h)
{
    double middle = y + h / 2 + 4;

    hob__page_label(s, "e", LEFT - 10, h >= 24 ? middle - 6 : middle, group_name(v, g), 22);
    if (h >= 24) {
        hob__page_text_open(s, "m s e", LEFT - 10, middle + 8);
        hob__svg_add(s, "%" PRIu64 " in all", g->n_tasks);
        hob__page_text_close(s);
    }
    hob__page_text_open(s, "m s", LEFT + v->width + 8, middle);
    if (g->n_rows < g->peak)
        hob__svg_add(s, "%u of %u", g->n_rows, g->peak);
    else
        hob__svg_add(s, "%u at once", g->peak);
    hob__page_text_close(s);
}

static void groups_draw(struct page *p, struct view *v)
{
    struct svg path[TL_N_STATES] = {{0}};

    for (size_t i = 0; i < v->tl.n_groups && i < sizeof(v->group_y) / sizeof(v->group_y[0]); i++) {
        const struct tl_group *g = &v->tl.groups[i];
        double h = g->n_rows * ROW_STEP, room = h < LANE_H ? LANE_H : h;

        p->y += 4;
        v->group_y[i] = p->y + (room - h) / 2;
        v->n_groups = i + 1;
        hob__page_rect(&p->body, "track", LEFT, p->y, v->width, room);
        group_label(&p->body, v, g, p->y, room);
        for (uint32_t k = 0; k < g->n_rows; k++)
            row_draw(p, v, &g->row[k], v->group_y[i] + k * ROW_STEP + ROW_STEP / 2.0, path);
        p->y += room;
    }
    for (int k = 0; k < TL_N_STATES; k++) {
        char css[16];

        snprintf(css, sizeof(css), "%s-r", hob__tl_look[k].css);
        path_close(&p->body, &path[k], css, hob__tl_look[k].thickness);
    }
    p->y += v->n_groups ? 8 : 0;
}

static void span_text(struct svg *s, const struct view *v, const struct tl_span *span)
{
    const char *name = hob__record_text(v->tl.trace, TRACE_EV_NAME, span->task);

    if (name)
        hob__svg_text(s, name);
    else
        hob__svg_add(s, "#%" PRIu64, span->task);
    hob__svg_add(s, " (");
    hob__svg_text(s, group_name(v, &v->tl.groups[span->group]));
    hob__svg_add(s, "): %s, ",
                 span->wait ? hob__wait_text((enum hob_wait)span->wait)
                            : hob__tl_look[span->state].text);
    hob__svg_time(s, span->to - span->from);
    hob__svg_add(s, ", at ");
    hob__svg_time(s, span->from - v->tl.trace->start);
}

/* Invisible, but with a tooltip. */
static void spans_draw(struct page *p, const struct view *v)
{
    double px_ns = v->width / (double)panel_wall(v->panel);

    for (size_t i = 0; i < v->tl.n_spans; i++) {
        const struct tl_span *span = &v->tl.spans[i];
        double w = (double)(span->to - span->from) * px_ns;

        if (w < 4 || span->group >= v->n_groups)
            continue;
        hob__svg_add(&p->body, "<rect class=\"hit\" x=\"");
        hob__svg_num(&p->body, LEFT + (double)(span->from - v->tl.trace->start) * px_ns);
        hob__svg_add(&p->body, "\" y=\"");
        hob__svg_num(&p->body, v->group_y[span->group] + span->row * ROW_STEP);
        hob__svg_add(&p->body, "\" width=\"");
        hob__svg_num(&p->body, w);
        hob__svg_add(&p->body, "\" height=\"%d\"><title>", ROW_STEP);
        span_text(&p->body, v, span);
        hob__svg_add(&p->body, "</title></rect>\n");
    }
}

/* Tasks at once, stacked: each colour's outline is filled from the base, the highest first. */
static void chart_draw(struct page *p, struct view *v)
{
    uint32_t n = v->tl.n_slices, step = p->slice >= 2 ? 1 : 2; /* two pixels are fine enough */
    double base = p->y + CHART_H, peak = v->tl.peak;
    struct svg path = {0};

    hob__page_rect(&p->body, "track", LEFT, p->y, v->width, CHART_H);
    hob__page_label(&p->body, "e", LEFT - 10, p->y + CHART_H / 2.0 + 4, "at once", 22);
    hob__page_text_open(&p->body, "m s", LEFT + v->width + 8, p->y + CHART_H / 2.0 + 4);
    hob__svg_add(&p->body, "up to %u", v->tl.peak);
    hob__page_text_close(&p->body);
    for (int top = TL_N_STATES - 1; top >= 0; top--) {
        double last = -1;
        bool any = false;

        hob__svg_add(&path, "M%d ", LEFT);
        hob__svg_num(&path, base);
        for (uint32_t i = 0; i < n; i += step) {
            double sum = 0, h;

            for (int k = 0; k <= top; k++) {
                sum += v->tl.at_once[k][i];
                any |= k == top && v->tl.at_once[k][i] > 0;
            }
            h = round(sum / peak * CHART_H * 2) / 2;
            h = h > CHART_H ? CHART_H : h;
            if (h == last)
                continue;
            hob__svg_add(&path, "H%uV", LEFT + i * p->slice);
            hob__svg_num(&path, base - h);
            last = h;
        }
        hob__svg_add(&path, "H");
        hob__svg_num(&path, LEFT + v->width);
        hob__svg_add(&path, "V");
        hob__svg_num(&path, base);
        if (any) {
            p->used[top] = true;
            path_close(&p->body, &path, hob__tl_look[top].css, 0);
        } else {
            p->body.failed |= path.failed;
            free(path.p);
            path = (struct svg){0};
        }
    }
    p->y = base + 4;
}

static void axis_draw(struct page *p, const struct view *v)
{
    hob_dur wall = panel_wall(v->panel);
    hob_dur step = hob__svg_tick_step(wall, (int)(v->width / 90) + 1);
    double px_ns = v->width / (double)wall;
    struct svg *s = &p->body;

    for (hob_dur at = 0; at <= wall; at += step) {
        double x = LEFT + (double)at * px_ns;

        hob__svg_add(s, "<path class=\"grid\" d=\"M");
        hob__svg_num(s, x);
        hob__svg_add(s, " ");
        hob__svg_num(s, v->top);
        hob__svg_add(s, "V");
        hob__svg_num(s, p->y + 4);
        hob__svg_add(s, "\"/>\n");
        hob__page_text_open(s, "m s c", x, p->y + 16);
        hob__svg_tick(s, at, step, wall);
        hob__page_text_close(s);
    }
    p->y += 22;
}

static void marks_draw(struct page *p, const struct view *v)
{
    const struct hob_trace *t = v->tl.trace;
    double px_ns = v->width / (double)panel_wall(v->panel);

    for (size_t i = 0; i < t->n_texts; i++) {
        if (t->texts[i].kind != TRACE_EV_MARK)
            continue;
        hob__svg_add(&p->body, "<path class=\"mark\" d=\"M");
        hob__svg_num(&p->body, LEFT + (double)(t->texts[i].at - t->start) * px_ns);
        hob__svg_add(&p->body, " ");
        hob__svg_num(&p->body, v->top);
        hob__svg_add(&p->body, "V");
        hob__svg_num(&p->body, p->y);
        hob__svg_add(&p->body, "\"><title>");
        hob__svg_text(&p->body, t->texts[i].text);
        hob__svg_add(&p->body, "</title></path>\n");
    }
}

void hob__panel_draw(struct page *p, struct view *v)
{
    v->top = p->y;
    lanes_draw(p, v);
    if (!p->opts.no_rows)
        groups_draw(p, v);
    if (v->tl.peak)
        chart_draw(p, v);
    axis_draw(p, v);
    marks_draw(p, v);
    spans_draw(p, v);
}
