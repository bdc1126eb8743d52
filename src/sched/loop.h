/* SPDX-License-Identifier: MIT
 *
 * loop.h - the scheduler's own structures: fiber, task, scope, loop, runtime
 *
 * Glossary.  A *task* is what hob_go made and nobody has started: a function, an argument and a
 * group, without a stack.  A *fiber* is a task that was started: it has a stack, at whose top the
 * struct below lies, and it never leaves its loop.  Both are *runnable*.  A *scope* is a group's
 * part on one loop; a *group* has one scope on its home loop and, if it is spread, one on each of
 * the others.  A *message* carries a call to another loop.
 */
#ifndef HOB_SCHED_LOOP_H
#define HOB_SCHED_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <hob/group.h>
#include <hob/rt.h>

#include "base/list.h"
#include "plat/ctx.h"
#include "plat/env.h"
#include "plat/poll.h"
#include "plat/san.h"
#include "plat/stack.h"
#include "sched/door.h"
#include "sched/msg.h"
#include "sched/timer.h"
#include "trace/account.h"

struct fiber;
struct group;
struct loop;
struct remote;
struct rt;

/* RUN_TELL: ready, and an account wants to know when it runs (fold.h). */
enum run_state { RUN_NEW, RUN_READY, RUN_TELL, RUN_RUNNING, RUN_PARKED, RUN_DEAD };

/* First in struct task and struct fiber: what a ready queue holds. */
struct runnable {
    struct runnable *next;
    uint8_t state; /* enum run_state; RUN_NEW: a task */
    bool seen;     /* a task that ended elsewhere: somebody of the group was told -ECANCELED */
    int rc;        /* a task: how it ended: elsewhere, or kept for hob_group_next */
};

struct runq {
    struct runnable *head, **tail;
};

/* What it returns is wanted in the opener's frame: ends.c. */
struct task_reply {
    int *to;
    hob_fn fn;
};

struct task {
    struct runnable run;
    hob_fn fn;
    void *arg;
    struct group *group;
    union {
        struct msg msg;        /* to the group's home loop, when it ended on another one */
        struct task_reply ask; /* until it ended: hob_go_ret's */
    };
    const void *site; /* where its hob_go returned to; NULL: hob started it */
};

_Static_assert(sizeof(struct task) <= 64, "a task is a cache line");

struct scope {
    struct scope *parent; /* enclosing, on the same loop; NULL: the root, shielded, not at home */
    struct group *group;
    struct list members;       /* fibers started for this scope, on this loop */
    struct scope *next_cancel; /* scope_cancel's work list; nothing otherwise */
    bool cancelled;            /* a level: while set every parking call inside is -ECANCELED */
};

enum group_cause { CAUSE_NONE, CAUSE_ERROR, CAUSE_REQUEST, CAUSE_DEADLINE, CAUSE_OUTSIDE };

/* A fiber that waits for a place in a full group, or for a child's end. */
struct group_waiter {
    struct list node; /* in group.full or group.enders; off it when granted */
    struct fiber *fiber;
    void (*granted)(struct group_waiter *w);
};

/* What is unusual about a group; each says which of its fields beyond `deadline` are set. */
enum group_flag {
    GROUP_FULL = 1 << 0,      /* somebody has waited for a place */
    GROUP_SUPERVISE = 1 << 1, /* a child's error cancels nobody */
    GROUP_COLLECT = 1 << 2,   /* ends are kept for hob_group_next */
    GROUP_COUNT = 1 << 3,     /* ends are counted */
    GROUP_ALL = 1 << 4,       /* the join returns an error that cancelled nobody */
    GROUP_SHIELD = 1 << 5,    /* its shield has an end */
    GROUP_UNTIL = 1 << 6,     /* `until` is set */
    GROUP_PARTS = 1 << 7,     /* spread */
    GROUP_DEFER = 1 << 8,     /* the join has calls to make */
    GROUP_IDLE = 1 << 9,      /* the opener has waited until no child is alive */
    /* A child's end is more than a number. */
    GROUP_TOLD = GROUP_FULL | GROUP_SUPERVISE | GROUP_COLLECT | GROUP_COUNT,
    /* So is the join. */
    GROUP_RARE = GROUP_COLLECT | GROUP_COUNT | GROUP_ALL | GROUP_SHIELD | GROUP_PARTS | GROUP_DEFER,
};

