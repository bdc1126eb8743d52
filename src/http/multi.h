/* SPDX-License-Identifier: MIT
 *
 * multi.h - libcurl on a loop: its sockets, its timer, and the transfers in its hands
 */
#ifndef HOB_HTTP_MULTI_H
#define HOB_HTTP_MULTI_H

#include <curl/curl.h>

#include "http/client.h"
#include "http/names.h"
#include "sched/park.h"

struct closer;
struct sock;

/* A client's part on one loop; touched by that loop alone. */
struct http_loop {
    hob_http *client;
    struct loop *loop;
    CURLM *multi;
    struct names names;
    struct list starts, active, stops; /* struct transfer */
    struct list pool;                  /* struct transfer, not in use */
    struct sock **socks;               /* by descriptor */
    size_t n_socks;
    struct sock *free_socks;
    /* A socket of libcurl's is ready: multi.c's, which sock.c is used by. */
    void (*ready)(struct http_loop *at, curl_socket_t fd, int events);
    struct timer timer;    /* when libcurl wants to be called */
    struct timer watchdog; /* looks at the active transfers now and then */
    struct msg kick;       /* to this very loop: starts and stops wait */
    bool kicked, closing;
    struct closer *closer; /* waits for the kick under way */
};

enum transfer_state { TRANSFER_IDLE, TRANSFER_WAITS, TRANSFER_ACTIVE };

/* A hop in libcurl's hands, or a handle waiting for one. */
struct transfer {
    struct list node; /* in one of the lists above */
    struct http_loop *at;
    CURL *easy;
    struct fiber *fiber;
    struct hop *hop;
    struct list young;    /* struct sock: made for it, not connected yet */
    struct name *name[2]; /* what it connects to: held */
    uint8_t state;        /* enum transfer_state */
    bool stopping;        /* on `stops`, and known to libcurl if ACTIVE */
    bool plain;           /* nothing but URL and headers was set since it was made */
    bool guarded, numeric;
    bool told; /* libcurl has taken `resolve` */
    bool connected, redirects, cut;
    CURLcode code;
    int fail; /* why a callback ended it; 0: it did not */
    hob_time moved, window;
    int64_t moved_bytes, window_bytes;
    struct curl_slist *headers, *resolve;
    char words[CURL_ERROR_SIZE]; /* libcurl's */
};

/* multi.c */
int hob__http_loop_new(hob_http *client, struct loop *l, struct http_loop **ret);
/* From a fiber of any loop; parks until that loop has done it, cancelled or not. */
void hob__http_loop_close(struct http_loop *at);
/* Hands a transfer over and parks until libcurl is done with it: 0 with t->code, -ETIMEDOUT,
 * -ECANCELED. */
int hob__transfer_run(struct transfer *t, hob_time until);

/* sock.c */
/* What libcurl calls to make a socket for t, to close one, and to say what it waits for. */
int hob__sock_open(struct transfer *t, const hob_addr *a, int type, int protocol);
int hob__sock_close(void *at, curl_socket_t fd);
int hob__sock_wanted(CURL *easy, curl_socket_t fd, int what, void *at, void *unused);
/* Takes note of sockets of t that libcurl has closed unasked; done: t will make no more. */
void hob__socks_settle(struct transfer *t, bool done);
void hob__socks_fini(struct http_loop *at);

/* transfer.c */
int hob__transfer_new(struct http_loop *at, struct transfer **ret);
void hob__transfer_free(struct transfer *t);
/* Tells libcurl about the hop. */
int hob__transfer_set(struct transfer *t, struct hop *hop);
void hob__transfer_clear(struct transfer *t);

/* outcome.c */
/* What came of it, into the hop; rc as from hob__transfer_run. */
int hob__transfer_outcome(struct transfer *t, int rc);
/* Now and then: whether it is too slow, or reads too much; t->fail and t->words then say so. */
bool hob__transfer_too_slow(struct transfer *t, hob_time now);

#endif
