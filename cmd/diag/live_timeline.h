/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_LIVE_TIMELINE_H
#define HOB_DIAG_LIVE_TIMELINE_H

#include "diag/draw_term.h"
#include "diag/rec.h"

/**
 * live_timeline - the timeline on the whole of the terminal at standard output, until q
 * @how: title, ascii and max_lanes count; the rest is the terminal's
 *
 * Drawn anew when the terminal's size changes; arrow keys pan, + and - zoom, 0 or Home shows all.
 * Ctrl-C ends it too; Ctrl-Z gives the terminal back meanwhile.
 *
 * Return: 0, -ENOMEM, or what kept it from the terminal.
 */
HOB_MUST_CHECK int live_timeline(const struct recording *rec, const struct draw_term_how *how);

#endif
