/* SPDX-License-Identifier: MIT
 *
 * advice.c - a table: language by cure
 *
 * HOW         In a line of code {n} stands for the operations at once and {p} for the cores.  Every
 *   language has a line for every cure; a compiled program that is not known closer has C's.
 *
 *   A line of code is for who writes the program.  Of a compiled program that was installed the
 *   reader has no source: the advice is for who runs it.  And whoever runs it has its options: a
 *   number on the command line that says how many at once (-j 1) is advised before anything else.
 *
 * REJECTED    Names of options that the command line does not have (-T for one compressor, -j for
 *   another): that is a table of programs, never whole, and wrong for the next of that name.
 */
#include <stdio.h>
#include <string.h>

#include "diag/advice.h"
#include "diag/advice_own.h"
#include "diag/verify_knob.h"

enum cure {
    CURE_CONCURRENCY,
    CURE_FILES, /* concurrency where a disk is waited for */
    CURE_PARALLELISM,
    CURE_BOTH,
    CURE_POOL_IO,
    CURE_LOOP,
    CURE_AWAIT, /* a loop that stands in a call */
    CURE_GIL,
    CURE_LOCK,
    CURE_HOLD, /* a lock that is held while an answer is waited for */
    CURE_OVERSUB,
    CURE_BATCH,
    N_CURES
};

static const char *const words[N_CURES] = {
    [CURE_CONCURRENCY] = "more operations at once, on the threads there are",
    [CURE_FILES] = "more reads and writes at once",
    [CURE_PARALLELISM] = "spread the computing over {p} cores",
    [CURE_BOTH] = "wait for {n} at once, and compute on {p} cores",
    [CURE_POOL_IO] = "one process with {n} operations at once instead of a pool",
    [CURE_LOOP] = "move the computing off the event loop",
    [CURE_AWAIT] = "no call that blocks on the event loop: one that waits without it",
    [CURE_GIL] = "processes instead of threads: threads share the interpreter's lock",
    [CURE_LOCK] = "hold the lock for less, or split it (one for each shard)",
    [CURE_HOLD] = "wait outside of the lock: a connection for each thread, or a pool of them",
    [CURE_OVERSUB] = "{p} threads, as many as cores",
    [CURE_BATCH] = "many rows in one transaction",
};

