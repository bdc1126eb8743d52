/* SPDX-License-Identifier: MIT
 *
 * verify.c - the command again, under other settings of its knobs
 *
 * HOW         Knobs (verify_knob.c), levels that are worth their time (verify_plan.c), runs
 *   (verify_run.c) in rounds: each level once, then, while budget is left, once more in the other
 *   order, so that what changes slowly (caches, a clock that throttles) does not fall on one level.
 *   Last the times are judged (verify_judge.c).
 *
 * BUDGET      So many runs, and 1.25 times the first run's time for each of them.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hob/hob.h>

#include "diag/verify_impl.h"
#include "lib/out.h"

static const double wall_for_each = 1.25; /* of the budget: times the first run */
static const double grace = 10;       /* s that the first round may take longer than the budget */
static const double helped_part = .2; /* of the run: others than main threads work */

/* --- facts ------------------------------------------------------------------------------------ */

/* Have others than main threads computed, or waited for I/O, for a real part of the run? */
static bool helped(const struct recording *rec)
{
    double sum = 0;

    for (size_t i = 0; i < rec->n_threads; i++) {
        const struct rec_thread *t = &rec->threads[i];

        if (t->is_task || t->tid == rec->procs[t->proc].pid)
            continue;
        for (size_t k = 0; k < t->n_ivals; k++) {
            const struct rec_ival *v = &t->ivals[k];
            bool works = v->state != REC_WAIT || rec_kind_class(v->kind) == HOB_CLASS_IO;

            sum += works || v->flags & REC_IVAL_FOLDED ? (double)(v->to - v->from) : 0;
        }
    }
    return sum > helped_part * (double)rec->wall;
}

static struct knob_facts facts_of(const struct verify_opts *o, const struct diagnosis *d,
                                  const struct files *files)
{
    const struct recording *rec = d->rec;
    uint32_t worst = d->measures.worst;
    const char *exe = worst < rec->n_procs ? rec->procs[worst].exe : NULL;

    return (struct knob_facts){
        .argv = o->argv,
        .n_cores = rec->n_cores ? rec->n_cores : 1,
        .at_once = knob_at_once(rec),
        .helped = helped(rec),
        .marks = files_marks(files, worst, exe, knob_marks(), KNOB_N_ENV),
    };
}

static int knobs_choose(const struct verify_opts *o, const struct diagnosis *d,
                        const struct files *files, struct verify *v, struct buf *err)
{
    struct knob_facts facts = facts_of(o, d, files);
    struct knob k[VERIFY_KNOBS];
    int r = 0;

    if (o->n_knobs == 0) {
        v->n_knobs = knobs_find(&facts, k, VERIFY_KNOBS);
        if (v->n_knobs > 1 && !k[0].workers)
            v->n_knobs = 1; /* cores by another name */
    }
    for (size_t i = 0; r == 0 && i < o->n_knobs && i < VERIFY_KNOBS; i++) {
        r = knob_named(&facts, o->knobs[i], &k[i], err);
        v->n_knobs = i + 1;
    }
    for (size_t i = 0; i < v->n_knobs; i++)
        v->knob[i].knob = k[i];
    return r;
}

/* --- rounds ----------------------------------------------------------------------------------- */

static void tell_plan(const struct verify_opts *o, const struct verify *v, size_t n, double seconds)
{
    fprintf(o->tell,
            "hob diagnose: --verify: runs it again, %zu times or more, about %.*f s; output is "
            "discarded, what else it does it does again:",
            n, seconds < 10, seconds);
    for (size_t i = 0; i < v->n_knobs; i++) {
        const struct verify_knob *vk = &v->knob[i];

        if (vk->n < 2)
            continue;
        fprintf(o->tell, "%s %s", i ? ";" : "", vk->knob.name);
        for (size_t k = 0; k < vk->n; k++)
            fprintf(o->tell, "%s %u", k ? "," : "", vk->row[k].level);
    }
    fprintf(o->tell, "\n");
    fflush(o->tell);
}

static void progress(const struct verify_opts *o, struct out_progress *p, const struct knob *k,
                     uint32_t level, unsigned run)
{
    struct buf text = {0}, out = {0};

    if (!p->on)
        return;
    if (k) {
        buf_printf(&text, "run %u: ", run);
        knob_setting(k, level, &text);
        if (buf_error(&text) == 0)
            out_progress_show(p, hob_now(), text.p, &out);
    } else {
        out_progress_clear(p, &out);
    }
    if (out.len > 0 && buf_error(&out) == 0) {
        fwrite(out.p, 1, out.len, o->tell);
        fflush(o->tell);
    }
    buf_free(&text);
    buf_free(&out);
}

