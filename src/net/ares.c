/* SPDX-License-Identifier: MIT
 *
 * ares.c - c-ares driven by a loop
 *
 * WHAT        c-ares sends questions, repeats them, goes to the next server and over to TCP when an
 *             answer was cut.  Its sockets are watches of the loop's poller, its next time is a
 *             timer of the loop's.  It reads resolv.conf, LOCALDOMAIN and RES_OPTIONS.
 *
 * HOW         ares_query  from a fiber
 *             poller      a socket is ready: ares_process_fd
 *             timer       ares_process_fd without one
 *               after each of these: its next time is asked for, and the timer set
 *
 * INVARIANTS  (I1) a struct ares_sock lives as long as its ares_at: the poller may hold its
 *                  address in a batch it is delivering
 *             (I2) a socket's watch is taken out before c-ares closes it: it says so first
 *
 * REJECTED    ares_getaddrinfo for the questions (1.18): the answer of the family that comes last
 *             decides, so that a server that failed once says "no such name"; one family cannot be
 *             had before the other; how long a "no" is good is not told.  For the hosts file it is
 *             used: there it is exact.
 */
#include "net/ares.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "sched/park.h"

enum {
    TIMEOUT_MS = 2000,
    TRIES = 3,
    /* Bytes for what is answered and not read: the answers of all names that may be under way come
     * at once from a server that has them at hand, and one lost is asked for again in seconds. */
    ANSWERS = 1 << 20,
};
#define LOOK_EVERY (5 * HOB_SEC)

static const char resolv_conf[] = "/etc/resolv.conf";

struct ares_sock {
    struct poll_watch watch; /* first */
    struct list node;
    struct ares_at *at;
};

const char *hob__ares_servers(void)
{
    const char *text = getenv("HOB_DNS");

    return text && *text ? text : NULL;
}

void hob__ares_called(struct ares_at *at)
{
    struct timeval room, *left;

    if (at->deaf) {
        at->deaf = false;
        ares_cancel(at->dns);
    }
    left = ares_timeout(at->dns, NULL, &room);
    timer_stop(&at->loop->timers, &at->timer);
    if (left)
        hob__timer_set(&at->loop->timers, &at->timer,
                       hob__now() + left->tv_sec * HOB_SEC + left->tv_usec * HOB_US + HOB_MS);
}

static void time_came(struct timer *t)
{
    struct ares_at *at = container_of(t, struct ares_at, timer);

    ares_process_fd(at->dns, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    hob__ares_called(at);
}

static void sock_ready(struct poll_watch *w, uint32_t revents)
{
    struct ares_at *at = container_of(w, struct ares_sock, watch)->at;
    int fd = w->fd;

    ares_process_fd(at->dns, revents & (EPOLLIN | EPOLLHUP | EPOLLERR) ? fd : ARES_SOCKET_BAD,
                    revents & (EPOLLOUT | EPOLLHUP | EPOLLERR) ? fd : ARES_SOCKET_BAD);
    hob__ares_called(at);
}

static struct ares_sock *sock_find(struct ares_at *at, int fd)
{
    list_each (it, &at->socks) {
        struct ares_sock *s = list_entry(it, struct ares_sock, node);
        if (s->watch.fd == fd)
            return s;
    }
    return NULL;
}

static struct ares_sock *sock_new(struct ares_at *at, int fd)
{
    struct list *n = list_pop(&at->idle);
    struct ares_sock *s = n ? list_entry(n, struct ares_sock, node) : malloc(sizeof *s);

    if (!s)
        return NULL;
    *s = (struct ares_sock){.at = at, .watch = {.fd = fd, .ready = sock_ready}};
    list_push(&at->socks, &s->node);
    return s;
}

/* c-ares says what it waits for.  Without a watch (no memory) no answer would be heard. */
static void sock_wanted(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct ares_at *at = arg;
    struct poller *p = at->loop->poller;
    struct ares_sock *s = sock_find(at, fd);

    if (!readable && !writable) {
        if (s) { /* (I2) */
            p->ops->unwatch(p, &s->watch);
            list_del(&s->node);
            list_push(&at->idle, &s->node); /* (I1) */
        }
        return;
    }
    if (!s && !(s = sock_new(at, fd))) {
        at->deaf = true;
        return;
    }
    s->watch.events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);
    if (p->ops->watch(p, &s->watch) < 0) {
        at->deaf = true;
        list_del(&s->node);
        list_push(&at->idle, &s->node);
    }
}

