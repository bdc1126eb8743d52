/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_ADVICE_H
#define HOB_DIAG_ADVICE_H

#include "diag/predict.h"

/*
 * What to do, in the words of the program's language
 * ==================================================
 */

enum { ADVICE_TEXT = 160 };

struct advice {
    char what[ADVICE_TEXT];   /* "one process, async"; "": there is no verdict */
    char code[ADVICE_TEXT];   /* a line of code or a command; "" where nothing is to be done */
    char option[ADVICE_TEXT]; /* "-j 4 in place of 1": the command line has it; "": it has none */
};

/** advice_of - for the verdict's first reading */
void advice_of(const struct measures *m, const struct ruling *r, const struct prediction *p,
               struct advice *ret);

#endif
