/* SPDX-License-Identifier: MIT
 *
 * sim_net.h - the simulator's sockets and pipes, in memory
 *
 * The parts of a simulated program talk to each other, and to nobody else.  sim_call.c has the
 * table of calls, sim_sock.c the descriptors, sim_name.c the addresses, sim_stream.c what flows in
 * order, sim_dgram.c what is sent in pieces, sim_fault.c what goes wrong, sim_poll.c how a loop
 * waits for it.
 */
#ifndef HOB_SCHED_SIM_NET_H
#define HOB_SCHED_SIM_NET_H

#include <stdbool.h>
#include <stdint.h>

#include <sys/uio.h>

#include <hob/net.h>

#include "base/list.h"
#include "plat/poll.h"
#include "plat/sock.h"
#include "sched/schedule.h"
#include "sched/timer.h"

enum { WAY_SEGS = 16 };

enum way_end { WAY_OPEN, WAY_ENDS, WAY_RESETS };

/* One direction of a connection, at the end that reads: what has arrived, and behind it in the
 * same ring what is under way. */
struct way {
    unsigned char *ring;
    uint32_t room, head;
    uint32_t n;       /* arrived */
    uint32_t n_under; /* under way, in parts that arrive in order, none before its time */
    uint32_t n_segs;
    struct way_seg {
        hob_time at;
        uint32_t n;
    } seg[WAY_SEGS];
    enum way_end end; /* comes behind the last byte, not before end_at */
    hob_time end_at;
    bool ended, reset; /* it has come */
};

enum sock_state {
    SOCK_NEW,
    SOCK_CONNECTING,
    SOCK_STREAMS,
    SOCK_LISTENS,
};

struct sim_file;
struct sim_listing;

struct sim_sock {
    int fd; /* -1: not accepted yet */
    int family, type;
    bool pipe;
    bool local; /* Unix or a pipe: what is sent is there, and nothing is lost with the other end */
    bool shares_port;
    bool in_shut, out_shut;
    bool cut; /* the connection was reset, and an earlier call has said so */
    enum sock_state state;
    int err; /* for the next call */
    hob_addr name, peer_name;
    struct list named;   /* in net.named: it can be found by its name */
    struct list waiting; /* struct poll_op, parked here until something changes */
    struct timer timer;  /* the next arrival, or what becomes of a connect */
    /* a stream */
    struct way in;
    struct sim_sock *peer; /* NULL: closed */
    /* a listener */
    struct list queue;    /* connections nobody accepted yet, by .queued */
    struct list knocking; /* sockets that connect and found the queue full, by .queued */
    int n_queue, backlog;
    struct list queued;
    /* a datagram socket */
    struct list mail;
    size_t mail_bytes, mail_room;
    hob_time mail_last; /* no UDP that keeps its place is there before this */
    /* a file; then it is no socket */
    struct sim_file *file;
    struct sim_listing *listing;
    int file_flags;
    uint64_t file_at; /* of hob_read and hob_write */
};

/* ---- sim.c ---- */

/* 0 mostly; in so many of a thousand cases one of 1 to n.  0 is the dull choice. */
unsigned hob__sim_rare(enum choice what, unsigned per_mille, unsigned n);

/* ---- sim_fault.c ---- */

/* 0, or one of the n errors (or other troubles) of `what` has been drawn: 1 to n, and it is said.
 */
int hob__sim_fault(const char *what, const char *const *faults, int n);
/* The same where the faults are errors: 0 or a negative errno. */
int hob__sim_fault_err(const char *what, const int *errs, int n);

/* What goes past the simulation, said once a run for each `which` below 32. */
enum { SIM_TELL_FD, SIM_TELL_CLOSED, SIM_TELL_NAME, SIM_TELL_PEER, SIM_TELL_FDS };
void hob__sim_tell(unsigned which, const char *format, ...) __attribute__((format(printf, 2, 3)));
void hob__sim_tell_again(void);

