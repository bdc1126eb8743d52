/* SPDX-License-Identifier: MIT
 *
 * draw_html.c - the timeline as one HTML file
 *
 * HOW         The picture is the SVG of draw_svg, all there without a script.  page.js adds hover,
 *             pan and zoom; what it shows lies in the page as JSON.  Below the picture stand the
 *             same figures as a table, for whoever does not see it, and what the recording could
 *             not see.
 *
 *   Whatever a program calls itself: in markup it is escaped, in JSON "<" is \u003c, and the
 *   content policy allows no connection and no script but this one.
 */
#include "diag/draw_page.h"

#include <string.h>

#include "diag/page_css.h"
#include "diag/page_js.h"

/* --- the table -------------------------------------------------------------------------------- */

static void cell(struct buf *b, int64_t ns, int64_t range)
{
    buf_puts(b, "<td>");
    if (ns > 0) {
        draw_time(b, ns);
        buf_printf(b, " (%.0f %%)", 100.0 * (double)ns / (double)range);
    }
    buf_puts(b, "</td>");
}

static void row(struct buf *b, const struct picture *p, const struct picture_lane *lane,
                const bool used[N_LOOKS])
{
    buf_puts(b, "<tr><th scope=\"row\">");
    draw_xml(b, lane->name);
    buf_puts(b, "</th>");
    for (int i = 0; i < N_LOOKS; i++)
        if (used[i])
            cell(b, lane->sum[i], p->to - p->from);
    buf_puts(b, "</tr>\n");
}

static void table(struct buf *b, const struct picture *p, const char *title)
{
    char x[DRAW_FIGURE], y[DRAW_FIGURE];

    buf_puts(b, "<table><caption>");
    draw_xml(b, title);
    buf_puts(b, ": time of each lane by what it did; of ");
    draw_time(b, p->to - p->from);
    buf_puts(b, "</caption>\n<thead><tr><th scope=\"col\">lane</th>");
    for (int i = 0; i < N_LOOKS; i++)
        if (p->used[i])
            buf_printf(b, "<th scope=\"col\">%s</th>", picture_look_words((enum picture_look)i));
    buf_puts(b, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < p->n_lanes; i++)
        row(b, p, &p->lanes[i], p->used);
    buf_puts(b, "</tbody></table>\n");
    buf_printf(b, "<p>Cores busy: %s of %s on average.", draw_figure(x, p->cores_mean),
               draw_figure(y, picture_cores(p)));
    if (p->in_flight_max > 0)
        buf_printf(b, " Operations in flight: %s on average, at most %s.",
                   draw_figure(x, p->in_flight_mean), draw_figure(y, p->in_flight_max));
    if (p->more_cores + p->more_threads + p->more_tasks)
        buf_printf(b, " Not shown: %u more cores, %u more threads, %u more tasks.", p->more_cores,
                   p->more_threads, p->more_tasks);
    buf_puts(b, "</p>\n");
}

static void below(struct buf *b, const struct draw_page *pg)
{
    buf_puts(b, "<div class=\"below\">\n<p class=\"keys\">Point at a mark for what it was. "
                "<kbd>←</kbd> <kbd>→</kbd> pan, <kbd>+</kbd> <kbd>-</kbd> or the wheel zoom, "
                "<kbd>Home</kbd> shows all.</p>\n");
    if (pg->rec->notes && *pg->rec->notes) {
        buf_puts(b, "<p style=\"white-space:pre-line\">");
        draw_xml(b, pg->rec->notes);
        buf_puts(b, "</p>\n");
    }
    buf_puts(b, "<details><summary>The same as a table</summary>\n");
    for (size_t i = 0; i < pg->n_pictures; i++)
        table(b, &pg->pictures[i],
              pg->how.n_windows ? pg->how.windows[i].title : draw_page_title(pg));
    buf_puts(b, "</details>\n</div>\n");
}

static void json(struct buf *b, const struct draw_page *pg)
{
    buf_printf(b,
               "<script type=\"application/json\" id=\"data\">{\"range\":%lld,\"left\":%d,"
               "\"plot\":%g,\"width\":%u,\"words\":[",
               (long long)pg->range, PAGE_LEFT, pg->plot, pg->how.width);
    buf_add(b, pg->texts.p ? pg->texts.p : "", pg->texts.len);
    buf_puts(b, "],\n\"lanes\":[");
    buf_add(b, pg->data.p ? pg->data.p : "", pg->data.len);
    buf_puts(b, "]}</script>\n");
}

int draw_html(const struct recording *rec, const struct draw_page_how *how, struct buf *out)
{
    struct draw_page pg;
    int r = draw_page_make(rec, how, true,
                           DRAW_PAGE_EXTRA + sizeof page_js + sizeof page_css + 60 * 400, &pg);

    if (r < 0)
        return r;
    buf_puts(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width\">\n"
                  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                  "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n<title>");
    draw_xml(out, draw_page_title(&pg));
    buf_puts(out, "</title>\n<style>\n");
    buf_puts(out, page_css);
    buf_puts(out, "</style>\n</head>\n<body>\n<main>\n"
                  "<div id=\"box\" tabindex=\"0\" role=\"group\" aria-label=\"Timeline: arrow keys "
                  "pan, plus and minus zoom, Home shows all; the table below has the figures\">\n");
    draw_page_svg(out, &pg);
    buf_puts(out, "</div>\n<div id=\"tip\" role=\"status\" hidden></div>\n");
    below(out, &pg);
    buf_puts(out, "</main>\n");
    json(out, &pg);
    buf_puts(out, "<script>\n");
    buf_puts(out, page_js);
    buf_puts(out, "</script>\n</body>\n</html>\n");
    draw_page_free(&pg);
    return buf_error(out);
}
