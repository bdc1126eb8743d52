/* SPDX-License-Identifier: MIT
 *
 * ares.h - c-ares on a loop: questions to name servers, and the hosts file
 */
#ifndef HOB_NET_ARES_H
#define HOB_NET_ARES_H

#include <ares.h>

#include "sched/loop.h"

/* A loop's own: c-ares is called on its thread only. */
struct ares_at {
    struct loop *loop;
    ares_channel dns;
    ares_channel files; /* looks into the hosts file and nowhere else */
    struct list socks;  /* struct ares_sock, in use */
    struct list idle;   /* and not */
    struct timer timer; /* when c-ares wants to be called */
    bool deaf;          /* a socket is not watched: what is under way shall end */
    /* What resolv.conf says: c-ares's own rules. */
    char **domains;
    int n_domains, n_dots;
    bool in_files, in_dns; /* where to look at all */
    struct ares_options read;
    struct {
        int64_t ino, mtime_sec, mtime_nsec;
    } file; /* resolv.conf as it was then */
    hob_time looked;
};

/* 0; -ENOMEM; -ENOSYS: c-ares does not work here. */
int hob__ares_open(struct ares_at *at, struct loop *l);
/* What is under way ends with ARES_EDESTRUCTION before this returns. */
void hob__ares_close(struct ares_at *at);

/*
 * Now and then, with no question under way: has resolv.conf changed?  True: it is read anew, and
 * what was learned may be wrong.
 */
bool hob__ares_changed(struct ares_at *at);

/* After any call of c-ares: its next time. */
void hob__ares_called(struct ares_at *at);

/* HOB_DNS: "getaddrinfo", or servers, "ADDRESS:PORT,..."; NULL: resolv.conf's. */
const char *hob__ares_servers(void);

#endif
