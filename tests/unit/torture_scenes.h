/* SPDX-License-Identifier: MIT
 *
 * torture_scenes.h - small programs that use everything that parks, and count what they did
 *
 * Each is a fiber.  It may be cancelled anywhere and any allocation may fail in it: then it returns
 * a negative code, has closed and freed all it had, and its own books are right.
 *
 * Length: two tests run all of them, and what one scene needs others need too.
 */
#ifndef TORTURE_SCENES_H
#define TORTURE_SCENES_H

#include <hob/flow.h>
#include <hob/hob.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dns_server.h"
#include "lib/t.h"
#include "net/dns.h"

/* --- groups: nested, spread, full, with deadlines --------------------------------------------- */

static int tree(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    hob_group g;
    int r;

    if (depth == 0)
        return hob_sleep(200 * HOB_US);
    r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = depth % 2, .max_live = 2, .name = "tree"));
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, tree, (void *)(depth - 1));
    return hob_group_join(&g, r);
}

static int sleeps_long(void *arg)
{
    (void)arg;
    return hob_sleep(3600 * HOB_SEC);
}

static int scene_groups(void *arg)
{
    hob_group g;
    int r = tree((void *)(intptr_t)2);

    (void)arg;
    if (r < 0)
        return r;
    r = hob_group_open(&g, HOB_GROUP_OPTS(.until = hob_in(HOB_MS), .spread = true));
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, sleeps_long, NULL);
    r = hob_group_join(&g, r);
    return r == -ETIMEDOUT ? 0 : r;
}

/* --- channels: what was sent was received or lies in the channel ------------------------------ */

struct hall {
    hob_chan *ch;
    _Atomic(int) sent, received;
};

static int hall_sender(void *arg)
{
    struct hall *h = arg;
    int r = 0;

    for (int v = 0; v < 5 && r == 0; v++)
        if ((r = hob_chan_send(h->ch, &v, HOB_FOREVER)) == 0)
            h->sent++;
    return r;
}

static int hall_receiver(void *arg)
{
    struct hall *h = arg;
    int v, r;

    while ((r = hob_chan_recv(h->ch, hob_in(50 * HOB_MS), &v)) == 0 || r == -ETIMEDOUT)
        h->received += r == 0;
    return r == -EPIPE ? 0 : r;
}

static int hall_senders(void *arg)
{
    struct hall *h = arg;
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));

    for (int i = 0; i < 2 && r == 0; i++)
        r = hob_go(&g, hall_sender, h);
    r = hob_group_join(&g, r);
    hob_chan_close(h->ch);
    return r;
}

static int hall_of(uint32_t slots)
{
    struct hall h = {0};
    hob_group g;
    int v, left = 0, r = hob_chan_new(sizeof(int), HOB_CHAN_OPTS(.slots = slots), &h.ch);

    if (r < 0)
        return r;
    r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));
    if (r == 0)
        r = hob_go(&g, hall_receiver, &h);
    if (r == 0)
        r = hob_go(&g, hall_senders, &h);
    r = hob_group_join(&g, r);
    if (hob_check() == 0)
        while (hob_chan_recv(h.ch, 0, &v) == 0)
            left++;
    else /* no call that parks works any more: what is left is counted as at most the slots */
        left = h.sent - h.received;
    CHECK(left >= 0 && left <= (int)slots);
    CHECK_INT(h.sent, h.received + left);
    CHECK(r < 0 || (left == 0 && h.sent == 10));
    hob_chan_free(h.ch);
    return r;
}

static int scene_channels(void *arg)
{
    int r = hall_of(0);

    (void)arg;
    return r < 0 ? r : hall_of(2);
}

/* --- selects: what was sent was received or lies in a channel, whichever arm it was ------------
 */

struct counter {
    hob_chan *hand, *shelf; /* a rendezvous, and one with a place */
    hob_event closed;
    _Atomic(int) given, taken;
};

static int counter_giver(void *arg)
{
    struct counter *c = arg;
    int r = 0;

    for (int v = 0; v < 3 && r >= 0; v++) {
        struct hob_arm arms[] = {HOB_ON_SEND(c->hand, &v), HOB_ON_SEND(c->shelf, &v),
                                 HOB_ON_TIME(hob_in(3600 * HOB_SEC))};
        if ((r = hob_select(arms, 3, HOB_FOREVER)) >= 0)
            c->given += r < 2 && arms[r].rc == 0;
    }
    return r < 0 ? r : 0;
}

