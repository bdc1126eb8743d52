/* SPDX-License-Identifier: MIT
 *
 * flow.c - the words of many files: read (waits), count (computes), print (one at a time)
 *
 *     build/examples/flow *.md
 *
 * Three stages, each in its own model: 16 fibers read, the pool's threads count, and one lane
 * prints up to 8 lines a call.  Between the stages lie bounded queues, so a thousand files never
 * lie in memory at once.  A file that cannot be read leaves the flow with its error; the others
 * go on.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include <hob/hob.h>

enum { FILE_MAX = 1 << 20 };

struct doc {
    const char *path;
    char *text;
    size_t n, words;
};

struct docs {
    struct doc *doc;
    size_t n, taken, failed, words;
};

static int read_file(void *ctx, void *item)
{
    struct doc *d = item;
    int fd = hob_file_open(d->path, O_RDONLY, 0, HOB_FOREVER);
    ssize_t n;

    if (fd < 0)
        return fd;
    d->text = malloc(FILE_MAX);
    n = d->text ? hob_file_read(fd, d->text, FILE_MAX, 0, HOB_FOREVER) : -ENOMEM;
    hob_close(fd);
    if (n < 0)
        return (int)n;
    d->n = (size_t)n;
    return 0;
}

static int count_words(void *ctx, void *item)
{
    struct doc *d = item;
    int before = ' ';

    for (size_t i = 0; i < d->n; i++) {
        d->words += isspace(before) && !isspace((unsigned char)d->text[i]);
        before = (unsigned char)d->text[i];
    }
    return 0;
}

static int print_docs(void *ctx, void **items, size_t n)
{
    struct docs *all = ctx;

    for (size_t i = 0; i < n; i++) {
        struct doc *d = items[i];
        all->words += d->words; /* the lane is one thread, and nobody else writes it */
        printf("%8zu %s\n", d->words, d->path);
    }
    return 0;
}

/* The source: the next file, or -ENOENT for "no more, ever". */
static int next(void *ctx, void **ret_item, hob_time *ret_again)
{
    struct docs *all = ctx;

    if (all->taken == all->n)
        return -ENOENT;
    *ret_item = &all->doc[all->taken++];
    return 1;
}

/* Each file comes here exactly once, whatever became of it. */
static void leave(void *ctx, void *item, unsigned stage, int rc)
{
    struct docs *all = ctx;
    struct doc *d = item;

    free(d->text);
    if (rc < 0) {
        all->failed++;
        fprintf(stderr, "flow: %s: %s\n", d->path, hob_strerror(rc));
    }
}

static int run(void *arg)
{
    hob_lane *lane = NULL;
    hob_flow *flow = NULL;
    int r = hob_lane_new("print", &lane);

    if (r == 0) {
        struct hob_stage stages[] = {
            HOB_STAGE(.name = "read", .kind = HOB_IO, .run = read_file, .width = 16),
            HOB_STAGE(.name = "count", .kind = HOB_CPU, .run = count_words),
            HOB_STAGE(.name = "print", .kind = HOB_LANE, .run_batch = print_docs, .lane = lane,
                      .batch = 8),
        };
        r = hob_flow_new(stages, 3, HOB_FLOW_OPTS(.ctx = arg, .next = next, .leave = leave), &flow);
    }
    if (r == 0)
        r = hob_flow_run(flow);
    hob_flow_free(flow);
    hob_lane_free(lane);
    return r;
}

int main(int argc, char **argv)
{
    struct docs all = {.n = (size_t)(argc - 1), .doc = calloc((size_t)argc, sizeof(struct doc))};
    int r = all.doc ? 0 : -ENOMEM;

    for (int i = 1; r == 0 && i < argc; i++)
        all.doc[i - 1].path = argv[i];
    if (r == 0)
        r = hob_run(NULL, run, &all);
    free(all.doc);
    if (r < 0)
        fprintf(stderr, "flow: %s\n", hob_strerror(r));
    else
        printf("%8zu total\n", all.words);
    return r < 0 || all.failed > 0;
}
