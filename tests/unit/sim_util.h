/* SPDX-License-Identifier: MIT
 *
 * sim_util.h - runs a test body in simulations
 */
#ifndef SIM_UTIL_H
#define SIM_UTIL_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <hob/hob.h>

#include "lib/t.h"

static inline int in_sim(const char *sim, hob_fn fn, void *arg)
{
    setenv("HOB_SIM", sim, 1);
    return hob_run(NULL, fn, arg);
}

/* With seeds from 1 on; the body returns 0. */
static inline void in_sims(unsigned seeds, hob_fn fn, void *arg)
{
    char text[16];

    for (unsigned seed = 1; seed <= seeds; seed++) {
        snprintf(text, sizeof text, "%u", seed);
        int r = in_sim(text, fn, arg);
        if (r != 0)
            t_fail(__FILE__, __LINE__, "seed %u: %d", seed, r);
    }
}

/* A connection by TCP. */
struct link {
    int listener, here, there;
};

static inline hob_addr addr(const char *host, uint16_t port)
{
    hob_addr a;

    CHECK_INT(hob_addr_parse(host, port, &a), 0);
    return a;
}

static inline int accept_there(void *arg)
{
    struct link *l = arg;

    l->there = hob_tcp_accept(l->listener, HOB_FOREVER);
    return l->there < 0 ? l->there : 0;
}

static inline struct link link_tcp(void)
{
    struct link l;
    hob_addr a = addr("192.0.2.1", 0);
    hob_group g;

    CHECK((l.listener = hob_tcp_listen(&a, 0)) >= 0);
    CHECK_INT(hob_sock_addr(l.listener, &a), 0);
    CHECK(hob_addr_port(&a) > 0);
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, accept_there, &l), 0);
    CHECK((l.here = hob_tcp_dial(&a, HOB_FOREVER)) >= 0);
    CHECK_INT(hob_group_join(&g, 0), 0);
    hob_close(l.listener);
    return l;
}

static inline void link_close(struct link *l)
{
    hob_close(l->here);
    hob_close(l->there);
}

static inline ssize_t read_all(int fd, char *to, size_t n)
{
    size_t done = 0;
    ssize_t r;

    while (done < n && (r = hob_read(fd, to + done, n - done, HOB_FOREVER)) != 0) {
        if (r < 0)
            return r;
        done += (size_t)r;
    }
    return (ssize_t)done;
}

#endif
