/* SPDX-License-Identifier: MIT
 *
 * pollset.c - what a poll set waits for: how many of its connections await an answer
 *
 * HOW         A set is remembered between looks, with what was last known of each member.  A look
 *   asks the kernel about some members, in turn, and puts the answers into sums that hold for the
 *   whole set; a small set is asked in full.  Of a large one the count is the regression
 *   estimate: the fresh sample's mean, corrected by how far the sample's old states were from the
 *   old mean of all, as much as old and new agree.  Where nothing changes that is the exact count;
 *   where everything does it is the fresh sample alone.
 *
 *   The list of members costs the kernel 30 to 200 us per 100, so it is read again only when two
 *   hundred times that has passed, and all of it is paid from the looker's allowance.  Of a large
 *   set that has most of what the process has open, or that stays as it is, it says nothing new
 *   while the process opens no more descriptors: which of them were closed, or stand for another
 *   connection now, is seen when they are asked.  (A runtime may open ten thousand connections
 *   before it puts the first of them into its set.)
 *
 * INVARIANTS  (I1) the sums equal what a walk over the members would give
 */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hob/trace.h>

#include "diag/pollset_impl.h"

enum {
    SET_SAMPLE_FIRST = 512, /* of one never looked at, whatever it costs */
    SET_SAMPLE = 64,        /* of a larger one that many, */
    SET_SAMPLE_NEW = 512,   /* as long as there are members never asked */
    TOLD = 3,               /* looks: the rest of an answer may come in two pieces */
    SET_REREAD = 200,
    SET_REREAD_SAME = 10 * SET_REREAD /* of a large one that has all that is open */
};

static void set_free(struct pollset *s)
{
    if (!s)
        return;
    free(s->members);
    free(s->by_fd);
    free(s);
}

void pollset_free(struct looker *l)
{
    for (size_t i = 0; i < LOOK_PROCS; i++) {
        set_free(l->sets[i]);
        set_free(l->kept[i]);
    }
}

static uint64_t set_key(const struct call *c)
{
    switch (c->how) {
    case CALL_EPOLL:
        return (uint64_t)c->fd;
    case CALL_URING:
        return (uint64_t)c->fd | UINT64_C(1) << 40;
    case CALL_OTHER: /* all that the process has open */
        return UINT64_C(1) << 42;
    default:
        return c->addr ^ c->n << 1 ^ UINT64_C(1) << 41;
    }
}

struct pollset *pollset_of(struct looker *l, int32_t pid, const struct call *c)
{
    uint64_t key = set_key(c);
    uint64_t hash = ((uint64_t)(uint32_t)pid << 32 ^ key) * 0x9e3779b97f4a7c15u;
    struct pollset **at = &l->sets[hash >> 56];

    if (*at && (*at)->pid == pid && (*at)->key == key)
        return *at;
    set_free(*at);
    *at = calloc(1, sizeof **at);
    if (*at) {
        (*at)->pid = pid;
        (*at)->key = key;
    }
    return *at;
}

struct pollset *pollset_kept(struct looker *l, int32_t pid, bool make)
{
    struct pollset **at = &l->kept[(uint32_t)pid % LOOK_PROCS];

    if (*at && (*at)->pid == pid)
        return *at;
    if (!make)
        return NULL;
    set_free(*at);
    *at = calloc(1, sizeof **at);
    if (*at)
        (*at)->pid = pid;
    return *at;
}

static struct slot *slot_of(struct pollset *s, const struct member *m)
{
    for (size_t i = 0; i < s->n_slots; i++)
        if (s->slots[i].peer == m->peer && s->slots[i].kind == m->kind)
            return &s->slots[i];
    if (s->n_slots == SET_SLOTS)
        return &s->slots[SET_SLOTS - 1];
    struct slot *slot = &s->slots[s->n_slots++];
    *slot = (struct slot){.peer = m->peer, .kind = m->kind};
    return slot;
}