static int counter_taker(void *arg)
{
    struct counter *c = arg;
    int v, r;
    struct hob_arm arms[] = {HOB_ON_RECV(c->hand, &v), HOB_ON_RECV(c->shelf, &v),
                             HOB_ON_EVENT(&c->closed)};

    while ((r = hob_select_ordered(arms, 3, hob_in(3600 * HOB_SEC))) == 0 || r == 1)
        c->taken++;
    return r < 0 ? r : 0;
}

static int counter_givers(void *arg)
{
    struct counter *c = arg;
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));
    struct hob_arm idle = HOB_ON_IDLE(&g);

    for (int i = 0; i < 2 && r == 0; i++)
        r = hob_go(&g, counter_giver, c);
    if (r == 0)
        r = hob_select(&idle, 1, HOB_FOREVER);
    r = hob_group_join(&g, r);
    if (hob_event_set(&c->closed) < 0)
        r = -EPROTO;
    return r;
}

static int scene_selects(void *arg)
{
    struct counter c = {.given = 0};
    int v, left = 0, r;
    hob_group g;

    (void)arg;
    if ((r = hob_event_init(&c.closed, NULL)) < 0 ||
        (r = hob_chan_new(sizeof(int), NULL, &c.hand)) < 0)
        return r;
    if ((r = hob_chan_new(sizeof(int), HOB_CHAN_OPTS(.slots = 1), &c.shelf)) < 0) {
        hob_chan_free(c.hand);
        return r;
    }
    r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));
    for (int i = 0; i < 2 && r == 0; i++)
        r = hob_go(&g, counter_taker, &c);
    if (r == 0)
        r = hob_go(&g, counter_givers, &c);
    r = hob_group_join(&g, r);
    if (hob_check() == 0)
        while (hob_chan_recv(c.shelf, 0, &v) == 0)
            left++;
    else
        left = c.given - c.taken;
    CHECK(left == 0 || left == 1);
    CHECK_INT(c.given, c.taken + left);
    CHECK(r < 0 || c.given == 6);
    hob_chan_free(c.hand);
    hob_chan_free(c.shelf);
    return r;
}

/* --- locks: of all kinds, held across parks, by fibers of several loops ------------------------
 */

struct safe {
    hob_sem sem;
    hob_mutex mutex;
    hob_cond cond;
    hob_rwlock rw;
    hob_once once;
    hob_event open;
    _Atomic(int) ready, inside, torn;
};

static int safe_prepare(void *arg)
{
    (void)arg;
    return hob_sleep(10 * HOB_US);
}

/* With the mutex: parks, and waits for a second one to come. */
static int safe_meet(struct safe *s)
{
    int r = 0;

    s->torn += s->inside++ != 0;
    r = hob_yield();
    s->inside--;
    if (++s->ready == 2)
        CHECK_INT(hob_cond_broadcast(&s->cond), 0);
    while (r == 0 && s->ready < 2)
        r = hob_cond_wait(&s->cond, &s->mutex, HOB_FOREVER);
    return r;
}

static int safe_user(void *arg)
{
    struct safe *s = arg;
    int r = hob_once_do(&s->once, safe_prepare, s, HOB_FOREVER);

    if (r < 0 || (r = hob_sem_acquire(&s->sem, 1, HOB_FOREVER)) < 0)
        return r;
    r = hob_mutex_lock(&s->mutex, HOB_FOREVER);
    if (r == 0) {
        r = safe_meet(s);
        CHECK_INT(hob_mutex_unlock(&s->mutex), 0);
    }
    CHECK_INT(hob_sem_release(&s->sem, 1), 0);
    if (r == 0 && (r = hob_rwlock_read(&s->rw, HOB_FOREVER)) == 0) {
        r = hob_sleep(10 * HOB_US);
        CHECK_INT(hob_rwlock_unlock(&s->rw), 0);
    }
    return r < 0 ? r : hob_event_set(&s->open);
}

static int safe_owner(void *arg)
{
    struct safe *s = arg;
    int r = hob_event_wait(&s->open, HOB_FOREVER);

    if (r == 0 && (r = hob_rwlock_write(&s->rw, HOB_FOREVER)) == 0)
        CHECK_INT(hob_rwlock_unlock(&s->rw), 0);
    return r;
}

