/* SPDX-License-Identifier: MIT
 *
 * httpd.c - an HTTP server for tests: see httpd.h
 *
 * A plain thread a connection, blocking calls: nothing of hob's is needed to test it.  What it
 * answers is in httpd_answers.c, what it does as a proxy in httpd_proxy.c.
 */
#include "lib/httpd_impl.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/t.h"

bool httpd_put(struct conn *c, const void *p, size_t n)
{
    const char *s = p;

    while (n > 0) {
        ssize_t r = send(c->fd, s, n, MSG_NOSIGNAL);
        if (r <= 0)
            return false;
        s += r;
        n -= (size_t)r;
    }
    return true;
}

__attribute__((format(printf, 2, 3))) bool httpd_putf(struct conn *c, const char *format, ...)
{
    char text[8192];
    va_list ap;

    va_start(ap, format);
    int n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    return httpd_put(c, text, (size_t)n);
}

bool httpd_answer(struct conn *c, int status, const char *fields, const void *body, size_t n)
{
    return httpd_putf(c, "HTTP/1.1 %d Words\r\nContent-Length: %zu\r\n%s\r\n", status, n, fields) &&
           (strcmp(c->method, "HEAD") == 0 || httpd_put(c, body, n));
}

/* The next request, whole.  False: the connection ended. */
static bool read_request(struct conn *c)
{
    char *end;
    const char *length;

    c->n = 0;
    c->in[0] = '\0';
    while (!(end = strstr(c->in, "\r\n\r\n"))) {
        ssize_t r = c->n < REQUEST_MAX ? recv(c->fd, c->in + c->n, REQUEST_MAX - c->n, 0) : -1;
        if (r <= 0)
            return false;
        c->n += (size_t)r;
        c->in[c->n] = '\0';
    }
    c->body = end + 4;
    length = strcasestr(c->in, "\r\ncontent-length:");
    c->body_n = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    size_t whole = (size_t)(c->body - c->in) + c->body_n;
    while (c->n < whole) {
        ssize_t r = whole <= REQUEST_MAX ? recv(c->fd, c->in + c->n, whole - c->n, 0) : -1;
        if (r <= 0)
            return false;
        c->n += (size_t)r;
        c->in[c->n] = '\0';
    }
    return sscanf(c->in, "%15s %4095s", c->method, c->url) == 2;
}

static void serve(struct conn *c)
{
    unsigned char first = 0;

    if (recv(c->fd, &first, 1, MSG_PEEK) == 1 && first == 5) {
        httpd_socks(c);
        return;
    }
    if (first == 0x16) { /* TLS, by mistake: say so in plain words, as servers do */
        httpd_answer(c, 400, "", "", 0);
        return;
    }
    while (read_request(c)) {
        bool on;
        c->h->n_requests++;
        if (strcmp(c->method, "CONNECT") == 0)
            on = httpd_connect(c);
        else if (strncmp(c->url, "http://", 7) == 0)
            on = httpd_absolute(c);
        else
            on = httpd_dispatch(c, c->url);
        if (!on)
            return;
    }
}

static void *conn_thread(void *arg)
{
    struct conn *c = arg;
    struct httpd_private *p = c->h->private;

    serve(c);
    pthread_mutex_lock(&p->lock);
    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    close(c->fd);
    c->h->n_open--;
    free(c);
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void conn_start(struct httpd *h, int fd)
{
    struct conn *c = calloc(1, sizeof *c);
    pthread_attr_t attr;
    pthread_t id;
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->h = h;
    c->fd = fd;
    c->next = h->private->conns;
    c->prev = &h->private->conns;
    if (c->next)
        c->next->prev = &c->next;
    h->private->conns = c;
    h->n_connections++;
    h->n_open++;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    CHECK_INT(pthread_create(&id, &attr, conn_thread, c), 0);
    pthread_attr_destroy(&attr);
}

static void *accept_thread(void *arg)
{
    struct httpd *h = arg;
    int fd;

    while ((fd = accept4(h->private->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        pthread_mutex_lock(&h->private->lock);
        if (h->private->stopping)
            close(fd);
        else
            conn_start(h, fd);
        pthread_mutex_unlock(&h->private->lock);
    }
    return NULL;
}

void httpd_start(struct httpd *h)
{
    struct httpd_private *p = h->private = calloc(1, sizeof *p);
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(p->listener, (struct sockaddr *)&a, sizeof a), 0);
    CHECK_INT(listen(p->listener, 1024), 0);
    CHECK_INT(getsockname(p->listener, (struct sockaddr *)&a, &len), 0);
    h->port = ntohs(a.sin_port);
    CHECK_INT(pthread_create(&p->thread, NULL, accept_thread, h), 0);
}

void httpd_wait_open(struct httpd *h, unsigned n)
{
    pthread_mutex_lock(&h->private->lock);
    while (h->n_open > n)
        pthread_cond_wait(&h->private->changed, &h->private->lock);
    pthread_mutex_unlock(&h->private->lock);
}

void httpd_stop(struct httpd *h)
{
    struct httpd_private *p = h->private;

    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->changed);
    for (struct conn *c = p->conns; c; c = c->next)
        shutdown(c->fd, SHUT_RDWR);
    pthread_mutex_unlock(&p->lock);
    shutdown(p->listener, SHUT_RDWR);
    pthread_join(p->thread, NULL);
    httpd_wait_open(h, 0);
    /* The last thread holds the lock a moment longer than its count. */
    pthread_mutex_lock(&p->lock);
    pthread_mutex_unlock(&p->lock);
    close(p->listener);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->changed);
    free(p);
    h->private = NULL;
}