/* What a member adds to the sums, or takes from them (I1). */
static void sums_change(struct pollset *s, const struct member *m, int by)
{
    s->n_gone += m->gone ? (uint32_t)by : 0;
    if (!m->seen)
        return;
    s->n_seen += (uint32_t)by;
    s->n_told += m->told ? (uint32_t)by : 0;
    s->n_role[m->role] += (uint32_t)by;
    if (s->n_role[m->role] <= 1 || rec_kind_class((enum rec_kind)m->kind) == HOB_CLASS_IO) {
        s->role_peer[m->role] = m->peer;
        s->role_kind[m->role] = m->kind;
    }
    if (m->role != FILE_CLIENT && m->role != FILE_DATAGRAM)
        return;
    s->n_counts += (uint32_t)by;
    if (m->awaits == AWAITS) {
        s->n_awaiting += (uint32_t)by;
        slot_of(s, m)->awaiting += (uint32_t)by;
    }
}

static int room_for(struct pollset *s, size_t n)
{
    if (n <= s->cap)
        return 0;
    struct member *more = realloc(s->members, n * sizeof *more);
    if (!more)
        return -ENOMEM;
    s->members = more;
    s->cap = n;
    return 0;
}

static int fd_room(struct pollset *s, const struct procfs_member *list, size_t n)
{
    size_t need = 0;

    for (size_t i = 0; i < n; i++)
        if (list[i].fd < SET_FD_MAX && (size_t)list[i].fd >= need)
            need = (size_t)list[i].fd + 1;
    if (need > s->cap_by_fd) {
        uint32_t *more = realloc(s->by_fd, need * sizeof *more);
        if (!more)
            return -ENOMEM;
        memset(more + s->cap_by_fd, 0, (need - s->cap_by_fd) * sizeof *more);
        s->by_fd = more;
        s->cap_by_fd = need;
    }
    return 0;
}

/* Neighbours were opened together and are alike: a walk in large steps meets a mixture. */
static size_t stride_for(size_t n)
{
    size_t stride = n * 13 / 21 | 1;

    for (;; stride += 2) {
        size_t a = n, b = stride;
        while (b) {
            size_t rest = a % b;
            a = b;
            b = rest;
        }
        if (a <= 1)
            return stride;
    }
}

static void taken_add(struct pollset *s, const struct member *m)
{
    if (m->seen && !m->gone && m->role == FILE_CLIENT && m->ino != 0)
        s->taken[s->n_taken++ % SET_TAKEN] = (struct taken){m->fd, m->ino};
}

/* The set has these members now; what was known of those that stayed is kept. */
static int set_fill(struct pollset *s, const struct procfs_member *list, size_t n)
{
    struct member *old = s->members;
    size_t n_old = s->n;

    s->members = NULL;
    s->cap = 0;
    if (room_for(s, n ? n : 1) < 0 || fd_room(s, list, n) < 0) {
        free(s->members);
        s->members = old;
        s->cap = n_old;
        return -ENOMEM;
    }
    memset(s->n_role, 0, sizeof s->n_role);
    s->n_slots = 0;
    s->n_seen = s->n_counts = s->n_awaiting = s->n_gone = s->n_told = 0;
    s->n = 0;
    for (size_t i = 0; i < n; i++) {
        struct member *m = &s->members[s->n];
        if (list[i].fd < 0 || list[i].fd >= SET_FD_MAX)
            continue;
        *m = (struct member){.fd = list[i].fd, .ino = list[i].ino};
        uint32_t at = s->by_fd[m->fd];
        if (at && at <= n_old && old[at - 1].fd == m->fd &&
            (m->ino == 0 || old[at - 1].ino == m->ino))
            *m = old[at - 1];
        m->gone = false;
        sums_change(s, m, 1);
        s->n++;
    }
    for (size_t i = 0; i < n_old; i++)
        s->by_fd[old[i].fd] = 0;
    for (size_t i = 0; i < s->n; i++)
        s->by_fd[s->members[i].fd] = (uint32_t)i + 1;
    for (size_t i = 0; i < n_old; i++) {
        uint32_t at = s->by_fd[old[i].fd];
        if (!at || s->members[at - 1].ino != old[i].ino)
            taken_add(s, &old[i]);
    }
    free(old);
    if (s->cursor >= s->n)
        s->cursor = 0;
    s->stride = stride_for(s->n);
    return 0;
}

/* Between two reads of a large set: what the process has opened since then is in its set, too. */
static void set_size(struct pollset *s)
{
    s->size = (double)s->n;
    if (s->n <= SET_WHOLE || s->n_open == 0 || 2 * s->n < s->n_open)
        return;
    /* The count was made before the list: what it opened in between is in both. */
    double n_open = open_count(s->pid);
    s->size = fmax(1, fmin(n_open, s->size + n_open - s->n_open));
}

