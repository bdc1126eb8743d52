/* SPDX-License-Identifier: MIT
 *
 * fold.h - what accounts may cost a loop: switches told one by one, or many runs together
 *
 * A loop's time is told exactly, switch by switch, as long as that takes a sixtieth of it.  Where
 * fibers run for less than some microseconds each it would take more: a clock read costs as much as
 * several switches.  Such turns are folded (fold.c): each fiber is told once a window, and in
 * between a turn is exact when there is budget for one.
 *
 * A switch between two fibers asks nothing for that; what it looks at anyway says it:
 *
 *   a fiber leaves    exact: l->left is kept at 1, so that each switch goes by turn_goes_on;
 *                     folded: nothing, it has been noted when it ran
 *   a fiber runs      its state is RUN_TELL and not RUN_READY: always when exact; when folded, the
 *                     first time in the window
 *   a fiber is woken  the one question: is its stamp the loop's?
 *
 *             l->stamp          f->trace.stamp
 *   off, exact    0                   0           not accounted: equal
 *                                   >= 1          accounted: differs
 *   folded     window, >= 2       another's       not noted as running in this window: differs
 *                                 the same        it was, or is not accounted: equal
 */
#ifndef HOB_SCHED_FOLD_H
#define HOB_SCHED_FOLD_H

#include "sched/loop.h"

void hob__fold_init(struct loop *l);

/* Before a turn's fibers run, while any is accounted: exact or folded?  l->turn_start is now, and
 * the turn before ran as many as that.  Not asked before l->fold.look, a window being open. */
void hob__fold_turn(struct loop *l, uint32_t n_runs);

/* The loop will sleep: closes the window. */
void hob__fold_sleep(struct loop *l, hob_time now);

/*
 * Around a change of whose time it is: a fiber begins, ends, or gets another name or stage.  break
 * closes the window and says whether one was open; resume has the fiber that runs from now on as
 * far as it is known, and l->n_accounted as it is then.
 */
bool hob__fold_break(struct loop *l, hob_time now);
void hob__fold_resume(struct loop *l, struct fiber *f, hob_time now, bool folded);

/* A fiber whose stamp is not the loop's was woken; it is RUN_READY. */
void hob__fold_woken(struct loop *l, struct fiber *f);

/* An accounted fiber, or one that leaves a mark, begins and ends (traced.c). */
void hob__traced_begin(struct loop *l, struct fiber *f);
void hob__traced_end(struct loop *l, struct fiber *f);
/* One that was RUN_TELL runs. */
void hob__fold_ran(struct loop *l, struct fiber *f);
/* The loop tells each switch, and l->current does not run any more; who comes next runs from then
 * on too. */
void hob__fold_left(struct loop *l, hob_time now);

#endif
