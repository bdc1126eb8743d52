/* SPDX-License-Identifier: MIT
 *
 * timeline_svg.c - draws recordings as one SVG picture
 *
 * HOW         title, legend
 *             panel:  title                          wall time, times faster than the first
 *                     true length ▇▇╲                only where the panel is magnified
 *                     loop 0   ▕ ▂▇ ▂  ▂▇▏  31 %     threads: height is the share on CPU
 *                     fetch    ▕──▪────▪──▏ of 50    tasks: colour and height say what each does
 *                     at once  ▕▁▃▅▇▇▇▇▅▂▁▏  50      how many tasks, by what they do
 *                     0   100 ms   200 ms            axis
 *
 *   Every mark is a sum over a slice of time (timeline.h), one path for all marks of a colour.  A
 *   slice is one pixel wide; when the file becomes too large, the page is drawn again with slices
 *   of 2, 4, ... pixels: the size has a bound whatever was recorded.  Only the longest intervals
 *   get an element, and with it a tooltip, of their own.
 *
 *   Colours are Okabe and Ito's, chosen so that no common colour blindness confuses them.  Plain
 *   classes, no CSS variables: viewers other than browsers know no better.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/opts.h"
#include "trace/timeline_svg.h"

/* A panel narrower than this part of the page is magnified. */
#define MAGNIFY_BELOW .25

const struct tl_look hob__tl_look[TL_N_STATES] = {
    [TL_CPU] = {"cpu", "on CPU", 4},
    [TL_POOL] = {"pool", "waits for computing elsewhere", 4},
    [TL_READY] = {"ready", "ready, no core", 3},
    [TL_IO] = {"io", "network or disk", 2.4},
    [TL_SYNC] = {"sync", "waits for other tasks", 1.6},
    [TL_SLEEP] = {"sleep", "sleeps", 1},
};

static const char style[] =
    "<style>"
    "text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,Ubuntu,Cantarell,sans-serif;"
    "fill:#1f2328}"
    ".m{fill:#59636e}.t{font-size:20px;font-weight:600}.h{font-size:15px;font-weight:600}"
    ".e{text-anchor:end}.c{text-anchor:middle}.s{font-size:11px}"
    ".bg{fill:#fff}.track{fill:#eef1f4}.wedge{fill:#e2e7ec}"
    ".grid{stroke:#59636e;stroke-opacity:.18;fill:none}.true{fill:#59636e}"
    ".mark{stroke:#1f2328;stroke-dasharray:3 3}.hit{fill:transparent}"
    ".hit:hover{stroke:#1f2328;stroke-width:1}.odd{opacity:.62}"
    ".cpu{fill:#d55e00}.pool{fill:#e69f00}.ready{fill:#cc79a7}.io{fill:#0072b2}.sync{fill:#009e73}"
    ".sleep{fill:#999}"
    ".cpu-r{stroke:#d55e00}.pool-r{stroke:#e69f00}.ready-r{stroke:#cc79a7}.io-r{stroke:#0072b2}"
    ".sync-r{stroke:#009e73}.sleep-r{stroke:#999}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.m{fill:#9da7b3}.bg{fill:#0d1117}"
    ".track{fill:#1c232c}.wedge{fill:#2a3440}.grid{stroke:#9da7b3}.true{fill:#9da7b3}"
    ".mark,.hit:hover{stroke:#e6edf3}"
    ".cpu{fill:#ff7a1a}.pool{fill:#f0b429}.ready{fill:#e39bc4}.io{fill:#4ba3e3}.sync{fill:#1fc797}"
    ".sleep{fill:#7d8590}"
    ".cpu-r{stroke:#ff7a1a}.pool-r{stroke:#f0b429}.ready-r{stroke:#e39bc4}.io-r{stroke:#4ba3e3}"
    ".sync-r{stroke:#1fc797}.sleep-r{stroke:#7d8590}}"
    "</style>\n";

void hob__page_text_open(struct svg *s, const char *css, double x, double y)
{
    hob__svg_add(s, "<text class=\"%s\" x=\"", css);
    hob__svg_num(s, x);
    hob__svg_add(s, "\" y=\"");
    hob__svg_num(s, y);
    hob__svg_add(s, "\">");
}

void hob__page_text_close(struct svg *s)
{
    hob__svg_add(s, "</text>\n");
}

void hob__page_label(struct svg *s, const char *css, double x, double y, const char *text,
                     size_t max_chars)
{
    char cut[128];
    size_t n = strlen(text);

    hob__page_text_open(s, css, x, y);
    if (n > max_chars && max_chars < sizeof(cut)) {
        n = max_chars - 1;
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--; /* not within a character */
        memcpy(cut, text, n);
        cut[n] = '\0';
        hob__svg_add(s, "<title>");
        hob__svg_text(s, text);
        hob__svg_add(s, "</title>");
        hob__svg_text(s, cut);
        hob__svg_add(s, "\xe2\x80\xa6");
    } else {
        hob__svg_text(s, text);
    }
    hob__page_text_close(s);
}