static const char *const code[N_LANGUAGES][N_CURES] = {
    [LANG_PYTHON] =
        {
            [CURE_CONCURRENCY] =
                "sem = asyncio.Semaphore({n}); await asyncio.gather(*map(fetch, urls))",
            [CURE_FILES] = "ThreadPoolExecutor({n}).map(read, files)",
            [CURE_PARALLELISM] = "ProcessPoolExecutor({p}).map(work, items, chunksize=8)",
            [CURE_BOTH] = "gather with Semaphore({n}); loop.run_in_executor(ProcessPoolExecutor"
                          "({p}), work, page)",
            [CURE_POOL_IO] = "async with sem({n}): await asyncio.gather(*map(fetch, urls))",
            [CURE_LOOP] = "await loop.run_in_executor(ProcessPoolExecutor({p}), work, item)",
            [CURE_GIL] = "ProcessPoolExecutor({p}).map(work, items), or a free-threaded build",
            [CURE_LOCK] = "ProcessPoolExecutor({p}): each process with data of its own",
            [CURE_AWAIT] = "await asyncio.sleep(s); await asyncio.to_thread(call, item)",
            [CURE_OVERSUB] = "Pool({p})",
            [CURE_BATCH] = "with db: db.executemany(sql, rows)  # one commit for all of them",
        },
    [LANG_NODE] =
        {
            [CURE_AWAIT] = "await setTimeout(ms) (timers/promises); fs.promises, not ...Sync",
            [CURE_CONCURRENCY] = "await Promise.all(urls.map(pLimit({n})(fetch)))",
            [CURE_FILES] = "UV_THREADPOOL_SIZE={n}, and Promise.all over fs.promises",
            [CURE_PARALLELISM] = "worker_threads: {p} Workers (piscina)",
            [CURE_BOTH] = "Promise.all with pLimit({n}); the computing in {p} worker_threads",
            [CURE_POOL_IO] = "one process: await Promise.all(urls.map(pLimit({n})(fetch)))",
            [CURE_LOOP] = "await pool.run(item)  // piscina: {p} worker_threads",
            [CURE_LOCK] = "give each Worker its own data; send results by postMessage",
            [CURE_OVERSUB] = "{p} worker_threads",
            [CURE_BATCH] = "BEGIN; many rows; COMMIT  // db.transaction(rows => ...)",
        },
    [LANG_GO] =
        {
            [CURE_CONCURRENCY] = "g.SetLimit({n}); g.Go(func() error { return fetch(url) })",
            [CURE_FILES] = "g.SetLimit({n}); g.Go(func() error { return read(file) })",
            [CURE_PARALLELISM] = "g.SetLimit(runtime.GOMAXPROCS(0)); g.Go(func() error { ... })",
            [CURE_BOTH] = "errgroup: SetLimit({n}); goroutines use all cores by themselves",
            [CURE_POOL_IO] = "one process: g.SetLimit({n}); g.Go(...)",
            [CURE_LOCK] = "shard the map and its mutex; sync.RWMutex; atomic counters",
            [CURE_OVERSUB] = "g.SetLimit(runtime.GOMAXPROCS(0))",
            [CURE_BATCH] = "tx, _ := db.Begin(); for ... { tx.Exec(...) }; tx.Commit()",
            [CURE_LOOP] = "go func() { out <- work(item) }()  // and the loop reads out",
            [CURE_AWAIT] = "go func() { out <- call(item) }()  // and the loop reads out",
        },
    [LANG_RUST] =
        {
            [CURE_CONCURRENCY] = "stream::iter(urls).map(fetch).buffer_unordered({n})",
            [CURE_FILES] = "{n} threads, or tokio::task::spawn_blocking in buffer_unordered({n})",
            [CURE_PARALLELISM] = "items.par_iter().map(work)  // rayon",
            [CURE_BOTH] = "buffer_unordered({n}) for the waiting, rayon::spawn for the computing",
            [CURE_POOL_IO] = "one process: stream::iter(urls).map(fetch).buffer_unordered({n})",
            [CURE_LOOP] = "tokio::task::spawn_blocking(|| work(item)).await",
            [CURE_LOCK] = "DashMap or a Vec<Mutex<Shard>>; compute outside of the guard",
            [CURE_OVERSUB] = "rayon's pool: one thread a core",
            [CURE_BATCH] = "let tx = db.transaction()?; for ... { tx.execute(..)?; } tx.commit()?",
            [CURE_AWAIT] = "tokio::time::sleep(d).await; spawn_blocking(|| call(item)).await",
        },
    [LANG_JAVA] =
        {
            [CURE_CONCURRENCY] = "Executors.newVirtualThreadPerTaskExecutor(), Semaphore({n})",
            [CURE_FILES] = "Executors.newFixedThreadPool({n})",
            [CURE_PARALLELISM] = "items.parallelStream().map(this::work)",
            [CURE_BOTH] = "virtual threads, Semaphore({n}), to wait; ForkJoinPool to compute",
            [CURE_POOL_IO] = "one JVM: newVirtualThreadPerTaskExecutor() and Semaphore({n})",
            [CURE_LOOP] = "ForkJoinPool.commonPool().submit(() -> work(item))",
            [CURE_LOCK] = "ConcurrentHashMap, LongAdder; compute outside of synchronized",
            [CURE_OVERSUB] = "Executors.newFixedThreadPool({p})",
            [CURE_BATCH] = "setAutoCommit(false); addBatch() ...; executeBatch(); commit()",
            [CURE_AWAIT] = "CompletableFuture.supplyAsync(() -> call(item), virtualThreads)",
        },
    [LANG_RUBY] =
        {
            [CURE_CONCURRENCY] = "Array.new({n}) { Thread.new { fetch(queue.pop) } }.each(&:join)",
            [CURE_FILES] = "Array.new({n}) { Thread.new { read(queue.pop) } }.each(&:join)",
            [CURE_PARALLELISM] = "Parallel.map(items, in_processes: {p}) { |x| work(x) }",
            [CURE_BOTH] = "{n} threads that fetch; Parallel.map(..., in_processes: {p}) to work",
            [CURE_POOL_IO] = "one process: Async::Semaphore.new({n})",
            [CURE_LOOP] = "Parallel.map(..., in_processes: {p}), or a Ractor",
            [CURE_GIL] = "Parallel.map(items, in_processes: {p}) { |x| work(x) }, or Ractors",
            [CURE_AWAIT] = "Async { |task| task.sleep(s) }; Thread.new { call(item) }.value",
            [CURE_OVERSUB] = "in_processes: {p}",
            [CURE_BATCH] = "db.transaction { rows.each { |r| insert(r) } }",
            [CURE_LOCK] =
                "compute outside of mutex.synchronize; in_processes: {p}, each with its own data",
        },
    [LANG_PHP] =
        {
            [CURE_CONCURRENCY] = "curl_multi_exec with {n} handles (Guzzle: Pool, concurrency {n})",
            [CURE_PARALLELISM] = "pcntl_fork: {p} workers, each with its part of the items",
            [CURE_BOTH] = "curl_multi with {n} handles; pcntl_fork {p} workers to compute",
            [CURE_POOL_IO] = "one process: curl_multi_exec with {n} handles",
            [CURE_BATCH] = "$db->beginTransaction(); foreach ... ; $db->commit();",
            [CURE_FILES] = "pcntl_fork: {n} workers, each with its part of the files",
            [CURE_LOOP] =
                "pcntl_fork a worker a core (Amp: ContextWorkerPool); the loop reads their pipes",
            [CURE_AWAIT] =
                "Amp\\delay(s), ReactPHP timers; for calls that block Amp\\Parallel\\Worker",
            [CURE_LOCK] = "flock() for less; session_write_close() as soon as the session was read",
            [CURE_OVERSUB] = "pm.max_children = {p}, or {p} pcntl_fork workers",
        },
    [LANG_PERL] =
        {
            [CURE_CONCURRENCY] = "Mojo::UserAgent with promises, {n} at once (Mojo::Promise->map)",
            [CURE_PARALLELISM] = "Parallel::ForkManager->new({p})",
            [CURE_BOTH] = "Mojo::Promise->map {n} at once; Parallel::ForkManager->new({p})",
            [CURE_POOL_IO] = "one process: Mojo::Promise->map({concurrency => {n}}, ...)",
            [CURE_AWAIT] = "Mojo::IOLoop->timer(s => sub { ... }); Mojo::IOLoop->subprocess",
            [CURE_BATCH] = "$db->begin_work; ... ; $db->commit",
            [CURE_FILES] = "Parallel::ForkManager->new({n}), a file each",
            [CURE_LOOP] = "Mojo::IOLoop->subprocess(sub { work($item) })",
            [CURE_LOCK] = "flock for less; a file and a lock for each worker",
            [CURE_OVERSUB] = "Parallel::ForkManager->new({p})",
        },
    [LANG_C] =
        {
            [CURE_CONCURRENCY] = "hob_group_open(&g, HOB_GROUP_OPTS(.max_live = {n})); "
                                 "hob_go(&g, fetch, url)",
            [CURE_FILES] = "{n} threads, or io_uring with a queue of {n}",
            [CURE_PARALLELISM] = "hob_for(0, n, work, data, NULL)",
            [CURE_BOTH] = "a flow: stages .kind = HOB_IO, .width = {n}, and .kind = HOB_CPU",
            [CURE_POOL_IO] = "one process: a group of fibers, .max_live = {n}",
            [CURE_LOOP] = "hob_offload(work, item): the fiber parks, the pool computes",
            [CURE_LOCK] = "one lock for each shard; compute before it is taken",
            [CURE_AWAIT] =
                "hob_sleep(d); hob_block(call, item, until): the fiber parks, the loop goes on",
            [CURE_OVERSUB] = "hob_for, or a pool of {p} threads",
            [CURE_BATCH] = "begin; many rows; commit: one disk sync for all of them",
        },
    [LANG_CXX] =
        {
            [CURE_CONCURRENCY] = "hob_group_opts o{sizeof o}; o.max_live = {n}; "
                                 "hob_group_open(&g, &o); hob_go(&g, fetch, url)",
            [CURE_FILES] = "{n} threads (std::jthread), or io_uring with a queue of {n}",
            [CURE_PARALLELISM] =
                "std::for_each(std::execution::par, first, last, work), or hob_for",
            [CURE_BOTH] = "hob_go in a group with max_live = {n} to wait; hob_for to compute",
            [CURE_POOL_IO] = "one process: a group of fibers, max_live = {n}",
            [CURE_LOOP] = "std::async(std::launch::async, work, item); on a fiber hob_offload",
            [CURE_LOCK] = "a std::mutex for each shard; compute before the lock_guard",
            [CURE_AWAIT] =
                "a timer of the loop, not sleep_for; std::async or hob_block(call, item, "
                "until)",
            [CURE_OVERSUB] = "a pool of std::thread::hardware_concurrency() threads",
            [CURE_BATCH] = "begin; many rows; commit: one disk sync for all of them",
        },
    [LANG_SHELL] =
        {
            [CURE_CONCURRENCY] = "xargs -P {n} -n 1 COMMAND < list",
            [CURE_FILES] = "xargs -P {n} -n 1 COMMAND < list",
            [CURE_PARALLELISM] = "xargs -P {p} -n 1 COMMAND < list; of a makefile: make -j {p}",
            [CURE_BOTH] = "xargs -P {n} -n 1 COMMAND < list",
            [CURE_POOL_IO] = "xargs -P {n} -n 1 COMMAND < list",
            [CURE_OVERSUB] = "xargs -P {p} -n 1 COMMAND < list",
            [CURE_LOOP] = "COMMAND & for what computes, and wait for it at the end",
            [CURE_AWAIT] = "COMMAND & for what blocks, and wait for it at the end",
            [CURE_LOCK] = "flock FILE around less, or a FILE for each part",
            [CURE_BATCH] =
                "(echo 'BEGIN;'; cat rows.sql; echo 'COMMIT;') | one client, not one a row",
        },
    [LANG_SQL] =
        {
            [CURE_CONCURRENCY] = "{n} sessions at once (pool size {n}; xargs -P {n} over files)",
            /* what computes or reads is this process: no server of it would */
            [CURE_PARALLELISM] = "{p} sessions at once, each with its part of the work",
            [CURE_BOTH] = "{n} sessions at once",
            [CURE_BATCH] = "BEGIN; many rows; COMMIT",
            [CURE_FILES] = "{n} sessions at once, each with its part of the work",
            [CURE_POOL_IO] =
                "fewer sessions, each with many statements sent at once (pipeline mode)",
            [CURE_LOOP] = "a session of its own for the long statement",
            [CURE_AWAIT] = "a session of its own for what sleeps or waits for a lock",
            [CURE_LOCK] = "shorter transactions; SELECT ... FOR UPDATE SKIP LOCKED",
            [CURE_OVERSUB] = "{p} sessions (pool size {p})",
        },
};

