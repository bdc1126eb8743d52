/* SPDX-License-Identifier: MIT
 *
 * site_faults.c - paths of the demo site that go wrong on purpose
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "demo/site_impl.h"

enum { HALF = 1000, PIECE = 16384, BIG_MOST = 1 << 30 };

static const char half_head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                "Content-Length: 2000\r\n\r\n";

/* The value of a parameter of the target's query; *ret_n is its length; NULL: not there. */
static const char *query_value(const struct conn *c, const char *name, size_t *ret_n)
{
    const char *p = strchr(c->target, '?');
    size_t n = strlen(name);

    for (; p; p = strchr(p, '&')) {
        p++;
        if (strncmp(p, name, n) == 0 && p[n] == '=') {
            *ret_n = strcspn(p + n + 1, "&");
            return p + n + 1;
        }
    }
    return NULL;
}

static unsigned long query_number(const struct conn *c, const char *name, unsigned long otherwise)
{
    size_t n;
    const char *text = query_value(c, name, &n);

    return text ? strtoul(text, NULL, 10) : otherwise;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

static void put_decoded(struct buf *to, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '%' && i + 2 < n && hex_digit(text[i + 1]) >= 0 &&
            hex_digit(text[i + 2]) >= 0) {
            buf_putc(to, (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])));
            i += 2;
        } else {
            buf_putc(to, text[i]);
        }
    }
}

static int send_text(struct conn *c, unsigned status, const char *extra, const char *text)
{
    struct buf body = site_body_take(c->s);

    buf_puts(&body, text);
    int r = conn_send(c, status, "text/plain; charset=utf-8", extra, &body);
    site_body_give(c->s, &body);
    return r;
}

static int send_status(struct conn *c, unsigned status)
{
    unsigned long after = query_number(c, "retry-after", 0);
    char extra[64] = "", text[64];

    if (after > 0)
        snprintf(extra, sizeof extra, "Retry-After: %lu\r\n", after);
    snprintf(text, sizeof text, "status %u\n", status);
    return send_text(c, status, extra, text);
}

static int on_status(struct conn *c, const char *rest)
{
    unsigned long status = strtoul(rest, NULL, 10);

    return send_status(c, status >= 200 && status <= 599 ? (unsigned)status : 404);
}

/* How often exactly this target was asked for before; a full table forgets the oldest half. */
static unsigned asked_before(struct site *s, const char *target)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (; *target; target++)
        hash = (hash ^ (unsigned char)*target) * 0x100000001b3;
    for (size_t i = 0; i < s->n_flaky; i++)
        if (s->flaky[i].target == hash)
            return s->flaky[i].n++;
    if (s->n_flaky == SITE_FLAKY_MAX) {
        s->n_flaky /= 2;
        memmove(s->flaky, s->flaky + s->n_flaky, s->n_flaky * sizeof *s->flaky);
    }
    s->flaky[s->n_flaky].target = hash;
    s->flaky[s->n_flaky++].n = 1;
    return 0;
}

static int on_flaky(struct conn *c, const char *rest)
{
    if (asked_before(c->s, c->target) < query_number(c, "fail", 1))
        return send_status(c, (unsigned)query_number(c, "status", 500));
    return send_text(c, 200, NULL, "at last\n");
}

static int on_slow(struct conn *c, const char *rest)
{
    int r = hob_sleep((hob_dur)query_number(c, "ms", 1000) * HOB_MS);

    return r < 0 ? r : send_text(c, 200, NULL, "slow\n");
}

/* The last of n to come lets the others go; whoever leaves the gate last takes it away. */
static int gate_wait(struct site *s, unsigned n)
{
    struct site_gate *g = s->gate;
    char none;
    int r = 0;

    if (!g) {
        if (!(g = calloc(1, sizeof *g)))
            return -ENOMEM;
        r = hob_chan_new(1, NULL, &g->open);
        if (r < 0) {
            free(g);
            return r;
        }
        s->gate = g;
    }
    g->inside++;
    if (++g->came >= n) {
        s->gate = NULL; /* who comes next waits for others */
        hob_chan_close(g->open);
    } else {
        r = hob_chan_recv(g->open, HOB_FOREVER, &none);
    }
    if (--g->inside == 0) {
        if (s->gate == g)
            s->gate = NULL;
        hob_chan_free(g->open);
        free(g);
    }
    return r == -EPIPE ? 0 : r;
}

