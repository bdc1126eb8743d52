/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_DRAW_FILE_H
#define HOB_DIAG_DRAW_FILE_H

#include "diag/draw_page.h"

/* What a timeline can be written as. */
enum draw_format {
    DRAW_TERM,
    DRAW_HTML,
    DRAW_SVG,
    DRAW_PERFETTO, /* protobuf, for ui.perfetto.dev */
    DRAW_CHROME,   /* JSON trace events */
    DRAW_N_FORMATS
};

/** draw_format_of - by a name ("html", "svg", "pftrace", "json", "term"): -EINVAL */
int draw_format_of(const char *name, enum draw_format *ret);

/** draw_format_for - by the suffix of a file's name: -EINVAL */
int draw_format_for(const char *path, enum draw_format *ret);

/**
 * draw_save - write a timeline to a file, in place of what it held; "-": standard output
 *
 * A file that could not be written whole is removed.  Not DRAW_TERM.
 *
 * Return: 0, -ENOMEM, or why it could not be written.
 */
int draw_save(const struct recording *rec, const struct draw_page_how *how, enum draw_format format,
              const char *path);

#endif