/* For who runs a program and does not write it. */
static const char *const user[N_CURES] = {
    [CURE_CONCURRENCY] =
        "its option for more at once, if it has one; over a list: xargs -P {n} -n 1 "
        "COMMAND < list",
    [CURE_FILES] = "its option for more at once, if it has one; over a list: xargs -P {n} -n 1 "
                   "COMMAND < list",
    [CURE_PARALLELISM] =
        "its option for threads or jobs, if it has one; over several inputs: xargs "
        "-P {p} -n 1 COMMAND < list",
    [CURE_BOTH] = "its option for more at once, if it has one; over a list: xargs -P {n} -n 1 "
                  "COMMAND < list",
    [CURE_POOL_IO] =
        "fewer of its processes, and more at once in each, if it has an option for that",
    [CURE_LOOP] = "its option for threads or workers, if it has one; or several of it",
    [CURE_AWAIT] = "its option for threads or workers, if it has one; or several of it",
    [CURE_GIL] = "its option for processes in place of threads, if it has one",
    [CURE_LOCK] = "fewer threads, if it has an option: they stand in line; or several of it",
    [CURE_HOLD] = "its option for more connections, if it has one; or several of it",
    [CURE_OVERSUB] = "its option for threads or jobs, if it has one: {p}",
    [CURE_BATCH] = "one transaction around many rows, where that is the user's choice",
};

