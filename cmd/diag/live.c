/* SPDX-License-Identifier: MIT
 *
 * live.c - a recording looked at while it is made
 *
 * HOW         Each picture measures two copies (live_window.h): one of the last seconds, made
 *   anew each time, and one of everything, brought up to date.  Both fold beyond IVALS_MOST
 *   intervals, whatever the run's length or rate.  Of a program that switches so often that ten
 *   seconds have more than COPIED_MOST the window is shorter, and says so.
 *
 *   What is counted and not recorded by time (CPU time of the kernel, lost records, load of
 *   others) is noted at each picture; the difference to a note at the window's beginning is the
 *   window's.
 *
 *   A picture is made in steps, one a call, so that the kernel's rings are emptied in between.
 *
 * REJECTED    A thread of its own: the copies would have to be taken while the recorder stands
 *   still all the same, and they are half of the work.
 */
#include "diag/live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <hob/rt.h>

#include "diag/live_impl.h"
#include "diag/live_screen.h"
#include "diag/live_window.h"
#include "diag/procfs.h"
#include "lib/out.h"

enum { IVALS_MOST = 20000, COPIED_MOST = 200000, NOTES = 64, PROCS_ASKED = 64 };

#define EVERY_TERMINAL (300 * HOB_MS)
#define EVERY_LINE     HOB_SEC
#define COST           50 /* a picture's CPU time times this is the least time to the next */

struct note {
    int64_t at;
    int64_t busy;         /* of the cores it may use; -1: not known */
    int64_t own;          /* this process's CPU time */
    int64_t user, system; /* the tree's; -1: not known */
    uint64_t switches, lost, waits, looked;
};

struct live {
    struct live_of of;
    hob_dur every;
    int64_t due, cpu;
    bool first;
    int step;     /* the next one of the picture that is being made, */
    int64_t cost; /* and what it has taken of CPU time so far */
    struct live_window last, whole;
    struct diagnosis d_last, d_whole;
    struct note taken;
    struct note began, notes[NOTES]; /* a ring, of n_notes the last ones */
    uint64_t n_notes;
    struct live_screen screen;
    bool terminal;
};

/* --- what is counted -------------------------------------------------------------------------- */

