/* SPDX-License-Identifier: MIT
 *
 * select.h - the arms of a select, as what they wait for sees them
 *
 * What an arm waits for (a channel, an event) has a home loop and a queue there.  It offers three
 * calls, struct arm_kind.  When something in its queue can happen it claims that arm's select
 * (claim.h), does it, and says hob__arm_won.  Who cannot be claimed any more is decided elsewhere:
 * it may be taken off the queue, and nothing is done for it.
 */
#ifndef HOB_SYNC_SELECT_H
#define HOB_SYNC_SELECT_H

#include <errno.h>

#include <hob/select.h>

#include "plat/poll.h"
#include "sched/park.h"
#include "sched/scope.h"
#include "sync/claim.h"

struct arm;

/* Results of arm_kind.try beside 0. */
enum {
    ARM_LATER = -EAGAIN,  /* it cannot happen now */
    ARM_LOST = -EALREADY, /* the select is decided, by another arm or by a cancel */
};

struct arm_kind {
    /* The loop where it happens.  NULL in place of this: the caller's own. */
    struct loop *(*home)(const struct hob_arm *pub);
    /* All at home.  try: 0: it has happened, the select was claimed for it, and rc is set. */
    int (*try)(struct arm *a);
    /* It stands in the queue: `try` has just said ARM_LATER. */
    void (*wait)(struct arm *a);
    /* Off the queue, if it still stands there. */
    void (*leave)(struct arm *a);
};

/* First in what makes arms of its own kind: a listener (net/, above this folder). */
struct arm_source {
    const struct arm_kind *kind;
};

/* Who waits for a connection of a listener. */
struct conn_waiter {
    struct list node;
    struct fiber *fiber; /* NULL: an arm, in which this lies */
};

/* In hob_arm.opaque. */
struct arm {
    struct select *sel;
    const struct arm_kind *kind; /* NULL: takes no part */
    struct loop *home;
    uint32_t order;    /* of element i: the index of the one that comes i-th */
    bool away;         /* home is another loop */
    bool posted, back; /* away; the caller's: its message was sent, has come back */
    bool answered;     /* away; the caller's: home has said whether it happened at once */
    bool waits;        /* home's: `wait` was called, and `leave` was not */
    bool won, done;    /* away; home's: it happened; its message was sent back */
    bool by_op;        /* a listener's: it waits by `op`, as for a descriptor */
    union {
        struct {
            union {
                struct chan_waiter chan;
                struct list node;
                struct idle_waiter idle;
                struct conn_waiter conn;
            };
            struct msg msg, cancel_msg, answer_msg; /* away */
        };
        struct poll_op op; /* never away */
    };
};

_Static_assert(sizeof(struct arm) <= sizeof(((struct hob_arm *)0)->opaque), "room for an arm");

/* What the fiber is parked for. */
enum sel_wait {
    SEL_NOTHING,  /* it runs */
    SEL_ANSWERED, /* every arm that was asked has answered; or it is decided */
    SEL_DECIDED,
    SEL_BACK, /* nobody else knows the arms any more */
};

/* In the frame of hob_select. */
struct select {
    struct claim claim;
    struct fiber *fiber;
    struct loop *loop;
    struct hob_arm *arms;
    uint32_t n;
    bool ask;      /* arms that are away answer when they have been tried */
    bool may_wait; /* else they come back at once */
    /* From here on the fiber's loop's own. */
    uint8_t waits_for; /* enum sel_wait */
    bool decided;
    int rc;               /* decided, and no arm happened: why */
    struct arm *won;      /* decided: the arm, or NULL */
    struct arm *alarm;    /* the first time that comes; NULL: none, or it is later than `until` */
    struct arm *fallback; /* HOB_ARM_DEFAULT */
    hob_time until;
    uint32_t n_away;
    uint32_t n_out;        /* messages that have not come back, operations the poller has */
    uint32_t n_unanswered; /* of those asked */
};

static inline struct arm *arm_of(struct hob_arm *pub)
{
    return (struct arm *)(void *)pub->opaque;
}

static inline struct hob_arm *arm_pub(struct arm *a)
{
    return container_of((void **)(void *)a, struct hob_arm, opaque);
}

/* At a's home, by whoever claimed its select for it while it stood in a queue: it has happened.
 * The select's fiber may use the memory of `a` from now on. */
void hob__arm_won(struct arm *a, int rc);

/* On the select's loop: it is decided; a NULL: no arm happens, because of s->rc. */
void hob__sel_decide(struct select *s, struct arm *a);

/* On the select's loop: wakes the fiber if what it is parked for has come. */
void hob__sel_poke(struct select *s);

/* select_away.c: arms of other loops */
void hob__away_post(struct arm *a);   /* asks home to try it, and to let it wait if it may */
void hob__away_recall(struct arm *a); /* asks home to forget it */
void hob__away_done(struct arm *a);   /* at home: nothing happens to it there any more */

/* chan.c, event.c, group.c, select_fd.c */
extern const struct arm_kind hob__arm_recv, hob__arm_send, hob__arm_event, hob__arm_idle,
    hob__arm_ready, hob__arm_accept;

#endif
