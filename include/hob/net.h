/* SPDX-License-Identifier: MIT */
#ifndef HOB_NET_H
#define HOB_NET_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <hob/base.h>

HOB_BEGIN_DECLS

/*
 * Sockets: addresses, names, TCP, reading and writing
 * ===================================================
 *
 * Descriptors are the kernel's, so that other libraries can be given them; the calls park instead
 * of blocking.  Those that make a descriptor make it non-blocking and close-on-exec.  One fiber
 * may read and another write the same descriptor at the same time.  Close it only when no call on
 * it is under way.
 *
 * With `until` 0 a call takes what is there and never parks.  A cancel or `until` takes the
 * operation back from the kernel before the call returns, so the buffer is the caller's again;
 * what the kernel had already done is the result.  From a plain thread the calls block that
 * thread; from a pool job they are -EDEADLK.
 *
 * Under HOB_SIM sockets are in memory and connect the parts of the program; the kernel knows their
 * descriptors, but can do nothing with them (EBADF).  Of a descriptor that was opened outside this
 * hob_run the calls are -EOPNOTSUPP, and so they are where a plain thread would wait: hob_sim(3).
 */

/** A socket address: IPv4 or IPv6 with its port, or a Unix name (unix.h).  Never grows: the room is
 * the kernel's own. */
typedef struct hob_addr {
    socklen_t len;
    union {
        struct sockaddr any;
        struct sockaddr_storage room;
    } sa;
} hob_addr;

enum { HOB_ADDR_TEXT_MAX = 64 }; /* bytes hob_addr_text writes at most, with the final NUL */

/**
 * hob_addr_parse - the address of "127.0.0.1" or "::1" (also in brackets) and a port; no lookup
 *
 * Return: 0; -EINVAL: not a numeric address.
 */
HOB_API HOB_MUST_CHECK HOB_ANY_THREAD int hob_addr_parse(const char *text, uint16_t port,
                                                         hob_addr *ret);

/** hob_addr_text - "127.0.0.1:80", "[::1]:80" or "unix:/path", which may be cut, into `to`; returns
 * `to`. */
HOB_API HOB_ANY_THREAD char *hob_addr_text(const hob_addr *a, char to[HOB_ADDR_TEXT_MAX]);

/** hob_addr_port - the port in host order; of a Unix name 0. */
HOB_API HOB_ANY_THREAD uint16_t hob_addr_port(const hob_addr *a);

/**
 * hob_addr_public - whether an address may belong to a host of the public Internet
 *
 * False for loopback, private, link-local (cloud metadata among it), shared (CGN), benchmark,
 * documentation, multicast, reserved and unspecified ranges of the IANA special-purpose
 * registries (RFC 6890), and for IPv6 addresses that carry such an IPv4 address: mapped,
 * compatible, 6to4, NAT64.
 */
HOB_API HOB_ANY_THREAD bool hob_addr_public(const hob_addr *a);

/**
 * hob_resolve - the addresses of a name, in the order of RFC 6724 (getaddrinfo's)
 *
 * localhost, and every name that ends in .localhost, is 127.0.0.1 and ::1, whatever a hosts file
 * or a name server says (RFC 6761), and needs no lookup.
 *
 * On a fiber the name servers of resolv.conf are asked by c-ares, after the hosts file and by its
 * search rules, without a thread; answers are kept on each loop as long as their servers say, and
 * so is that there is no such name.  From a plain thread, and with HOB_DNS=getaddrinfo in the
 * environment, libc is asked: it knows names of mDNS or LDAP that c-ares does not.  HOB_DNS may
 * name other servers: "127.0.0.1:5353,[::1]:53".
 *
 * @name:    a host name or a numeric address
 * @port:    put into each address
 * @max:     how many the caller has room for, at least 1
 * @until:   absolute; a question that was sent is left to end alone;
 *           with 0 what needs no lookup is answered, and a name is -ETIMEDOUT at once
 * @ret:     the addresses; untouched on failure
 * @ret_n:   how many, at least 1
 *
 * Return: 0; -HOB_EDNS (no such name, or no address), -EAGAIN (the name server failed for now),
 * -ETIMEDOUT, -ECANCELED, -ENOMEM, -EINVAL (empty or longer than 253 bytes, max 0),
 * -EDEADLK (from a pool job), -EOPNOTSUPP (a name, simulated).
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_resolve(const char *name, uint16_t port,
                                                                size_t max, hob_time until,
                                                                hob_addr *ret, size_t *ret_n);

/**
 * hob_tcp_listen - listen on an address
 * @backlog: connections not yet accepted; 0: 1024
 *
 * Return: a descriptor; a negative errno of socket, bind or listen (-EADDRINUSE, -EACCES, ...).
 */
