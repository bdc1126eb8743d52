/* SPDX-License-Identifier: MIT
 *
 * draw_chrome.c - a recording as Chrome's JSON trace events
 *
 * HOW         "X" is an interval with its length, "M" a name, "C" a counter; times are
 *             microseconds.  The cores are the threads of a process 0 that does not exist.
 */
#include "diag/draw_trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "diag/draw_counters.h"
#include "lib/out.h"

struct writer {
    const struct recording *rec;
    FILE *out;
    struct buf line;
    bool any, failed;
};

static void open_event(struct writer *w, const char *phase, const char *name, const char *category)
{
    buf_puts(&w->line, w->any ? ",\n{\"ph\":" : "{\"ph\":");
    w->any = true;
    out_json_string(&w->line, phase, strlen(phase));
    buf_puts(&w->line, ",\"name\":");
    out_json_string(&w->line, name, strlen(name));
    if (category) {
        buf_puts(&w->line, ",\"cat\":");
        out_json_string(&w->line, category, strlen(category));
    }
}

static void close_event(struct writer *w)
{
    buf_putc(&w->line, '}');
    if (w->line.failed)
        w->failed = true;
    else
        fwrite(w->line.p, 1, w->line.len, w->out);
    buf_reset(&w->line);
}

static void who(struct writer *w, int32_t pid, uint32_t tid)
{
    buf_printf(&w->line, ",\"pid\":%d,\"tid\":%u", pid, tid);
}

static void when(struct writer *w, int64_t from, int64_t to)
{
    buf_printf(&w->line, ",\"ts\":%lld.%03d,\"dur\":%lld.%03d", (long long)from / 1000,
               (int)(from % 1000), (long long)(to - from) / 1000, (int)((to - from) % 1000));
}

static void name_of(struct writer *w, const char *what, int32_t pid, uint32_t tid, const char *name)
{
    open_event(w, "M", what, NULL);
    who(w, pid, tid);
    buf_puts(&w->line, ",\"args\":{\"name\":");
    out_json_string(&w->line, name, strlen(name));
    buf_putc(&w->line, '}');
    close_event(w);
}

/* Tasks have numbers of their own, where no thread's is. */
static uint32_t tid_of(const struct recording *rec, uint32_t i)
{
    const struct rec_thread *th = &rec->threads[i];

    return th->is_task || th->tid <= 0 ? 1u << 30 | i : (uint32_t)th->tid;
}

static int cores(struct writer *w)
{
    struct picture_turn *turns;
    size_t n;
    int r = picture_turns(w->rec, &turns, &n);

    if (r < 0)
        return r;
    if (n)
        name_of(w, "process_name", 0, 0, "CPU cores");
    for (size_t i = 0; i < n; i++) {
        const struct picture_turn *t = &turns[i];

        if (i == 0 || turns[i - 1].core != t->core) {
            char name[32];
            snprintf(name, sizeof name, "core %u", t->core);
            name_of(w, "thread_name", 0, t->core, name);
        }
        open_event(w, "X", w->rec->threads[t->thread].name, "cpu");
        who(w, 0, t->core);
        when(w, t->from, t->to);
        close_event(w);
    }
    free(turns);
    return 0;
}

static void thread(struct writer *w, uint32_t i)
{
    const struct rec_thread *th = &w->rec->threads[i];
    int32_t pid = w->rec->procs[th->proc].pid;
    struct buf words = {0};

    name_of(w, "thread_name", pid, tid_of(w->rec, i), th->name);
    for (size_t k = 0; k < th->n_ivals && !w->failed; k++) {
        const struct rec_ival *iv = &th->ivals[k];

        buf_reset(&words);
        draw_ival_words(&words, w->rec, iv);
        open_event(w, "X", words.len ? words.p : "",
                   iv->state == REC_RUN     ? "cpu"
                   : iv->state == REC_READY ? "ready"
                                            : rec_kind_word((enum rec_kind)iv->kind));
        who(w, pid, tid_of(w->rec, i));
        when(w, iv->from, iv->to);
        if (iv->flags & REC_IVAL_FOLDED)
            buf_printf(&w->line, ",\"args\":{\"on_cpu_percent\":%u,\"ready_percent\":%u}",
                       iv->run_ppm / 10000, iv->ready_ppm / 10000);
        else if (iv->state == REC_WAIT && iv->in_flight > 1)
            buf_printf(&w->line, ",\"args\":{\"in_flight\":%u}", iv->in_flight);
        close_event(w);
    }
    w->failed |= words.failed;
    buf_free(&words);
}

static int counters(struct writer *w)
{
    struct draw_counters c;
    int r = draw_counters_make(w->rec, &c);

    if (r < 0)
        return r;
    for (size_t i = 0; i < c.n; i++)
        for (uint32_t k = 0; k < c.picture.n_cells; k++) {
            int64_t at = draw_counters_at(&c, k);
            double v = c.counter[i].cells[k];

            if (k > 0 && c.counter[i].cells[k - 1] == c.counter[i].cells[k])
                continue;
            open_event(w, "C", c.counter[i].name, NULL);
            buf_printf(&w->line, ",\"pid\":0,\"ts\":%lld.%03d,\"args\":{\"value\":%.2f}",
                       (long long)at / 1000, (int)(at % 1000), v);
            close_event(w);
        }
    draw_counters_free(&c);
    return 0;
}

int draw_chrome(const struct recording *rec, FILE *out)
{
    struct writer w = {.rec = rec, .out = out};
    int r;

    fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n", out);
    r = cores(&w);
    for (uint32_t i = 0; i < rec->n_procs; i++) {
        const struct rec_proc *p = &rec->procs[i];
        name_of(&w, "process_name", p->pid, 0,
                p->command && *p->command ? p->command
                : p->exe                  ? p->exe
                                          : "");
    }
    for (uint32_t i = 0; i < rec->n_threads; i++)
        if (rec->threads[i].n_ivals)
            thread(&w, i);
    if (r == 0)
        r = counters(&w);
    fputs("\n]}\n", out);
    if (r == 0 && (w.failed || w.line.failed))
        r = -ENOMEM;
    if (r == 0 && ferror(out))
        r = errno ? -errno : -EIO;
    buf_free(&w.line);
    return r;
}
