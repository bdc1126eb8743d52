/* SPDX-License-Identifier: MIT
 *
 * draw_file.c - a timeline into a file, in any of the formats
 */
#include "diag/draw_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diag/draw_trace.h"

static const struct {
    const char *name, *suffix;
} formats[DRAW_N_FORMATS] = {
    [DRAW_TERM] = {"term", NULL},      [DRAW_HTML] = {"html", ".html"},
    [DRAW_SVG] = {"svg", ".svg"},      [DRAW_PERFETTO] = {"pftrace", ".pftrace"},
    [DRAW_CHROME] = {"json", ".json"},
};

int draw_format_of(const char *name, enum draw_format *ret)
{
    for (int i = 0; i < DRAW_N_FORMATS; i++)
        if (strcmp(name, formats[i].name) == 0) {
            *ret = (enum draw_format)i;
            return 0;
        }
    return -EINVAL;
}

int draw_format_for(const char *path, enum draw_format *ret)
{
    size_t n = strlen(path);

    for (int i = 0; i < DRAW_N_FORMATS; i++) {
        size_t m = formats[i].suffix ? strlen(formats[i].suffix) : n + 1;
        if (n > m && strcmp(path + n - m, formats[i].suffix) == 0) {
            *ret = (enum draw_format)i;
            return 0;
        }
    }
    return -EINVAL;
}

static int page_write(const struct recording *rec, const struct draw_page_how *how,
                      enum draw_format format, FILE *out)
{
    struct buf b = {0};
    int r = format == DRAW_HTML ? draw_html(rec, how, &b) : draw_svg(rec, how, &b);

    if (r == 0 && fwrite(b.p, 1, b.len, out) != b.len)
        r = errno ? -errno : -EIO;
    buf_free(&b);
    return r;
}

int draw_save(const struct recording *rec, const struct draw_page_how *how, enum draw_format format,
              const char *path)
{
    bool here = strcmp(path, "-") == 0;
    FILE *out = here ? stdout : fopen(path, "we");
    struct stat st;
    int r;

    if (!out)
        return -errno;
    errno = 0;
    if (format == DRAW_PERFETTO)
        r = draw_perfetto(rec, out);
    else if (format == DRAW_CHROME)
        r = draw_chrome(rec, out);
    else
        r = page_write(rec, how, format, out);
    if (fflush(out) != 0 && r == 0)
        r = -errno;
    if (here)
        return r;
    if (fclose(out) != 0 && r == 0)
        r = -errno;
    if (r < 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode))
        unlink(path); /* half a file looks like a whole one */
    return r;
}
