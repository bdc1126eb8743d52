/* SPDX-License-Identifier: MIT */
#ifndef HOB_DGRAM_H
#define HOB_DGRAM_H

#include <stdbool.h>

#include <hob/net.h>

HOB_BEGIN_DECLS

/*
 * Datagrams: UDP, and what Unix datagram sockets share with it
 * ============================================================
 *
 * A datagram arrives whole or not at all, and UDP's may be lost, doubled or overtaken on the way.
 * What is promised here is that none is cut without a word.  The calls park, take a cancel and
 * treat `until` as those of net.h do; close with hob_close.
 *
 * A dialled socket also works with hob_read and hob_write, one datagram a call; but these neither
 * tell a cut datagram nor an empty one from others.
 */

/** Zero is the default of every field. */
struct hob_udp_opts {
    size_t size;
    bool reuse_port; /* several sockets may be bound to the port; the kernel spreads over them */
    bool broadcast;  /* may send to broadcast addresses */
    int recv_bytes;  /* room for what came and was not read, beyond which it is dropped; the
                        kernel cuts it to net.core.rmem_max; 0: the kernel's default */
};

#define HOB_UDP_OPTS(...) (&(struct hob_udp_opts){.size = sizeof(struct hob_udp_opts), __VA_ARGS__})

/**
 * hob_udp_bind - a UDP socket that receives at an address (with port 0, hob_sock_addr tells which)
 *
 * Return: a descriptor; -EADDRINUSE, -EACCES, ... of socket and bind; -E2BIG, -EINVAL (options);
 * -EAFNOSUPPORT (no address of the Internet).
 */
HOB_API HOB_MUST_CHECK HOB_ANY_THREAD int hob_udp_bind(const hob_addr *a,
                                                       const struct hob_udp_opts *opts);

/**
 * hob_udp_dial - a UDP socket that sends to one address and receives only from there
 *
 * Sends nothing.  That nobody is there is told by the first call after an answer that says so
 * (-ECONNREFUSED).
 *
 * Return: as hob_udp_bind, and -ENETUNREACH, ...
 */
HOB_API HOB_MUST_CHECK HOB_ANY_THREAD int hob_udp_dial(const hob_addr *a,
                                                       const struct hob_udp_opts *opts);

/**
 * hob_dgram_send - send one datagram
 * @n:  0 is a datagram too
 * @to: NULL: where the socket was dialled to
 *
 * Return: n; -EMSGSIZE: larger than the way allows; -EDESTADDRREQ; -ECONNREFUSED: an earlier one
 * met nobody; -ETIMEDOUT, -ECANCELED, ...: none was sent.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD ssize_t hob_dgram_send(int fd, const void *buf,
                                                                       size_t n, const hob_addr *to,
                                                                       hob_time until);

/**
 * hob_dgram_recv - receive one datagram, parking until one comes
 * @ret_from:  who sent it, `len` 0 if that has no name; NULL: not asked
 * @ret_whole: how long it was: more than the result if buf was too short; NULL: such a one is
 *             -EMSGSIZE
 *
 * A datagram is taken by the call that cuts it: its rest is gone.
 *
 * Return: the bytes in buf, 0 for an empty datagram; -EMSGSIZE: cut, buf holds its first n bytes;
 * -ECONNREFUSED, -ETIMEDOUT, -ECANCELED, ...: none was taken; -EPROTOTYPE: a stream socket (debug
 * builds abort).
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD ssize_t hob_dgram_recv(int fd, void *buf, size_t n,
                                                                       hob_time until,
                                                                       hob_addr *ret_from,
                                                                       size_t *ret_whole);

HOB_END_DECLS
#endif