void hob__page_rect(struct svg *s, const char *css, double x, double y, double w, double h)
{
    hob__svg_add(s, "<rect class=\"%s\" x=\"", css);
    hob__svg_num(s, x);
    hob__svg_add(s, "\" y=\"");
    hob__svg_num(s, y);
    hob__svg_add(s, "\" width=\"");
    hob__svg_num(s, w);
    hob__svg_add(s, "\" height=\"");
    hob__svg_num(s, h);
    hob__svg_add(s, "\"/>\n");
}

/* Lines of about as many characters as the plot has room for, at most four. */
static void note_draw(struct page *p, const char *note)
{
    size_t room = (size_t)(p->plot / CHAR_W);

    for (int line = 0; *note && line < 4; line++) {
        size_t n = strlen(note), cut = n;
        char text[1024];

        if (n > room) {
            for (cut = room; cut > 0 && note[cut] != ' ';)
                cut--;
            cut = cut ? cut : n;
        }
        snprintf(text, sizeof(text), "%.*s", (int)cut, note);
        hob__page_text_open(&p->body, "m", LEFT, p->y + 12);
        hob__svg_text(&p->body, text);
        hob__page_text_close(&p->body);
        p->y += 16;
        note += cut + (note[cut] == ' ');
    }
    p->y += 4;
}

/* Title and wall time; under them the true length of a panel that is magnified. */
static void header_draw(struct page *p, const struct view *v, bool magnified)
{
    hob_dur wall = panel_wall(v->panel), first = panel_wall(&p->panels[0]);
    double right = LEFT + p->plot, bar = p->plot * (double)wall / (double)p->longest;
    struct svg *s = &p->body;

    hob__page_label(s, "h", LEFT, p->y + 16, v->panel->title ? v->panel->title : "", 90);
    hob__page_text_open(s, "h e", right, p->y + 16);
    hob__svg_time(s, wall);
    if (v->panel != p->panels && first > wall) {
        hob__svg_add(s, "<tspan class=\"m\" font-weight=\"400\"> \xc2\xb7 </tspan>");
        hob__svg_num(s, (double)first / (double)wall);
        hob__svg_add(s, "\xc3\x97 as fast");
    }
    hob__page_text_close(s);
    p->y += 26;
    if (v->panel->note)
        note_draw(p, v->panel->note);
    if (!magnified)
        return;
    hob__page_rect(s, "track", LEFT, p->y, p->plot, 6);
    hob__page_rect(s, "true", LEFT, p->y, bar > 1 ? bar : 1, 6);
    hob__page_label(s, "m s e", LEFT - 10, p->y + 7, "true length", 22);
    hob__page_text_open(s, "m s", right + 8, p->y + 22);
    hob__svg_num(s, (double)p->longest / (double)wall);
    hob__svg_add(s, "\xc3\x97");
    hob__page_text_close(s);
    hob__page_label(s, "m s e", LEFT - 10, p->y + 22, "magnified", 22);
    hob__svg_add(s, "<path class=\"wedge\" d=\"M%d ", LEFT);
    hob__svg_num(s, p->y + 6);
    hob__svg_add(s, "h");
    hob__svg_num(s, bar > 1 ? bar : 1);
    hob__svg_add(s, "L");
    hob__svg_num(s, right);
    hob__svg_add(s, " ");
    hob__svg_num(s, p->y + 28);
    hob__svg_add(s, "H%dz\"/>\n", LEFT);
    p->y += 28;
}

static int panel_draw(struct page *p, const struct hob_panel *panel)
{
    double share = (double)panel_wall(panel) / (double)p->longest;
    bool magnified = share < MAGNIFY_BELOW;
    struct view v = {.panel = panel};
    uint32_t n = (uint32_t)ceil((magnified ? 1 : share) * p->plot / p->slice);
    int r = hob__timeline_build(panel->trace, n, p->opts.no_rows ? 0 : p->opts.max_rows,
                                p->max_spans, &v.tl);

    if (r < 0)
        return r;
    v.width = (double)v.tl.n_slices * p->slice;
    header_draw(p, &v, magnified);
    hob__panel_draw(p, &v);
    if (panel->trace->n_lost) {
        hob__page_text_open(&p->body, "m s", LEFT, p->y + 8);
        hob__svg_add(&p->body,
                     "%" PRIu64 " events were lost: the recorder was late or its limit "
                     "was reached",
                     panel->trace->n_lost);
        hob__page_text_close(&p->body);
        p->y += 16;
    }
    p->y += 22;
    hob__timeline_free(&v.tl);
    return 0;
}