/* How many times what a read of the list costs passes between two.  That of poll() or select() is
 * read at little cost, and may be another one at the same address. */
static int64_t set_every(const struct pollset *s, const struct call *c)
{
    if (c->how == CALL_POLL || c->how == CALL_SELECT)
        return s->n <= SET_WHOLE ? 0 : SET_REREAD;
    bool counts = s->n > SET_WHOLE && s->n_open > 0 && 2 * s->n >= s->n_open;

    return counts && open_count(s->pid) <= s->n_open + s->n_open / 2 ? s->every : SET_REREAD;
}

/* What is open may come into the set later: a list that had nearly all of it can wait, and one that
 * stays as it is, twice as long each time. */
static int every_next(const struct pollset *s, size_t n_before)
{
    bool all = s->n >= s->n_open - s->n_open / 16;
    bool same = s->n <= n_before + n_before / 16 && n_before <= s->n + s->n / 16;
    int next = same ? 2 * s->every : SET_REREAD;

    return all || next > SET_REREAD_SAME ? SET_REREAD_SAME : next < SET_REREAD ? SET_REREAD : next;
}

static void set_read(struct looker *l, struct pollset *s, const struct call *c)
{
    int64_t now = hob_now(), began = look_cpu();

    if (s->read_at && (!look_allowed(l) || now - s->read_at < set_every(s, c) * s->read_cost))
        return;
    struct procfs_member *list;
    size_t n, n_before = s->n;
    s->n_open = open_count(s->pid);
    if (members_read(l, s->pid, c, &list, &n) == 0) {
        (void)set_fill(s, list, n);
        free(list);
    }
    s->every = every_next(s, n_before);
    s->read_at = now;
    s->read_cost = look_cpu() - began;
    l->allowance -= s->read_cost;
}

/* One member asked anew. */
static void member_ask(struct looker *l, struct look_proc *p, struct member *m)
{
    struct pollfd poll_fd = {.events = POLLIN};
    struct file *f;
    struct stat st;
    int fd = file_dup(p, m->fd);

    if (fd < 0) {
        if (fd == -EBADF || file_of(l, p, m->fd, &f) < 0) {
            *m = (struct member){.fd = m->fd, .ino = m->ino, .role = FILE_OTHER, .gone = true};
            return;
        }
        if (f->role == FILE_CLIENT || f->role == FILE_SERVER || f->role == FILE_DATAGRAM)
            socket_awaits_listed(l, f);
    } else {
        bool is_socket = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
        int r = is_socket ? file_by_ino(l, st.st_ino, &f) : file_of(l, p, m->fd, &f);
        if (r == 0 && is_socket) {
            m->ino = st.st_ino;
            if (f->role == FILE_UNKNOWN)
                socket_describe(l, p, fd, f);
            if (f->role == FILE_CLIENT || f->role == FILE_SERVER || f->role == FILE_DATAGRAM ||
                f->role == FILE_UNKNOWN)
                socket_awaits(l, fd, f);
        }
        poll_fd.fd = fd;
        m->ready = r == 0 && is_outside(f->role) && poll(&poll_fd, 1, 0) > 0;
        m->ended = m->ready && socket_ended(fd);
        m->ready &= !m->ended;
        close(fd);
        if (r < 0)
            return;
    }
    /* A connection that is still being made has no role yet: it counts. */
    m->role = f->role == FILE_UNKNOWN ? FILE_CLIENT : f->role;
    m->kind = f->kind;
    m->peer = f->peer;
    m->awaits = f->awaits;
    m->told = f->told >= TOLD;
    m->sent_at = f->sent_at;
    m->moved = f->moved;
    m->seen = true;
    m->gone = false;
}

struct sample {
    double n, old, fresh, both; /* members seen before: asked, awaiting then, now, both */
    uint32_t asked, awaiting;   /* all that count */
    size_t n_members;
    int64_t newest; /* when the last of those that await an answer was sent; INT64_MAX: unknown */
};

