/* SPDX-License-Identifier: MIT
 *
 * rec_file.c - a recording in a file
 *
 * WHAT    Eight letters, then blocks: a kind, a length, that many bytes.  What later blocks point
 *         to comes first: head, processes, peers, threads; then the intervals, cut into slices of
 *         time so that a file cut short still has the first part of every thread; then looks,
 *         counts, wakes, what the program said of itself, and the end.
 *
 * HOW     Numbers in the machine's own order: a recording is read where it was made, and the
 *         head's first number tells another order.  Blocks of an unknown kind are passed over.
 *
 * INVARIANTS  (F1) nothing read is trusted: an index lies within its table, an interval after the
 *                  one before it, a state or kind is one there is; else -EBADMSG
 *             (F2) a cut anywhere behind the head leaves what came whole before it
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diag/rec.h"
#include "lib/buf.h"

#define REC_MAGIC "hobrec01"

enum { REC_ORDER = 0x01020304, SLICES = 64, PPM = 1000000 };
enum block {
    B_HEAD = 1,
    B_PROC,
    B_PEER,
    B_THREAD,
    B_IVALS,
    B_LOOKS,
    B_WAKES,
    B_END,
    B_OWN,
    B_COUNTS
};

struct block_head {
    uint32_t kind, n_bytes;
};

/* What of a recording has a fixed size.  The command and the notes follow, each with its NUL. */
struct head {
    uint32_t order, ival_size;
    int32_t tier, root, exit_status;
    uint32_t n_cores, n_cpus, attached;
    int64_t began, wall, tick, user, system, recorder_cpu, grain;
    uint64_t n_switches, n_lost, n_looked, n_waits;
    double duty, foreign;
};

struct proc_head { /* exe and command follow */
    int32_t pid, parent;
    int64_t born, died;
    uint32_t opaque, listens;
};

struct peer_head { /* the name follows */
    int32_t pid;
    uint32_t kind;
    int64_t peer_cpu;
};

struct thread_head {
    int32_t tid;
    uint32_t proc;
    int64_t born, died;
    uint32_t is_task, unused;
    char name[32];
};

struct ivals_head { /* that many intervals follow */
    uint32_t thread, n;
};

/* --- writing ---------------------------------------------------------------------------------- */

struct writer {
    FILE *to;
    struct buf block;
};

static void put_text(struct writer *w, const char *text)
{
    buf_add(&w->block, text ? text : "", (text ? strlen(text) : 0) + 1);
}

static int put_block(struct writer *w, enum block kind)
{
    struct block_head h = {.kind = kind, .n_bytes = (uint32_t)w->block.len};

    if (buf_error(&w->block) < 0)
        return -ENOMEM;
    if (fwrite(&h, sizeof h, 1, w->to) != 1 ||
        (w->block.len && fwrite(w->block.p, w->block.len, 1, w->to) != 1))
        return errno ? -errno : -EIO;
    buf_reset(&w->block);
    return 0;
}

static int put_head(struct writer *w, const struct recording *r)
{
    struct head h = {
        .order = REC_ORDER,
        .ival_size = sizeof(struct rec_ival),
        .tier = (int32_t)r->tier,
        .root = r->root,
        .exit_status = r->exit_status,
        .n_cores = r->n_cores,
        .n_cpus = r->n_cpus,
        .attached = r->attached,
        .began = r->began,
        .wall = r->wall,
        .tick = r->tick,
        .user = r->user,
        .system = r->system,
        .recorder_cpu = r->recorder_cpu,
        .grain = r->grain,
        .n_switches = r->n_switches,
        .n_lost = r->n_lost,
        .n_looked = r->n_looked,
        .n_waits = r->n_waits,
        .duty = r->duty,
        .foreign = r->foreign,
    };

    buf_add(&w->block, &h, sizeof h);
    put_text(w, r->command);
    put_text(w, r->notes);
    return put_block(w, B_HEAD);
}

