/* SPDX-License-Identifier: MIT
 *
 * draw_svg.c - the page around the panels: size, style, title, legend; and the SVG that stands
 * alone
 *
 * HOW         The page is drawn with fine slices of time, and again with slices twice as wide
 *             until it is small enough.
 *
 * REJECTED    CSS variables: viewers other than browsers ignore them.
 */
#include "diag/draw_page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 1200, BYTES = 300000, CELLS = 2400, CELLS_LEAST = 16, TITLE_MOST = 90 };

/* Marks that a look alone would not tell: stripes, crosses, dashes and dots.  Each stands twice:
 * as the plot needs it, whose transform it undoes, and as the legend does. */
static const struct {
    enum picture_look look;
    int w, h;
    const char *marks;
} patterns[] = {
    {LOOK_READY, 6, 6,
     "<rect class=\"f-ready\" width=\"6\" height=\"6\" fill-opacity=\".35\"/>"
     "<path class=\"s-ready\" d=\"M-1 7 7 -1\" stroke-width=\"2\"/>"},
    {LOOK_LOCK, 7, 7,
     "<rect class=\"f-lock\" width=\"7\" height=\"7\" fill-opacity=\".3\"/>"
     "<path class=\"s-lock\" d=\"M0 0 7 7M7 0 0 7\" stroke-width=\"1.4\"/>"},
    {LOOK_PIPE, 8, 20, "<rect class=\"f-pipe\" width=\"5\" height=\"20\"/>"},
    {LOOK_OTHER, 4, 4, "<circle class=\"f-other\" cx=\"2\" cy=\"2\" r=\"1.1\"/>"},
};
enum { N_PATTERNS = sizeof patterns / sizeof *patterns };

static bool has_pattern(int look)
{
    for (size_t i = 0; i < N_PATTERNS; i++)
        if ((int)patterns[i].look == look)
            return true;
    return false;
}

static void patterns_add(struct buf *b, char id, double scale)
{
    for (size_t i = 0; i < N_PATTERNS; i++)
        buf_printf(
            b,
            "<pattern id=\"%c-%s\" width=\"%d\" height=\"%d\" "
            "patternUnits=\"userSpaceOnUse\" patternTransform=\"scale(%.4f 1)\">%s</pattern>\n",
            id, draw_looks[patterns[i].look].css, patterns[i].w, patterns[i].h, 1 / scale,
            patterns[i].marks);
}

static void style_colours(struct buf *b, bool dark)
{
    for (int i = 0; i < N_LOOKS; i++) {
        const struct draw_look *l = &draw_looks[i];
        bool pattern = has_pattern(i);
        unsigned rgb = dark ? l->dark : l->light;

        if (pattern)
            buf_printf(b, ".f-%s{fill:#%06x}.s-%s{stroke:#%06x;fill:none}", l->css, rgb, l->css,
                       rgb);
        if (pattern && !dark)
            buf_printf(b, ".%s{stroke:url(#p-%s)}.k-%s{fill:url(#q-%s)}", l->css, l->css, l->css,
                       l->css);
        else if (!pattern)
            buf_printf(b, ".%s{stroke:#%06x}.k-%s{fill:#%06x}", l->css, rgb, l->css, rgb);
    }
    for (int i = 0; i < DRAW_TINTS; i++)
        buf_printf(b, ".cpu%d{stroke:#%06x}", i, dark ? draw_tints[i].dark : draw_tints[i].light);
}

static void style_add(struct buf *b)
{
    buf_puts(b, "text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,Ubuntu,Cantarell,"
                "sans-serif;fill:#1f2328}"
                ".m{fill:#59636e}.t{font-size:20px;font-weight:600}.h{font-size:15px;"
                "font-weight:600}.e{text-anchor:end}.c{text-anchor:middle}"
                ".bg{fill:#fff}.track{stroke:#eef1f4}.grid{stroke:#59636e;stroke-opacity:.18}"
                ".plot path{fill:none}.plot .fly{fill:#0072b2;fill-opacity:.55}"
                ".plot .busy{fill:#d55e00;fill-opacity:.55}.hit{fill:transparent}"
                ".hit:hover{fill:#000;fill-opacity:.18}");
    style_colours(b, false);
    buf_puts(b, "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.m{fill:#9da7b3}"
                ".bg{fill:#0d1117}.track{stroke:#1c232c}.grid{stroke:#9da7b3}"
                ".plot .fly{fill:#2f86d6}.plot .busy{fill:#ff7a1a}.hit:hover{fill:#fff}");
    style_colours(b, true);
    buf_puts(b, "}");
}

