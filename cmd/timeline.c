/* SPDX-License-Identifier: MIT
 *
 * timeline.c - hob timeline: a recording as a picture
 *
 * HOW  A recording is one of hob diagnose, or one that a program wrote of itself with hob's trace;
 *   which of them, the file says.  Either becomes a struct recording, and that is drawn.
 *
 * SEE  diag/rec.h, diag/draw_file.h, diag/demo.h
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <hob/hob.h>

#include "cmd.h"
#include "diag/demo.h"
#include "diag/draw_file.h"
#include "diag/draw_term.h"
#include "diag/from_trace.h"
#include "diag/live_timeline.h"
#include "lib/option.h"
#include "lib/out.h"

struct timeline {
    const char *output, *format_name, *title;
    int64_t width, lanes, max_size;
    bool demo, ascii, interactive;
    enum draw_format format;
    struct demo drawn; /* its recording is what is drawn, with or without windows */
    struct option_args args;
};

static int say(const char *about, const char *what)
{
    fprintf(stderr, "hob timeline: %s%s%s\n", about, *about ? ": " : "", what);
    return STATUS_FAILED;
}

static int usage(const char *what)
{
    fprintf(stderr, "hob timeline: %s ('hob timeline -h' says more)\n", what);
    return STATUS_USAGE;
}

/* Lines of text to standard output, one picture a window; all of them have one scale. */
static int draw_here(const struct timeline *t)
{
    const struct demo *d = &t->drawn;
    size_t n = d->n_runs ? d->n_runs : 1;
    bool looks[N_LOOKS] = {0};
    struct draw_term_how how = {.title = t->title, .looks = looks};
    struct buf b = {0};
    int r = 0, status = STATUS_DONE;

    draw_term_detect(STDOUT_FILENO, &how);
    if (t->width)
        how.width = (uint32_t)t->width;
    how.max_lanes = (uint32_t)t->lanes;
    how.ascii |= t->ascii;
    for (size_t i = 0; i < d->n_runs; i++)
        if (d->window[i].to - d->window[i].from > how.range)
            how.range = d->window[i].to - d->window[i].from;
    if (d->n_runs && t->title)
        buf_printf(&b, " %s\n", t->title); /* each window has its own below it */
    for (size_t i = 0; i < n && r == 0; i++) {
        if (d->n_runs) {
            how.from = d->window[i].from;
            how.to = d->window[i].to;
            how.title = d->window[i].title;
        }
        how.no_legend = i + 1 < n;
        r = draw_term(&d->rec, &how, &b);
    }
    if (r == 0 && d->rec.notes)
        draw_term_lines(&b, d->rec.notes, how.width, how.ascii);
    if (r == 0)
        r = buf_error(&b);
    if (r < 0)
        status = say("", hob_strerror(r));
    else
        fwrite(b.p, 1, b.len, stdout); /* main looks whether it could be written */
    buf_free(&b);
    return status;
}

/* On a terminal, anew whenever its size changes. */
static int draw_on(const struct timeline *t)
{
    const char *slash = strrchr(t->args.operand[0], '/');
    const char *name = slash && slash[1] ? slash + 1 : t->args.operand[0];
    struct draw_term_how how = {
        .title = t->title ? t->title : name, .max_lanes = (uint32_t)t->lanes, .ascii = t->ascii};
    int r = live_timeline(&t->drawn.rec, &how);

    return r < 0 ? say("", hob_strerror(r)) : STATUS_DONE;
}

static int draw_there(const struct timeline *t)
{
    struct draw_page_how how = {.title = t->title,
                                .width = (uint32_t)t->width,
                                .max_bytes = (uint32_t)t->max_size,
                                .windows = t->drawn.window,
                                .n_windows = t->drawn.n_runs};
    int r = draw_save(&t->drawn.rec, &how, t->format, t->output ? t->output : "-");

    return r < 0 ? say(t->output ? t->output : "standard output", hob_strerror(r)) : STATUS_DONE;
}

