/* SPDX-License-Identifier: MIT
 *
 * run.c - hob_run: options and environment, then both halves are brought up
 *
 * The I/O half (sched/) and the CPU half (pool/) do not know each other; who starts a program
 * knows both.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <hob/rt.h>

#include "base/opts.h"
#include "pool/pool.h"
#include "sched/life.h"
#include "sched/rt.h"
#include "sched/search.h"
#include "sync/bridge.h"
#include "sync/dump.h"
#include "sync/top.h"
#include "sync/watch.h"
#include "trace/advise.h"

enum {
    STACK_DEFAULT = 64 * 1024,
    STACK_LEAST = 16 * 1024,
    STACK_MOST = 64 * 1024 * 1024,
    PAGE = 4096,
    WATCHDOG_MOST_MS = 1000 * 3600,
    NICE_DEFAULT = 19,
};

static atomic_flag run_taken = ATOMIC_FLAG_INIT;

/* A whole decimal number from the environment; *ret untouched when the variable is not set. */
static int env_number(const char *name, uint64_t most, bool *ret_set, uint64_t *ret)
{
    const char *text = getenv(name);
    unsigned long long n;
    char *end;

    *ret_set = text && *text;
    if (!*ret_set)
        return 0;
    errno = 0;
    n = strtoull(text, &end, 10);
    if (errno || *end || end == text || strchr(text, '-') || n > most)
        return -EINVAL;
    *ret = n;
    return 0;
}

/* What is reported, and to whom. */
static int watch_read(const struct hob_opts *o, struct rt_config *c)
{
    const char *signal = getenv("HOB_DUMP");
    uint64_t ms = 0;
    bool set;
    int r = env_number("HOB_WATCHDOG", WATCHDOG_MOST_MS, &set, &ms);

    if (r < 0)
        return r;
    c->watchdog = o->watchdog ? o->watchdog : (hob_dur)ms * HOB_MS;
    if (c->watchdog < 0 || c->watchdog > WATCHDOG_MOST_MS * HOB_MS)
        return -EINVAL;
    c->dump_signal = o->dump_signal;
    if (!c->dump_signal && signal && *signal && !(c->dump_signal = hob__watch_signal(signal)))
        return -EINVAL;
    c->no_deadlock = o->no_deadlock;
    c->report = o->report;
    c->report_arg = o->report_arg;
    return 0;
}

static int config_read(const struct hob_opts *o, struct rt_config *c)
{
    uint64_t loops = 1;
    bool set;
    int r;

    *c = (struct rt_config){.no_slice = o->no_slice, .stop_on_signals = o->stop_on_signals};
    if ((r = hob__search_env(c)) < 0)
        return r;
    if (c->n_loops) /* a schedule is of so many */
        loops = c->n_loops;
    if ((r = env_number("HOB_LOOPS", LOOPS_MAX, &set, &loops)) < 0)
        return r;
    c->n_loops = o->loops ? o->loops : (unsigned)loops;
    if (c->n_loops == 0 || c->n_loops > LOOPS_MAX)
        return -EINVAL;
    c->stack_size = o->stack_size ? o->stack_size : STACK_DEFAULT;
    if (c->stack_size < STACK_LEAST || c->stack_size > STACK_MOST || c->stack_size % PAGE)
        return -EINVAL;
    if ((r = watch_read(o, c)) < 0)
        return r;
    if (o->pool_nice < 0 || o->pool_nice > NICE_DEFAULT)
        return -EINVAL;
    return 0;
}

/* Who looks from outside comes when all loops are there and goes before the first of them. */
static void run_hook(struct rt *rt, bool on)
{
    struct text t = {0};

    if (!on) {
        hob__dump_marks(rt, &t);
        hob__report(rt, &t);
        hob__text_free(&t);
    }
    hob__dump_hook(rt, on);
    hob__top_hook(rt, on);
    hob__watch_hook(rt, on);
}

static void stuck_hook(struct rt *rt, bool again)
{
    struct text t = {0};

    hob__text_put(&t, again ? "hob: deadlock: it was cancelled, and again nothing can run\n"
                            : "hob: deadlock: nothing can run any more; the first fiber's scope is "
                              "cancelled\n");
    hob__dump_all(rt, &t);
    hob__report(rt, &t);
    hob__text_free(&t);
}

int hob_run(const struct hob_opts *opts, hob_fn fn, void *arg)
{
    struct hob_opts o;
    struct rt_config config;
    int r, rc;

    if ((r = hob__opts_copy(&o, sizeof o, opts)) < 0 || (r = config_read(&o, &config)) < 0)
        return r;
    if (!fn)
        return -EINVAL;
    if (hob__life_forked)
        return hob__off_fiber();
    if (atomic_flag_test_and_set(&run_taken))
        return -EBUSY;
    if (config.search && (r = hob__search(&config)) < 0)
        goto out;
    hob__trace_env();
    hob__rt_hook = run_hook;
    hob__stuck_hook = stuck_hook;
    hob__bridge_open();
    if (!o.no_pool_nice && !config.sim)
        hob__pool_set_nice(o.pool_nice ? o.pool_nice : NICE_DEFAULT);
    r = hob__rt_run(&config, fn, arg, &rc);
    hob__bridge_close();
    r = r < 0 ? r : rc;
    hob__search_ran(r);
out:
    atomic_flag_clear(&run_taken);
    return r;
}