static int on_together(struct conn *c, const char *rest)
{
    int r = gate_wait(c->s, (unsigned)query_number(c, "n", 2));

    if (r == 0)
        r = hob_sleep((hob_dur)query_number(c, "ms", 0) * HOB_MS);
    return r < 0 ? r : send_text(c, 200, NULL, "together\n");
}

/* Each redirect's own text is what a client that does not follow sees. */
static int on_redirect(struct conn *c, const char *rest)
{
    unsigned long n = query_number(c, "n", 0);
    struct buf extra = {0};
    size_t to_n;
    const char *to = query_value(c, "to", &to_n);

    buf_puts(&extra, "Location: ");
    if (to)
        put_decoded(&extra, to, to_n);
    else if (n > 1)
        buf_printf(&extra, "/redirect?n=%lu", n - 1);
    else
        buf_putc(&extra, '/');
    buf_puts(&extra, "\r\n");
    int r = buf_error(&extra);
    if (r == 0)
        r = send_text(c, (unsigned)query_number(c, "status", 302), extra.p, "elsewhere\n");
    buf_free(&extra);
    return r;
}

static int on_loop(struct conn *c, const char *rest)
{
    return send_text(c, 302, "Location: /loop\r\n", "here\n");
}

/* Half of what the head promises. */
static int send_half(struct conn *c)
{
    char half[HALF];
    int r = conn_write(c, half_head, sizeof half_head - 1);

    memset(half, 'x', sizeof half);
    return r < 0 ? r : conn_write(c, half, sizeof half);
}

/* Until the client leaves, or the site ends. */
static int wait_for_end(struct conn *c)
{
    char drop[256];
    ssize_t n;

    do
        n = hob_read(c->fd, drop, sizeof drop, HOB_FOREVER);
    while (n > 0);
    return n < 0 ? (int)n : -EPIPE;
}

static int on_stall(struct conn *c, const char *rest)
{
    int r = send_half(c);

    return r < 0 ? r : wait_for_end(c);
}

static int on_silent(struct conn *c, const char *rest)
{
    return wait_for_end(c);
}

static int on_short(struct conn *c, const char *rest)
{
    int r = send_half(c);

    return r < 0 ? r : -EPIPE; /* and conn_run closes */
}

static int on_reset(struct conn *c, const char *rest)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0}; /* the close becomes a RST */
    int r = send_half(c);

    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    return r < 0 ? r : -ECONNRESET;
}

static int on_garbage(struct conn *c, const char *rest)
{
    static const char noise[] = "\x01\x02 this is not HTTP \xff\r\n\r\n";
    int r = conn_write(c, noise, sizeof noise - 1);

    return r < 0 ? r : -EPIPE;
}

/* n bytes of a pattern; UINT64_MAX: for ever. */
static int send_pattern(struct conn *c, uint64_t n)
{
    char *piece = malloc(PIECE);
    int r = piece ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < PIECE; i++)
        piece[i] = i % 64 == 63 ? '\n' : (char)('A' + i % 64 % 26);
    while (r == 0 && n > 0) {
        size_t some = n < PIECE ? (size_t)n : PIECE;
        r = conn_write(c, piece, some);
        n -= n == UINT64_MAX ? 0 : some;
        hob_yield(); /* a client on the same loop must get its turn to read */
    }
    free(piece);
    return r;
}

static int on_endless(struct conn *c, const char *rest)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                               "Connection: close\r\n\r\n";
    int r = conn_write(c, head, sizeof head - 1);

    return r < 0 ? r : send_pattern(c, UINT64_MAX);
}

