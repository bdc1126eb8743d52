/* SPDX-License-Identifier: MIT
 *
 * head.h - a response as it comes in: its head, line by line, and its body
 */
#ifndef HOB_HTTP_HEAD_H
#define HOB_HTTP_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include <hob/http.h>

enum {
    HEAD_MAX_BYTES = 256 * 1024,
    HEAD_MAX_FIELDS = 1000,
};

struct head {
    char *text; /* "name\0value\0" and so on */
    size_t n, room;
    uint32_t n_fields;
    uint32_t status;
    bool complete;  /* its empty line has come; what follows are trailers, and dropped */
    int64_t length; /* Content-Length; -1: not said */
};

/* The reading of a new response; memory is kept. */
void hob__head_reset(struct head *h);
void hob__head_fini(struct head *h);

/* One line, with or without its end.  0; -HOB_EHTTP: too much, or not a header; -ENOMEM. */
int hob__head_line(struct head *h, const char *line, size_t n);

/* The same, parsed already. */
int hob__head_add(struct head *h, const char *name, size_t name_n, const char *value,
                  size_t value_n);

/* Whether the status and a Location make it a redirect. */
bool hob__head_redirects(const struct head *h);

/* The first value of that name, whatever its case; NULL: none. */
const char *hob__head_find(const struct head *h, const char *name);

struct body {
    char *p;
    size_t n, room;
};

/* Appends; `expected` (0: unknown) is how much there may be in all.  -HOB_ETOOBIG, -ENOMEM. */
int hob__body_add(struct body *b, const void *p, size_t n, size_t max, size_t expected);
/* Ends with a NUL outside n, in no more memory than needed.  -ENOMEM. */
int hob__body_end(struct body *b);
void hob__body_fini(struct body *b);

/* Hands head, body and URL over to a response.  -ENOMEM: nothing changed. */
int hob__response_fill(struct hob_http_response *res, const struct head *h, struct body *b,
                       const char *url);

#endif
