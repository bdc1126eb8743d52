/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_ADVICE_OWN_H
#define HOB_DIAG_ADVICE_OWN_H

#include "diag/advice.h"

/** advice_own - in hob's own calls, with the names of the program's fibers, jobs and stages; false
 * where the program does not use hob, or nothing is to be done */
bool advice_own(const struct measures *m, const struct ruling *r, const struct prediction *p,
                struct advice *ret);

#endif