static int put_tables(struct writer *w, const struct recording *r)
{
    int e = 0;

    for (size_t i = 0; i < r->n_procs && e == 0; i++) {
        const struct rec_proc *p = &r->procs[i];
        struct proc_head h = {p->pid, p->parent, p->born, p->died, p->opaque, p->listens};

        buf_add(&w->block, &h, sizeof h);
        put_text(w, p->exe);
        put_text(w, p->command);
        e = put_block(w, B_PROC);
    }
    for (size_t i = 1; i < r->n_peers && e == 0; i++) {
        const struct rec_peer *p = &r->peers[i];
        struct peer_head h = {p->pid, p->kind, p->peer_cpu};

        buf_add(&w->block, &h, sizeof h);
        put_text(w, p->name);
        e = put_block(w, B_PEER);
    }
    for (size_t i = 0; i < r->n_threads && e == 0; i++) {
        const struct rec_thread *t = &r->threads[i];
        struct thread_head h = {t->tid, t->proc, t->born, t->died, t->is_task, 0, ""};

        memcpy(h.name, t->name, sizeof h.name);
        buf_add(&w->block, &h, sizeof h);
        e = put_block(w, B_THREAD);
    }
    return e;
}

/* The intervals that begin before `end` and were not written yet. */
static int put_slice(struct writer *w, const struct recording *r, int64_t end, size_t *next)
{
    enum { MOST = 1 << 16 };
    int e = 0;

    for (size_t i = 0; i < r->n_threads && e == 0; i++) {
        const struct rec_thread *t = &r->threads[i];

        while (next[i] < t->n_ivals && t->ivals[next[i]].from < end && e == 0) {
            struct ivals_head h = {.thread = (uint32_t)i};

            while (next[i] + h.n < t->n_ivals && t->ivals[next[i] + h.n].from < end && h.n < MOST)
                h.n++;
            buf_add(&w->block, &h, sizeof h);
            buf_add(&w->block, &t->ivals[next[i]], h.n * sizeof *t->ivals);
            next[i] += h.n;
            e = put_block(w, B_IVALS);
        }
    }
    return e;
}

static int put_all(struct writer *w, const struct recording *r)
{
    size_t *next = calloc(r->n_threads + 1, sizeof *next);
    int e = next ? put_head(w, r) : -ENOMEM;

    if (e == 0)
        e = put_tables(w, r);
    for (int s = 1; s <= SLICES && e == 0; s++)
        e = put_slice(w, r, s == SLICES ? INT64_MAX : r->wall / SLICES * s, next);
    free(next);
    if (e == 0) {
        buf_add(&w->block, r->looks, r->n_looks * sizeof *r->looks);
        e = put_block(w, B_LOOKS);
    }
    if (e == 0 && r->n_counts > 0) {
        buf_add(&w->block, r->counts, r->n_counts * sizeof *r->counts);
        e = put_block(w, B_COUNTS);
    }
    if (e == 0) {
        buf_add(&w->block, r->wakes, r->n_wakes * sizeof *r->wakes);
        e = put_block(w, B_WAKES);
    }
    if (e == 0 && r->own.n_traces > 0) {
        buf_add(&w->block, &r->own, sizeof r->own);
        e = put_block(w, B_OWN);
    }
    return e ? e : put_block(w, B_END);
}

int rec_save(const struct recording *r, const char *path)
{
    struct writer w = {.to = fopen(path, "we")};
    int e;

    if (!w.to)
        return -errno;
    errno = 0;
    e = fwrite(REC_MAGIC, 8, 1, w.to) == 1 ? put_all(&w, r) : -EIO;
    if (fclose(w.to) != 0 && e == 0)
        e = -errno;
    buf_free(&w.block);
    return e;
}

/* --- reading ---------------------------------------------------------------------------------- */

struct reader {
    const unsigned char *at;
    size_t left;
};

/* The next n bytes, copied; false: the block has fewer. */
static bool take(struct reader *b, void *ret, size_t n)
{
    if (b->left < n)
        return false;
    memcpy(ret, b->at, n);
    b->at += n;
    b->left -= n;
    return true;
}

/* The next string, in place; NULL: no NUL in what is left. */
static const char *take_text(struct reader *b)
{
    const char *s = (const char *)b->at;
    const unsigned char *end = b->left ? memchr(b->at, 0, b->left) : NULL;

    if (!end)
        return NULL;
    b->left -= (size_t)(end + 1 - b->at);
    b->at = end + 1;
    return s;
}

