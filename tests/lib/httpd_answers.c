/* SPDX-License-Identifier: MIT
 *
 * httpd_answers.c - what the test server answers: see httpd.h
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/httpd_impl.h"

enum { CHUNK = 1000 };

static bool hello(struct conn *c, const char *fields)
{
    return httpd_answer(c, 200, fields, "hello\n", 6);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* Until the other end goes away. */
static bool wait_end(struct conn *c)
{
    char some[4096];

    while (recv(c->fd, some, sizeof some, 0) > 0)
        ;
    return false;
}

static bool do_hello(struct conn *c, const char *arg)
{
    (void)arg;
    return hello(c, "Content-Type: text/plain; charset=utf-8\r\nX-Two: 1\r\nX-two:  2 \r\n");
}

static bool do_bytes(struct conn *c, const char *arg)
{
    size_t n = strtoul(arg, NULL, 10);
    char *p = malloc(n + 1);

    memset(p, 'x', n);
    bool ok = httpd_answer(c, 200, "", p, n);
    free(p);
    return ok;
}

static bool put_chunks(struct conn *c, size_t n, const char *end)
{
    char piece[CHUNK];

    memset(piece, 'c', sizeof piece);
    if (!httpd_putf(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
        return false;
    for (size_t left = n; left > 0;) {
        size_t now = left < CHUNK ? left : CHUNK;
        if (!httpd_putf(c, "%zx\r\n", now) || !httpd_put(c, piece, now) || !httpd_put(c, "\r\n", 2))
            return false;
        left -= now;
    }
    return httpd_putf(c, "0\r\n%s\r\n", end);
}

static bool do_chunked(struct conn *c, const char *arg)
{
    return put_chunks(c, strtoul(arg, NULL, 10), "");
}

static bool do_trailer(struct conn *c, const char *arg)
{
    (void)arg;
    return put_chunks(c, 10, "X-Trailer: late\r\n");
}

/* A gzip stream of n zeroes: one literal, then repeats of it, in fixed Huffman codes. */
struct bits {
    unsigned char *p;
    size_t n;
    unsigned used;
};

static void bits_put(struct bits *b, unsigned code, unsigned len)
{
    while (len-- > 0) {
        if (b->used == 0)
            b->p[b->n++] = 0;
        b->p[b->n - 1] |= (unsigned char)((code >> len & 1) << b->used);
        b->used = (b->used + 1) % 8;
    }
}

static uint32_t crc_of_zeroes(size_t n)
{
    uint32_t crc = 0xffffffff;

    while (n-- > 0)
        for (int i = 0; i < 8; i++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
    return ~crc;
}

static bool do_gzip(struct conn *c, const char *arg)
{
    size_t n = strtoul(arg, NULL, 10), left = n;
    struct bits b = {.p = malloc(n / 100 + 1024)};
    static const unsigned char head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};

    memcpy(b.p, head, 10);
    b.n = 10;
    bits_put(&b, 1, 1); /* the last block, */
    bits_put(&b, 2, 2); /* fixed codes: 01, low bit first */
    if (left > 0) {
        bits_put(&b, 0x30, 8);
        left--;
    }
    for (; left >= 258; left -= 258)
        bits_put(&b, 0xc5 << 5, 13);
    for (; left > 0; left--)
        bits_put(&b, 0x30, 8);
    bits_put(&b, 0, 7);
    uint32_t tail[2] = {n < 5000000 ? crc_of_zeroes(n) : 0, (uint32_t)n}; /* nobody gets there */
    memcpy(b.p + b.n, tail, 8);
    bool ok = httpd_answer(c, 200, "Content-Encoding: gzip\r\n", b.p, b.n + 8);
    free(b.p);
    return ok;
}

static bool do_zip_noise(struct conn *c, const char *arg)
{
    unsigned char blocks[5 * 1000];

    (void)arg;
    for (size_t i = 0; i < sizeof blocks; i += 5)
        memcpy(blocks + i, (unsigned char[]){0, 0, 0, 0xff, 0xff}, 5);
    bool ok = httpd_putf(c, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n") &&
              httpd_put(c, (unsigned char[]){0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3}, 10);
    while (ok)
        ok = httpd_put(c, blocks, sizeof blocks);
    return ok;
}

static bool do_echo(struct conn *c, const char *arg)
{
    (void)arg;
    return httpd_answer(c, 200, "", c->in, c->n);
}

static bool do_status(struct conn *c, const char *arg)
{
    return httpd_answer(c, atoi(arg), "", "", 0);
}

static bool redirect(struct conn *c, int status, const char *to)
{
    char field[4200];

    snprintf(field, sizeof field, "Location: %s\r\n", to);
    return httpd_answer(c, status, field, "moved", 5);
}

static bool do_to(struct conn *c, const char *arg)
{
    char *to;
    long status = strtol(arg, &to, 10);

    return status ? redirect(c, (int)status, *to ? to + 1 : to) : hello(c, "");
}

static bool do_circle(struct conn *c, const char *arg)
{
    (void)arg;
    return redirect(c, 302, "/circle");
}

static bool do_next(struct conn *c, const char *arg)
{
    char to[32] = "/";
    int n = atoi(arg);

    if (n > 0)
        snprintf(to, sizeof to, "/next/%d", n - 1);
    return redirect(c, 302, to);
}

static bool do_fields(struct conn *c, const char *arg)
{
    bool ok = httpd_putf(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");

    for (int i = 0; i < atoi(arg) && ok; i++)
        ok = httpd_putf(c, "X-Field-%d: value %d\r\n", i, i);
    return ok && httpd_putf(c, "\r\n");
}

static bool do_early(struct conn *c, const char *arg)
{
    (void)arg;
    return httpd_putf(c, "HTTP/1.1 103 Early Hints\r\nX-Early: yes\r\n\r\n") && hello(c, "");
}

static bool do_close(struct conn *c, const char *arg)
{
    (void)arg;
    hello(c, "Connection: close\r\n");
    return false;
}

static bool do_leave(struct conn *c, const char *arg)
{
    (void)arg;
    hello(c, "");
    return false;
}

static bool do_silent(struct conn *c, const char *arg)
{
    (void)arg;
    return wait_end(c);
}

static bool do_half(struct conn *c, const char *arg)
{
    (void)arg;
    return httpd_putf(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789") && wait_end(c);
}

static bool do_cut(struct conn *c, const char *arg)
{
    (void)arg;
    httpd_putf(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
    return false;
}

static bool do_reset(struct conn *c, const char *arg)
{
    (void)arg;
    httpd_putf(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    return false;
}

static bool do_gone(struct conn *c, const char *arg)
{
    (void)c;
    (void)arg;
    return false;
}

static bool do_drip(struct conn *c, const char *arg)
{
    (void)arg;
    bool ok = httpd_putf(c, "HTTP/1.1 200 OK\r\n\r\n");
    while (ok) {
        ok = httpd_put(c, ".", 1);
        pause_ms(10);
    }
    return ok;
}

static bool do_loris(struct conn *c, const char *arg)
{
    (void)arg;
    bool ok = httpd_putf(c, "HTTP/1.1 200 OK\r\nX-Long: ");
    while (ok) {
        ok = httpd_put(c, ".", 1);
        pause_ms(10);
    }
    return ok;
}

static bool put_endlessly(struct conn *c)
{
    static char some[16384];
    bool ok = true;

    while (ok)
        ok = httpd_put(c, some, sizeof some);
    return ok;
}

static bool do_endless(struct conn *c, const char *arg)
{
    (void)arg;
    return httpd_putf(c, "HTTP/1.1 200 OK\r\n\r\n") && put_endlessly(c);
}

static bool do_to_endless(struct conn *c, const char *arg)
{
    (void)arg;
    return httpd_putf(c, "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n") && put_endlessly(c);
}

static bool do_not_http(struct conn *c, const char *arg)
{
    (void)arg;
    httpd_putf(c, "SSH-2.0-OpenSSH_9.2\r\n");
    return false;
}

static bool do_big_head(struct conn *c, const char *arg)
{
    bool ok = httpd_putf(c, "HTTP/1.1 200 OK\r\n");

    (void)arg;
    for (int i = 0; ok; i++)
        ok = httpd_putf(c, "X-%d: %0500d\r\n", i, i);
    return ok;
}

static bool do_late(struct conn *c, const char *arg)
{
    pause_ms(atol(arg));
    return hello(c, "");
}

static bool do_meet(struct conn *c, const char *arg)
{
    struct httpd_private *p = c->h->private;
    unsigned n = (unsigned)atoi(arg);

    pthread_mutex_lock(&p->lock);
    p->n_met++;
    pthread_cond_broadcast(&p->changed);
    while (p->n_met < n && !p->stopping)
        pthread_cond_wait(&p->changed, &p->lock);
    pthread_mutex_unlock(&p->lock);
    return hello(c, "");
}

static const struct {
    const char *path; /* with a slash at its end: the rest is the argument */
    bool (*run)(struct conn *c, const char *arg);
} paths[] = {
    {"/bytes/", do_bytes},
    {"/chunked/", do_chunked},
    {"/gzip/", do_gzip},
    {"/zip-noise", do_zip_noise},
    {"/echo", do_echo},
    {"/status/", do_status},
    {"/to/", do_to},
    {"/to-endless", do_to_endless},
    {"/leave", do_leave},
    {"/circle", do_circle},
    {"/next/", do_next},
    {"/fields/", do_fields},
    {"/early", do_early},
    {"/trailer", do_trailer},
    {"/close", do_close},
    {"/silent", do_silent},
    {"/half", do_half},
    {"/cut", do_cut},
    {"/reset", do_reset},
    {"/gone", do_gone},
    {"/drip", do_drip},
    {"/loris", do_loris},
    {"/endless", do_endless},
    {"/not-http", do_not_http},
    {"/big-head", do_big_head},
    {"/late/", do_late},
    {"/meet/", do_meet},
};

bool httpd_dispatch(struct conn *c, const char *path)
{
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        size_t n = strlen(paths[i].path);
        if (strncmp(path, paths[i].path, n) == 0)
            return paths[i].run(c, path + n);
    }
    return do_hello(c, path);
}
