/* SPDX-License-Identifier: MIT
 *
 * advise.c - any hob program, asked through its environment where its time goes
 *
 * WHAT        HOB_TRACE=FILE records the whole run into FILE, "%p" in it being the process's
 *             number; HOB_TRACE=-FILE does so unheard, and not beyond QUIET_MAX: hob diagnose asks
 *             for it where the user did not.  HOB_ADVISE=1 prints at exit, to standard error, a
 * verdict for the program and one for each kind of task, and names fibers that held their loop.
 *
 * HOW         A table of sums by name; a task gets its row when it begins, so what it did is added
 *             once a task.  The program's own line leaves out waits for tasks that are in the
 *             table themselves (joins, offloaded calls): their time is there already.
 *
 *   exit() prints; _exit() and a signal do not.  The recording of a killed program is readable
 *   up to its last 50 ms (sink.c).  A child made by fork() neither records nor advises: its
 *   parent's sums are not its own.  Programs with more privileges than their user are not asked.
 *
 * THREADS     Rows are found by an atomic walk and never move.  Two threads that add the same name
 *   at once may each get a row; the print and `hob top` add rows of one name together.
 *
 * REJECTED    A recording read back at exit: memory grows with the run, and the sums are all that
 *             is told.
 */
#include "trace/advise.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hob/base.h>

#include "plat/cpu.h"
#include "plat/env.h"
#include "trace/record.h"

enum { ROWS = 256, NAME_MAX_LEN = 48, ROWS_PRINTED = 12, QUIET_MAX = 128 << 20 };

struct row {
    struct trace_stage sums;
    struct trace_live live;
    enum advise_kind kind;
    char name[NAME_MAX_LEN];
    _Atomic(bool) there;
};

static struct row rows[ROWS]; /* untouched unless asked for; the last one takes what is too much */
static _Atomic(unsigned) n_rows;
static pthread_once_t env_once = PTHREAD_ONCE_INIT;
static bool records, records_quietly;

static bool row_is(const struct row *r, const char *name, enum advise_kind kind)
{
    return r->kind == kind && strncmp(r->name, name, NAME_MAX_LEN - 1) == 0;
}

static void row_init(struct row *r, const char *name, enum advise_kind kind)
{
    snprintf(r->name, sizeof r->name, "%s", name);
    r->kind = kind;
    hob__stage_init(&r->sums, NULL);
    r->sums.name = r->name;
    if (__atomic_load_n(&hob__trace_on, __ATOMIC_RELAXED) & TRACE_TOP)
        r->sums.live = &r->live;
    atomic_store_explicit(&r->there, true, memory_order_release);
}

static struct row *row_of(const char *name, enum advise_kind kind)
{
    unsigned i;

    for (i = 0; i < atomic_load_explicit(&n_rows, memory_order_acquire) && i < ROWS; i++)
        if (atomic_load_explicit(&rows[i].there, memory_order_acquire) &&
            row_is(&rows[i], name, kind))
            return &rows[i];
    i = atomic_fetch_add(&n_rows, 1);
    if (i >= ROWS - 1) {
        atomic_store(&n_rows, ROWS);
        return &rows[ROWS - 1]; /* there from the start */
    }
    row_init(&rows[i], name, kind);
    return &rows[i];
}

struct trace_stage *hob__advise_stage(const char *name, enum advise_kind kind)
{
    if (!(__atomic_load_n(&hob__trace_on, __ATOMIC_RELAXED) & (TRACE_ADVISE | TRACE_TOP)))
        return NULL;
    return &row_of(name ? name : "(no name)", kind)->sums;
}

struct trace_live *hob__live_of(const char *name, enum advise_kind kind)
{
    if (!name || !(__atomic_load_n(&hob__trace_on, __ATOMIC_RELAXED) & TRACE_TOP))
        return NULL;
    return &row_of(name, kind)->live;
}

void hob__advise_each(advise_told *told, void *arg)
{
    for (unsigned i = 0; i < ROWS; i++)
        if (atomic_load_explicit(&rows[i].there, memory_order_acquire))
            told(arg, rows[i].kind, &rows[i].sums, &rows[i].live);
}

bool hob__advise_owns(const struct trace_stage *s)
{
    return (uintptr_t)s >= (uintptr_t)rows && (uintptr_t)s < (uintptr_t)(rows + ROWS);
}

