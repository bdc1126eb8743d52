/* SPDX-License-Identifier: MIT
 *
 * fetch.h - what the files of `hob fetch` share
 */
#ifndef HOB_CMD_FETCH_H
#define HOB_CMD_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include <hob/hob.h>

#include "fetch/rows.h"
#include "lib/lines.h"
#include "lib/option.h"
#include "lib/out.h"

enum { FETCH_STATUS_MAX = 1000, FETCH_KINDS_MAX = 32 };

/** What came of the URLs so far. */
struct fetch_tally {
    uint64_t n, answered, bytes, retries;
    uint64_t given_up;                    /* under way when it was interrupted */
    uint64_t by_status[FETCH_STATUS_MAX]; /* of those answered */
    struct {
        int code; /* negative */
        uint64_t n;
    } kind[FETCH_KINDS_MAX]; /* of those that failed */
    size_t n_kinds;
    hob_time start;
    hob_dur sum, slowest; /* of the times of single URLs */
    char *slowest_url;
};

struct fetch {
    /* As given. */
    int64_t concurrency, retries, max_size;
    hob_dur timeout;
    const char *method, *data, *dir, *jsonl;
    struct option_list headers, proxies, inputs;
    bool insecure, allow_private;
    struct option_args args;
    /* Made of it. */
    struct hob_http_header *header; /* headers.n of them */
    char *body;                     /* of each request; NULL: none */
    size_t body_n;
    struct lines *list; /* n_lists open ones */
    size_t n_lists;
    struct rows rows;
    int dir_fd;   /* -1: bodies are not kept */
    int64_t idle; /* connections each client may keep */
    /* While it runs. */
    hob_http *guarded, *open; /* see one.c */
    char origin[256];         /* "http://host:port", asked last */
    bool origin_private;
    hob_group group; /* of the URLs under way */
    struct out_progress progress;
    struct fetch_tally tally;
    uint64_t n_saved;
    bool failed;  /* something beside a URL */
    bool stopped; /* nothing more can be written; it was said */
};

/** One URL; its fiber frees it. */
struct fetch_job {
    struct fetch *f;
    const char *refused; /* why it is not even tried; NULL: it is */
    char *where;         /* "urls.txt:12", for messages */
    char url[];
};

/* args.c: the command line.  -1: go on; else the exit status. */
int fetch_args(struct fetch *f, int argc, char *const argv[]);
void fetch_args_free(struct fetch *f);

/* one.c: one URL, a fiber's function. */
int fetch_one(void *job);

/* report.c: what people see. */
void fetch_tally_add(struct fetch_tally *t, const char *url, const struct hob_http_response *res,
                     hob_dur took);
/** One line on standard error, above the progress line. */
void fetch_say(struct fetch *f, const char *format, ...) HOB_PRINTF(2, 3);
/** A fiber's function: the progress line until it is cancelled. */
int fetch_progress(void *f);
void fetch_summary(struct fetch *f, bool interrupted);

#endif