HOB_API HOB_MUST_CHECK HOB_ANY_THREAD int hob_tcp_listen(const hob_addr *a, int backlog);

/**
 * hob_tcp_accept - park until a connection comes
 *
 * Return: its descriptor; -ETIMEDOUT, -ECANCELED, or accept's (-EINVAL: it does not listen;
 * -EMFILE, -ENFILE: leave it for a moment, the connection waits in the backlog).
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_tcp_accept(int fd, hob_time until);

/**
 * A listener whose connections are accepted before they are asked for.  The fiber that first waits
 * in hob_listener_accept lets its loop accept what comes, between the calls too: on io_uring (6.10)
 * no system call is made for each.  Elsewhere each connection is accepted when it is asked for.
 * What differs beside that is said at held_max and at hob_listener_close.
 *
 * From then on the listener is of use on that loop only.  Others may accept from the descriptor as
 * well; who gets a connection is the kernel's choice.  For several loops: a listener each, of the
 * same descriptor.
 */
typedef struct hob_listener hob_listener;

/** Zero is the default of every field. */
struct hob_listener_opts {
    size_t size;
    uint32_t held_max; /* with so many that nobody has taken, and what one batch brings, the loop
                          accepts no more: they wait in the backlog; 0: 64, at most 65536.  Where
                          not to accept is your way to say "later", 1, or hob_tcp_accept */
};

#define HOB_LISTENER_OPTS(...)                                                                     \
    (&(struct hob_listener_opts){.size = sizeof(struct hob_listener_opts), __VA_ARGS__})

/**
 * hob_listener_open - accept from a listening socket, TCP or Unix
 * @fd:  stays yours to close, after the listener; of TCP it gets TCP_NODELAY, which is inherited by
 *       what is accepted
 * @ret: owned by the caller; untouched on failure
 *
 * Return: 0, -ENOMEM, -E2BIG, -EINVAL (options).
 */
HOB_API HOB_MUST_CHECK HOB_ANY_THREAD int
hob_listener_open(int fd, const struct hob_listener_opts *opts, hob_listener **ret);

/**
 * hob_listener_accept - a connection, parking until there is one
 *
 * Several fibers may wait, and get them in their order.  A cancel or a time-out loses no
 * connection: it is the next call's.  With `until` 0 a call gives what the loop has accepted, which
 * it does once a turn.
 *
 * Return: as hob_tcp_accept; -EBUSY: from another loop, or a thread (debug builds abort).
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_listener_accept(hob_listener *l,
                                                                        hob_time until);

/** hob_listener_pending - how many connections it holds, which the descriptor will not give again.
 */
HOB_API HOB_ANY_THREAD size_t hob_listener_pending(const hob_listener *l);