static void sample_take(struct looker *l, struct look_proc *p, struct pollset *s, struct sample *a)
{
    bool known = s->n_seen + s->n_gone >= s->n;
    size_t most = s->n <= SET_WHOLE ? s->n : known ? SET_SAMPLE : SET_SAMPLE_NEW;
    size_t least = s->estimated ? SET_WHOLE : SET_SAMPLE_FIRST;
    int64_t began = look_cpu();

    for (size_t i = 0; i < most && i < s->n; i++) {
        struct member *m = &s->members[s->cursor];
        bool seen = m->seen, did = m->awaits == AWAITS;
        s->cursor = (s->cursor + s->stride) % s->n;
        sums_change(s, m, -1);
        member_ask(l, p, m);
        sums_change(s, m, 1);
        bool does = m->awaits == AWAITS;
        if (m->role == FILE_CLIENT || m->role == FILE_DATAGRAM) {
            a->asked++;
            a->awaiting += does;
            if (does && (m->sent_at == 0 || m->sent_at > a->newest))
                a->newest = m->sent_at ? m->sent_at : INT64_MAX;
            if (seen) {
                a->n++;
                a->old += did;
                a->fresh += does;
                a->both += did && does;
            }
        }
        a->n_members++;
        if (i >= least && i % 32 == 0 && look_cpu() - began > l->allowance)
            break;
    }
    l->allowance -= look_cpu() - began;
}

static uint32_t set_estimate(const struct pollset *s, const struct sample *a, double old_mean)
{
    bool whole = a->n_members >= s->n && s->n <= SET_WHOLE;

    if (whole || a->asked == 0)
        return s->n_awaiting;
    double of_new = (double)a->awaiting / a->asked, mean = of_new;
    double counts = (double)s->n_counts * s->size / (s->n_seen ? s->n_seen : 1);

    if (a->n >= 16) {
        double old = a->old / a->n, fresh = a->fresh / a->n;
        double var = old * (1 - old), cov = a->both / a->n - old * fresh;
        double slope = var > 0 ? cov / var : fresh == old;
        mean = fresh + slope * (old_mean - old);
    }
    if (mean < 0)
        mean = 0;
    if (mean > 1)
        mean = 1;
    return (uint32_t)(mean * counts + 0.5);
}

static const struct slot *slot_most(const struct pollset *s)
{
    const struct slot *most = NULL;

    for (size_t i = 0; i < s->n_slots; i++)
        if (!most || s->slots[i].awaiting > most->awaiting)
            most = &s->slots[i];
    return most;
}

static void look_is(struct look *ret, const struct pollset *s, enum file_role role)
{
    ret->kind = s->role_kind[role];
    ret->peer = s->role_peer[role];
    ret->in_flight = rec_kind_class((enum rec_kind)ret->kind) == HOB_CLASS_IO;
}

static bool has_child(const struct looker *l, int32_t pid)
{
    enum { NEWEST = 1024 };
    size_t n = l->rec->n_procs, last = n > NEWEST ? n - NEWEST : 0;

    for (size_t i = n; i > last; i--)
        if (l->rec->procs[i - 1].parent == pid && l->rec->procs[i - 1].died == INT64_MAX)
            return true;
    return false;
}

/* The kernel does not say when a Unix socket last sent: each may await an answer. */
static void look_asks(struct look *ret, const struct pollset *s)
{
    look_is(ret, s, FILE_UNIX_NAMED);
    ret->in_flight = s->n_role[FILE_UNIX_NAMED];
    if (ret->in_flight > 1)
        ret->flags |= REC_IVAL_SET;
}

/* It is idle until that peer has something to tell. */
static void look_feed(struct look *ret, const struct pollset *s)
{
    ret->kind = REC_IDLE;
    ret->peer = s->role_peer[FILE_CLIENT];
}

/* With no answer outstanding: what else is in the set? */
static void look_quiet(const struct looker *l, const struct pollset *s, const struct call *c,
                       struct look *ret)
{
    bool is_epoll = c->how == CALL_EPOLL || c->how == CALL_URING;