static int scene_locks(void *arg)
{
    struct safe s = {.ready = 0};
    hob_group g;
    int r;

    (void)arg;
    if ((r = hob_sem_init(&s.sem, 2, NULL)) < 0 || (r = hob_mutex_init(&s.mutex, NULL)) < 0 ||
        (r = hob_cond_init(&s.cond, NULL)) < 0 || (r = hob_rwlock_init(&s.rw, NULL)) < 0 ||
        (r = hob_once_init(&s.once, NULL)) < 0 || (r = hob_event_init(&s.open, NULL)) < 0)
        return r;
    r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));
    if (r == 0)
        r = hob_go(&g, safe_owner, &s);
    for (int i = 0; i < 4 && r == 0; i++)
        r = hob_go(&g, safe_user, &s);
    r = hob_group_join(&g, r);
    CHECK_INT(s.torn, 0);
    if (hob_check() < 0) /* no call that parks works any more */
        return r;
    CHECK_INT(hob_sem_acquire(&s.sem, 2, 0), 0); /* whatever happened, all is free */
    CHECK_INT(hob_mutex_lock(&s.mutex, 0), 0);
    CHECK_INT(hob_rwlock_write(&s.rw, 0), 0);
    CHECK_INT(hob_mutex_unlock(&s.mutex), 0);
    CHECK_INT(hob_rwlock_unlock(&s.rw), 0);
    return r;
}

/* --- bridges ---------------------------------------------------------------------------------- */

struct bridged {
    hob_lane *lane;
    _Atomic(int) ran;
    int told; /* calls that said their function ran; loop 0 */
};

static int bridge_fn(void *arg)
{
    ((struct bridged *)arg)->ran++;
    return 5;
}

static int bridge_user(void *arg)
{
    struct bridged *b = arg;
    int r = hob_offload(bridge_fn, b, HOB_FOREVER);

    b->told += r == 5;
    if (r == 5 && (r = hob_block(bridge_fn, b, HOB_FOREVER)) == 5) {
        b->told++;
        r = hob_lane_call(b->lane, bridge_fn, b, hob_in(3600 * HOB_SEC));
        b->told += r == 5;
    }
    return r == 5 ? 0 : r;
}

static int scene_bridges(void *arg)
{
    struct bridged b = {0};
    hob_group g;
    int r = hob_lane_new("torture", &b.lane);

    (void)arg;
    if (r < 0)
        return r;
    r = hob_group_open(&g, NULL);
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, bridge_user, &b);
    r = hob_group_join(&g, r);
    hob_lane_free(b.lane);
    CHECK_INT(b.ran, b.told); /* a function ran if and only if its caller was told so */
    return r;
}

/* --- sockets, files, names -------------------------------------------------------------------- */

static int echo_one(void *arg)
{
    int listener = *(int *)arg, fd = hob_tcp_accept(listener, HOB_FOREVER);
    char buf[64];
    ssize_t n;

    if (fd < 0)
        return fd;
    while ((n = hob_read(fd, buf, sizeof buf, HOB_FOREVER)) > 0)
        if (hob_write(fd, buf, (size_t)n, HOB_FOREVER) != n) {
            n = -EPIPE;
            break;
        }
    hob_close(fd);
    return (int)n;
}

/* A listener is an arm, and so is the connection's first byte. */
static int select_one(void *arg)
{
    int listener = *(int *)arg, r;
    struct hob_arm arms[] = {HOB_ON_ACCEPT(listener), HOB_ON_TIME(hob_in(3600 * HOB_SEC))};
    char buf[8];

    if ((r = hob_select(arms, 2, HOB_FOREVER)) != 0 || (r = arms[0].rc) < 0)
        return r;
    arms[0] = (struct hob_arm)HOB_ON_READY(r, EPOLLIN);
    int fd = r;
    for (int i = 0; i < 3 && r >= 0; i++)
        if ((r = hob_select(arms, 2, HOB_FOREVER)) == 0)
            r = hob_read(fd, buf, sizeof buf, 0) == sizeof buf ? 0 : -EIO;
    hob_close(fd);
    return r;
}

static int dial_and_say(void *arg)
{
    hob_addr addr;
    int r = hob_sock_addr(*(int *)arg, &addr), fd = r < 0 ? r : hob_tcp_dial(&addr, HOB_FOREVER);
    char buf[24] = "three times eight bytes";

    if (fd < 0)
        return fd;
    r = (int)hob_write(fd, buf, sizeof buf, HOB_FOREVER);
    if (r > 0 && (r = (int)hob_read(fd, buf, 1, HOB_FOREVER)) == -ECONNRESET)
        r = 0;
    hob_close(fd);
    return r < 0 ? r : 0;
}