static int read_head(struct reader *b, struct recording *r)
{
    struct head h;

    if (!take(b, &h, sizeof h) || h.order != REC_ORDER || h.ival_size != sizeof(struct rec_ival))
        return -EBADMSG;
    const char *command = take_text(b), *notes = command ? take_text(b) : NULL;
    if (!notes || h.tier < REC_T2 || h.tier > REC_T0 || h.wall < 0 || h.n_cpus > REC_NO_CORE ||
        !(h.duty > 0 && h.duty <= 1) || !(h.foreign >= 0 && h.foreign <= REC_NO_CORE))
        return -EBADMSG;
    r->tier = (enum rec_tier)h.tier;
    r->root = h.root;
    r->exit_status = h.exit_status;
    r->n_cores = h.n_cores;
    r->n_cpus = h.n_cpus;
    r->attached = h.attached != 0;
    r->began = h.began;
    r->wall = h.wall;
    r->tick = h.tick;
    r->user = h.user;
    r->system = h.system;
    r->recorder_cpu = h.recorder_cpu;
    r->grain = h.grain;
    r->n_switches = h.n_switches;
    r->n_lost = h.n_lost;
    r->n_looked = h.n_looked;
    r->n_waits = h.n_waits;
    r->duty = h.duty;
    r->foreign = h.foreign;
    rec_set_text(r, &r->command, command);
    if (*notes)
        rec_set_text(r, &r->notes, notes);
    return 0;
}

static int read_proc(struct reader *b, struct recording *r)
{
    struct proc_head h;

    if (!take(b, &h, sizeof h))
        return -EBADMSG;
    const char *exe = take_text(b), *command = exe ? take_text(b) : NULL;
    size_t n = r->n_procs;
    if (!command || rec_proc_of(r, h.pid) != n || r->n_procs != n + 1)
        return r->failed ? -ENOMEM : -EBADMSG; /* the same pid twice */
    struct rec_proc *p = &r->procs[n];
    p->parent = h.parent;
    p->born = h.born;
    p->died = h.died;
    p->opaque = h.opaque != 0;
    p->listens = h.listens != 0;
    rec_set_text(r, &p->exe, exe);
    rec_set_text(r, &p->command, command);
    return 0;
}

static int read_peer(struct reader *b, struct recording *r)
{
    struct peer_head h;

    if (!take(b, &h, sizeof h) || h.kind >= REC_N_KINDS)
        return -EBADMSG;
    const char *name = take_text(b);
    size_t n = r->n_peers;
    if (!name || rec_peer_of(r, (enum rec_kind)h.kind, name) != n || r->n_peers != n + 1)
        return r->failed ? -ENOMEM : -EBADMSG;
    r->peers[n].pid = h.pid;
    r->peers[n].peer_cpu = h.peer_cpu;
    return 0;
}

static int read_thread(struct reader *b, struct recording *r)
{
    struct thread_head h;

    if (!take(b, &h, sizeof h) || h.proc >= r->n_procs)
        return -EBADMSG;
    size_t n = r->n_threads;
    uint32_t i = rec_thread_new(r, r->procs[h.proc].pid, h.tid);
    if (i != n || r->n_threads != n + 1)
        return r->failed ? -ENOMEM : -EBADMSG;
    struct rec_thread *t = &r->threads[i];
    t->born = h.born;
    t->died = h.died;
    t->is_task = h.is_task != 0;
    memcpy(t->name, h.name, sizeof t->name);
    t->name[sizeof t->name - 1] = 0;
    return 0;
}

/* (F1); the far ends of time are no times, so that nobody's sums overflow. */
static bool ival_is_sane(const struct rec_ival *v, int64_t after, const struct recording *r)
{
    return v->from >= after && v->to > v->from && v->to <= INT64_MAX / 4 && v->peer < r->n_peers &&
           v->state < REC_N_STATES && v->kind < REC_N_KINDS && v->run_ppm <= PPM &&
           v->ready_ppm <= PPM - v->run_ppm && (v->core < r->n_cpus || v->core == REC_NO_CORE);
}

static int read_ivals(struct reader *b, struct recording *r)
{
    struct ivals_head h;
    struct rec_ival v;

    if (!take(b, &h, sizeof h) || h.thread >= r->n_threads)
        return -EBADMSG;
    const struct rec_thread *t = &r->threads[h.thread];
    while (take(b, &v, sizeof v)) {
        if (!ival_is_sane(&v, t->n_ivals ? t->ivals[t->n_ivals - 1].to : 0, r))
            return -EBADMSG;
        rec_add(r, h.thread, &v);
    }
    return 0;
}

static int read_looks(struct reader *b, struct recording *r)
{
    struct rec_look l;

    while (take(b, &l, sizeof l)) {
        if (l.thread >= r->n_threads)
            return -EBADMSG;
        rec_add_look(r, &l);
    }
    return 0;
}