    ret->in_flight = 0;
    ret->peer = 0;
    if (s->n_role[FILE_LISTENS] || s->n_role[FILE_SERVER])
        ret->kind = REC_ACCEPT;
    else if (s->n_role[FILE_UNIX] && rec_kind_class(s->role_kind[FILE_UNIX]) == HOB_CLASS_IO)
        look_is(ret, s, FILE_UNIX);
    else if (s->n_role[FILE_PIPE] && !is_epoll)
        look_is(ret, s, FILE_PIPE);
    else if (s->n_role[FILE_UNIX] && !is_epoll)
        look_is(ret, s, FILE_UNIX);
    else if (s->n_role[FILE_CHILD] ||
             (s->n_role[FILE_PIPE] + s->n_role[FILE_UNIX] > 0 && has_child(l, s->pid)))
        ret->kind = REC_CHILD;
    else if (s->n_role[FILE_UNIX_NAMED])
        look_asks(ret, s);
    else if (s->n_told > 0) /* of events: it waits for those */
        look_feed(ret, s);
    else if (ret->timeout > 0)
        ret->kind = REC_SLEEP;
    else if (s->n_role[FILE_TTY] && !is_epoll)
        ret->kind = REC_TTY;
    else
        ret->kind = REC_IDLE;
}

/* A client that waits for its only connection before it reads is a direct wait. */
static bool look_single(const struct pollset *s, const struct call *c, struct look *ret)
{
    const struct member *m = s->members;

    if (c->how == CALL_EPOLL || c->how == CALL_URING || s->n != 1 || !m->seen)
        return false;
    if (m->role != FILE_CLIENT && m->role != FILE_DATAGRAM && m->role != FILE_UNIX &&
        m->role != FILE_UNIX_NAMED)
        return false;
    ret->kind = m->kind;
    ret->peer = m->peer;
    ret->in_flight = rec_kind_class((enum rec_kind)m->kind) == HOB_CLASS_IO;
    return true;
}

/* Of a ring without outstanding answers: operations that wait for no readiness are a disk's, or
 * its own timers. */
static void look_ring(struct looker *l, const struct pollset *s, const struct call *c,
                      struct look *ret)
{
    struct procfs_ring ring;

    if (!ring_find(l, s->pid, c->fd, &ring))
        return;
    rec_note(l->rec, "io_uring: operations are counted, but not which file each is for");
    uint32_t open = ring.submitted - ring.completed;
    if (ret->kind != REC_IDLE && ret->kind != REC_SLEEP) {
        if (ret->in_flight > open && open > 0)
            ret->in_flight = open;
        return;
    }
    if (open > ring.polls && s->n_role[FILE_DISK]) {
        ret->kind = REC_DISK;
        ret->peer = look_peer(l, REC_DISK, "files by io_uring");
        ret->in_flight = open - ring.polls;
        ret->flags |= open - ring.polls > 1 ? REC_IVAL_SET : 0;
    }
}

/* When the first of what is in flight was sent; of a large set nobody goes and looks. */
static int64_t sent_ago(const struct pollset *s)
{
    int64_t first = INT64_MAX;

    for (size_t i = 0; i < s->n && s->n <= SET_WHOLE; i++)
        if (s->members[i].awaits == AWAITS && s->members[i].sent_at > 0 &&
            s->members[i].sent_at < first)
            first = s->members[i].sent_at;
    return first < INT64_MAX ? hob_now() - first : -1;
}

void pollset_look(struct looker *l, struct look_proc *p, const struct call *c, struct look *ret)
{
    struct pollset *s = pollset_of(l, p->pid, c);

    ret->kind = REC_UNKNOWN;
    if (!s)
        return;
    set_read(l, s, c);
    ret->stale = !look_allowed(l) && s->estimated;
    if (!ret->stale) {
        struct sample a = {.n = 0};
        set_size(s);
        double old_mean = s->n_counts ? (double)s->n_awaiting / s->n_counts : 0;
        sample_take(l, p, s, &a);
        s->estimate = set_estimate(s, &a, old_mean);
        s->estimated = true;
        if (a.newest > 0 && a.newest < INT64_MAX)
            ret->newest_ago = hob_now() - a.newest;
    }
    ret->outside = outside_of(s);
    ret->listens = s->n_role[FILE_LISTENS] > 0;
    if (look_single(s, c, ret))
        return;
    const struct slot *most = slot_most(s);
    if (s->estimate == 0 || !most || most->awaiting == 0) {
        look_quiet(l, s, c, ret);
    } else {
        ret->kind = most->kind;
        ret->peer = most->peer;
        ret->in_flight = s->estimate;
        ret->sent_ago = sent_ago(s);
        if (s->n_counts > 1)
            ret->flags |= REC_IVAL_SET;
    }
    if (c->how == CALL_EPOLL || c->how == CALL_URING)
        ret->flags |= REC_IVAL_SET;
    if (c->how == CALL_URING)
        look_ring(l, s, c, ret);
}