const char *draw_page_title(const struct draw_page *pg)
{
    if (pg->how.title)
        return pg->how.title;
    return pg->rec->command && *pg->rec->command ? pg->rec->command : "timeline";
}

/* The title, cut to what fits beside each other. */
static void title_add(struct buf *b, const struct draw_page *pg)
{
    const char *title = draw_page_title(pg), *at = title;
    char cut[4 * TITLE_MOST + 1];
    int n = 0;

    while (*at && n++ < TITLE_MOST)
        draw_char(&at);
    memcpy(cut, title, (size_t)(at - title));
    cut[at - title] = '\0';
    draw_xml(b, cut);
    if (*at)
        buf_puts(b, "…");
}

void draw_page_summary(struct buf *b, const struct recording *rec)
{
    static const char *const tiers[] = {[REC_T2] = "samples of /proc",
                                        [REC_T1] = "exact switches",
                                        [REC_T1_PLUS] = "exact switches and wakers",
                                        [REC_T0] = "the program's own trace"};
    size_t threads = 0, tasks = 0;

    for (size_t i = 0; i < rec->n_threads; i++)
        *(rec->threads[i].is_task ? &tasks : &threads) += 1;
    draw_time(b, rec->wall);
    if (rec->n_cores)
        buf_printf(b, " · %u core%s", rec->n_cores, rec->n_cores == 1 ? "" : "s");
    buf_printf(b, " · %zu thread%s", threads, threads == 1 ? "" : "s");
    if (tasks)
        buf_printf(b, " · %zu row%s of tasks", tasks, tasks == 1 ? "" : "s");
    if ((unsigned)rec->tier < sizeof tiers / sizeof *tiers)
        buf_printf(b, " · %s", tiers[rec->tier]);
    if (rec->n_lost)
        buf_printf(b, " · %llu records lost", (unsigned long long)rec->n_lost);
}

static void legend_draw(struct draw_page *pg)
{
    double x = PAGE_LEFT;
    bool used[N_LOOKS] = {false};

    for (size_t i = 0; i < pg->n_pictures; i++)
        for (int k = 0; k < N_LOOKS; k++)
            used[k] |= pg->pictures[i].used[k];
    buf_puts(&pg->svg, "<g class=\"legend\">\n");
    for (int i = 0; i < N_LOOKS; i++) {
        const struct draw_look *l = &draw_looks[i];
        const char *words = picture_look_words((enum picture_look)i);
        double h = 14 * l->height / 100.0, w = 34 + 8.0 * (double)strlen(words);

        if (!used[i])
            continue;
        if (x + w > PAGE_LEFT + pg->plot) {
            x = PAGE_LEFT;
            pg->y += 20;
        }
        /* Not a line of the plot: its patterns are not stretched. */
        buf_printf(&pg->svg, "<rect class=\"k-%s\" x=\"%g\" y=\"%g\" width=\"18\" height=\"%g\"/>",
                   l->css, x, pg->y + 14 - h, h);
        buf_printf(&pg->svg, "<text x=\"%g\" y=\"%g\">%s</text>\n", x + 24, pg->y + 12, words);
        x += w;
    }
    buf_puts(&pg->svg, "</g>\n");
    pg->y += 32;
}

static int page_pictures(struct draw_page *pg, uint32_t n_cells)
{
    size_t n = pg->how.n_windows ? pg->how.n_windows : 1;

    pg->pictures = calloc(n, sizeof *pg->pictures);
    if (!pg->pictures)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        struct picture_how how = {.n_cells = n_cells};
        if (pg->how.n_windows) {
            how.from = pg->how.windows[i].from;
            how.to = pg->how.windows[i].to;
        }
        int r = picture_make(pg->rec, &how, &pg->pictures[i]);
        if (r < 0)
            return r;
        pg->n_pictures++;
        if (pg->pictures[i].to - pg->pictures[i].from > pg->range)
            pg->range = pg->pictures[i].to - pg->pictures[i].from;
    }
    return 0;
}

