/* SPDX-License-Identifier: MIT
 *
 * site.c - the demo site's server: HTTP/1.1 on the public library
 *
 * HOW  A fiber accepts; each connection is a fiber that reads a request, waits the target's
 *   latency, answers, and reads the next.  Everything runs on the loop of site_serve, so that
 *   nothing is locked.  A connection that waits holds its head buffer and no body.
 *
 *   The log is written by a plain write(2): a line into the page cache costs less than parking.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "demo/site_impl.h"

enum { HEAD_ROOM = 512, PAGES_DEFAULT = 100, PAGES_MOST = 100000000 };
enum { PAGE_SIZE_DEFAULT = 29000, PAGE_SIZE_MOST = 64 << 20 };
static const hob_dur idle_max = 75 * HOB_SEC;  /* of a connection between requests */
static const hob_dur write_max = 60 * HOB_SEC; /* of a client that does not read */
static const hob_dur accept_pause = 10 * HOB_MS;

int site_new(const struct site_opts *opts, struct site **ret)
{
    struct site *s = calloc(1, sizeof *s);
    int r = 0;

    if (!s)
        return -ENOMEM;
    s->o = *opts;
    s->listener = s->log = -1;
    s->o.pages = s->o.pages ? s->o.pages : PAGES_DEFAULT;
    s->o.page_size = s->o.page_size ? s->o.page_size : PAGE_SIZE_DEFAULT;
    if (s->o.latency_max < s->o.latency_min)
        s->o.latency_max = s->o.latency_min;
    if (s->o.pages > PAGES_MOST || s->o.page_size > PAGE_SIZE_MOST || s->o.latency_min < 0)
        r = -EINVAL;
    if (r == 0 && !(s->prose = prose_new(s->o.seed)))
        r = -ENOMEM;
    if (r == 0 && s->o.log) {
        s->log = open(s->o.log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
        r = s->log < 0 ? -errno : 0;
    }
    if (r < 0)
        site_free(s);
    else
        *ret = s;
    return r;
}

void site_free(struct site *s)
{
    if (!s)
        return;
    hob_close(s->listener);
    hob_close(s->log);
    prose_free(s->prose);
    while (s->n_spares > 0)
        buf_free(&s->spare[--s->n_spares]);
    free(s);
}

struct site_stats site_stats(const struct site *s)
{
    return s->stats;
}

struct buf site_body_take(struct site *s)
{
    struct buf b = s->n_spares > 0 ? s->spare[--s->n_spares] : (struct buf){0};

    buf_reset(&b);
    if (buf_room(&b, HEAD_ROOM))
        b.len = HEAD_ROOM;
    return b;
}

void site_body_give(struct site *s, struct buf *body)
{
    if (s->n_spares < SITE_SPARES)
        s->spare[s->n_spares++] = *body;
    else
        buf_free(body);
    *body = (struct buf){0};
}

/* Sending. */

int conn_write(struct conn *c, const void *bytes, size_t n)
{
    ssize_t r = hob_write(c->fd, bytes, n, hob_in(write_max));

    return r == (ssize_t)n ? 0 : r < 0 ? (int)r : -EPIPE;
}

static const char *status_words(unsigned status)
{
    static const struct {
        unsigned status;
        const char *words;
    } known[] = {
        {200, "OK"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {404, "Not Found"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].status == status)
            return known[i].words;
    return "Status";
}

/* The head goes into the room in front of the body, so that both are one write. */
int conn_send(struct conn *c, unsigned status, const char *type, const char *extra,
              struct buf *body)
{
    bool bare = status == 204 || status == 304, only_head = strcmp(c->method, "HEAD") == 0;
    struct buf head = {0};
    int r = buf_error(body);

    if (r < 0)
        return r;
    buf_printf(&head, "HTTP/1.1 %u %s\r\nServer: hob-site\r\n", status, status_words(status));
    if (!bare)
        buf_printf(&head, "Content-Type: %s\r\nContent-Length: %zu\r\n", type,
                   body->len - HEAD_ROOM);
    buf_printf(&head, "%sConnection: %s\r\n\r\n", extra ? extra : "",
               c->keep ? "keep-alive" : "close");
    if ((r = buf_error(&head)) < 0)
        goto out;
    if (bare || only_head) {
        r = conn_write(c, head.p, head.len);
    } else if (head.len <= HEAD_ROOM) {
        char *at = body->p + HEAD_ROOM - head.len;
        memcpy(at, head.p, head.len);
        r = conn_write(c, at, body->len - HEAD_ROOM + head.len);
    } else if ((r = conn_write(c, head.p, head.len)) == 0) {
        r = conn_write(c, body->p + HEAD_ROOM, body->len - HEAD_ROOM);
    }
out:
    buf_free(&head);
    return r;
}

/* Receiving. */

const char *conn_header(const struct conn *c, const char *name)
{
    size_t n = strlen(name);
    const char *line = c->lines;

    for (size_t i = 0; i < c->n_lines; i++, line += strlen(line) + 2)
        if (strncasecmp(line, name, n) == 0 && line[n] == ':')
            return line + n + 1 + strspn(line + n + 1, " \t");
    return NULL;
}

/* Bytes of the head at the start of what was read, its empty line included; 0: not all there. */
static size_t head_length(const struct conn *c)
{
    const char *end = memmem(c->in, c->n_in, "\r\n\r\n", 4);

    return end ? (size_t)(end - c->in) + 4 : 0;
}

/* Cut the head into C strings: lines end in NUL LF, words of the first one in NUL. */
static int head_parse(struct conn *c)
{
    char *line = c->in, *end, *target, *version;

    c->n_lines = 0;
    if (memchr(c->in, '\0', c->head_n))
        return -EINVAL;
    for (char *p = c->in; (end = memmem(p, (size_t)(c->in + c->head_n - p), "\r\n", 2));
         p = end + 2) {
        *end = '\0';
        c->n_lines++;
    }
    c->n_lines -= 2; /* the request line and the empty one */
    c->lines = line + strlen(line) + 2;
    target = strchr(line, ' ');
    version = target ? strchr(target + 1, ' ') : NULL;
    if (!version || strncmp(version + 1, "HTTP/1.", 7) != 0)
        return -EINVAL;
    *target++ = *version++ = '\0';
    c->method = line;
    c->target = target;
    if (strncasecmp(target, "http://", 7) == 0) { /* as a proxy is asked */
        c->target = strchr(target + 7, '/');
        if (!c->target)
            return -EINVAL;
    }
    const char *connection = conn_header(c, "Connection");
    c->keep = connection ? strcasecmp(connection, "close") != 0 : strcmp(version, "HTTP/1.1") == 0;
    return c->target[0] == '/' ? 0 : -EINVAL;
}

/* What the client sent after the head; chunks are not understood. */
static int body_read(struct conn *c)
{
    const char *length = conn_header(c, "Content-Length");
    unsigned long long n = length ? strtoull(length, NULL, 10) : 0;
    size_t have = c->n_in - c->head_n;

    buf_reset(&c->sent_body);
    if (n > SITE_BODY_MAX || conn_header(c, "Transfer-Encoding"))
        return -EMSGSIZE;
    if (n == 0)
        return 0;
    have = have < n ? have : (size_t)n;
    buf_add(&c->sent_body, c->in + c->head_n, have);
    c->n_in -= have;
    memmove(c->in + c->head_n, c->in + c->head_n + have, c->n_in - c->head_n);
    while (c->sent_body.len < n) {
        char *to = buf_room(&c->sent_body, n - c->sent_body.len);
        if (!to)
            return -ENOMEM;
        ssize_t r = hob_read(c->fd, to, n - c->sent_body.len, hob_in(idle_max));
        if (r <= 0)
            return r < 0 ? (int)r : -EPIPE;
        c->sent_body.len += (size_t)r;
    }
    return 0;
}

/* 0: a request is in hand; negative: there will be none. */
static int request_read(struct conn *c)
{
    int r;

    c->n_in -= c->head_n;
    memmove(c->in, c->in + c->head_n, c->n_in);
    c->head_n = 0;
    while ((c->head_n = head_length(c)) == 0) {
        if (c->n_in == sizeof c->in)
            return -EMSGSIZE;
        ssize_t n = hob_read(c->fd, c->in + c->n_in, sizeof c->in - c->n_in, hob_in(idle_max));
        if (n <= 0)
            return n < 0 ? (int)n : -EPIPE;
        c->n_in += (size_t)n;
    }
    r = head_parse(c);
    return r < 0 ? r : body_read(c);
}

static void request_log(const struct conn *c)
{
    const char *host = conn_header(c, "Host"), *agent = conn_header(c, "User-Agent");
    const struct site *s = c->s;
    struct buf line = {0};

    if (s->log < 0)
        return;
    buf_printf(&line, "%.6f\t%llu\t%u\t%s\t%s\t%s\t%s\n", (double)hob_now() / HOB_SEC,
               (unsigned long long)c->number, s->stats.live, c->method, host ? host : "-",
               c->target, agent ? agent : "-");
    if (buf_error(&line) == 0 && write(s->log, line.p, line.len) < 0) {
        /* A full disk costs the log's reader a line; the site goes on. */
    }
    buf_free(&line);
}

/* Serving. */

hob_dur site_latency(const struct site *s, const char *target)
{
    uint64_t span = (uint64_t)(s->o.latency_max - s->o.latency_min), hash = 0;

    if (s->o.latency_max == 0)
        return 0;
    for (const char *p = target; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 0x100000001b3;
    struct chooser c = chooser_for(s->o.seed, hash);
    return s->o.latency_min + (hob_dur)(choose_any(&c) % (span + 1));
}

static int page_answer(struct conn *c)
{
    struct buf body = site_body_take(c->s);
    const char *host = conn_header(c, "Host");
    char *path = strndup(c->target, strcspn(c->target, "?"));
    bool found = path && site_page(c->s, host ? host : "localhost", path, &body);
    int r = path ? 0 : -ENOMEM;

    if (!found)
        buf_puts(&body, "<!DOCTYPE html><title>Not found</title><h1>Not found</h1>\n");
    if (r == 0)
        r = conn_send(c, found ? 200 : 404, found ? site_type(path) : "text/html", NULL, &body);
    free(path);
    site_body_give(c->s, &body);
    return r;
}

static int request_answer(struct conn *c)
{
    hob_dur latency = site_latency(c->s, c->target);
    struct site_stats *stats = &c->s->stats;
    bool known;
    int r = 0;

    stats->requests++;
    stats->live++;
    if (stats->live > stats->live_max)
        stats->live_max = stats->live;
    request_log(c);
    if (latency > 0)
        r = hob_sleep(latency);
    if (r == 0) {
        r = fault_answer(c, &known);
        if (!known)
            r = page_answer(c);
    }
    stats->live--;
    return r;
}

/* Whatever becomes of a connection is no reason for the site to end: always 0. */
static int conn_run(void *arg)
{
    static const char refusal[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n"
                                  "Connection: close\r\n\r\n";
    struct conn *c = arg;
    int r;

    do
        c->keep = false;
    while ((r = request_read(c)) == 0 && (r = request_answer(c)) == 0 && c->keep);
    if (r == -EINVAL || r == -EMSGSIZE)
        conn_write(c, refusal, sizeof refusal - 1);
    hob_close(c->fd);
    buf_free(&c->sent_body);
    free(c);
    return 0;
}

static int conn_start(struct site *s, hob_group *g, int fd)
{
    struct conn *c = malloc(sizeof *c);
    int r = -ENOMEM;

    if (c) {
        c->s = s;
        c->fd = fd;
        c->number = ++s->stats.connections;
        c->n_in = c->head_n = 0;
        c->sent_body = (struct buf){0};
        r = hob_go(g, conn_run, c);
    }
    if (r < 0) {
        hob_close(fd);
        free(c);
    }
    return r == -ENOMEM ? 0 : r; /* that client is turned away; the others stay */
}

int site_listen(struct site *s, uint16_t port)
{
    hob_addr a;
    int r = hob_addr_parse("127.0.0.1", port, &a);

    if (r < 0 || (r = hob_tcp_listen(&a, 4096)) < 0)
        return r;
    s->listener = r;
    r = hob_sock_addr(s->listener, &a);
    return r < 0 ? r : hob_addr_port(&a);
}

int site_serve(void *site)
{
    struct site *s = site;
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.name = "site connection"));

    while (r == 0) {
        int fd = hob_tcp_accept(s->listener, HOB_FOREVER);
        if (fd >= 0)
            r = conn_start(s, &g, fd);
        else if (fd == -ECANCELED || fd == -EBADF || fd == -EINVAL)
            r = fd;
        else
            r = hob_sleep(accept_pause); /* out of descriptors: the connection waits */
    }
    return hob_group_join(&g, r);
}
