/* SPDX-License-Identifier: MIT
 *
 * sock.c - libcurl's sockets as watches of the loop's poller
 *
 * WHAT        libcurl makes its sockets here, says what it waits for, and closes them here - but
 *             for one kind: a socket that never got connected it closes by itself (7.88), without
 *             a word, and its number may come back as another file, even as its own next socket,
 *             which it then believes to be watched already.
 *
 * HOW         A socket is *young* until its transfer has a connection or has ended.  Young ones
 *             are few and are compared with the file they were made as (device and inode) at every
 *             moment at which libcurl may have closed one: it made another for the same transfer,
 *             it was called for this one, the transfer connected or ended.
 *
 *   A watch stays in the poller's set when libcurl loses interest in an idle connection, for it
 *   will ask for the same again with the next request: two system calls less each.  An event
 *   that comes meanwhile (the server closes) takes it out.
 *
 * INVARIANTS  (I1) a struct sock lives as long as its http_loop: the poller may hold its address
 *                  in a batch it is delivering
 *             (I2) a socket's watch is taken out before the socket is closed, or as soon as it is
 *                  seen that libcurl has closed it
 *             (I3) a young socket is on its transfer's list, and no other socket is
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/multi.h"

struct sock {
    struct poll_watch watch; /* first */
    struct http_loop *at;
    struct sock *next_free;
    struct list young;         /* in transfer.young */
    struct transfer *transfer; /* while young */
    dev_t dev;
    ino_t ino;
    bool watched; /* in the poller's set */
    bool wanted;  /* libcurl waits for it */
};

static void sock_unwatch(struct sock *s)
{
    struct poller *p = s->at->loop->poller;

    if (s->watched)
        p->ops->unwatch(p, &s->watch);
    s->watched = false;
}

static void sock_ready(struct poll_watch *w, uint32_t revents)
{
    struct sock *s = container_of(w, struct sock, watch);
    int events = 0;

    if (!s->wanted) {
        sock_unwatch(s);
        return;
    }
    if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR))
        events |= CURL_CSELECT_IN;
    if (revents & EPOLLOUT)
        events |= CURL_CSELECT_OUT;
    if (revents & EPOLLERR)
        events |= CURL_CSELECT_ERR;
    struct transfer *t = s->transfer;
    s->at->ready(s->at, w->fd, events);
    if (t)
        hob__socks_settle(t, false);
}

int hob__sock_wanted(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
    struct http_loop *at = arg;
    struct poller *p = at->loop->poller;
    struct sock *s = (size_t)fd < at->n_socks ? at->socks[fd] : NULL;
    uint32_t events = 0;

    (void)easy;
    (void)unused;
    if (!s) /* closed by libcurl, and seen */
        return 0;
    s->wanted = what != CURL_POLL_REMOVE && what != CURL_POLL_NONE;
    if (!s->wanted)
        return 0;
    if (what & CURL_POLL_IN)
        events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        events |= EPOLLOUT;
    if (s->watched && s->watch.events == events)
        return 0;
    s->watch.events = events;
    /* Without a watch (no memory) the transfer stands still until the watchdog ends it. */
    s->watched = p->ops->watch(p, &s->watch) == 0;
    return 0;
}

static int socks_room(struct http_loop *at, int fd)
{
    size_t n = at->n_socks ? at->n_socks : 64;
    struct sock **socks;

    while (n <= (size_t)fd)
        n *= 2;
    if (n == at->n_socks)
        return 0;
    if (!(socks = realloc(at->socks, n * sizeof socks[0])))
        return -ENOMEM;
    for (size_t i = at->n_socks; i < n; i++)
        socks[i] = NULL;
    at->socks = socks;
    at->n_socks = n;
    return 0;
}

/* The record is taken before the socket is made: later nothing can fail. */
static struct sock *sock_take(struct http_loop *at)
{
    struct sock *s = at->free_socks;

    if (s)
        at->free_socks = s->next_free;
    else if (!(s = malloc(sizeof *s)))
        return NULL;
    *s = (struct sock){.at = at, .watch.ready = sock_ready};
    list_init(&s->young);
    return s;
}

static void sock_give(struct sock *s)
{
    s->next_free = s->at->free_socks; /* (I4) */
    s->at->free_socks = s;
}

/* Out of the table; its descriptor is closed, or about to be.  (I2) */
static void sock_retire(struct sock *s)
{
    sock_unwatch(s);
    list_del(&s->young);
    s->at->socks[s->watch.fd] = NULL;
    sock_give(s);
}

/* Whether its descriptor is still the file it was made as. */
static bool sock_alive(const struct sock *s)
{
    struct stat st;

    return fstat(s->watch.fd, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino;
}

void hob__socks_settle(struct transfer *t, bool done)
{
    list_each_safe (it, &t->young) {
        struct sock *s = list_entry(it, struct sock, young);
        if (!sock_alive(s)) {
            sock_retire(s);
        } else if (done) { /* (I3) */
            list_del(&s->young);
            s->transfer = NULL;
        }
    }
}

/* A number that came back: libcurl closed the socket that had it, and still believes it to be
 * watched for what that one was. */
static uint32_t sock_inherit(struct http_loop *at, int fd)
{
    struct sock *old = at->socks[fd];
    uint32_t events = 0;

    if (!old)
        return 0;
    if (old->wanted)
        events = old->watch.events;
    sock_retire(old);
    return events;
}

int hob__sock_open(struct transfer *t, const hob_addr *a, int type, int protocol)
{
    struct http_loop *at = t->at;
    struct poller *p = at->loop->poller;
    struct sock *s = sock_take(at);
    struct stat st;
    int fd, r;

    if (!s)
        return -ENOMEM;
    fd = socket(a->sa.any.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    r = fd < 0 || fstat(fd, &st) < 0 ? -errno : socks_room(at, fd);
    if (r < 0) {
        if (fd >= 0)
            close(fd);
        sock_give(s);
        return r;
    }
    s->watch.events = sock_inherit(at, fd);
    hob__socks_settle(t, false);
    s->watch.fd = fd;
    s->dev = st.st_dev;
    s->ino = st.st_ino;
    s->transfer = t;
    list_push(&t->young, &s->young);
    at->socks[fd] = s;
    s->wanted = s->watch.events != 0;
    s->watched = s->wanted && p->ops->watch(p, &s->watch) == 0;
    return fd;
}

int hob__sock_close(void *arg, curl_socket_t fd)
{
    struct http_loop *at = arg;

    sock_retire(at->socks[fd]);
    close(fd);
    return 0;
}

/* libcurl has closed all of them. */
void hob__socks_fini(struct http_loop *at)
{
    struct sock *s;

    for (size_t i = 0; i < at->n_socks; i++) {
        HOB_ASSERT(!at->socks[i] || !sock_alive(at->socks[i]));
        if (at->socks[i])
            sock_retire(at->socks[i]);
    }
    while ((s = at->free_socks)) {
        at->free_socks = s->next_free;
        free(s);
    }
    free(at->socks);
}
