/* SPDX-License-Identifier: MIT
 *
 * select_away.c - the arms of a select that have their home on another loop
 *
 * HOW         caller:  hob__away_post     msg goes home
 *             home:    tries it; happened, lost, or may not wait: msg comes back at once;
 *                      else it stands in the queue, and if the caller asked, answer_msg says so;
 *                      when it has happened: msg comes back
 *             caller:  decided, and msg is not back: hob__away_recall sends cancel_msg after it
 *             home:    msg, if it was still there, comes back; then cancel_msg
 *
 * INVARIANTS  (I1) msg and cancel_msg come back once each for each time they were sent, and msg
 *                  before cancel_msg: the order of messages between two loops is kept
 *             (I2) answer_msg is there before msg is back, so nobody counts it
 *             (I3) home touches an arm no more once its msg was sent back, but to return a
 *                  cancel_msg that was on its way
 */
#include "base/assert.h"
#include "sync/select.h"

static void away_answered(struct arm *a)
{
    struct select *s = a->sel;

    if (s->ask && !a->answered) {
        a->answered = true;
        s->n_unanswered--;
    }
}

/* At the caller's. */
static void answer_back(struct msg *m)
{
    struct arm *a = container_of(m, struct arm, answer_msg);

    away_answered(a);
    hob__sel_poke(a->sel);
}

static void msg_back(struct msg *m)
{
    struct arm *a = container_of(m, struct arm, msg);
    struct select *s = a->sel;

    a->back = true;
    s->n_out--;
    away_answered(a);
    if (a->won)
        hob__sel_decide(s, a);
    else
        hob__sel_poke(s);
}

static void cancel_back(struct msg *m)
{
    struct select *s = container_of(m, struct arm, cancel_msg)->sel;

    s->n_out--;
    hob__sel_poke(s);
}

/* At home. */
static void away_send(struct arm *a, struct msg *m, void (*run)(struct msg *m))
{
    m->run = run;
    hob__loop_post(a->sel->loop, m);
}

void hob__away_done(struct arm *a)
{
    HOB_ASSERT(!a->done); /* (I1) */
    a->done = true;
    away_send(a, &a->msg, msg_back);
}

static void away_start(struct msg *m)
{
    struct arm *a = container_of(m, struct arm, msg);
    int r = a->kind->try(a);

    a->won = r == 0;
    if (r != ARM_LATER || !a->sel->may_wait) {
        hob__away_done(a);
        return;
    }
    a->waits = true;
    a->kind->wait(a);
    if (a->sel->ask)
        away_send(a, &a->answer_msg, answer_back);
}

static void away_cancel(struct msg *m)
{
    struct arm *a = container_of(m, struct arm, cancel_msg);

    if (!a->done) {
        a->kind->leave(a);
        hob__away_done(a);
    }
    away_send(a, m, cancel_back);
}

void hob__away_post(struct arm *a)
{
    struct select *s = a->sel;

    a->posted = true;
    s->n_out++;
    s->n_unanswered += s->ask;
    a->msg.run = away_start;
    hob__loop_post(a->home, &a->msg);
}

void hob__away_recall(struct arm *a)
{
    a->sel->n_out++;
    a->cancel_msg.run = away_cancel;
    hob__loop_post(a->home, &a->cancel_msg);
}