/* A wait until no child is alive, of the group's opener. */
struct idle_waiter {
    struct list node; /* in group.idle; off it when told */
    void (*idle)(struct idle_waiter *w);
};

/* A spread group's part on a loop that is not its home. */
struct group_part {
    struct scope scope;
    struct msg cancel; /* home -> that loop -> home again */
    struct loop *loop;
    bool sent; /* home's */
    bool seen; /* that loop's: somebody there was told -ECANCELED; comes home with a task */
};

struct group {
    struct scope scope;   /* first: the part at home */
    struct loop *home;    /* stored atomically: a cancel of another thread reads it */
    struct fiber *opener; /* NULL: the root */
    struct scope *outer;  /* the opener's scope around this one; scope.parent unless shielded */
    uint32_t max_live;
    struct door door; /* of cancels from other threads */
    /* From here to `name` all is zero in a new group. */
    uint32_t n_live;    /* children that have not ended; home only */
    uint32_t n_acks;    /* messages on their way to other loops and back */
    uint8_t cause_kind; /* enum group_cause */
    bool seen;          /* somebody inside was told -ECANCELED */
    bool joining;       /* the opener is parked in its join */
    bool closing;       /* and waits for the request under way */
    bool spread;
    _Atomic(bool) stop;       /* spread: children not started shall not; read by any loop */
    uint16_t flags;           /* enum group_flag */
    struct group_part *parts; /* spread: one a loop */
    const char *name;
    int cause;          /* valid with cause_kind != NONE */
    int request_reason; /* a cancel from another thread: valid when the door let it in */
    struct msg request_msg;
    struct timer deadline;
    struct list full;   /* FULL: struct group_waiter, oldest first */
    uint32_t n_inside;  /* FULL: waiters, now or until they run, that hold a place themselves */
    uint32_t n_kept;    /* COLLECT: how many ... */
    struct runq kept;   /* ... struct task that ended, oldest first */
    struct list enders; /* COLLECT: struct group_waiter */
    struct list idle;   /* IDLE: struct idle_waiter */
    struct hob_group_report count;   /* COUNT: so far */
    struct hob_group_report *report; /* COUNT: where the join leaves it, or NULL */
    struct runnable *deferred;       /* DEFER: struct task, the newest first */
    struct timer shield;             /* SHIELD: set once a cancel has come from outside */
    hob_dur shield_ns;               /* SHIELD: how much later it gets in */
    hob_time until; /* UNTIL, and spread: the earliest deadline, of those around too */
};

/* How a parked fiber takes a cancel or the end of its time. */
enum park_kind {
    PARK_PLAIN,  /* it is taken off its queue and woken with the reason */
    PARK_SHIELD, /* not at all: somebody will wake it for certain, soon */
    PARK_HOOK,   /* abort() is called, once; the fiber wakes when the operation has ended */
};

/* Stands in a channel's queue: in a fiber, in the operation of one elsewhere, or in an arm of a
 * select. */
struct chan_waiter {
    struct list node;
    struct fiber *fiber;   /* parked for this alone; NULL: it is not */
    struct remote *remote; /* from elsewhere; both NULL: an arm */
    union {
        const void *src;
        void *dst;
    };
};

enum { HELD_NAME_MAX = 24 };

struct fiber {
    struct runnable run; /* first */
    uint8_t park_kind;
    uint8_t wait; /* enum hob_wait, while parked */
    bool counted; /* go.c: seen in this walk; its group's home loop only */
    bool told;    /* debug: that the scope it is a member of was cancelled */
    int wake_rc;
    int abort_rc; /* PARK_HOOK: the reason abort() was called for; 0: it was not */
    struct ctx ctx;
    struct ctx begin; /* what ctx is when it begins, again too */
    struct san san;
    struct loop *loop;
    struct scope *scope;       /* innermost */
    struct scope *own_scope;   /* the one it is a member of */
    struct runnable *deferred; /* struct task: calls for its end, the newest first; hold.h */
    struct list member;        /* in own_scope->members */
    struct list *wait_node;    /* what of it stands in the queue it is parked on; NULL: nothing */
    void (*abort)(struct fiber *f);
    void *abort_arg;
    const void *on;          /* what it is parked on, where park.h says so */
    struct chan_waiter chan; /* its own, for it waits for one at a time */
    int on_fd;               /* the descriptor it is parked on; -1: none */
    uint32_t n_holds;        /* locks it holds */
    hob_time since;          /* while parked: the time at the start of the turn it parked in */
    struct timer timer;
    struct task *task; /* what it was started from; goes home with the result */
    void *stack;
    struct trace_task trace;
    struct fiber *fold_next;       /* fold.c: the next one noted in the window ... */
    uint64_t fold_window;          /* ... of this number */
    uint64_t holder;               /* its number as one who holds locks; 0: none yet */
    const void *held;              /* one of these locks, or NULL; debug builds only, as is ... */
    char held_name[HELD_NAME_MAX]; /* ... its name, which may be gone when it is wanted */
};