/**
 * hob_listener_stop - accept no more ahead
 *
 * To hand the descriptor to another loop or process, or to end without closing what has been
 * accepted.  Parks for a moment, also where everything is cancelled.  Afterwards what is held is
 * given first, and all else is as with hob_tcp_accept, on any loop, but one at a time.
 *
 * Return: 0; -EBUSY: from another loop, or a thread (debug builds abort).
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_listener_stop(hob_listener *l);

/**
 * hob_listener_close - closes the connections that nobody has taken; NULL is a no-op
 *
 * On the loop that accepts for it, unless it was stopped or that loop has ended; elsewhere it is a
 * mistake (debug builds abort): a part of it stays until that loop ends.  Then close the
 * descriptor.
 *
 * Where the loop accepts ahead it keeps the socket, and its address, until its turn ends: to listen
 * there again at once, hob_listener_stop first.  Nobody accepts when it is closed: where the loop
 * accepts ahead this is noticed (debug builds abort, else who waits is told -EBADF); elsewhere, and
 * after a stop, it is not, and who waits for the descriptor waits on.
 */
HOB_API HOB_ANY_THREAD void hob_listener_close(hob_listener *l);

/**
 * hob_tcp_dial - connect to an address
 *
 * A connection has to be waited for: with `until` 0 it is not begun, -ETIMEDOUT.
 *
 * Return: a descriptor; -ETIMEDOUT, -ECANCELED, -ECONNREFUSED, -EHOSTUNREACH, ...
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_tcp_dial(const hob_addr *a, hob_time until);

/**
 * hob_tcp_dial_name - connect to a name: to whichever of its addresses answers first
 *
 * The addresses are tried in their order, the families in turns (RFC 8305, "happy eyeballs"): each
 * has a quarter of a second before the next is tried beside it, or until it fails.  It begins with
 * the first family that is known; an IPv4 address waits 50 ms for IPv6.  At most 16 are tried.
 * From a plain thread they are tried one after another.
 *
 * Return: a descriptor; hob_resolve's codes; if none could be reached, why the first that failed
 * could not; -ETIMEDOUT, -ECANCELED: every attempt was taken back.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int
hob_tcp_dial_name(const char *name, uint16_t port, hob_time until);

/** hob_sock_addr - the address a socket is bound to (of a listener: with the port it got). */
HOB_API HOB_MUST_CHECK HOB_ANY_THREAD int hob_sock_addr(int fd, hob_addr *ret);

/**
 * hob_read - read what is there, parking until there is something
 *
 * Sockets, pipes, terminals.  Return: bytes, 0 at the end; -ETIMEDOUT, -ECANCELED: no byte was
 * taken; -ECONNRESET, ...
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD ssize_t hob_read(int fd, void *buf, size_t n,
                                                                 hob_time until);

/**
 * hob_write - write all of it
 *
 * Return: n; fewer if an error, a cancel or `until` came after a part (the next call says which);
 * -EPIPE (never a signal), -ETIMEDOUT, -ECANCELED, -ECONNRESET, ...: no byte was taken.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD ssize_t hob_write(int fd, const void *buf, size_t n,
                                                                  hob_time until);

/**
 * hob_fd_wait - park until a descriptor is ready
 * @events: EPOLLIN, EPOLLOUT, EPOLLRDHUP of <sys/epoll.h>, as a mask
 *
 * Return: the events that are ready, EPOLLERR and EPOLLHUP among them; -ETIMEDOUT, -ECANCELED.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_fd_wait(int fd, uint32_t events,
                                                                hob_time until);

/**
 * hob_sock_shutdown - end one direction of a connection, or both (shutdown(2))
 * @how: SHUT_WR: the other end reads 0 when it has read what was sent; SHUT_RD, SHUT_RDWR
 *
 * Never parks; the descriptor stays open.  Return: 0; -ENOTCONN, -ENOTSOCK, -EBADF, -EINVAL.
 */
HOB_API HOB_MUST_CHECK HOB_ANY_THREAD int hob_sock_shutdown(int fd, int how);

/** hob_close - close a descriptor; never parks, never fails; a negative one is a no-op. */
HOB_API HOB_ANY_THREAD void hob_close(int fd);

HOB_END_DECLS
#endif