static int64_t cpu_now(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * HOB_SEC +
           (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * HOB_US;
}

/* CPU time of the processes that live, and of those they have waited for. */
static void tree_times(const struct recording *rec, struct note *n)
{
    int64_t tick = HOB_SEC / sysconf(_SC_CLK_TCK);
    size_t asked = 0;

    n->user = n->system = 0;
    for (size_t i = 0; i < rec->n_procs; i++) {
        const struct rec_proc *p = &rec->procs[i];
        struct procfs_stat st;
        char text[1024];

        if (p->died != INT64_MAX || p->pid <= 0)
            continue;
        if (++asked > PROCS_ASKED) {
            n->user = n->system = -1;
            return;
        }
        if (procfs_read(text, sizeof text, "/proc/%d/stat", p->pid) <= 0 ||
            procfs_parse_stat(text, &st) < 0)
            continue;
        n->user += (int64_t)(st.user + st.cuser) * tick;
        n->system += (int64_t)(st.sys + st.csys) * tick;
    }
}

static struct note note_take(const struct live *l, int64_t now)
{
    const struct recording *rec = l->of.rec;
    struct note n = {.at = now,
                     .busy = load_busy(l->of.load),
                     .own = cpu_now(),
                     .switches = rec->n_switches,
                     .lost = rec->n_lost,
                     .waits = rec->n_waits,
                     .looked = rec->n_looked};

    tree_times(rec, &n);
    return n;
}

/* The youngest one that is not younger than `since`. */
static const struct note *note_before(const struct live *l, int64_t since)
{
    uint64_t oldest = l->n_notes > NOTES ? l->n_notes - NOTES : 0;

    for (uint64_t i = l->n_notes; i-- > oldest;)
        if (l->notes[i % NOTES].at <= since)
            return &l->notes[i % NOTES];
    return oldest > 0 ? &l->notes[oldest % NOTES] : &l->began;
}

/* Far enough apart to reach over the window. */
static void note_keep(struct live *l, const struct note *n)
{
    if (l->n_notes == 0 || n->at - l->notes[(l->n_notes - 1) % NOTES].at >= LIVE_WINDOW / 32)
        l->notes[l->n_notes++ % NOTES] = *n;
}

/* What a copy says of the time between two notes. */
static void sums(const struct live *l, struct live_window *w, const struct note *from,
                 const struct note *to)
{
    struct recording *rec = &w->rec;
    int64_t wall = to->at - from->at, noise = LOAD_NOISE * (HOB_SEC / sysconf(_SC_CLK_TCK));

    rec->n_cores = load_cores(l->of.load);
    rec->n_switches = to->switches - from->switches;
    rec->n_lost = to->lost - from->lost;
    rec->n_waits = to->waits - from->waits;
    rec->n_looked = to->looked - from->looked;
    if (from->user >= 0 && to->user >= from->user && to->system >= from->system) {
        rec->user = to->user - from->user;
        rec->system = to->system - from->system;
    }
    if (from->busy >= 0 && to->busy >= 0 && wall > 0) {
        double run = (double)w->run * (double)wall / (double)(rec->wall > 0 ? rec->wall : wall);
        double others = (double)(to->busy - from->busy) - (double)(to->own - from->own) - run;

        rec->foreign = others > (double)noise ? others / (double)wall : 0;
    }
}

/* --- pictures --------------------------------------------------------------------------------- */

static void page_show(struct live *l, const struct live_view *v)
{
    struct draw_term_how how = {0};
    struct buf page = {0};

    draw_term_detect(STDERR_FILENO, &how);
    how.width = l->screen.columns;
    live_page(v, &how, live_screen_rows(&l->screen), &page);
    if (buf_error(&page) == 0 && page.len > 0)
        live_screen_show(&l->screen, page.p);
    buf_free(&page);
}

static void line_show(struct live *l, const struct live_view *v)
{
    struct buf line = {0};

    live_line(v, l->first, &line);
    if (buf_error(&line) == 0 && write(STDERR_FILENO, line.p, line.len) < 0)
        l->every = HOB_SEC * 3600; /* nobody reads them */
    l->first = false;
    buf_free(&line);
}

static void view_show(struct live *l, const struct live_view *v)
{
    if (l->terminal)
        page_show(l, v);
    else
        line_show(l, v);
}

/* What a picture is made of; between two steps the recorder does its own work. */
enum step { STEP_LAST, STEP_WHOLE, STEP_DIAGNOSE_LAST, STEP_DIAGNOSE_WHOLE, STEP_SHOW, N_STEPS };

/* The last seconds are copied, with what was counted. */
static void last_take(struct live *l, int64_t now)
{
    const struct recording *rec = l->of.rec;
    int64_t since = now > LIVE_WINDOW ? now - LIVE_WINDOW : 0;

    since = live_window_since(rec, since, now, COPIED_MOST);
    live_window_free(&l->last);
    live_window_init(&l->last, rec, since, IVALS_MOST);
    live_window_take(&l->last, l->of.source, l->of.state, now);
    l->taken = note_take(l, now);
    sums(l, &l->last, note_before(l, since), &l->taken);
    note_keep(l, &l->taken);
}

static void whole_take(struct live *l, int64_t now)
{
    live_window_take(&l->whole, l->of.source, l->of.state, now);
    sums(l, &l->whole, &l->began, &l->taken);
}

static const char *keys_words(const struct live *l)
{
    if (live_fd(l) < 0)
        return "";
    return l->of.rec->attached ? "q detaches" : "q ends the view";
}

/* False: no further step of this picture. */
static bool step_make(struct live *l, int64_t now)
{
    switch (l->step) {
    case STEP_LAST:
        if (l->terminal && live_screen_take(&l->screen) < 0)
            return false; /* in the background, or too small */
        last_take(l, now);
        break;
    case STEP_WHOLE:
        whole_take(l, now);
        break;
    case STEP_DIAGNOSE_LAST:
        return !l->last.rec.failed && diagnose(&l->last.rec, &l->d_last) == 0;
    case STEP_DIAGNOSE_WHOLE:
        return !l->whole.rec.failed && diagnose(&l->whole.rec, &l->d_whole) == 0;
    default:
        view_show(l, &(struct live_view){.last = &l->d_last,
                                         .whole = &l->d_whole,
                                         .now = l->taken.at,
                                         .command = l->of.rec->command,
                                         .keys = keys_words(l)});
    }
    return true;
}

int64_t live_tick(struct live *l, int64_t now)
{
    if (now < l->due)
        return l->due - now;
    int64_t before = cpu_now();
    bool more = step_make(l, now);
    int64_t cost = cpu_now() - before;
    l->cpu += cost;
    l->cost += cost;
    if (more && ++l->step < N_STEPS)
        return 0;
    l->step = STEP_LAST;
    l->due = now + (l->cost * COST > l->every ? l->cost * COST : l->every);
    l->cost = 0;
    return l->due - now;
}

/* --- begin and end ---------------------------------------------------------------------------- */

int live_open(const struct live_how *how, const struct live_of *of, struct live **ret)
{
    struct live *l = calloc(1, sizeof *l);

    if (!l)
        return -ENOMEM;
    *l = (struct live){.of = *of, .first = true, .terminal = out_is_terminal(STDERR_FILENO)};
    l->every = how->every ? how->every : l->terminal ? EVERY_TERMINAL : EVERY_LINE;
    l->due = l->every;
    live_window_init(&l->whole, of->rec, 0, IVALS_MOST);
    l->began = note_take(l, 0);
    live_screen_init(&l->screen, STDERR_FILENO, of->rec->attached);
    *ret = l;
    return 0;
}

int live_fd(const struct live *l)
{
    return l->screen.keys;
}

bool live_wants_end(struct live *l)
{
    char key;

    while (live_screen_key(&l->screen, &key))
        if (key == 'q' || key == 'Q')
            return true;
    return false;
}

void live_resized(struct live *l)
{
    l->due = 0;
}

void live_leave(struct live *l)
{
    live_screen_leave(&l->screen);
}

int64_t live_cpu(const struct live *l)
{
    return l->cpu;
}

void live_close(struct live *l)
{
    if (!l)
        return;
    live_screen_fini(&l->screen);
    live_window_free(&l->last);
    live_window_free(&l->whole);
    free(l);
}
