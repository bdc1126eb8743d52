/* SPDX-License-Identifier: MIT */
#ifndef HOB_SELECT_H
#define HOB_SELECT_H

#include <hob/base.h>
#include <hob/chan.h>
#include <hob/event.h>
#include <hob/group.h>

HOB_BEGIN_DECLS

/*
 * Select: whichever of several things can happen first
 * ====================================================
 *
 * Each thing is an arm.  hob_select parks until one of them can happen, lets exactly that one
 * happen, and says which.  The others have no effect: a receive that was not taken leaves the value
 * in its channel, a send that was not taken has sent nothing, no connection was accepted.
 *
 *     struct hob_arm arms[] = {HOB_ON_RECV(jobs, &job), HOB_ON_EVENT(&quit)};
 *     int i;
 *
 *     while ((i = hob_select(arms, 2, HOB_FOREVER)) == 0 && arms[0].rc == 0)
 *         work_on(&job);
 *
 * Channels and events may belong to any loop.  The same arms may be used again for the next call,
 * and be changed between calls; an arm of kind HOB_ARM_NONE never happens.
 */
enum hob_arm_kind {
    HOB_ARM_NONE,    /* never happens */
    HOB_ARM_DEFAULT, /* happens, without parking, when no other can at once */
    HOB_ARM_RECV,    /* chan, to: a value was received; rc 0, or -EPIPE (closed and drained) */
    HOB_ARM_SEND,    /* chan, from: the channel has the value; rc 0, or -EPIPE (closed) */
    HOB_ARM_TIME,    /* time: it has come; rc 0 */
    HOB_ARM_EVENT,   /* event: it was set; rc 0 */
    HOB_ARM_IDLE,    /* group, one this fiber opened: none of its children is alive; rc 0 */
    HOB_ARM_READY,   /* fd, events: rc the events that are ready, as of hob_fd_wait */
    HOB_ARM_ACCEPT,  /* fd: rc a connection's descriptor, or accept's error, as of hob_tcp_accept */
    HOB_ARM_LISTENER, /* listener: the same, as of hob_listener_accept; on its loop only */
};

/** One thing that may happen.  Not moved or changed during the call.  Never grows: what a new kind
 * needs has room in `opaque`. */
struct hob_arm {
    enum hob_arm_kind kind;
    int rc;          /* out: of the arm that happened, what it came to; of the others untouched */
    int fd;          /* of HOB_ARM_LISTENER hob's */
    uint32_t events; /* EPOLLIN, EPOLLOUT, EPOLLRDHUP of <sys/epoll.h>, as a mask */
    union {
        hob_chan *chan;
        hob_event *event;
        hob_group *group;
        struct hob_listener *listener;
        hob_time time; /* absolute */
    };
    union {
        void *to;         /* room for a value; untouched unless this arm happens with rc 0 */
        const void *from; /* the value, there until the call returns */
    };
    void *opaque[20]; /* hob's */
};

/* Initializers, from C; from C++ the fields are set. */
#define HOB_ON_RECV(c, v)                                                                          \
    {                                                                                              \
        .kind = HOB_ARM_RECV, .chan = (c), .to = (v)                                               \
    }
#define HOB_ON_SEND(c, v)                                                                          \
    {                                                                                              \
        .kind = HOB_ARM_SEND, .chan = (c), .from = (v)                                             \
    }
#define HOB_ON_TIME(t)                                                                             \
    {                                                                                              \
        .kind = HOB_ARM_TIME, .time = (t)                                                          \
    }
#define HOB_ON_EVENT(e)                                                                            \
    {                                                                                              \
        .kind = HOB_ARM_EVENT, .event = (e)                                                        \
    }
#define HOB_ON_IDLE(g)                                                                             \
    {                                                                                              \
        .kind = HOB_ARM_IDLE, .group = (g)                                                         \
    }
#define HOB_ON_READY(f, ev)                                                                        \
    {                                                                                              \
        .kind = HOB_ARM_READY, .fd = (f), .events = (ev)                                           \
    }
#define HOB_ON_ACCEPT(f)                                                                           \
    {                                                                                              \
        .kind = HOB_ARM_ACCEPT, .fd = (f)                                                          \
    }
#define HOB_ON_LISTENER(l)                                                                         \
    {                                                                                              \
        .kind = HOB_ARM_LISTENER, .listener = (l)                                                  \
    }
#define HOB_ON_DEFAULT()                                                                           \
    {                                                                                              \
        .kind = HOB_ARM_DEFAULT                                                                    \
    }

/**
 * hob_select - park until one of the arms can happen, and let that one happen
 * @arms:  n of them; 0 too: then only `until` or a cancel ends the call
 * @until: absolute time; 0 never parks for an arm, HOB_FOREVER has no limit
 *
 * Of several that can happen each is equally likely to.  An error of the thing itself, a closed
 * channel for one, is that arm's `rc`: the arm has happened.  A cancel that comes when an arm has
 * happened is seen by the next call that parks.
 *
 * A channel or an event of another loop is asked by a message; with `until` 0 its answer is waited
 * for.  It allocates nothing; but epoll may, where it meets a descriptor for the first time, and if
 * that fails -ENOMEM is that arm's `rc`.
 *
 * Return: the index of the arm that happened; on failure none has: -ETIMEDOUT, -ECANCELED (this
 * fiber's scope was cancelled), -EPERM (not on a fiber),
 * -EINVAL (NULL, an arm of no kind, an event never initialised, a group of another fiber or not
 * open, a listener of another loop, more than INT_MAX arms).
 */
HOB_API HOB_MUST_CHECK HOB_PARKS int hob_select(struct hob_arm *arms, size_t n, hob_time until);

/**
 * hob_select_ordered - hob_select that prefers an arm to all that come after it
 *
 * The arms are looked at in their order, and the first that can happen does.  If none can, it is
 * whichever can first.  An early arm that can always happen starves the later ones.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS int hob_select_ordered(struct hob_arm *arms, size_t n,
                                                        hob_time until);

HOB_END_DECLS
#endif