static int read_counts(struct reader *b, struct recording *r)
{
    struct rec_count c;

    while (take(b, &c, sizeof c)) {
        if (c.thread >= r->n_threads || c.kind >= REC_N_KINDS || c.at < 0 || c.at > INT64_MAX / 2)
            return -EBADMSG;
        rec_add_count(r, &c);
    }
    return 0;
}

static int read_wakes(struct reader *b, struct recording *r)
{
    struct rec_wake w;

    while (take(b, &w, sizeof w)) {
        if (w.waker >= r->n_threads || w.woken >= r->n_threads)
            return -EBADMSG;
        rec_add_wake(r, &w);
    }
    return 0;
}

static void end_text(char text[32])
{
    text[31] = '\0';
}

/* One of another size is of another version, and passed over as an unknown block is. */
static int read_own(struct reader *b, struct recording *r)
{
    struct rec_own *o = &r->own;

    if (b->left != sizeof *o || !take(b, o, sizeof *o))
        return 0;
    end_text(o->held_by);
    end_text(o->blocked_by);
    end_text(o->job_by);
    end_text(o->io_by);
    end_text(o->cpu_by);
    return o->blocked_kind < REC_N_KINDS && o->job_kind < REC_N_KINDS ? 0 : -EBADMSG;
}

static int read_block(uint32_t kind, struct reader *b, struct recording *r)
{
    switch (kind) {
    case B_PROC:
        return read_proc(b, r);
    case B_PEER:
        return read_peer(b, r);
    case B_THREAD:
        return read_thread(b, r);
    case B_IVALS:
        return read_ivals(b, r);
    case B_LOOKS:
        return read_looks(b, r);
    case B_COUNTS:
        return read_counts(b, r);
    case B_WAKES:
        return read_wakes(b, r);
    case B_OWN:
        return read_own(b, r);
    default:
        return kind == B_HEAD ? -EBADMSG : 0; /* a second head; or newer than this reader */
    }
}

/* Blocks until the end or the cut. */
static int read_blocks(struct reader *all, struct recording *r)
{
    struct block_head h = {0};
    bool whole = false;
    int e = 0;

    while (e == 0 && !whole && take(all, &h, sizeof h)) {
        bool cut = h.n_bytes > all->left;
        struct reader b = {all->at, cut ? all->left : h.n_bytes};

        if (cut && h.kind != B_IVALS && h.kind != B_LOOKS)
            break;
        all->at += b.left;
        all->left -= b.left;
        whole = h.kind == B_END;
        if (cut && b.left < sizeof(struct ivals_head))
            break;
        e = read_block(h.kind, &b, r);
    }
    if (e == 0 && !whole)
        rec_note(r, "the file is cut: what came last is missing");
    return e;
}

int rec_parse(const void *bytes, size_t n, struct recording *ret)
{
    struct reader all = {bytes, n};
    struct block_head h;
    struct recording r;
    char magic[8];
    int e = -EBADMSG;

    rec_init(&r);
    if (take(&all, magic, 8) && memcmp(magic, REC_MAGIC, 8) == 0 && take(&all, &h, sizeof h) &&
        h.kind == B_HEAD && h.n_bytes <= all.left) {
        struct reader b = {all.at, h.n_bytes};

        all.at += h.n_bytes;
        all.left -= h.n_bytes;
        e = read_head(&b, &r);
        if (e == 0)
            e = read_blocks(&all, &r);
    }
    if (e == 0 && r.failed)
        e = -ENOMEM;
    if (e < 0)
        rec_free(&r);
    else
        *ret = r;
    return e;
}

/* The whole of a file, up to READ_MAX. */
static int read_file(int fd, struct buf *b)
{
    enum { CHUNK = 1 << 16, READ_MAX = 1 << 30 };

    for (;;) {
        char *room = buf_room(b, CHUNK);
        ssize_t n = room ? read(fd, room, CHUNK) : 0;

        if (!room)
            return -ENOMEM;
        if (n == 0)
            return 0;
        if (n > 0)
            b->len += (size_t)n;
        else if (errno != EINTR)
            return -errno;
        if (b->len > READ_MAX)
            return -EFBIG;
    }
}

int rec_load(const char *path, struct recording *ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct buf b = {0};

    if (fd < 0)
        return -errno;
    int e = read_file(fd, &b);
    close(fd);
    if (e == 0)
        e = rec_parse(b.p, b.len, ret);
    buf_free(&b);
    return e;
}
