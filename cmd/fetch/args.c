/* SPDX-License-Identifier: MIT
 *
 * args.c - the command line of `hob fetch`, checked before the first request
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"
#include "fetch/fetch.h"

static int complain(int status, const char *format, ...) HOB_PRINTF(2, 3);

static int complain(int status, const char *format, ...)
{
    va_list ap;

    fputs("hob fetch: ", stderr);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    return status;
}

/* RFC 9110, 5.6.2: what a method and a header's name are made of. */
static size_t token_length(const char *text)
{
    return strspn(text, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

/* "Name: value" into two strings. */
static int header_parse(const char *line, struct hob_http_header *ret)
{
    size_t n = token_length(line);
    char *name = strdup(line);

    if (!name)
        return complain(STATUS_FAILED, "%s", hob_strerror(ENOMEM));
    if (n == 0 || line[n] != ':' || strpbrk(line, "\r\n")) {
        free(name);
        return complain(STATUS_USAGE, "-H: '%.*s' is not a header like 'Name: value'",
                        (int)strcspn(line, "\r\n"), line);
    }
    name[n] = '\0';
    *ret = (struct hob_http_header){.name = name, .value = line + n + 1};
    ret->value += strspn(ret->value, " \t");
    return -1;
}

static int headers_parse(struct fetch *f)
{
    f->header = calloc(f->headers.n + 1, sizeof *f->header);
    if (!f->header)
        return complain(STATUS_FAILED, "%s", hob_strerror(ENOMEM));
    for (size_t i = 0; i < f->headers.n; i++) {
        int status = header_parse(f->headers.item[i], &f->header[i]);
        if (status >= 0)
            return status;
    }
    return -1;
}

/* A whole file as the body. */
static int body_read(struct fetch *f, const char *path)
{
    FILE *in = fopen(path, "re");
    struct buf b = {0};
    size_t n = 1;

    if (!in)
        return complain(STATUS_FAILED, "%s: %s", path, strerror(errno));
    while (n > 0) {
        char piece[4096];
        n = fread(piece, 1, sizeof piece, in);
        buf_add(&b, piece, n);
    }
    int r = ferror(in) ? -errno : buf_error(&b);
    fclose(in);
    f->body_n = b.len;
    f->body = buf_take(&b);
    return r < 0 ? complain(STATUS_FAILED, "%s: %s", path, hob_strerror(r)) : -1;
}

static int body_make(struct fetch *f)
{
    if (!f->data)
        return -1;
    if (f->method && strcmp(f->method, "HEAD") == 0)
        return complain(STATUS_USAGE, "--data: a HEAD request has no body");
    if (f->data[0] == '@')
        return body_read(f, f->data + 1);
    f->body = strdup(f->data);
    f->body_n = strlen(f->data);
    return f->body ? -1 : complain(STATUS_FAILED, "%s", hob_strerror(ENOMEM));
}

static int list_open(struct fetch *f, const char *path)
{
    int r = lines_open(path, &f->list[f->n_lists]);

    if (r < 0)
        return complain(STATUS_FAILED, "%s: %s", path, hob_strerror(r));
    f->n_lists++;
    return -1;
}

/* Has somebody redirected standard input from a list?  A terminal and /dev/null are no lists. */
static bool list_is_piped(void)
{
    struct stat st;

    return fstat(STDIN_FILENO, &st) == 0 &&
           (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

/* Each -i and each "-", standard input once; standard input too if there is nothing else. */
static int lists_open(struct fetch *f)
{
    int status = -1;

    f->list = calloc(f->inputs.n + f->args.n + 1, sizeof *f->list);
    if (!f->list)
        return complain(STATUS_FAILED, "%s", hob_strerror(ENOMEM));
    if (f->inputs.n + f->args.n == 0)
        return list_open(f, "-");
    for (size_t i = 0; i < f->args.n + f->inputs.n && status < 0; i++) {
        bool operand = i < f->args.n;
        const char *path = operand ? f->args.operand[i] : f->inputs.item[i - f->args.n];
        bool standard = strcmp(path, "-") == 0;
        bool again = false;
        for (size_t k = 0; k < f->n_lists; k++)
            again = again || f->list[k].fd == STDIN_FILENO;
        if (standard ? !again : !operand)
            status = list_open(f, path);
    }
    return status;
}

static int dir_open(struct fetch *f)
{
    struct stat st;

    if (!f->dir)
        return -1;
    if (mkdir(f->dir, 0777) < 0 && errno != EEXIST)
        return complain(STATUS_FAILED, "%s: %s", f->dir, strerror(errno));
    f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->dir_fd < 0 || fstat(f->dir_fd, &st) < 0 || faccessat(f->dir_fd, ".", W_OK | X_OK, 0) < 0)
        return complain(STATUS_FAILED, "%s: %s", f->dir, strerror(errno));
    return -1;
}

static int rows_make(struct fetch *f)
{
    const char *path = f->jsonl ? f->jsonl : "-";
    int r = rows_open(path, &f->rows);

    if (r == 0)
        return -1;
    f->rows = (struct rows){.fd = -1};
    return complain(STATUS_FAILED, "%s: %s", path, hob_strerror(r));
}

/* What was given is good, each in itself; now all of it together.  Files are emptied last. */
static int settle(struct fetch *f)
{
    int status = -1;

    if (f->args.n == 0 && f->inputs.n == 0 && !list_is_piped())
        return complain(STATUS_USAGE,
                        "no URL: give some, or a list with -i or on standard input ('hob fetch "
                        "-h' says more)");
    if (f->method && (!*f->method || f->method[token_length(f->method)]))
        return complain(STATUS_USAGE, "--method: '%s' is not one", f->method);
    if ((status = headers_parse(f)) < 0 && (status = body_make(f)) < 0 &&
        (status = lists_open(f)) < 0 && (status = dir_open(f)) < 0)
        status = rows_make(f);
    return status;
}

/* The table lives as long as the call; option_free only needs its kinds. */
static int with_options(struct fetch *f, int argc, char *const argv[])
{
    const struct option options[] = {
        OPTION_LIST('i', "input", &f->inputs, "FILE",
                    "a list of URLs, one a line; '-' is standard input, which "
                    "is read too if there is no URL"),
        OPTION_INT('j', "concurrency", &f->concurrency, 1, 100000, "N", "URLs at once (50)"),
        OPTION_DURATION(0, "timeout", &f->timeout, HOB_MS, 24 * 60 * HOB_MIN, "TIME",
                        "for a whole request, from its name to its last byte (15s)"),
        OPTION_INT(
            0, "retries", &f->retries, 0, 1000, "N",
            "tries after the first, if a connection fails or the answer is 408, 425, 429 or 5xx "
            "(0)"),
        OPTION_LIST(0, "proxy", &f->proxies, "URL",
                    "http, https, socks5 or socks5h, with user:password@ if need be; several "
                    "take turns"),
        OPTION_LIST('H', "header", &f->headers, "LINE", "send this header: 'Name: value'"),
        OPTION_STRING(0, "method", &f->method, "NAME", "instead of GET, or of POST with --data"),
        OPTION_STRING(0, "data", &f->data, "TEXT", "send this body; @FILE sends a file"),
        OPTION_STRING('o', "output", &f->dir, "DIR",
                      "keep the bodies of 2xx responses as files there"),
        OPTION_STRING(0, "jsonl", &f->jsonl, "FILE",
                      "write the rows there; '-' is standard output (-)"),
        OPTION_SIZE(0, "max-size", &f->max_size, 1, OPTION_NO_MAX, "SIZE",
                    "of a body; a larger one is a failure (64MiB)"),
        OPTION_FLAG(0, "insecure", &f->insecure, "do not verify certificates"),
        OPTION_FLAG(0, "allow-private", &f->allow_private,
                    "fetch from names and redirects that lead to private addresses too"),
        OPTION_END,
    };
    const struct option_command command = {
        .name = "hob fetch",
        .usage = "hob fetch [OPTION]... [URL]...",
        .about = "Fetches URLs, many at once, and writes a JSON line for each as it ends: url, "
                 "final_url, status, bytes, seconds, error.",
        .options = options};

    if (argc < 0) {
        option_free(&command, &f->args);
        return -1;
    }
    return option_start(&command, argc, argv, &f->args);
}

int fetch_args(struct fetch *f, int argc, char *const argv[])
{
    f->concurrency = 50;
    f->timeout = 15 * HOB_SEC;
    f->max_size = 64 << 20;
    f->rows.fd = -1;
    int status = with_options(f, argc, argv);
    if (status >= 0)
        return status;
    status = settle(f);
    if (status >= 0)
        fetch_args_free(f);
    return status;
}

void fetch_args_free(struct fetch *f)
{
    for (size_t i = 0; f->header && i < f->headers.n; i++)
        free((char *)f->header[i].name);
    free(f->header);
    free(f->body);
    while (f->n_lists > 0)
        lines_close(&f->list[--f->n_lists]);
    free(f->list);
    rows_close(&f->rows);
    hob_close(f->dir_fd);
    with_options(f, -1, NULL);
}
