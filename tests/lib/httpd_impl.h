/* SPDX-License-Identifier: MIT
 *
 * httpd_impl.h - what the parts of the test server share
 */
#ifndef T_HTTPD_IMPL_H
#define T_HTTPD_IMPL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/httpd.h"

enum { REQUEST_MAX = 64 * 1024 };

struct conn {
    struct conn *next, **prev; /* in httpd_private.conns, under its lock */
    struct httpd *h;
    int fd;
    char in[REQUEST_MAX + 1]; /* the request: head and body */
    size_t n;
    char *body; /* into `in` */
    size_t body_n;
    char method[16], url[4096];
};

struct httpd_private {
    int listener;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct conn *conns;
    unsigned n_met; /* requests for /meet/N */
    bool stopping;
};

/* httpd.c: false when the other end has gone. */
bool httpd_put(struct conn *c, const void *p, size_t n);
bool httpd_putf(struct conn *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool httpd_answer(struct conn *c, int status, const char *fields, const void *body, size_t n);

/* httpd_answers.c: answers what is in the path; false: the connection ends. */
bool httpd_dispatch(struct conn *c, const char *path);

/* httpd_proxy.c */
bool httpd_connect(struct conn *c);
bool httpd_absolute(struct conn *c);
void httpd_socks(struct conn *c);

#endif
