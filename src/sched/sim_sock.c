/* SPDX-License-Identifier: MIT
 *
 * sim_sock.c - the simulator's descriptors
 *
 * WHAT        Sockets and pipes in memory have descriptors that the kernel knows as ones that can
 * do nothing (O_PATH): what goes past hob to them, a write(2) or a poll(2), is EBADF, and no other
 * file has the number.
 *
 * HOW         socks[fd] ---> struct sim_sock ---> peer, name, what has arrived
 *             wheel     ---> what is under way: bytes, datagrams, connections
 *
 * INVARIANTS  (I1) all calls are made on the one thread of the simulation; on another they find no
 *                  socket
 *             (I2) nothing here depends on the number of a descriptor: the kernel gave it
 *
 * REJECTED    Numbers above any that the kernel gives: programs have tables by descriptor.
 *             An eventfd each: a write(2) past hob would succeed, and go nowhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plat/env.h"
#include "sched/sim_file.h"
#include "sched/sim_net.h"

enum { MAIL_ROOM = 212992 }; /* net.core.rmem_default */

static struct {
    pthread_t thread;
    struct sim_sock **socks; /* by descriptor; n_socks of them */
    int n_socks;
    int nothing; /* the descriptor that all are copies of; -1 */
    struct wheel wheel;
} net;

/* ---- the wheel ---- */

hob_time hob__sim_net_next(void)
{
    return hob__wheel_due(&net.wheel);
}

void hob__sim_net_advance(hob_time now)
{
    hob__wheel_advance(&net.wheel, now);
}

void hob__sim_timer_set(struct timer *t, hob_time at)
{
    timer_stop(&net.wheel, t);
    hob__timer_set(&net.wheel, t, at);
}

void hob__sim_timer_stop(struct timer *t)
{
    timer_stop(&net.wheel, t);
}

/* ---- descriptors ---- */

void hob__sim_net_open(void)
{
    net.thread = pthread_self();
    net.nothing = -1;
    hob__wheel_init(&net.wheel, hob__now());
    hob__sim_names_open();
    hob__sim_files_open();
    hob__sim_tell_again();
}

/* What the program has not closed stays open as the kernel sees it: its leak is seen as always. */
void hob__sim_net_close(void)
{
    for (int fd = 0; fd < net.n_socks; fd++)
        if (net.socks[fd])
            hob__sim_sock_free(net.socks[fd]);
    free(net.socks);
    net.socks = NULL;
    net.n_socks = 0;
    hob__sim_files_close();
    if (net.nothing >= 0)
        close(net.nothing);
    net.nothing = -1;
}

bool hob__sim_here(void)
{
    return pthread_equal(net.thread, pthread_self());
}

struct sim_sock *hob__sim_sock_of(int fd)
{
    return fd >= 0 && fd < net.n_socks && hob__sim_here() ? net.socks[fd] : NULL; /* (I1) */
}

/* The error for a descriptor that is none of ours. */
int hob__sim_not_ours(int fd)
{
    if (fd < 0 || fcntl(fd, F_GETFD) < 0)
        return -EBADF;
    hob__sim_tell(SIM_TELL_FD,
                  "descriptor %d was not opened in this hob_run: what it does is not simulated "
                  "(hob_sim(3))",
                  fd);
    return -EOPNOTSUPP;
}

int hob__sim_socket(int fd, struct sim_sock **ret)
{
    struct sim_sock *s = hob__sim_sock_of(fd);

    if (!s)
        return hob__sim_not_ours(fd);
    if (s->pipe || s->file)
        return -ENOTSOCK;
    *ret = s;
    return 0;
}

static int socks_grow(int fd)
{
    int n = fd < 64 ? 128 : 2 * fd;
    struct sim_sock **more = realloc(net.socks, (size_t)n * sizeof *more);

    if (!more)
        return -ENOMEM;
    memset(more + net.n_socks, 0, (size_t)(n - net.n_socks) * sizeof *more);
    net.socks = more;
    net.n_socks = n;
    return 0;
}

static int fd_take(void)
{
    int fd;

    if (net.nothing < 0 && (net.nothing = open("/", O_PATH | O_CLOEXEC)) < 0)
        return -errno;
    fd = fcntl(net.nothing, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

int hob__sim_sock_install(struct sim_sock *s)
{
    int fd = fd_take();

    if (fd < 0)
        return fd;
    if (fd >= net.n_socks && socks_grow(fd) < 0) {
        close(fd);
        return -ENOMEM;
    }
    if (net.socks[fd]) { /* the kernel would not have given the number twice */
        hob__sim_tell(SIM_TELL_CLOSED, "descriptor %d was closed past hob: use hob_close", fd);
        hob__sim_sock_free(net.socks[fd]);
    }
    net.socks[fd] = s;
    return s->fd = fd;
}

void hob__sim_sock_uninstall(struct sim_sock *s)
{
    close(s->fd);
    net.socks[s->fd] = NULL;
    s->fd = -1;
}

struct sim_sock *hob__sim_sock_new(int family, int type)
{
    struct sim_sock *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->fd = -1;
    s->family = family;
    s->type = type;
    s->local = family == AF_UNIX;
    s->mail_room = MAIL_ROOM;
    list_init(&s->named);
    list_init(&s->waiting);
    list_init(&s->queue);
    list_init(&s->knocking);
    list_init(&s->queued);
    list_init(&s->mail);
    return s;
}

void hob__sim_sock_free(struct sim_sock *s)
{
    hob__sim_timer_stop(&s->timer);
    if (s->type == SOCK_STREAM)
        hob__sim_stream_close(s);
    else
        hob__sim_dgram_close(s);
    if (s->file)
        hob__sim_file_release(s->file);
    hob__sim_listing_free(s->listing);
    hob__sim_abandon(s);
    list_del(&s->named);
    list_del(&s->queued);
    if (s->fd >= 0)
        net.socks[s->fd] = NULL;
    free(s->in.ring);
    free(s);
}

int hob__sim_sock_err(struct sim_sock *s)
{
    int err = s->err;

    s->err = 0;
    return err;
}
