/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_VERIFY_FILES_H
#define HOB_DIAG_VERIFY_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "diag/rec.h"

/*
 * The files whose code a program runs: its own, and the libraries it loads, whenever it does
 * ==========================================================================================
 */
struct files {
    struct files_one {
        uint32_t proc; /* index into the recording's procs */
        char *path;
    } * one;
    size_t n, cap;
};

/** files_look - those of the processes that live now; called now and then while it runs.  Processes
 * beyond the first dozens are left out, and so is what there is no memory for. */
void files_look(struct files *f, const struct recording *rec);

/** files_add_maps - from the text of /proc/PID/maps; the text is changed */
void files_add_maps(struct files *f, uint32_t proc, char *text);

/** files_marks - bit i: marks[i] is in one of that process's files, or in `exe` */
uint32_t files_marks(const struct files *f, uint32_t proc, const char *exe,
                     const char *const marks[], size_t n);

void files_free(struct files *f);

#endif