static int page_draw(struct draw_page *pg, uint32_t n_cells)
{
    const struct recording *rec = pg->rec;
    int r = page_pictures(pg, n_cells);

    if (r < 0)
        return r;
    pg->words =
        calloc(rec->n_threads + N_LOOKS + rec->n_peers * (REC_N_KINDS + 1) + 1, sizeof *pg->words);
    if (!pg->words)
        return -ENOMEM;
    legend_draw(pg);
    draw_page_panels(pg);
    if (pg->svg.failed || pg->data.failed || pg->texts.failed)
        return -ENOMEM;
    return 0;
}

static void page_drop(struct draw_page *pg)
{
    for (size_t i = 0; i < pg->n_pictures; i++)
        picture_free(&pg->pictures[i]);
    free(pg->pictures);
    free(pg->words);
    buf_free(&pg->svg);
    buf_free(&pg->data);
    buf_free(&pg->texts);
}

int draw_page_make(const struct recording *rec, const struct draw_page_how *how, bool hover,
                   size_t extra, struct draw_page *ret)
{
    struct draw_page_how h = how ? *how : (struct draw_page_how){0};
    uint32_t bytes = h.max_bytes ? h.max_bytes : BYTES;

    h.width = h.width ? h.width : WIDTH;
    h.width = h.width < 600 ? 600 : h.width > 4000 ? 4000 : h.width;
    for (uint32_t cells = CELLS;; cells /= 2) {
        struct draw_page pg = {.rec = rec,
                               .how = h,
                               .plot = h.width - PAGE_LEFT - PAGE_RIGHT,
                               .y = 70,
                               .hover = hover};
        int r = page_draw(&pg, cells);

        if (r == 0 &&
            (pg.svg.len + pg.data.len + pg.texts.len + extra <= bytes || cells / 2 < CELLS_LEAST)) {
            *ret = pg;
            return 0;
        }
        page_drop(&pg);
        if (r < 0)
            return r;
    }
}

void draw_page_free(struct draw_page *pg)
{
    page_drop(pg);
    *pg = (struct draw_page){0};
}

/* --- the SVG that stands alone ---------------------------------------------------------------- */

void draw_page_svg(struct buf *b, const struct draw_page *pg)
{
    buf_printf(b,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" id=\"timeline\" viewBox=\"0 0 %u %g\" "
               "width=\"%u\" height=\"%g\" role=\"img\" aria-label=\"",
               pg->how.width, pg->y, pg->how.width, pg->y);
    buf_puts(b, "Timeline: ");
    draw_xml(b, draw_page_title(pg));
    buf_puts(b, "\">\n<style>");
    style_add(b);
    buf_puts(b, "</style>\n<defs>");
    patterns_add(b, 'p', pg->plot / PAGE_UNITS);
    patterns_add(b, 'q', 1);
    buf_printf(b, "</defs>\n<rect class=\"bg\" width=\"%u\" height=\"%g\"/>\n", pg->how.width,
               pg->y);
    buf_puts(b, "<text class=\"t\" x=\"16\" y=\"30\">");
    title_add(b, pg);
    buf_puts(b, "</text>\n<text class=\"m\" x=\"16\" y=\"52\">");
    draw_page_summary(b, pg->rec);
    buf_puts(b, "</text>\n");
    buf_add(b, pg->svg.p ? pg->svg.p : "", pg->svg.len);
    buf_puts(b, "</svg>\n");
}

int draw_svg(const struct recording *rec, const struct draw_page_how *how, struct buf *out)
{
    struct draw_page pg;
    int r = draw_page_make(rec, how, false, DRAW_PAGE_EXTRA, &pg);

    if (r < 0)
        return r;
    draw_page_svg(out, &pg);
    draw_page_free(&pg);
    return buf_error(out);
}