/* The same run stands for every knob's row at the level of the command as given. */
static void sample_put(struct verify *v, const struct verify_point *p,
                       const struct verify_sample *s)
{
    const struct verify_knob *of = &v->knob[p->knob];
    bool given = of->row[p->row].level == of->knob.now;

    for (size_t i = 0; i < v->n_knobs; i++)
        for (size_t k = 0; k < v->knob[i].n; k++) {
            struct verify_row *row = &v->knob[i].row[k];
            bool same = i == p->knob && k == p->row;

            if ((same || (given && row->level == v->knob[i].knob.now)) && row->n < VERIFY_SAMPLES)
                row->sample[row->n++] = *s;
        }
}

struct rounds {
    struct verify_session session;
    struct out_progress progress;
    struct verify *v;
    struct verify_point *point;
    size_t n;
    unsigned runs;
    double budget;
};

/* One level once; false: that was the last. */
static bool point_run(struct rounds *x, size_t i, int *ret)
{
    struct verify_point *p = &x->point[i];
    struct verify_row *row = &x->v->knob[p->knob].row[p->row];
    const struct knob *k = &x->v->knob[p->knob].knob;
    struct verify_sample s;

    if (verify_asked_to_end(&x->session))
        return false;
    progress(x->session.opts, &x->progress, k, row->level, x->v->n_runs + 1);
    *ret = verify_once(&x->session, k, row->level, &s);
    if (*ret < 0)
        return false;
    x->v->n_runs++;
    x->v->seconds += s.seconds;
    p->expected = s.seconds;
    bool cut = x->session.signals > 0 && s.state == SAMPLE_FAILED;
    if (!cut)
        sample_put(x->v, p, &s);
    return x->session.signals == 0;
}

static double round_takes(const struct rounds *x)
{
    double sum = 0;

    for (size_t i = 0; i < x->n; i++)
        sum += x->point[i].expected;
    return sum;
}

static int rounds_run(struct rounds *x)
{
    bool goes_on = true;
    int r = 0;

    for (unsigned round = 0; goes_on && r == 0; round++) {
        if (round > 0 &&
            (x->v->n_runs + x->n > x->runs || x->v->seconds + round_takes(x) > x->budget))
            break;
        for (size_t i = 0; goes_on && i < x->n; i++) {
            bool late = x->v->seconds > x->budget + (round ? 0 : grace);

            goes_on = !late && point_run(x, round & 1 ? x->n - 1 - i : i, &r);
        }
    }
    return r;
}

/* --- all of it -------------------------------------------------------------------------------- */

static const char *refusal(const struct diagnosis *d)
{
    const struct recording *rec = d->rec;

    if (rec->exit_status < 0 || WIFSIGNALED(rec->exit_status))
        return "the command did not run to its end";
    if (d->measures.main.blame[REC_TTY] > .01)
        return "the command reads the terminal";
    return NULL;
}

static bool worth_it(const struct verify *v)
{
    for (size_t i = 0; i < v->n_knobs; i++)
        if (v->knob[i].n > 1)
            return true;
    return false;
}

static int say_no(struct verify *v, const char *why)
{
    v->refused = strdup(why);
    return v->refused ? 0 : -ENOMEM;
}

int verify_check(const struct verify_opts *o, struct buf *err)
{
    const struct knob_facts facts = {.argv = o->argv, .n_cores = 1};
    struct knob k;
    int r = 0;

    if (o->n_knobs > VERIFY_KNOBS) {
        buf_printf(err, "no more than %d knobs at a time", VERIFY_KNOBS);
        return -EINVAL;
    }
    for (size_t i = 0; r == 0 && i < o->n_knobs; i++)
        r = knob_named(&facts, o->knobs[i], &k, err);
    return r;
}

int verify(const struct verify_opts *o, const struct diagnosis *d, const struct files *files,
           struct verify *ret, struct buf *err)
{
    struct verify_point points[VERIFY_POINTS];
    struct rounds x = {.session = {.opts = o, .d = d}, .v = ret, .point = points};
    int r;

    *ret = (struct verify){0};
    if (refusal(d))
        return say_no(ret, refusal(d));
    r = knobs_choose(o, d, files, ret, err);
    if (r < 0)
        return r;
    x.runs = o->runs > 0 ? (unsigned)o->runs : VERIFY_RUNS;
    x.budget = wall_for_each * x.runs * fmax(d->measures.all.wall, .01);
    x.n = verify_plan(ret, d, x.runs, x.budget, points);
    if (!worth_it(ret))
        return say_no(ret, "nothing of it can be set from outside, and one core is all it has");
    tell_plan(o, ret, x.n, round_takes(&x));
    out_progress_init(&x.progress, fileno(o->tell));
    verify_begin(&x.session);
    r = rounds_run(&x);
    verify_end(&x.session);
    progress(o, &x.progress, NULL, 0, 0);
    ret->interrupted = x.session.signals > 0;
    ret->by = x.session.by;
    if (r < 0)
        buf_printf(err, "cannot run it again: %s", hob_strerror(r));
    verify_judge(ret, d);
    return 0;
}

void verify_free(struct verify *v)
{
    free(v->refused);
    v->refused = NULL;
}