static int dial_one(void *arg)
{
    hob_addr addr;
    char buf[8] = "1234567";
    int r = hob_sock_addr(*(int *)arg, &addr), fd = r < 0 ? r : hob_tcp_dial(&addr, HOB_FOREVER);

    if (fd < 0)
        return fd;
    for (int i = 0; i < 3 && r >= 0; i++) {
        r = (int)hob_write(fd, buf, sizeof buf, HOB_FOREVER);
        if (r >= 0)
            r = (int)hob_read(fd, buf, sizeof buf, hob_in(3600 * HOB_SEC));
    }
    hob_close(fd);
    return r < 0 ? r : 0;
}

static int file_round(void)
{
    char path[] = "/tmp/hob-torture-XXXXXX", buf[4];
    int fd = mkstemp(path), r;

    if (fd < 0)
        return -errno;
    close(fd);
    r = fd = hob_file_open(path, O_RDWR, 0, HOB_FOREVER);
    if (r >= 0)
        r = (int)hob_file_write(fd, "data", 4, 0, HOB_FOREVER);
    if (r >= 0)
        r = hob_file_sync(fd, HOB_FOREVER);
    if (r >= 0)
        r = (int)hob_file_read(fd, buf, 4, 0, HOB_FOREVER);
    hob_close(fd);
    unlink(path);
    return r < 0 ? r : 0;
}

/* localhost would need no lookup. */
static void here_lookup(const char *name, struct dns_answer *ret)
{
    (void)name;
    ret->n = 1;
    ret->rc = hob_addr_parse("127.0.0.1", 0, &ret->addr[0]);
}

static int scene_network(void *arg)
{
    hob_addr addr;
    hob_group g;
    size_t n;
    int listener, r;

    (void)arg;
    hob__dns_lookup = here_lookup;
    r = hob_resolve("here.test", 0, 1, HOB_FOREVER, &addr, &n);
    if (r < 0)
        return r;
    listener = hob_tcp_listen(&addr, 0);
    if (listener < 0)
        return listener;
    r = hob_group_open(&g, NULL);
    for (int i = 0; i < 2 && r == 0; i++)
        if ((r = hob_go(&g, echo_one, &listener)) == 0)
            r = hob_go(&g, dial_one, &listener);
    r = hob_group_join(&g, r);
    if (r == 0)
        r = hob_group_open(&g, NULL);
    if (r == 0) {
        if ((r = hob_go(&g, select_one, &listener)) == 0)
            r = hob_go(&g, dial_and_say, &listener);
        r = hob_group_join(&g, r);
    }
    hob_close(listener);
    return r < 0 ? r : file_round();
}

/* --- names, by c-ares, of a server that the test has started ------------------------------------
 */

static const struct dns_record torture_zone[] = {
    {.name = "near.test", .v4 = "127.0.0.1", .ttl = 60},
    {.name = "none.test", .kind = DNS_NONE},
    {.name = "never.test", .v4 = "127.0.0.1 127.0.0.2"},
    {NULL}};

static int names_user(void *arg)
{
    hob_addr a[4];
    size_t n;
    int r = hob_resolve("near.test", 80, 4, HOB_FOREVER, a, &n), fd;

    if (r == 0)
        r = hob_resolve("none.test", 80, 4, hob_in(3600 * HOB_SEC), a, &n);
    if (r == 0 || r == -HOB_EDNS)
        r = hob_resolve("never.test", 80, 4, HOB_FOREVER, a, &n);
    if (r == 0 && (r = hob_sock_addr(*(int *)arg, a)) == 0) {
        fd = hob_tcp_dial_name("near.test", hob_addr_port(a), HOB_FOREVER);
        r = fd < 0 ? fd : 0;
        hob_close(fd);
    }
    return r;
}

static int scene_names(void *arg)
{
    hob_addr a;
    hob_group g;
    int listener, r = hob_addr_parse("127.0.0.1", 0, &a);

    (void)arg;
    if (r < 0 || (listener = hob_tcp_listen(&a, 0)) < 0)
        return r < 0 ? r : listener;
    r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));
    for (int i = 0; i < 3 && r == 0; i++)
        r = hob_go(&g, names_user, &listener);
    r = hob_group_join(&g, r);
    hob_close(listener);
    return r;
}

/* --- processes and signals ---------------------------------------------------------------------
 */