/* What a higher layer keeps a loop: made there when it is first wanted, closed with the loop, on
 * its thread, when no fiber is left and the poller still is. */
struct loop_part {
    struct list node;
    void (*close)(struct loop_part *p); /* also says whose it is */
};

enum {
    TURN_SWITCHES = 128,
    TURN_CHECK = 16, /* runs between two looks at the clock, when they are short */
    LOOPS_MAX = 64,
};
#define TURN_TIME (200 * HOB_US)
/* A run is long when TURN_CHECK of them would fill a turn. */
#define RUN_LONG (TURN_TIME / TURN_CHECK)

/* How often memory of stacks goes back while there is work: some 40 us of a millisecond. */
#define TRIM_PACE HOB_MS

/* What a switch told exactly costs: its events and a clock read.  Measured, rounded up. */
#define FOLD_SWITCH ((hob_dur)200)
/* Recorded, its events are written by another thread too, which may have no other core. */
#define FOLD_RECORDED (2 * FOLD_SWITCH)

/* Fibers that are told together, and what may be spent on telling them one by one: fold.h. */
struct fold {
    struct fiber *first, **last; /* noted in this window */
    uint32_t n_noted, n_ran;
    hob_time start;    /* of the window */
    uint64_t window;   /* its number; 0: there was none */
    uint64_t n_before; /* runs up to its start */
    hob_dur credit;
    hob_time seen;   /* up to when the credit was counted; 0: not since the loop slept */
    hob_time look;   /* a turn that starts before needs no decision; 0: each does */
    hob_time left;   /* when the one that ran left, in a switch that is told; else 0 */
    uint64_t n_past; /* runs of all turns before this one */
};

struct loop {
    struct fiber *current; /* NULL: the loop's own context runs */
    struct runq ready;
    struct runnable **fresh; /* where in `ready` what the running fiber started begins; NULL */
    bool ahead_on;           /* `ready` begins with what was in `ahead`, up to `mark` */
    struct runq ahead, aged; /* ahead.h: tasks whose openers wait for them */
    struct runnable mark;
    uint32_t left;  /* switches until the next look at the clock */
    uint32_t chunk; /* what `left` began with */
    uint32_t n_run; /* switches of this turn before this chunk */
    uint32_t turn_switches;
    uint64_t stamp;              /* fold.h: the window that is open; 0: none */
    uint32_t n_outside;          /* fibers parked until something outside the loops ends it */
    uint32_t n_accounted;        /* fibers whose time is accounted */
    bool tells;                  /* and each switch of theirs is told */
    bool slow;                   /* the last turn's runs were long: look at the clock after each */
    hob_time turn_start;         /* 0: not read since the last poll */
    struct runnable *idle;       /* struct fiber: ended, to be used again with their stacks */
    uint32_t n_idle;             /* how many those are */
    struct fiber *dead;          /* ended, but its stack was still in use at the switch */
    struct runnable *free_tasks; /* struct task */
    struct stacks stacks;
    hob_time trimmed; /* when memory of stacks went back last */
    struct ctx ctx;
    struct san san;
    struct wheel timers;
    struct fold fold;
    struct poller *poller;
    struct inbox inbox;
    _Atomic(uint32_t) n_posters; /* threads that may still touch this loop to wake it */
    struct rt *rt;
    unsigned index;
    uint32_t pick;     /* the last random number of selects on this loop; 0: none was drawn */
    bool stop;         /* the loop's thread shall end; set on the loop */
    uint64_t n_groups; /* number of the last one opened: sched/door.h (I4) */
    uint64_t n_rounds; /* turns, those too in which no fiber ran; relaxed atomic as well */
    uint64_t n_active; /* of those, in which one ran; and messages: stuck.c */
    uint64_t n_turns;  /* relaxed atomic: read from outside */
    _Atomic(int) tid;  /* of its thread, while it runs */
    hob_dur slice; /* that the kernel granted its thread; 0: the kernel's own, or it won't say */
    struct msg stop_msg;
    struct list parts; /* struct loop_part */
    struct task_slab *slabs;
    /* Tasks of spread groups that any idle loop may take. */
    struct {
        atomic_flag lock;
        struct runq queue;
        _Atomic(uint32_t) n;
        uint32_t draw; /* chance: whom to take from */
    } spread;
    struct {
        uint32_t n_vain, skip;
    } watch;                    /* spread.c: in vain so often; sleeps at once so often */
    _Atomic(uint64_t) n_stolen; /* tasks this loop took from others */
    _Atomic(hob_dur) busy_ns;   /* its turns' fibers so far */
};