/* ---- sim_sock.c ---- */

void hob__sim_net_open(void);
void hob__sim_net_close(void);
/* When the next thing arrives; HOB_FOREVER: nothing is under way. */
hob_time hob__sim_net_next(void);
void hob__sim_net_advance(hob_time now);
void hob__sim_timer_set(struct timer *t, hob_time at);
void hob__sim_timer_stop(struct timer *t);

/* The caller is the simulation's thread. */
bool hob__sim_here(void);
/* NULL: it is none of the simulation's. */
struct sim_sock *hob__sim_sock_of(int fd);
/* The socket with that descriptor: 0; -ENOTSOCK: a pipe or a file; else as hob__sim_not_ours. */
int hob__sim_socket(int fd, struct sim_sock **ret);
/* The error for a descriptor that is none of the simulation's; if it is open, that is told. */
int hob__sim_not_ours(int fd);
/* NULL: no memory. */
struct sim_sock *hob__sim_sock_new(int family, int type);
void hob__sim_sock_free(struct sim_sock *s);
/* Gives it a descriptor: that, or a negative errno. */
int hob__sim_sock_install(struct sim_sock *s);
void hob__sim_sock_uninstall(struct sim_sock *s);
/* The error that a call has to report, once; 0: none. */
int hob__sim_sock_err(struct sim_sock *s);

/* ---- sim_name.c ---- */

void hob__sim_names_open(void);
/* 0, -EINVAL, -EAFNOSUPPORT. */
int hob__sim_addr_copy(const struct sockaddr *a, socklen_t len, int family, hob_addr *ret);
int hob__sim_bind(int fd, const struct sockaddr *a, socklen_t len);
int hob__sim_addr(int fd, struct sockaddr *ret, socklen_t *len);
/* Gives it a name of its own if it has none. */
void hob__sim_sock_autoname(struct sim_sock *s);
/* Of another host, as far as a reader can tell: no loopback, no Unix name. */
bool hob__sim_addr_far(const hob_addr *a);
/* Who is found at a name: a listener (SOCK_STREAM), a datagram socket; NULL: nobody. */
struct sim_sock *hob__sim_sock_at(const hob_addr *a, int type);

/* ---- sim_call.c ---- */

extern const struct sock_ops hob__sock_sim;

/* ---- sim_poll.c ---- */

extern const struct poll_ops hob__poll_sim;

/* Something of the socket has changed: who waits for it looks again. */
void hob__sim_changed(struct sim_sock *s);
/* Its descriptor is closed: who still waits gets -EBADF. */
void hob__sim_abandon(struct sim_sock *s);

/* ---- sim_stream.c ---- */

int hob__sim_stream_join(struct sim_sock *a, struct sim_sock *b, uint32_t room_a, uint32_t room_b);
uint32_t hob__sim_stream_room(void);
int32_t hob__sim_stream_connect(struct sim_sock *s, const hob_addr *to);
int hob__sim_stream_accept(struct sim_sock *l, struct sim_sock **ret);
int hob__sim_stream_recv(struct sim_sock *s, void *buf, size_t len);
int hob__sim_stream_send(struct sim_sock *s, const void *buf, size_t len);
uint32_t hob__sim_stream_ready(const struct sim_sock *s);
int hob__sim_stream_shut(struct sim_sock *s, int how);
/* Tells the other end; the socket is not usable any more. */
void hob__sim_stream_close(struct sim_sock *s);

/* ---- sim_dgram.c ---- */

int hob__sim_dgram_send(struct sim_sock *s, const struct iovec *iov, size_t n_iov,
                        const hob_addr *to);
int hob__sim_dgram_recv(struct sim_sock *s, struct msghdr *msg, int flags);
uint32_t hob__sim_dgram_ready(const struct sim_sock *s);
void hob__sim_dgram_close(struct sim_sock *s);

#endif