static void sums_add(struct trace_stage *to, const struct trace_stage *s)
{
#define ADD(field)                                                                                 \
    __atomic_add_fetch(&to->field, __atomic_load_n(&s->field, __ATOMIC_RELAXED), __ATOMIC_RELAXED)
    ADD(n_tasks);
    ADD(n_runs);
    ADD(n_long);
    ADD(run_ns);
    ADD(ready_ns);
    ADD(join_ns);
    ADD(offload_ns);
    for (int i = 0; i < HOB_N_CLASSES; i++)
        ADD(wait_ns[i]);
#undef ADD
    if (s->longest_run_ns > to->longest_run_ns)
        to->longest_run_ns = s->longest_run_ns;
    if (s->first && (to->first == 0 || s->first < to->first))
        to->first = s->first;
    if (s->last > to->last)
        to->last = s->last;
}

void hob__advise_merge(const struct trace_stage *s)
{
    struct trace_stage *to = hob__advise_stage(s->name, ADVISE_STAGE);

    if (to)
        sums_add(to, s);
}

/* --- what is printed -------------------------------------------------------------------------- */

static int64_t sums_life(const struct trace_stage *s)
{
    int64_t life = s->run_ns + s->ready_ns;

    for (int i = 0; i < HOB_N_CLASSES; i++)
        life += s->wait_ns[i];
    return life;
}

static int row_order(const void *a, const void *b)
{
    int64_t x = sums_life(&((const struct row *)a)->sums);
    int64_t y = sums_life(&((const struct row *)b)->sums);

    return (x < y) - (x > y);
}

/* A copy of the rows, those of one name as one; free() it. */
static struct row *rows_gather(size_t *ret_n)
{
    struct row *all = calloc(ROWS, sizeof *all);
    size_t n = 0;

    for (unsigned i = 0; all && i < ROWS; i++) {
        size_t k = 0;

        if (!atomic_load_explicit(&rows[i].there, memory_order_acquire) ||
            sums_life(&rows[i].sums) == 0)
            continue;
        while (k < n && !row_is(&all[k], rows[i].name, rows[i].kind))
            k++;
        if (k == n) {
            memcpy(all[n].name, rows[i].name, NAME_MAX_LEN);
            all[n++].kind = rows[i].kind;
        }
        sums_add(&all[k].sums, &rows[i].sums);
    }
    if (all)
        qsort(all, n, sizeof *all, row_order);
    *ret_n = all ? n : 0;
    return all;
}

static struct hob_usage usage_of(const struct trace_stage *s, hob_dur wall)
{
    struct hob_usage u = {.size = sizeof u,
                          .wall = wall,
                          .on_cpu = s->run_ns,
                          .ready = s->ready_ns,
                          .n_cores = hob__cpu_usable()};

    for (int i = 0; i < HOB_N_CLASSES; i++)
        u.waiting[i] = s->wait_ns[i];
    return u;
}

/* While something runs nobody waits in vain: of a program that keeps a core busy, the waits count
 * for the time that is left. */
static void waits_beside_work(struct hob_usage *u)
{
    const double busy = .7;
    double cores = (double)u->on_cpu / (double)u->wall, left = cores < 1 ? 1 - cores : 0;
    hob_dur waits = 0;

    for (int i = 0; i < HOB_N_CLASSES; i++)
        waits += u->waiting[i];
    for (int i = 0; cores >= busy && waits > 0 && i < HOB_N_CLASSES; i++)
        u->waiting[i] = (hob_dur)((double)u->waiting[i] / (double)waits * left * (double)u->wall);
}

static void print_program(FILE *out, const struct trace_stage *sum, hob_dur wall)
{
    struct hob_verdict v = {.size = sizeof v};
    struct hob_usage u = usage_of(sum, wall);

    u.waiting[HOB_CLASS_SYNC] -= sum->join_ns;
    u.waiting[HOB_CLASS_CPU] -= sum->offload_ns;
    if (wall > 0)
        waits_beside_work(&u);
    if (hob_verdict_of(&u, &v) == 0)
        fprintf(out, "  the program %s\n", v.words);
}

static void print_row(FILE *out, const struct row *r)
{
    static const char *const kind[] = {"fiber", "job", "stage", "task"};
    const struct trace_stage *s = &r->sums;
    struct hob_usage u = usage_of(s, s->last > s->first ? s->last - s->first : 0);
    struct hob_verdict v = {.size = sizeof v};

    u.longest_turn = 0; /* said below, with what to do */
    if (hob_verdict_of(&u, &v) == 0)
        fprintf(out, "  %s `%s` (%llu) %s\n", kind[r->kind], r->name,
                (unsigned long long)s->n_tasks, v.words);
}

