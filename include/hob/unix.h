/* SPDX-License-Identifier: MIT */
#ifndef HOB_UNIX_H
#define HOB_UNIX_H

#include <stdbool.h>

#include <hob/net.h>

HOB_BEGIN_DECLS

/*
 * Unix sockets: between processes of one machine
 * ==============================================
 *
 * Streams are read and written with hob_read and hob_write, datagrams with hob_dgram_send and
 * hob_dgram_recv of dgram.h; both can carry descriptors.  The calls park, take a cancel and treat
 * `until` as those of net.h do; close with hob_close.
 *
 * A name is a path, or "@name" in Linux' abstract name space, which is no file, belongs to the
 * network name space and is gone with the socket.  A path stays: unlink it when the server ends.
 */

enum { HOB_UNIX_FDS_MAX = 253 }; /* descriptors one message carries at most: the kernel's bound */

/**
 * hob_unix_addr - the address of a path or "@name"
 *
 * Return: 0; -EINVAL: empty; -ENAMETOOLONG: a path of more than 107 bytes, a name of more than 107.
 */
HOB_API HOB_MUST_CHECK HOB_ANY_THREAD int hob_unix_addr(const char *name, hob_addr *ret);

/** Zero is the default of every field. */
struct hob_unix_opts {
    size_t size;
    int backlog;   /* connections not yet accepted; 0: 1024 */
    unsigned mode; /* permissions of the path, cut by the umask; 0: 0777.  Connecting asks for
                      writing */
    bool replace;  /* where the path is a socket that nobody listens on any more, take its place */
};

#define HOB_UNIX_OPTS(...)                                                                         \
    (&(struct hob_unix_opts){.size = sizeof(struct hob_unix_opts), __VA_ARGS__})

/**
 * hob_unix_listen - listen for streams
 *
 * Return: a descriptor; -EADDRINUSE: the path exists (with .replace: and is no socket, or somebody
 * listens); -EINVAL, -ENAMETOOLONG, -EACCES, -ENOENT, ...; -E2BIG (options).
 */
HOB_API HOB_MUST_CHECK HOB_ANY_THREAD int hob_unix_listen(const char *name,
                                                          const struct hob_unix_opts *opts);

/** hob_unix_accept - park until a connection comes; returns as hob_tcp_accept. */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_unix_accept(int fd, hob_time until);

/**
 * hob_unix_dial - connect to a stream listener
 *
 * Where the listener's backlog has room, the connection is there at once, also with `until` 0.
 *
 * Return: a descriptor; -ECONNREFUSED: nobody listens; -ENOENT, -EACCES, -EINVAL, -ENAMETOOLONG;
 * -ETIMEDOUT, -ECANCELED.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD int hob_unix_dial(const char *name, hob_time until);

/**
 * hob_unix_bind - a datagram socket that receives under a name
 * @name: NULL: none; it can send, and be answered to only if dialled by hand
 *
 * Return: as hob_unix_listen; `backlog` has no meaning.
 */
HOB_API HOB_MUST_CHECK HOB_ANY_THREAD int hob_unix_bind(const char *name,
                                                        const struct hob_unix_opts *opts);

/** hob_unix_pair - two streams connected to each other; 0, -EMFILE, -ENFILE. */
HOB_API HOB_MUST_CHECK HOB_ANY_THREAD int hob_unix_pair(int ret[2]);

/** Who made the other end: of a listener's side who dialled, of a dialler's who listens.
 * Never grows: more is SO_PEERPIDFD's, SO_PEERSEC's to tell. */
typedef struct hob_unix_peer {
    int pid; /* as this process sees it; 0: in another pid name space */
    unsigned uid, gid;
} hob_unix_peer;

/** hob_unix_peer_get - as of connect, listen or pair; 0, -ENOTCONN, -EBADF, -ENOTSOCK, ... */
HOB_API HOB_MUST_CHECK HOB_ANY_THREAD int hob_unix_peer_get(int fd, hob_unix_peer *ret);

/**
 * hob_unix_send_fds - send bytes, and copies of descriptors with the first of them
 * @n:     at least 1 on a stream
 * @fds:   stay open here, and stay yours
 * @n_fds: at most HOB_UNIX_FDS_MAX
 *
 * Return: n; of a stream fewer if an error, a cancel or `until` came after a part, with which the
 * descriptors went; -EINVAL; -EPIPE (never a signal), -EBADF, -ETOOMANYREFS (too many under way),
 * -EMSGSIZE, -ETIMEDOUT, -ECANCELED, ...: nothing was sent.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD ssize_t hob_unix_send_fds(int fd, const void *buf,
                                                                          size_t n, const int *fds,
                                                                          size_t n_fds,
                                                                          hob_time until);

/**
 * hob_unix_recv_fds - receive what is there, bytes and descriptors
 * @max:     how many descriptors ret_fds has room for
 * @ret_fds: close-on-exec; yours to close
 * @ret_n:   how many came
 *
 * Bytes sent with descriptors are not joined with bytes sent before or after by the kernel: a call
 * returns at such a border.  hob_read there closes the descriptors unseen.
 *
 * Return: bytes, 0 at the end of a stream (or an empty datagram); -EMSGSIZE: more descriptors than
 * `max`, or a datagram of more than n bytes: all descriptors are closed and the bytes are gone;
 * -EMFILE: this process has no room for them, likewise; -ETIMEDOUT, -ECANCELED, -ECONNRESET, ...:
 * nothing was taken.
 */
HOB_API HOB_MUST_CHECK HOB_PARKS HOB_ANY_THREAD ssize_t hob_unix_recv_fds(
    int fd, void *buf, size_t n, size_t max, hob_time until, int *ret_fds, size_t *ret_n);

HOB_END_DECLS
#endif
