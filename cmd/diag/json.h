/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_JSON_H
#define HOB_DIAG_JSON_H

#include <stdio.h>

#include "diag/report.h"

/* Raised when a field changes its meaning or goes; fields may be added within a version. */
enum { JSON_SCHEMA = 1 };

/** json_write - the diagnosis as one line of JSON; man/hob-diagnose.1 has the fields.  0, -ENOMEM;
 * a failed write is seen by ferror(to) */
int json_write(const struct diagnosis *d, FILE *to);

#endif