/* A stage of kind IO is fibers as well, but says so itself in its flow's summary. */
static void print_held(FILE *out, const struct row *r)
{
    const struct trace_stage *s = &r->sums;

    if (r->kind != ADVISE_FIBER || s->n_long == 0)
        return;
    fprintf(out, "  -> fiber `%s` ran %.0f ms without parking", r->name,
            (double)s->longest_run_ns / HOB_MS);
    if (s->n_long > 1)
        fprintf(out, " at most, %llu times over %d ms", (unsigned long long)s->n_long,
                (int)(TRACE_LONG / HOB_MS));
    fputs(": CPU-bound on a loop; use hob_offload\n", out);
}

void hob__advise_print(FILE *out)
{
    struct trace_stage sum = {0};
    size_t n;
    struct row *all = rows_gather(&n);

    for (size_t i = 0; i < n; i++)
        sums_add(&sum, &all[i].sums);
    hob_dur wall = sum.last - sum.first; /* on the tasks' clock: simulated, it is virtual */
    fprintf(out, "hob: where the time went, %.2f s on %u core%s\n", (double)wall / HOB_SEC,
            hob__cpu_usable(), hob__cpu_usable() == 1 ? "" : "s");
    if (n == 0)
        fputs("  nothing ran on a loop or on the pool\n", out);
    else
        print_program(out, &sum, wall);
    for (size_t i = 0; i < n && i < ROWS_PRINTED; i++)
        print_row(out, &all[i]);
    if (n > ROWS_PRINTED)
        fprintf(out, "  and %zu more\n", n - ROWS_PRINTED);
    for (size_t i = 0; i < n; i++)
        print_held(out, &all[i]);
    free(all);
}

/* --- the environment -------------------------------------------------------------------------- */

/* The name with each "%p" replaced by the process's number; NULL: no memory. */
static char *path_of(const char *text)
{
    size_t room = strlen(text) * 6 + 1, n = 0; /* a number takes up to 10 for 2 */
    char *path = malloc(room);

    for (; path && *text; text++) {
        if (text[0] == '%' && text[1] == 'p') {
            n += (size_t)snprintf(path + n, room - n, "%d", (int)getpid());
            text++;
        } else {
            path[n++] = *text;
        }
    }
    if (path)
        path[n] = '\0';
    return path;
}

static void env_exit(void)
{
    unsigned on = __atomic_load_n(&hob__trace_on, __ATOMIC_RELAXED);
    int r = 0;

    if (records && records_quietly)
        (void)hob__trace_stop_yielding();
    else if (records && on & TRACE_RECORD)
        r = hob_trace_stop(NULL);
    if (r < 0)
        fprintf(stderr, "hob: HOB_TRACE: %s\n", hob_strerror(r));
    if (on & TRACE_ADVISE)
        hob__advise_print(stderr);
}

/* Its parent's sums are not its own. */
static void env_child(void)
{
    __atomic_store_n(&hob__trace_on, 0, __ATOMIC_RELAXED);
}

static void env_record(const char *text)
{
    bool quiet = text[0] == '-';
    uint64_t most = quiet ? QUIET_MAX : 0;
    char *path = path_of(text + quiet);
    struct hob_trace_opts *o = HOB_TRACE_OPTS(.path = path, .max_bytes = most);
    int r = !path ? -ENOMEM : quiet ? hob__trace_start_yielding(o) : hob_trace_start(o);

    records_quietly = quiet;
    if (r < 0 && !quiet)
        fprintf(stderr, "hob: HOB_TRACE=%s: %s: nothing is recorded\n", text, hob_strerror(r));
    records = r == 0;
    free(path);
}

/* Set, and not to 0. */
static bool env_says(const char *name)
{
    const char *text = secure_getenv(name);

    return text && *text && strcmp(text, "0") != 0;
}

static void env_read(void)
{
    const char *file = secure_getenv("HOB_TRACE");
    bool advises = env_says("HOB_ADVISE");
    unsigned on = (advises ? TRACE_ADVISE : 0) | (env_says("HOB_TOP") ? TRACE_TOP : 0) |
                  (env_says("HOB_STACKS") ? TRACE_STACKS : 0);

    if (on) {
        pthread_atfork(NULL, NULL, env_child);
        __atomic_or_fetch(&hob__trace_on, on, __ATOMIC_RELEASE);
        row_init(&rows[ROWS - 1], "(others)", ADVISE_OTHERS);
    }
    if (file && *file)
        env_record(file);
    if (records || advises)
        atexit(env_exit);
}

void hob__trace_env(void)
{
    pthread_once(&env_once, env_read);
}
