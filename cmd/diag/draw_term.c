/* SPDX-License-Identifier: MIT
 *
 * draw_term.c - the timeline in a terminal
 *
 * HOW           core 0 ▕▂ ▇▇▃  ▁▏  5 %            height: share busy; tint: which thread
 *               main   ▕████╳╳╳▏ lock 52 %        what the slice's time went to
 *               in flight ▂▆▆▁   mean 3.9 of 8    eighths of the highest
 *                       0   100 ms   200 ms
 *                       █ on CPU  ╳ lock          what occurs, no more
 *
 *   A colour is written only where it changes, and each line ends without one.
 *
 * REJECTED    wcwidth: it depends on a locale that the tool does not set.  Names are the one text
 *   that is not ours; the wide ranges below suffice to keep their columns.
 */
#include "diag/draw_term.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "diag/draw.h"
#include "lib/out.h"

enum {
    WIDTH = 80,
    WIDTH_LEAST = 16, /* what is narrower is drawn so and cut */
    WIDTH_NOTES = 50, /* what is narrower has no notes at the right */
    WIDTH_MOST = 1000,
    CORES = 8,
    LANES = 12,
    NAME = 12,
    NAME_WIDE = 20
};
enum { EDGES = 3, NOTE = 17 }; /* blank and two edges; what stands at the right */
enum { NO_COLOUR = -1, ESCAPED = 16 };