static void legend_draw(struct svg *s, const bool *used, double y)
{
    double x = LEFT;

    for (int i = 0; i < TL_N_STATES; i++) {
        if (!used[i])
            continue;
        hob__page_rect(s, hob__tl_look[i].css, x, y - hob__tl_look[i].thickness * 1.5, 18,
                       hob__tl_look[i].thickness * 3);
        hob__page_text_open(s, "", x + 24, y + 4);
        hob__svg_add(s, "%s", hob__tl_look[i].text);
        hob__page_text_close(s);
        x += 24 + 6.4 * (double)strlen(hob__tl_look[i].text) + 22;
    }
}

/* For who cannot see it: what is in each panel. */
static void desc_write(struct svg *s, const struct page *p)
{
    for (size_t i = 0; i < p->n_panels; i++) {
        const struct hob_panel *panel = &p->panels[i];

        hob__svg_text(s, panel->title ? panel->title : "recording");
        hob__svg_add(s, ": ");
        hob__svg_time(s, panel_wall(panel));
        if (panel->note) {
            hob__svg_add(s, "; ");
            hob__svg_text(s, panel->note);
        }
        hob__svg_add(s, ". ");
    }
}

/* The whole picture with the page's slices; the caller frees ret->p. */
static int page_draw(struct page *p, struct svg *ret)
{
    const char *title = p->opts.title ? p->opts.title : "Timeline";
    double legend_y;
    int r = 0;

    p->y = p->opts.title ? 44 : 12;
    legend_y = p->y + 10;
    p->y += 40;
    memset(p->used, 0, sizeof(p->used));
    for (size_t i = 0; r == 0 && i < p->n_panels; i++)
        r = panel_draw(p, &p->panels[i]);
    if (r < 0)
        return r;
    hob__svg_add(ret,
                 "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %u %d\" width=\"%u\" "
                 "height=\"%d\" role=\"img\" aria-labelledby=\"hob-title hob-desc\">\n"
                 "<title id=\"hob-title\">",
                 p->opts.width, (int)ceil(p->y), p->opts.width, (int)ceil(p->y));
    hob__svg_text(ret, title);
    hob__svg_add(ret, "</title>\n<desc id=\"hob-desc\">");
    desc_write(ret, p);
    hob__svg_add(ret, "</desc>\n%s", style);
    hob__page_rect(ret, "bg", 0, 0, p->opts.width, ceil(p->y));
    if (p->opts.title)
        hob__page_label(ret, "t", LEFT, 32, p->opts.title, 110);
    legend_draw(ret, p->used, legend_y);
    hob__svg_add(ret, "%.*s</svg>\n", (int)p->body.n, p->body.p);
    return ret->failed || p->body.failed ? -ENOMEM : 0;
}

static int page_init(struct page *p, const struct hob_panel *panels, size_t n,
                     const struct hob_timeline_opts *opts)
{
    int r = hob__opts_copy(&p->opts, sizeof(p->opts), opts);

    if (r < 0)
        return r;
    if (n == 0 || p->opts.max_rows > TL_MAX_ROWS ||
        (p->opts.width && (p->opts.width < 600 || p->opts.width > 4000)))
        return -EINVAL;
    p->opts.width = p->opts.width ? p->opts.width : 1200;
    p->opts.max_rows = p->opts.max_rows ? p->opts.max_rows : 24;
    p->opts.max_lanes = p->opts.max_lanes ? p->opts.max_lanes : 16;
    p->opts.max_bytes = p->opts.max_bytes ? p->opts.max_bytes : 300000;
    if (!(p->panels = calloc(n, sizeof(p->panels[0]))))
        return -ENOMEM;
    p->n_panels = n;
    p->plot = p->opts.width - LEFT - RIGHT;
    p->max_spans = p->opts.max_bytes / 4 / 200 / n; /* a quarter of the file, 200 bytes each */
    for (size_t i = 0; i < n; i++) {
        struct hob_panel *panel = &p->panels[i];
        if ((r = hob__opts_copy_nth(panel, sizeof(*panel), panels, i)) < 0)
            return r;
        if (!panel->trace)
            return -EINVAL;
        if (panel_wall(panel) > p->longest)
            p->longest = panel_wall(panel);
    }
    return 0;
}

int hob_timeline_svg(const struct hob_panel *panels, size_t n, const struct hob_timeline_opts *opts,
                     FILE *out)
{
    struct page p = {.slice = 1};
    struct svg svg = {0};
    int r = page_init(&p, panels, n, opts);

    for (; r == 0; p.slice *= 2) {
        r = page_draw(&p, &svg);
        if (r < 0 || svg.n <= p.opts.max_bytes || p.slice == SLICE_MAX)
            break;
        free(p.body.p);
        free(svg.p);
        p.body = svg = (struct svg){0};
    }
    if (r == 0 && fwrite(svg.p, 1, svg.n, out) != svg.n)
        r = -EIO;
    free(p.body.p);
    free(svg.p);
    free(p.panels);
    return r;
}
