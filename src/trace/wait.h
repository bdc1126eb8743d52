/* SPDX-License-Identifier: MIT
 *
 * wait.h - why a task is parked: the one list of reasons
 *
 * Every park names one of these, so traces, dumps, deadlock reports and verdicts speak with one
 * voice.  A reason is unique and says what ends the wait, not which function was called.  Adding
 * one is adding a line.
 */
#ifndef HOB_TRACE_WAIT_H
#define HOB_TRACE_WAIT_H

#include <hob/trace.h>

/* X(name, class, text): "fiber 17 is <text>". */
#define HOB_WAIT_MAP(X)                                                                            \
    X(HOB_WAIT_SLEEP, TIME, "sleeping")                                                            \
    X(HOB_WAIT_PACE, TIME, "waiting for its turn under a rate limit")                              \
    X(HOB_WAIT_YIELD, CPU, "letting others run")                                                   \
    X(HOB_WAIT_OFFLOAD, CPU, "waiting for a job on the pool")                                      \
    X(HOB_WAIT_CHAN_SEND, SYNC, "waiting for room in a channel")                                   \
    X(HOB_WAIT_CHAN_RECV, SYNC, "waiting for a value from a channel")                              \
    X(HOB_WAIT_SELECT, SYNC, "waiting for one of several things")                                  \
    X(HOB_WAIT_JOIN, SYNC, "waiting for a group to end")                                           \
    X(HOB_WAIT_GROUP_FULL, SYNC, "waiting for room in a group")                                    \
    X(HOB_WAIT_GROUP_NEXT, SYNC, "waiting for a child of a group to end")                          \
    X(HOB_WAIT_REMOTE, SYNC, "waiting for another loop")                                           \
    X(HOB_WAIT_MUTEX, SYNC, "waiting for a mutex")                                                 \
    X(HOB_WAIT_RWLOCK, SYNC, "waiting for a read-write lock")                                      \
    X(HOB_WAIT_COND, SYNC, "waiting for a condition")                                              \
    X(HOB_WAIT_SEM, SYNC, "waiting for a semaphore")                                               \
    X(HOB_WAIT_EVENT, SYNC, "waiting for an event")                                                \
    X(HOB_WAIT_ONCE, SYNC, "waiting for what is done once")                                        \
    X(HOB_WAIT_FLOW, SYNC, "waiting for room in the next stage")                                   \
    X(HOB_WAIT_FLOW_SOURCE, SYNC, "waiting for an item from the stage before")                     \
    X(HOB_WAIT_BLOCK, IO, "waiting for a call on a blocking thread")                               \
    X(HOB_WAIT_LANE, IO, "waiting for a call on its lane")                                         \
    X(HOB_WAIT_FD, IO, "waiting for a descriptor to be ready")                                     \
    X(HOB_WAIT_RECV, IO, "waiting for bytes from the network")                                     \
    X(HOB_WAIT_SEND, IO, "waiting for the network to take bytes")                                  \
    X(HOB_WAIT_ACCEPT, IO, "waiting for a connection to accept")                                   \
    X(HOB_WAIT_CONNECT, IO, "connecting")                                                          \
    X(HOB_WAIT_FILE, IO, "waiting for a file")                                                     \
    X(HOB_WAIT_DNS, IO, "looking up a name")                                                       \
    X(HOB_WAIT_PROCESS, IO, "waiting for a child process to end")                                  \
    X(HOB_WAIT_SIGNAL, TIME, "waiting for a signal")                                               \
    X(HOB_WAIT_HTTP, IO, "waiting for an HTTP response")                                           \
    X(HOB_WAIT_CANCEL, IO, "waiting for the kernel to give an operation back")

#define HOB_WAIT_ENUM(name, class, text) name,
enum hob_wait { HOB_WAIT_NONE, HOB_WAIT_MAP(HOB_WAIT_ENUM) HOB_N_WAITS };
#undef HOB_WAIT_ENUM

/* HOB_WAIT_NONE, and what is no reason at all, are SYNC: a wait nobody explained. */
static inline enum hob_wait_class hob__wait_class(enum hob_wait w)
{
#define HOB_WAIT_CLASS(name, class, text) [name] = HOB_CLASS_##class,
    static const unsigned char class_of[HOB_N_WAITS] = {[HOB_WAIT_NONE] = HOB_CLASS_SYNC,
                                                        HOB_WAIT_MAP(HOB_WAIT_CLASS)};
#undef HOB_WAIT_CLASS
    return (unsigned)w < HOB_N_WAITS ? (enum hob_wait_class)class_of[w] : HOB_CLASS_SYNC;
}

/* A participle that follows "is": "waiting for room in a channel".  Never NULL. */
const char *hob__wait_text(enum hob_wait w);

/* "HOB_WAIT_CHAN_SEND" without its prefix, for machine-readable output.  Never NULL. */
const char *hob__wait_name(enum hob_wait w);

#endif