static enum cure cure_of(const struct measures *m, const struct ruling *r)
{
    switch (r->is.mismatch) {
    case MISMATCH_POOL_IO:
        return CURE_POOL_IO;
    case MISMATCH_LOOP_BLOCKED:
        return rule_loop_stands(m, r) ? CURE_AWAIT : CURE_LOOP;
    case MISMATCH_GIL:
        return CURE_GIL;
    case MISMATCH_LOCK:
        return r->is.bound == HOB_BOUND_IO ? CURE_HOLD : CURE_LOCK;
    case MISMATCH_OVERSUB:
        return CURE_OVERSUB;
    default:
        break;
    }
    switch (r->is.advice) {
    case HOB_ADVICE_CONCURRENCY:
        return m->io_kind == REC_DISK || m->io_kind == REC_FAULT || m->io_kind == REC_FSYNC
                   ? CURE_FILES
                   : CURE_CONCURRENCY;
    case HOB_ADVICE_PARALLELISM:
        return CURE_PARALLELISM;
    case HOB_ADVICE_BOTH:
        return CURE_BOTH;
    case HOB_ADVICE_BATCHES:
        return CURE_BATCH;
    default:
        return N_CURES;
    }
}

static bool is_compiled(enum language l)
{
    return l == LANG_NATIVE || l == LANG_C || l == LANG_CXX || l == LANG_RUST || l == LANG_GO;
}

/* Is it for who runs programs, not for who writes them? */
static bool is_for_user(const struct measures *m)
{
    return m->language == LANG_SHELL || (m->installed && is_compiled(m->language));
}

static const char *word_of(const struct measures *m, enum cure cure)
{
    return cure == CURE_CONCURRENCY && is_for_user(m) ? "more operations at once" : words[cure];
}

