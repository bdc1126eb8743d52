/* SPDX-License-Identifier: MIT
 *
 * site_impl.h - what the files of the demo site share
 */
#ifndef DEMO_SITE_IMPL_H
#define DEMO_SITE_IMPL_H

#include "demo/site.h"

/* site_text.c: a sequence of choices that follows from a seed, and text made of such choices. */

struct chooser {
    uint64_t state;
};

struct chooser chooser_for(uint64_t seed, uint64_t what);
uint64_t choose_any(struct chooser *c);
unsigned choose(struct chooser *c, unsigned below);

struct prose; /* sentences to choose from, as HTML */

struct prose *prose_new(uint64_t seed);
void prose_free(struct prose *p);
void prose_put(const struct prose *p, struct chooser *c, struct buf *to);

const char *text_word(struct chooser *c);
void text_put_words(struct chooser *c, unsigned n, struct buf *to);
/** A product's name as plain text; returns `to`. */
const char *text_title(struct chooser *c, size_t product, char to[SITE_TITLE_MAX]);
/** A number in decimal with leading zeros up to `width`. */
void text_put_number(struct buf *to, size_t n, unsigned width);
void text_put_escaped(struct buf *to, const char *text);

/* site.c: the server. */

enum { SITE_HEAD_MAX = 8192, SITE_BODY_MAX = 1 << 20, SITE_FLAKY_MAX = 4096, SITE_SPARES = 64 };

/* Requests for /together that wait for each other. */
struct site_gate {
    hob_chan *open; /* closed when all have come */
    unsigned came, inside;
};

struct site {
    struct site_opts o;
    struct prose *prose;
    int listener, log;
    struct site_stats stats;
    struct {
        uint64_t target; /* hash */
        unsigned n;      /* requests so far */
    } flaky[SITE_FLAKY_MAX];
    size_t n_flaky;
    struct site_gate *gate; /* that lets more in; NULL: none */
    struct buf
        spare[SITE_SPARES]; /* bodies given back: a connection needs one only while it sends */
    size_t n_spares;
};

/** One connection; it reads a request at a time and answers it before the next. */
struct conn {
    struct site *s;
    int fd;
    uint64_t number;
    char in[SITE_HEAD_MAX];
    size_t n_in, head_n; /* bytes read; of them the head of the request in hand */
    /* The request in hand: C strings in `in`, each line of the head one too. */
    const char *method, *target, *lines;
    size_t n_lines;
    struct buf sent_body; /* what the client sent */
    bool keep;            /* the connection goes on after the response */
};

/** conn_header - a header of the request in hand; NULL: it has none of that name */
const char *conn_header(const struct conn *c, const char *name);

/**
 * conn_send - send a response
 * @extra: more header lines, each with its CRLF; NULL: none
 * @body:  what site_body_take gave, with the body behind its room for a head
 *
 * Return: 0, or negative: the connection is of no more use.
 */
int conn_send(struct conn *c, unsigned status, const char *type, const char *extra,
              struct buf *body);
/** conn_write - send bytes as they are; 0 or negative */
int conn_write(struct conn *c, const void *bytes, size_t n);

/** site_body_take - an empty body with room for a head in front */
struct buf site_body_take(struct site *s);
void site_body_give(struct site *s, struct buf *body);

/* site_faults.c: paths that go wrong on purpose. */

/** fault_answer - answer the request in hand if its path is one of them; *ret_known says whether */
int fault_answer(struct conn *c, bool *ret_known);

#endif