/* Its child echoes; whatever happens it is reaped. */
static int proc_user(void *arg)
{
    static const char *const argv[] = {"cat", NULL};
    struct hob_proc_end end;
    hob_proc *p;
    char buf[8] = "1234567";
    int r = hob_proc_spawn(argv, HOB_PROC_OPTS(.in = HOB_PROC_PIPE, .out = HOB_PROC_PIPE),
                           HOB_FOREVER, &p);

    (void)arg;
    if (r < 0)
        return r;
    r = (int)hob_write(hob_proc_fd(p, 0), buf, sizeof buf, HOB_FOREVER);
    if (r >= 0)
        r = (int)hob_read(hob_proc_fd(p, 1), buf, sizeof buf, hob_in(3600 * HOB_SEC));
    hob_close(hob_proc_take_fd(p, 0));
    if (r >= 0)
        r = hob_proc_wait(p, HOB_FOREVER, &end);
    CHECK(r < 0 || end.code == 0);
    hob_proc_stop(p);
    return r < 0 ? r : 0;
}

static int signal_user(void *arg)
{
    return hob_signals_wait(arg, HOB_FOREVER, NULL);
}

static int scene_processes(void *arg)
{
    static const int list[] = {SIGUSR1};
    hob_signals *s;
    hob_group g;
    int r = hob_signals_open(list, 1, &s);

    (void)arg;
    if (r < 0)
        return r;
    r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));
    if (r == 0)
        r = hob_go(&g, signal_user, s);
    for (int i = 0; i < 4 && r == 0; i++)
        r = hob_go(&g, proc_user, NULL);
    kill(getpid(), SIGUSR1);
    r = hob_group_join(&g, r);
    (void)!hob_signals_wait(s, 0, NULL);
    signal(SIGUSR1, SIG_IGN); /* nobody may have waited for it, as when cancelled */
    hob_signals_close(s);
    signal(SIGUSR1, SIG_DFL);
    CHECK_INT(waitpid(-1, NULL, WNOHANG), -1); /* no child, no zombie */
    return r;
}

/* --- a flow of all kinds: every item that was given leaves once --------------------------------
 */

enum { FLOW_ITEMS = 6 };

struct plant {
    hob_lane *lane;
    int given, left[FLOW_ITEMS], n_cancelled;
};

static int plant_next(void *ctx, void **ret_item, hob_time *ret_again)
{
    struct plant *p = ctx;

    if (p->given == FLOW_ITEMS)
        return -ENOENT;
    if (p->given % 2 == 0 && hob_yield() < 0)
        return -ECANCELED;
    *ret_item = (void *)(intptr_t)p->given++;
    *ret_again = HOB_FOREVER;
    return 1;
}

static int plant_wait(void *ctx, void *item)
{
    (void)ctx;
    return hob_sleep(((intptr_t)item % 3) * 100 * HOB_US);
}

static int plant_work(void *ctx, void *item)
{
    (void)ctx;
    return (intptr_t)item == 4 ? -EIO : 0;
}

static int plant_store(void *ctx, void **items, size_t n)
{
    (void)ctx, (void)items, (void)n;
    return 0;
}

static void plant_leave(void *ctx, void *item, unsigned stage, int rc)
{
    struct plant *p = ctx;

    (void)stage;
    CHECK_INT(p->left[(intptr_t)item]++, 0);
    p->n_cancelled += rc == -ECANCELED;
}

static int scene_flow(void *arg)
{
    struct plant p = {0};
    hob_flow *flow;
    int r = hob_lane_new("store", &p.lane);

    (void)arg;
    if (r < 0)
        return r;
    struct hob_stage stages[] = {
        HOB_STAGE(.name = "wait", .kind = HOB_IO, .run = plant_wait, .width = 3),
        HOB_STAGE(.name = "work", .kind = HOB_CPU, .run = plant_work, .width = 2),
        HOB_STAGE(.name = "late", .kind = HOB_IO, .run = plant_wait, .width = 2),
        HOB_STAGE(.name = "store", .kind = HOB_LANE, .run_batch = plant_store, .lane = p.lane,
                  .batch = 2),
    };
    r = hob_flow_new(stages, 4, HOB_FLOW_OPTS(.ctx = &p, .next = plant_next, .leave = plant_leave),
                     &flow);
    if (r == 0) {
        r = hob_flow_run(flow);
        hob_flow_free(flow);
    }
    for (int i = 0; i < p.given; i++)
        CHECK_INT(p.left[i], 1);
    CHECK(r < 0 || (p.given == FLOW_ITEMS && p.n_cancelled == 0));
    hob_lane_free(p.lane);
    return r;
}

#endif
