/* SPDX-License-Identifier: MIT */
#ifndef HOB_CMD_WALL_H
#define HOB_CMD_WALL_H

#include <stdint.h>

/** wall_ms - the date: ms since 1970-01-01 UTC; 0 when simulated.  Durations go by hob_now. */
int64_t wall_ms(void);

#endif
