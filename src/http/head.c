/* SPDX-License-Identifier: MIT
 *
 * head.c - a response as it comes in, and as the program gets it
 *
 * WHAT        Header lines are taken apart as they come and kept as "name\0value\0": the array of
 *             pointers is made once, when the response is whole, in one piece of memory with the
 *             text and the URL.
 *
 * INVARIANTS  (I1) text holds n_fields pairs, each of two strings without a NUL inside
 *             (I2) a body never holds more than `max` bytes, and memory is taken for what came,
 *                  not for what a Content-Length promised
 */
#include "http/head.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/target.h"

enum {
    BODY_FIRST = 16 * 1024,
    BODY_PROMISED_MAX = 1024 * 1024, /* taken at once when a Content-Length says so */
};

void hob__head_reset(struct head *h)
{
    h->n = 0;
    h->n_fields = h->status = 0;
    h->complete = false;
    h->length = -1;
}

void hob__head_fini(struct head *h)
{
    free(h->text);
    *h = (struct head){.text = NULL};
}

static int head_room(struct head *h, size_t more)
{
    size_t room = h->room ? h->room : 2048;
    char *p;

    if (h->n + more > HEAD_MAX_BYTES)
        return -HOB_EHTTP;
    while (room < h->n + more)
        room *= 2;
    if (room == h->room)
        return 0;
    if (!(p = realloc(h->text, room)))
        return -ENOMEM;
    h->text = p;
    h->room = room;
    return 0;
}

static void head_append(struct head *h, const char *s, size_t n)
{
    memcpy(h->text + h->n, s, n);
    h->n += n;
    h->text[h->n++] = '\0';
}

static bool name_is(const char *name, size_t n, const char *want)
{
    return strlen(want) == n && strncasecmp(name, want, n) == 0;
}

int hob__head_add(struct head *h, const char *name, size_t name_n, const char *value,
                  size_t value_n)
{
    int r = head_room(h, name_n + value_n + 2);

    if (r < 0)
        return r;
    if (h->n_fields == HEAD_MAX_FIELDS || memchr(name, '\0', name_n) ||
        memchr(value, '\0', value_n))
        return -HOB_EHTTP; /* (I1) */
    head_append(h, name, name_n);
    head_append(h, value, value_n);
    h->n_fields++;
    if (name_is(name, name_n, "content-length") && value_n > 0 && isdigit((unsigned char)*value))
        h->length = strtoll(h->text + h->n - value_n - 1, NULL, 10);
    return 0;
}

/* A line that begins with a space goes on with the value before it (RFC 9112, 5.2). */
static int head_fold(struct head *h, const char *line, size_t n)
{
    int r;

    if (h->n_fields == 0)
        return -HOB_EHTTP;
    if (memchr(line, '\0', n))
        return -HOB_EHTTP;
    if ((r = head_room(h, n + 1)) < 0)
        return r;
    h->text[h->n - 1] = ' ';
    head_append(h, line, n);
    return 0;
}

static bool blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void trim(const char **s, size_t *n)
{
    while (*n > 0 && blank((*s)[*n - 1]))
        --*n;
    while (*n > 0 && blank(**s)) {
        ++*s;
        --*n;
    }
}

/* "HTTP/1.1 200 OK": the response proper, or one after a 1xx. */
static void head_begin(struct head *h, const char *line, size_t n)
{
    const char *p = memchr(line, ' ', n), *end = line + n;

    hob__head_reset(h);
    while (p && p < end && *p == ' ')
        p++;
    for (int i = 0; p && p < end && i < 3 && isdigit((unsigned char)*p); i++)
        h->status = h->status * 10 + (uint32_t)(*p++ - '0');
}