/* ---- begin and end ---- */

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void library_init(void)
{
    ares_library_init(ARES_LIB_INIT_ALL);
}

static int ares_rc(int status)
{
    return status == ARES_SUCCESS ? 0 : status == ARES_ENOMEM ? -ENOMEM : -ENOSYS;
}

static int dns_open(struct ares_at *at)
{
    struct ares_options o = {.timeout = TIMEOUT_MS,
                             .tries = TRIES,
                             .socket_receive_buffer_size = ANSWERS,
                             .sock_state_cb = sock_wanted,
                             .sock_state_cb_data = at};
    int mask = ARES_OPT_SOCK_STATE_CB | ARES_OPT_SOCK_RCVBUF, read;

    if (!getenv("RES_OPTIONS"))
        mask |= ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES;
    int r = ares_rc(ares_init_options(&at->dns, &o, mask));
    if (r < 0)
        return r;
    if (hob__ares_servers())
        r = ares_rc(ares_set_servers_ports_csv(at->dns, hob__ares_servers()));
    if (r == 0)
        r = ares_rc(ares_save_options(at->dns, &at->read, &read));
    if (r < 0) {
        ares_destroy(at->dns);
        return r;
    }
    at->domains = at->read.domains;
    at->n_domains = at->read.ndomains;
    at->n_dots = at->read.ndots;
    at->in_files = strchr(at->read.lookups, 'f');
    at->in_dns = strchr(at->read.lookups, 'b');
    return 0;
}

static void dns_close(struct ares_at *at)
{
    ares_destroy(at->dns);
    ares_destroy_options(&at->read);
    timer_stop(&at->loop->timers, &at->timer);
}

static bool file_changed(struct ares_at *at)
{
    struct stat st = {.st_ino = 0};

    at->looked = hob__now();
    (void)!stat(resolv_conf, &st); /* none at all is one way to be */
    bool same = at->file.ino == (int64_t)st.st_ino && at->file.mtime_sec == st.st_mtim.tv_sec &&
                at->file.mtime_nsec == st.st_mtim.tv_nsec;
    at->file.ino = (int64_t)st.st_ino;
    at->file.mtime_sec = st.st_mtim.tv_sec;
    at->file.mtime_nsec = st.st_mtim.tv_nsec;
    return !same;
}

int hob__ares_open(struct ares_at *at, struct loop *l)
{
    static char only_files[] = "f";
    struct ares_options o = {.lookups = only_files};
    int r;

    pthread_once(&library_once, library_init);
    *at = (struct ares_at){.loop = l, .timer.fire = time_came};
    list_init(&at->socks);
    list_init(&at->idle);
    (void)file_changed(at);
    if ((r = ares_rc(ares_init_options(&at->files, &o, ARES_OPT_LOOKUPS))) < 0)
        return r;
    if ((r = dns_open(at)) < 0)
        ares_destroy(at->files);
    return r;
}

void hob__ares_close(struct ares_at *at)
{
    struct list *n;

    dns_close(at);
    ares_destroy(at->files);
    HOB_ASSERT(list_empty(&at->socks)); /* (I2) */
    while ((n = list_pop(&at->idle)))
        free(list_entry(n, struct ares_sock, node));
}

bool hob__ares_changed(struct ares_at *at)
{
    struct ares_at old;

    if (hob__now() - at->looked < LOOK_EVERY || !file_changed(at))
        return false;
    old = *at;
    if (dns_open(at) < 0) { /* no memory: as before, and another look later */
        at->dns = old.dns;
        at->read = old.read;
        at->file.ino = -1;
        return false;
    }
    ares_destroy(old.dns);
    ares_destroy_options(&old.read);
    return true;
}