/* The struct of the fiber on a taken stack: at its top, so that a parked fiber is one page. */
static inline struct fiber *fiber_at(const struct stacks *s, void *lo)
{
    uintptr_t top = (uintptr_t)lo + hob__stack_usable(s);

    return (struct fiber *)((top - sizeof(struct fiber)) & ~(uintptr_t)63);
}

/* The loop the thread runs, NULL off the loops.  A fiber never changes thread. */
extern __thread struct loop *hob__loop __attribute__((tls_model("initial-exec")));

static inline struct fiber *hob__self(void)
{
    return hob__loop ? hob__loop->current : NULL;
}

static inline void runq_init(struct runq *q)
{
    q->head = NULL;
    q->tail = &q->head;
}

static inline void runq_push(struct runq *q, struct runnable *r)
{
    r->next = NULL;
    *q->tail = r;
    q->tail = &r->next;
}

static inline struct runnable *runq_pop(struct runq *q)
{
    struct runnable *r = q->head;

    if (!r)
        return NULL;
    q->head = r->next;
    if (!q->head)
        q->tail = &q->head;
    return r;
}

/* Pops the first, which there is, and pushes `r`. */
static inline void runq_rotate(struct runq *q, struct runnable *r)
{
    struct runnable *first = q->head;

    r->next = NULL;
    if (q->tail == &first->next) { /* of two that take turns none waits for the other's store */
        q->head = r;
    } else {
        *q->tail = r;
        q->head = first->next;
    }
    q->tail = &r->next;
}

/* Anything that a turn could run.  Between turns. */
static inline bool loop_has_ready(const struct loop *l)
{
    return l->ready.head || l->ahead.head || l->aged.head;
}

/* How many have run in the turn that is, or was the last one. */
static inline uint32_t loop_turn_runs(const struct loop *l)
{
    return l->n_run + l->chunk - l->left + 1;
}

/* loop.c */
int hob__loop_init(struct loop *l, struct rt *rt, unsigned index, size_t stack_size);
void hob__loop_fini(struct loop *l);
void hob__loop_run(struct loop *l); /* until l->stop */
/* One turn: fibers, messages, timers, poller.  Returns whether anything is ready after it. */
bool hob__loop_turn(struct loop *l, bool may_sleep);

/* fiber.c */
void hob__loop_fibers(struct loop *l); /* from the loop's own context: what is ready, in a turn */
void hob__fibers_free(struct loop *l); /* the idle ones; none lives */
bool hob__task_refill(struct loop *l); /* false: no memory */
void hob__task_slabs_free(struct loop *l);
/* In a signal handler: the name of the fiber on the stack at `lo`, or its group's; never NULL. */
const char *hob__fiber_name_at(const struct loop *l, const void *lo);

/* On any loop: tasks that moved are freed where they are, the slabs stay with who made them. */
static inline void task_free(struct loop *l, struct task *t)
{
    t->run.next = l->free_tasks;
    l->free_tasks = &t->run;
}

/* NULL: no memory. */
static inline struct task *task_new(struct loop *l, hob_fn fn, void *arg, struct group *g,
                                    const void *site)
{
    struct task *t;

    if (unlikely(!l->free_tasks) && !hob__task_refill(l))
        return NULL;
    t = container_of(l->free_tasks, struct task, run);
    l->free_tasks = t->run.next;
    t->run.state = RUN_NEW;
    t->fn = fn;
    t->arg = arg;
    t->group = g;
    t->site = site;
    return t;
}

/* spread.c */
void hob__spread_push(struct loop *l, struct task *t);
void hob__spread_turn(struct loop *l); /* once a turn: tasks from a queue into ready */
/* Any loop: nobody takes from or adds to l's spread tasks between the two. */
void hob__spread_hold(struct loop *l);
void hob__spread_let(struct loop *l);

#endif