int hob__head_line(struct head *h, const char *line, size_t n)
{
    const char *name = line, *colon, *value;
    size_t name_n, value_n;
    bool folded = n > 0 && (*line == ' ' || *line == '\t');

    if (n > 5 && memcmp(line, "HTTP/", 5) == 0) {
        head_begin(h, line, n);
        return 0;
    }
    if (h->complete)
        return 0;
    trim(&line, &n);
    if (n == 0) {
        h->complete = true;
        return 0;
    }
    if (folded)
        return head_fold(h, line, n);
    if (!(colon = memchr(line, ':', n)))
        return 0;
    name_n = (size_t)(colon - line);
    name = line;
    value = colon + 1;
    value_n = n - name_n - 1;
    trim(&name, &name_n);
    trim(&value, &value_n);
    return hob__head_add(h, name, name_n, value, value_n);
}

const char *hob__head_find(const struct head *h, const char *name)
{
    const char *p = h->text;

    for (uint32_t i = 0; i < h->n_fields; i++) {
        const char *value = p + strlen(p) + 1;
        if (strcasecmp(p, name) == 0)
            return value;
        p = value + strlen(value) + 1;
    }
    return NULL;
}

bool hob__head_redirects(const struct head *h)
{
    switch (h->status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return hob__head_find(h, "location") != NULL;
    default:
        return false;
    }
}

int hob__body_add(struct body *b, const void *p, size_t n, size_t max, size_t expected)
{
    size_t room = b->room;
    char *grown;

    if (n > max - b->n)
        return -HOB_ETOOBIG; /* (I2) */
    if (room == 0) {
        room = expected > 0 && expected < BODY_PROMISED_MAX ? expected + 1 : BODY_FIRST;
        room = expected >= BODY_PROMISED_MAX ? BODY_PROMISED_MAX : room;
    }
    while (room - b->n <= n)
        room *= 2;
    if (room != b->room) {
        if (!(grown = realloc(b->p, room)))
            return -ENOMEM;
        b->p = grown;
        b->room = room;
    }
    memcpy(b->p + b->n, p, n);
    b->n += n;
    return 0;
}

int hob__body_end(struct body *b)
{
    size_t want = b->n + 1;
    char *p;

    if (b->room < want || b->room - want > want / 8 + 256) {
        if (!(p = realloc(b->p, want)))
            return -ENOMEM;
        b->p = p;
        b->room = want;
    }
    b->p[b->n] = '\0';
    return 0;
}

void hob__body_fini(struct body *b)
{
    free(b->p);
    *b = (struct body){.p = NULL};
}

int hob__response_fill(struct hob_http_response *res, const struct head *h, struct body *b,
                       const char *url)
{
    size_t url_n = hob__url_shown(url, NULL),
           list_n = (h->n_fields + 1) * sizeof(struct hob_http_header);
    struct hob_http_header *list = malloc(list_n + h->n + url_n);
    const char *type;

    if (!list)
        return -ENOMEM;
    char *p = (char *)list + list_n, *final_url = p + h->n;
    if (h->n > 0)
        memcpy(p, h->text, h->n);
    hob__url_shown(url, final_url);
    for (uint32_t i = 0; i < h->n_fields; i++) {
        list[i].name = p;
        list[i].value = p += strlen(p) + 1;
        p += strlen(p) + 1;
    }
    list[h->n_fields] = (struct hob_http_header){.name = NULL};
    res->storage = list;
    res->headers = list;
    res->n_headers = h->n_fields;
    res->final_url = final_url;
    res->status = h->status;
    res->body = b->p;
    res->body_n = b->n;
    *b = (struct body){.p = NULL};
    type = hob_http_response_header(res, "content-type");
    res->content_type = type ? type : "";
    return 0;
}

const char *hob_http_response_header(const struct hob_http_response *res, const char *name)
{
    for (size_t i = 0; i < res->n_headers; i++)
        if (strcasecmp(res->headers[i].name, name) == 0)
            return res->headers[i].value;
    return NULL;
}

void hob_http_response_free(struct hob_http_response *res)
{
    if (!res)
        return;
    free(res->body);
    free(res->storage);
    *res = (struct hob_http_response){.body = NULL};
}