static const char *code_of(const struct measures *m, enum cure cure)
{
    enum language l = m->language == LANG_NATIVE ? LANG_C : m->language;

    if (l != LANG_SHELL && is_for_user(m))
        return user[cure];
    return code[l][cure] ? code[l][cure] : "";
}

/* How many at once a cure wants, of what an option of the command line may count; 0: other things.
 */
static uint32_t level_of(enum cure cure, double n, uint32_t cores)
{
    switch (cure) {
    case CURE_CONCURRENCY:
    case CURE_FILES:
    case CURE_BOTH:
        return (uint32_t)n;
    case CURE_PARALLELISM:
    case CURE_OVERSUB:
        return cores;
    default:
        return 0;
    }
}

/* The command's own option, where it has one that is set otherwise than the cure wants it. */
static void option_of(const struct measures *m, enum cure cure, double n, uint32_t cores,
                      char ret[ADVICE_TEXT])
{
    const struct recording *r = m->rec;
    const char *command = r->command              ? r->command
                          : m->worst < r->n_procs ? r->procs[m->worst].command
                                                  : NULL;
    struct knob_facts facts = {.n_cores = cores, .at_once = knob_at_once(r)};
    uint32_t level = level_of(cure, n, cores);
    struct buf b = {0};
    struct knob k;

    if (!command || level == 0 || !knob_in_text(&facts, command, &k))
        return;
    if (!k.workers) /* cores by another name */
        level = cure == CURE_CONCURRENCY || cure == CURE_FILES ? 0 : cores;
    if (level == 0 || (cure == CURE_OVERSUB ? k.now <= level : k.now >= level))
        return;
    knob_setting(&k, level, &b);
    if (k.now > 0)
        buf_printf(&b, " in place of %u", k.now);
    if (buf_error(&b) == 0 && b.len > 0 && b.len < ADVICE_TEXT)
        memcpy(ret, b.p, b.len + 1);
    buf_free(&b);
}

/* The text with its numbers in place; cut where it does not fit. */
static void fill(char to[ADVICE_TEXT], const char *text, double n, uint32_t p)
{
    size_t at = 0;

    while (*text && at + 1 < ADVICE_TEXT) {
        if (strncmp(text, "{n}", 3) == 0)
            at += (size_t)snprintf(to + at, ADVICE_TEXT - at, "%.0f", n);
        else if (strncmp(text, "{p}", 3) == 0)
            at += (size_t)snprintf(to + at, ADVICE_TEXT - at, "%u", p);
        else
            to[at++] = *text;
        text += *text == '{' && (text[1] == 'n' || text[1] == 'p') && text[2] == '}' ? 3 : 1;
    }
    to[at < ADVICE_TEXT ? at : ADVICE_TEXT - 1] = '\0';
}

static const char *nothing_to_do(const struct measures *m, const struct ruling *r)
{
    if (r->is.pattern == PATTERN_NO_LOAD)
        return "nobody calls this server: diagnose it under load";
    switch (r->is.advice) {
    case HOB_ADVICE_CONCURRENT:
        return "nothing: it waits for many at once already, and more cores do not help";
    case HOB_ADVICE_PARALLEL:
        return "nothing: every core is busy; only less work or more cores help";
    default:
        break;
    }
    if (r->is.bound == HOB_BOUND_SLEEP)
        return "nothing: it goes at the pace it was told";
    return m->main.blame[REC_TTY] > .3 ? "nothing: it waits for a person"
                                       : "nothing that was seen would make it faster";
}

void advice_of(const struct measures *m, const struct ruling *r, const struct prediction *p,
               struct advice *ret)
{
    enum cure cure = cure_of(m, r);
    uint32_t cores = m->rec->n_cores ? m->rec->n_cores : 1;

    *ret = (struct advice){0};
    if (r->is.unread || advice_own(m, r, p, ret))
        return;
    if (cure == N_CURES) {
        fill(ret->what, nothing_to_do(m, r), 0, 0);
        return;
    }
    double n = p->concurrency.in_flight > 0 ? p->concurrency.in_flight : 20;
    if (r->is.bound == HOB_BOUND_SLEEP && m->told > 0)
        n = 2.0 * m->told; /* nobody knows where it ends: --verify tries */
    fill(ret->what, word_of(m, cure), n, cores);
    fill(ret->code, code_of(m, cure), n, cores);
    option_of(m, cure, n, cores, ret->option);
    if (*ret->option && is_for_user(m))
        ret->code[0] = '\0'; /* a general word for who runs it, where its own is at hand */
}