static const char *const eighths[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
static const char ascii_levels[] = " .:-=+*%#";

struct pen {
    struct buf *b;
    const struct draw_term_how *how;
    int64_t colour; /* that is on; NO_COLOUR */
};

/* --- what the terminal can show --------------------------------------------------------------- */

static const char *env(const char *name)
{
    const char *text = getenv(name);

    return text ? text : "";
}

static enum draw_colours colours_of(int fd)
{
    const char *term = env("TERM"), *more = env("COLORTERM");

    if (*env("NO_COLOR") || !out_is_terminal(fd))
        return DRAW_NO_COLOURS;
    if (strcmp(more, "truecolor") == 0 || strcmp(more, "24bit") == 0 || strstr(term, "direct"))
        return DRAW_TRUE;
    return strstr(term, "256color") ? DRAW_256 : DRAW_16;
}

static bool locale_is_utf8(void)
{
    const char *name = env("LC_ALL");

    if (!*name)
        name = env("LC_CTYPE");
    if (!*name)
        name = env("LANG");
    name = strchr(name, '.');
    return name && (strncasecmp(name, ".utf-8", 6) == 0 || strncasecmp(name, ".utf8", 5) == 0);
}

void draw_term_detect(int fd, struct draw_term_how *ret)
{
    struct winsize size = {0};
    int columns = atoi(env("COLUMNS"));

    ret->colours = colours_of(fd);
    ret->ascii = !locale_is_utf8();
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        columns = size.ws_col;
    ret->width = columns > 0 ? (uint32_t)columns : WIDTH;
}

/* --- text ------------------------------------------------------------------------------------- */

/* One of the 256: the nearest of the cube of 6 x 6 x 6. */
static int cube_of(uint32_t rgb)
{
    int index = 16, weight = 36;

    for (int shift = 16; shift >= 0; shift -= 8, weight /= 6) {
        int v = rgb >> shift & 0xff;
        index += weight * (v < 48 ? 0 : v < 115 ? 1 : (v - 35) / 40);
    }
    return index;
}

static void pen_colour(struct pen *pen, int64_t rgb, int ansi)
{
    int64_t now = rgb == NO_COLOUR ? NO_COLOUR : rgb << 8 | ansi;

    if (pen->how->colours == DRAW_NO_COLOURS || now == pen->colour)
        return;
    pen->colour = now;
    if (rgb == NO_COLOUR)
        buf_puts(pen->b, "\x1b[0m");
    else if (pen->how->colours == DRAW_TRUE)
        buf_printf(pen->b, "\x1b[38;2;%d;%d;%dm", (int)(rgb >> 16), (int)(rgb >> 8 & 0xff),
                   (int)(rgb & 0xff));
    else if (pen->how->colours == DRAW_256)
        buf_printf(pen->b, "\x1b[38;5;%dm", cube_of((uint32_t)rgb));
    else
        buf_printf(pen->b, "\x1b[%dm", ansi);
}

static void pen_look(struct pen *pen, enum picture_look look)
{
    const struct draw_look *l = &draw_looks[look];

    /* A blank has no colour, and grey is for what says least. */
    pen_colour(pen, look == LOOK_IDLE ? NO_COLOUR : (int64_t)l->dark, l->ansi);
    if (pen->how->ascii)
        buf_putc(pen->b, l->ascii);
    else
        buf_puts(pen->b, l->sign);
}

static uint32_t columns_of(uint32_t c)
{
    static const uint32_t wide[][2] = {{0x1100, 0x115f}, {0x2e80, 0xa4cf},   {0xac00, 0xd7a3},
                                       {0xf900, 0xfaff}, {0xfe30, 0xfe6f},   {0xff00, 0xff60},
                                       {0xffe0, 0xffe6}, {0x1f300, 0x1faff}, {0x20000, 0x3fffd}};

    if (c >= 0x300 && c <= 0x36f) /* accents that go on the character before */
        return 0;
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        if (c >= wide[i][0] && c <= wide[i][1])
            return 2;
    return 1;
}

/* Text of what is not shown as it is. */
static uint32_t escape(char to[ESCAPED], uint32_t c)
{
    if (c >= DRAW_NO_CHAR)
        c -= DRAW_NO_CHAR;
    return (uint32_t)snprintf(to, ESCAPED, c < 0x100 ? "\\x%02x" : "\\u%04x", c);
}

void draw_term_name(struct buf *b, const char *name, uint32_t columns, bool ascii)
{
    const char *at = name, *from;
    char escaped[ESCAPED];
    uint32_t used = 0, c;

    while (from = at, (c = draw_char(&at)) != 0) {
        bool plain = draw_char_ok(c) && (c < 0x7f || !ascii);
        uint32_t need = plain ? columns_of(c) : 0;

        if (!plain)
            need = escape(escaped, c);
        /* The last column is the name's last character or the sign that there are more. */
        if (used + need > columns || (used + need == columns && *at)) {
            if (used < columns) {
                buf_puts(b, ascii ? ">" : "…");
                used++;
            }
            break;
        }
        buf_add(b, plain ? from : escaped, plain ? (size_t)(at - from) : need);
        used += need;
    }
    for (; used < columns; used++)
        buf_putc(b, ' ');
}

void draw_term_lines(struct buf *b, const char *text, uint32_t columns, bool ascii)
{
    char escaped[ESCAPED];
    bool fresh = true;
    uint32_t c, at = 0;

    columns = columns ? columns : WIDTH;
    for (const char *from = text; (c = draw_char(&text)) != 0; from = text) {
        if (c == ' ' && !fresh && at + 1 + strcspn(text, " \n") > columns) {
            buf_putc(b, '\n');
            fresh = true;
            continue;
        }
        if (fresh)
            buf_putc(b, ' ');
        at = fresh ? 2 : at + 1;
        fresh = c == '\n';
        if (fresh || (draw_char_ok(c) && (c < 0x7f || !ascii)))
            buf_add(b, from, (size_t)(text - from));
        else
            buf_add(b, escaped, escape(escaped, c));
    }
    if (!fresh)
        buf_putc(b, '\n');
}

/* What the pictures above showed stands in the legend too. */
static void looks_join(bool *looks, bool *used)
{
    for (int i = 0; looks && i < N_LOOKS; i++)
        looks[i] = used[i] |= looks[i];
}

/* Octets of an escape sequence that sets colours; 0: there is none. */
static size_t colour_bytes(const char *s, const char *end)
{
    const char *at = s + 2;

    if (end - s < 3 || s[0] != '\x1b' || s[1] != '[')
        return 0;
    while (at < end && ((*at >= '0' && *at <= '9') || *at == ';'))
        at++;
    return at < end && *at == 'm' ? (size_t)(at - s) + 1 : 0;
}

void draw_term_cut(struct buf *b, const char *line, size_t n, uint32_t columns)
{
    const char *at = line, *end = line + n;
    bool coloured = false;
    uint32_t used = 0;

    while (at < end) {
        size_t skip = colour_bytes(at, end);
        const char *from = at;

        if (skip) {
            buf_add(b, at, skip);
            coloured = strncmp(at, "\x1b[0m", skip) != 0;
            at += skip;
            continue;
        }
        uint32_t wide = columns_of(draw_char(&at));
        if (used + wide > columns)
            break;
        used += wide;
        buf_add(b, from, (size_t)(at - from));
    }
    if (coloured)
        buf_puts(b, "\x1b[0m");
}

void draw_term_level(struct buf *b, double share, bool ascii)
{
    int n = (int)ceil(share * 8 - .01);

    n = n < 0 ? 0 : n > 8 ? 8 : n;
    if (ascii)
        buf_putc(b, ascii_levels[n]);
    else
        buf_puts(b, eighths[n]);
}

/* --- lines ------------------------------------------------------------------------------------ */

struct sheet {
    struct pen pen;
    const struct picture *p;
    uint32_t name, plot, note; /* columns */
};

static void line_open(struct sheet *s, const char *name)
{
    buf_putc(s->pen.b, ' ');
    draw_term_name(s->pen.b, name, s->name, s->pen.how->ascii);
    buf_puts(s->pen.b, s->pen.how->ascii ? " |" : " ▕");
}

static void line_close(struct sheet *s, uint32_t drawn, const char *note)
{
    pen_colour(&s->pen, NO_COLOUR, 0);
    for (; drawn < s->plot; drawn++)
        buf_putc(s->pen.b, ' ');
    buf_puts(s->pen.b, s->pen.how->ascii ? "|" : "▏");
    if (*note && s->note) {
        buf_putc(s->pen.b, ' ');
        draw_term_name(s->pen.b, note, NOTE - 1, s->pen.how->ascii);
    }
    while (s->pen.b->len && s->pen.b->p[s->pen.b->len - 1] == ' ')
        s->pen.b->len--;
    buf_putc(s->pen.b, '\n');
}

static void level(struct sheet *s, double share)
{
    draw_term_level(s->pen.b, share, s->pen.how->ascii);
}

static void tint(struct sheet *s, uint32_t thread)
{
    const struct draw_tint *t = &draw_tints[draw_tint_of(s->p, thread)];

    pen_colour(&s->pen, t->dark, t->ansi);
}

static void core_line(struct sheet *s, const struct picture_lane *lane)
{
    char note[32];

    line_open(s, lane->name);
    for (uint32_t i = 0; i < s->p->n_cells; i++) {
        float share = lane->cell[(size_t)i * N_LOOKS + LOOK_CPU];

        if (share > 0)
            tint(s, lane->who[i]);
        level(s, share);
    }
    snprintf(note, sizeof note, "%3.0f %%",
             100.0 * (double)lane->sum[LOOK_CPU] / (double)(s->p->to - s->p->from));
    line_close(s, s->p->n_cells, note);
}

static void thread_line(struct sheet *s, const struct picture_lane *lane)
{
    int most = picture_lane_most(lane);
    char note[64] = "";

    line_open(s, lane->name);
    for (uint32_t i = 0; i < s->p->n_cells; i++) {
        int look = picture_cell_look(lane, i);

        if (look == LOOK_CPU) {
            tint(s, lane->index);
            buf_puts(s->pen.b, s->pen.how->ascii ? "#" : draw_looks[LOOK_CPU].sign);
        } else {
            pen_look(&s->pen, look < N_LOOKS ? (enum picture_look)look : LOOK_IDLE);
        }
    }
    if (most < N_LOOKS)
        snprintf(note, sizeof note, "%s %.0f %%", picture_look_words((enum picture_look)most),
                 100.0 * (double)lane->sum[most] / (double)(s->p->to - s->p->from));
    line_close(s, s->p->n_cells, note);
}

static void curve_line(struct sheet *s, const char *name, enum picture_look look,
                       const float *cells, double highest, double mean, double of)
{
    char note[2 * DRAW_FIGURE + 16], x[DRAW_FIGURE], y[DRAW_FIGURE];

    if (highest <= 0)
        return;
    line_open(s, name);
    pen_colour(&s->pen, draw_looks[look].dark, draw_looks[look].ansi);
    for (uint32_t i = 0; i < s->p->n_cells; i++)
        level(s, cells[i] / highest);
    snprintf(note, sizeof note, "mean %s of %s", draw_figure(x, mean), draw_figure(y, of));
    if (of <= 0 || strlen(note) > NOTE - 1)
        snprintf(note, sizeof note, "mean %s", x);
    line_close(s, s->p->n_cells, note);
}

static void more_line(struct sheet *s, uint32_t n, const char *what)
{
    if (n)
        buf_printf(s->pen.b, " %*s+%u more %s%s\n", (int)s->name + 2, "", n, what,
                   n == 1 ? "" : "s");
}

static void axis_line(struct sheet *s, int64_t range)
{
    int64_t step = draw_step(range, (int)s->plot / 12 + 1);
    int64_t from = s->pen.how->from_zero ? s->pen.how->from : 0;
    uint32_t at = 0;

    buf_printf(s->pen.b, " %*s", (int)s->name + 2, "");
    for (int64_t t = (from + step - 1) / step * step; t <= from + range; t += step) {
        uint32_t column = (uint32_t)((double)(t - from) / (double)range * s->plot);
        struct buf text = {0};

        buf_puts(&text, s->pen.how->ascii ? "'" : "╵");
        draw_tick(&text, t, step, from + range);
        uint32_t wide = (uint32_t)text.len - (s->pen.how->ascii ? 0 : 2); /* ╵ is three octets */
        if (!text.failed && column >= at && column + wide <= s->plot + s->note) {
            for (; at < column; at++)
                buf_putc(s->pen.b, ' ');
            buf_add(s->pen.b, text.p, text.len);
            at += wide;
        }
        s->pen.b->failed |= text.failed;
        buf_free(&text);
    }
    buf_putc(s->pen.b, '\n');
}

static void legend_line(struct sheet *s)
{
    uint32_t at = s->name + EDGES, most = s->name + EDGES + s->plot + s->note;
    bool first = true;

    buf_printf(s->pen.b, " %*s", (int)s->name + 2, "");
    for (int i = 0; i < N_LOOKS; i++) {
        const char *words = picture_look_words((enum picture_look)i);
        uint32_t need = (uint32_t)strlen(words) + 4;

        if (!s->p->used[i] || i == LOOK_IDLE)
            continue;
        if (at + need > most && !first) {
            buf_printf(s->pen.b, "\n %*s", (int)s->name + 2, "");
            at = s->name + EDGES;
            first = true;
        }
        if (!first)
            buf_puts(s->pen.b, "  ");
        first = false;
        pen_look(&s->pen, (enum picture_look)i);
        pen_colour(&s->pen, NO_COLOUR, 0);
        buf_printf(s->pen.b, " %s", words);
        at += need;
    }
    buf_putc(s->pen.b, '\n');
}

static uint32_t name_columns(const struct recording *rec, uint32_t width)
{
    size_t longest = 9, most = width < 110 ? NAME : NAME_WIDE; /* 9: "in flight" */

    for (size_t i = 0; i < rec->n_threads && longest < most; i++) {
        size_t n = strlen(picture_name(rec, (uint32_t)i)) + 2; /* " 2" */
        longest = n > longest ? n : longest;
    }
    return (uint32_t)(longest < most ? longest : most);
}

static void sheet_draw(struct sheet *s, int64_t range)
{
    const struct picture *p = s->p;

    for (size_t i = 0; i < p->n_lanes; i++) {
        if (i > 0 && p->lanes[i].type != p->lanes[i - 1].type && p->lanes[i - 1].type == LANE_CORE)
            more_line(s, p->more_cores, "core");
        if (p->lanes[i].type == LANE_CORE)
            core_line(s, &p->lanes[i]);
        else
            thread_line(s, &p->lanes[i]);
    }
    more_line(s, p->more_threads, "thread");
    more_line(s, p->more_tasks, "task");
    curve_line(s, "in flight", LOOK_NET, p->in_flight, p->in_flight_max, p->in_flight_mean,
               p->in_flight_max);
    curve_line(s, "cores", LOOK_CPU, p->cores, picture_cores(p), p->cores_mean, p->rec->n_cores);
    axis_line(s, range);
    if (!s->pen.how->no_legend)
        legend_line(s);
}

static int sheets(const struct recording *rec, const struct draw_term_how *how, struct buf *out)
{
    uint32_t width = how->width ? how->width : WIDTH;
    int64_t to = how->to ? how->to : rec->wall, length = to - how->from, range;
    struct picture p;
    struct sheet s = {.pen = {.b = out, .how = how, .colour = NO_COLOUR}, .p = &p};
    double part;
    int r;

    width = width < WIDTH_LEAST ? WIDTH_LEAST : width > WIDTH_MOST ? WIDTH_MOST : width;
    length = length > 0 ? length : 1;
    range = how->range > length ? how->range : length;
    s.name = name_columns(rec, width);
    s.name = s.name < width / 3 ? s.name : width / 3;
    s.note = width < WIDTH_NOTES ? 0 : NOTE;
    s.plot = width - s.name - EDGES - 1 - s.note;
    part = ceil((double)s.plot * (double)length / (double)range);
    r = picture_make(rec,
                     &(struct picture_how){.n_cells = part < 1 ? 1 : (uint32_t)part,
                                           .max_cores = how->max_cores ? how->max_cores : CORES,
                                           .max_lanes = how->max_lanes ? how->max_lanes : LANES,
                                           .from = how->from,
                                           .to = to},
                     &p);
    if (r < 0)
        return r;
    looks_join(how->looks, p.used);
    if (how->title)
        buf_printf(out, " %s\n", how->title);
    sheet_draw(&s, range);
    picture_free(&p);
    return buf_error(out);
}

/* What may be longer (titles, counts, on a narrow terminal anything) ends at the last column. */
int draw_term(const struct recording *rec, const struct draw_term_how *how, struct buf *out)
{
    uint32_t columns = how->width ? how->width : WIDTH;
    struct buf b = {0};
    int r = sheets(rec, how, &b);

    if (r == 0)
        r = buf_error(&b);
    for (const char *line = b.p; r == 0 && line && *line;) {
        size_t n = strcspn(line, "\n");

        draw_term_cut(out, line, n, columns);
        buf_putc(out, '\n');
        line += n + (line[n] == '\n');
    }
    buf_free(&b);
    return r < 0 ? r : buf_error(out);
}