static int format_find(struct timeline *t)
{
    if (t->format_name) {
        if (draw_format_of(t->format_name, &t->format) < 0)
            return usage("--format is term, html, svg, pftrace or json");
    } else if (t->output && strcmp(t->output, "-") != 0) {
        if (draw_format_for(t->output, &t->format) < 0)
            return usage("a file's name ends in .html, .svg, .pftrace or .json, or give --format");
    }
    if (t->format == DRAW_TERM && t->output && strcmp(t->output, "-") != 0)
        return usage("term is for the terminal: leave -o out");
    if (t->interactive && (t->demo || t->output || t->format != DRAW_TERM))
        return usage("-i draws a file on the terminal");
    if (t->interactive && !out_is_terminal(STDOUT_FILENO))
        return usage("-i wants standard output to be a terminal");
    return STATUS_DONE;
}

/* What would do nothing in the form that is drawn; NULL: nothing. */
static const char *misplaced(const struct timeline *t)
{
    bool term = t->format == DRAW_TERM, page = t->format == DRAW_HTML || t->format == DRAW_SVG;

    if (t->ascii && !term)
        return "--ascii goes with the terminal";
    if (t->lanes && !term)
        return "-n goes with the terminal";
    if (t->max_size && !page)
        return "--max-size goes with a page (html, svg)";
    if (t->width && !term && !page)
        return "-w goes with the terminal or a page (html, svg)";
    if (t->title && !term && !page)
        return "--title goes with the terminal or a page (html, svg)";
    if (t->interactive && t->width)
        return "-i is as wide as the terminal: leave -w out";
    return NULL;
}

static int load(struct timeline *t)
{
    const char *path = t->demo ? "the demo" : t->args.operand[0];
    int r;

    r = t->demo ? demo_run(&t->drawn) : rec_load_any(path, &t->drawn.rec);
    if (r == -EBADMSG)
        return say(path, "not a recording of hob diagnose, nor one of hob's trace");
    if (r < 0)
        return say(path, hob_strerror(r));
    if (!t->title && !t->drawn.rec.command && t->format != DRAW_TERM)
        t->title = path; /* a program's own trace does not say its command */
    return STATUS_DONE;
}

int cmd_timeline(int argc, char *const argv[])
{
    struct timeline t = {.format = DRAW_TERM};
    const struct option options[] = {
        OPTION_STRING('o', "output", &t.output, "FILE",
                      "write .html, .svg, .pftrace (Perfetto) or .json (Chrome) there"),
        OPTION_STRING('f', "format", &t.format_name, "NAME",
                      "term, html, svg, pftrace or json (by FILE's name; term)"),
        OPTION_INT('w', "width", &t.width, 40, 4000, "N",
                   "columns, or pixels of a page (the terminal's; 1200)"),
        OPTION_INT('n', "lanes", &t.lanes, 1, 64, "N", "threads and tasks in a terminal (12)"),
        OPTION_SIZE(0, "max-size", &t.max_size, 20000, 100000000, "SIZE",
                    "of a page; slices of time are made wider until it fits (300kB)"),
        OPTION_STRING(0, "title", &t.title, "TEXT", "above the picture (of a page: the command)"),
        OPTION_FLAG(0, "ascii", &t.ascii, "draw with ASCII characters"),
        OPTION_FLAG('i', "interactive", &t.interactive,
                    "stay: draw anew when the terminal's size changes, pan and zoom by keys"),
        OPTION_FLAG(0, "demo", &t.demo, "run two tasks on one core, then on two, and draw them"),
        OPTION_END,
    };
    const struct option_command command = {
        .name = "hob timeline",
        .usage = "hob timeline [OPTION]... FILE\n   or: hob timeline --demo [OPTION]...",
        .about = "Draws a recording of 'hob diagnose --record FILE', or of a program's own trace.",
        .options = options};
    int status = option_start(&command, argc, argv, &t.args);
    const char *bad;

    if (status >= 0)
        return status;
    if (t.args.n != !t.demo)
        status = usage(t.demo ? "--demo draws no file" : "one recording is needed");
    else
        status = format_find(&t);
    if (status == STATUS_DONE && (bad = misplaced(&t)))
        status = usage(bad);
    if (status == STATUS_DONE && (status = load(&t)) == STATUS_DONE) {
        status = t.interactive           ? draw_on(&t)
                 : t.format == DRAW_TERM ? draw_here(&t)
                                         : draw_there(&t);
        demo_free(&t.drawn);
    }
    option_free(&command, &t.args);
    return status;
}