static int on_big(struct conn *c, const char *rest)
{
    unsigned long bytes = query_number(c, "bytes", 1 << 20);
    char head[160];

    if (bytes > BIG_MOST)
        return send_status(c, 400);
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %lu\r\n\r\n",
                     bytes);
    int r = conn_write(c, head, (size_t)n);
    return r < 0 || strcmp(c->method, "HEAD") == 0 ? r : send_pattern(c, bytes);
}

static int on_drip(struct conn *c, const char *rest)
{
    hob_dur pause = (hob_dur)query_number(c, "ms", 100) * HOB_MS;
    int r = conn_write(c, half_head, sizeof half_head - 1);

    for (int i = 0; i < 2 * HALF && r == 0; i++)
        if ((r = hob_sleep(pause)) == 0)
            r = conn_write(c, ".", 1);
    return r;
}

static uint32_t crc32_of(const char *p, size_t n)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < n; i++) {
        crc ^= (unsigned char)p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

static void put_little(struct buf *to, uint32_t x, unsigned n)
{
    for (; n > 0; n--, x >>= 8)
        buf_putc(to, (char)x);
}

/* RFC 1952 with stored blocks (RFC 1951, 3.2.4): a valid encoding, and no library for it. */
static int on_gzip(struct conn *c, const char *rest)
{
    static const char magic[] = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff";
    struct buf page = {0}, body = site_body_take(c->s);

    site_page(c->s, "localhost", "/p/000/000000.html", &page);
    int r = buf_error(&page);
    buf_add(&body, magic, 10);
    for (size_t at = 0; r == 0 && at < page.len;) {
        uint32_t some = page.len - at < 0xffff ? (uint32_t)(page.len - at) : 0xffff;
        buf_putc(&body, at + some == page.len); /* the last block's mark */
        put_little(&body, some | ~some << 16, 4);
        buf_add(&body, page.p + at, some);
        at += some;
    }
    if (r == 0) {
        put_little(&body, crc32_of(page.p, page.len), 4);
        put_little(&body, (uint32_t)page.len, 4);
        r = conn_send(c, 200, "text/html; charset=utf-8", "Content-Encoding: gzip\r\n", &body);
    }
    buf_free(&page);
    site_body_give(c->s, &body);
    return r;
}

static int on_echo(struct conn *c, const char *rest)
{
    struct buf body = site_body_take(c->s);
    const char *line = c->lines;

    buf_printf(&body, "%s %s\n", c->method, c->target);
    for (size_t i = 0; i < c->n_lines; i++, line += strlen(line) + 2)
        buf_printf(&body, "%s\n", line);
    buf_putc(&body, '\n');
    buf_add(&body, c->sent_body.p, c->sent_body.len);
    int r = conn_send(c, 200, "text/plain; charset=utf-8", NULL, &body);
    site_body_give(c->s, &body);
    return r;
}

static const struct {
    const char *path; /* one that ends in '/' is a prefix */
    int (*answer)(struct conn *c, const char *rest);
} faults[] = {
    {"/status/500-then-200", on_flaky},
    {"/status/", on_status},
    {"/flaky", on_flaky},
    {"/slow", on_slow},
    {"/together", on_together},
    {"/drip", on_drip},
    {"/redirect", on_redirect},
    {"/loop", on_loop},
    {"/stall", on_stall},
    {"/silent", on_silent},
    {"/short", on_short},
    {"/reset", on_reset},
    {"/garbage", on_garbage},
    {"/endless", on_endless},
    {"/big", on_big},
    {"/gzip", on_gzip},
    {"/echo", on_echo},
};

int fault_answer(struct conn *c, bool *ret_known)
{
    size_t path_n = strcspn(c->target, "?");

    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        size_t n = strlen(faults[i].path);
        if (strncmp(c->target, faults[i].path, n) == 0 &&
            (faults[i].path[n - 1] == '/' || n == path_n)) {
            *ret_known = true;
            return faults[i].answer(c, c->target + n);
        }
    }
    *ret_known = false;
    return 0;
}
