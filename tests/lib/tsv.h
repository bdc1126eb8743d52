/* SPDX-License-Identifier: MIT
 *
 * tsv.h - rows of test data: one line a row, tabs between, \n \r \t \\ \xHH inside a field
 *
 *     struct tsv t;
 *     tsv_open(&t, TEST_DATA "/url/url.tsv");
 *     while (tsv_next(&t, 6)) ... t.field[0], t.len[0] ...
 *     tsv_close(&t);
 *
 * Lines that start with '#' are comments.  A row with another number of fields fails the case.
 */
#ifndef TSV_H
#define TSV_H

#include <stdio.h>
#include <stdlib.h>

#include "lib/t.h"

enum { TSV_FIELDS = 8 };

struct tsv {
    FILE *file;
    char *line;
    size_t cap;
    unsigned number; /* of the line, from 1 */
    char *field[TSV_FIELDS];
    size_t len[TSV_FIELDS]; /* a field may hold NULs */
};

static inline void tsv_open(struct tsv *t, const char *path)
{
    *t = (struct tsv){.file = fopen(path, "r")};
    if (!t->file)
        t_fail(__FILE__, __LINE__, "cannot open %s", path);
}

static inline void tsv_close(struct tsv *t)
{
    free(t->line);
    fclose(t->file);
}

/* In place; the length of the result. */
static inline size_t tsv_unescape(char *s)
{
    char *to = s, *start = s;

    for (; *s; s++) {
        if (*s != '\\') {
            *to++ = *s;
            continue;
        }
        s++;
        if (*s == 'x') {
            char hex[3] = {s[1], s[2], '\0'};
            *to++ = (char)strtol(hex, NULL, 16);
            s += 2;
        } else {
            *to++ = *s == 'n' ? '\n' : *s == 'r' ? '\r' : *s == 't' ? '\t' : *s;
        }
    }
    *to = '\0';
    return (size_t)(to - start);
}

static inline bool tsv_next(struct tsv *t, unsigned fields)
{
    ssize_t n;

    do {
        n = getline(&t->line, &t->cap, t->file);
        t->number++;
    } while (n > 0 && t->line[0] == '#');
    if (n <= 0)
        return false;
    if (t->line[n - 1] == '\n')
        t->line[n - 1] = '\0';

    char *rest = t->line;
    unsigned have = 0;
    while (rest && have < TSV_FIELDS)
        t->field[have++] = strsep(&rest, "\t");
    if (have != fields || rest)
        t_fail(__FILE__, __LINE__, "line %u: %u fields, not %u", t->number, have, fields);
    for (unsigned i = 0; i < have; i++)
        t->len[i] = tsv_unescape(t->field[i]);
    return true;
}

#endif
