/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_COMPARE_H
#define HOB_DIAG_COMPARE_H

#include <stdio.h>

#include "diag/report.h"

/** compare - two diagnoses side by side: verdicts, times, and what changed most */
void compare(const struct diagnosis *a, const struct diagnosis *b, const struct report_how *how,
             FILE *to);

/**
 * fail_on_matches - whether a diagnosis is what a build is to fail on
 * @words: separated by commas: "mismatch", which is whatever the report has a line MISMATCH for, or
 * a bound ("unknown" too), an advice, a mismatch or a pattern as in the JSON; where the verdict is
 * unknown nothing else matches
 *
 * Return: 1 yes, 0 no, -EINVAL: a word that is none of these; *ret_bad is where it begins.
 */
int fail_on_matches(const char *words, const struct diagnosis *d, const char **ret_bad);

#endif
