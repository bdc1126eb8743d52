/* SPDX-License-Identifier: MIT */
#ifndef HOB_CHAN_H
#define HOB_CHAN_H

#include <hob/base.h>

HOB_BEGIN_DECLS

/*
 * Channels
 * ========
 *
 * A channel carries values of one fixed size, by copy, from fibers that send to fibers that
 * receive.  Any number of either may use it.  It belongs to the loop of the fiber that made it,
 * where it costs no atomic; fibers of other loops and plain threads may use it too, by a message
 * to that loop.  Values come out in the order they went in.  A full channel parks its senders:
 * that is the back-pressure, so choose `slots` by how much work may lie between two stages, not
 * "large".
 *
 * Closing is the sender's way to say "no more": receivers drain what is buffered and then see
 * -EPIPE.  Free a channel once no fiber can reach it; the usual way is to join the group whose
 * fibers share it.
 */
typedef struct hob_chan hob_chan;

struct hob_chan_opts {
    size_t size;      /* sizeof(struct hob_chan_opts); HOB_CHAN_OPTS fills it */
    uint32_t slots;   /* values buffered; 0: a rendezvous, sender meets receiver */
    const char *name; /* shown in traces and dumps; copied; NULL: the address */
};

#define HOB_CHAN_OPTS(...)                                                                         \
    (&(struct hob_chan_opts){.size = sizeof(struct hob_chan_opts), __VA_ARGS__})

/**
 * hob_chan_new - make a channel whose home is the calling fiber's loop
 * @value_size: bytes per value, 1 to 4096; send a pointer for anything larger
 * @opts:       NULL for all defaults
 * @ret:        the channel, owned by the caller; untouched on failure
 *
 * Return: 0, -EINVAL (size out of range), -E2BIG (an option newer than this library), -ENOMEM,
 * -EPERM (not on a fiber).
 */
HOB_API HOB_MUST_CHECK int hob_chan_new(size_t value_size, const struct hob_chan_opts *opts,
                                        hob_chan **ret);

/** hob_chan_free - free a channel no fiber waits on; NULL is a no-op. */
HOB_API HOB_ANY_THREAD void hob_chan_free(hob_chan *ch);

/**
 * hob_chan_send - send one value, parking while the channel is full
 * @value: value_size bytes, copied before the call returns
 * @until: absolute time; 0 never parks, HOB_FOREVER has no limit
 *
 * Return: 0: the channel or a receiver has the value.  On failure nobody has it: -EPIPE (closed),
 * -ETIMEDOUT, -ECANCELED (this fiber's scope was cancelled), -EDEADLK (from a pool job).
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_chan_send(hob_chan *ch, const void *value,
                                                                  hob_time until);

/**
 * hob_chan_recv - receive the oldest value, parking while the channel is empty
 * @until:     absolute time; 0 never parks, HOB_FOREVER has no limit
 * @ret_value: value_size bytes; untouched on failure
 *
 * Return: 0; -EPIPE (closed and drained), -ETIMEDOUT, -ECANCELED, -EDEADLK (from a pool job):
 * nothing was taken.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_chan_recv(hob_chan *ch, hob_time until,
                                                                  void *ret_value);

/**
 * hob_chan_close - no more values: parked senders and later sends get -EPIPE
 *
 * Idempotent.  What is buffered can still be received.  On the channel's own loop it does not
 * park; from elsewhere it waits, whatever is cancelled, until the channel is closed.
 */
HOB_API HOB_PARKS HOB_ANY_THREAD void hob_chan_close(hob_chan *ch);

HOB_END_DECLS
#endif
