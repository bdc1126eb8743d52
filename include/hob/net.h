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
 * Return: its descriptor; -ETIMEDOUT, -ECANCELED, or accept's (-EMFILE, -ENFILE: leave it for a
 * moment, the connection waits in the backlog).
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_tcp_accept(int fd, hob_time until);

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
