/* SPDX-License-Identifier: MIT
 *
 * look_impl.h - what the files of the looker share
 */
#ifndef HOB_DIAG_LOOK_IMPL_H
#define HOB_DIAG_LOOK_IMPL_H

#include <linux/inet_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <hob/rt.h>

#include "diag/calls.h"
#include "diag/look.h"
#include "diag/procfs.h"

enum {
    LOOK_PROCS = 256,       /* processes remembered at once */
    LOOK_LOOPS = 6,         /* epoll sets of a process that are asked whether they are ready */
    LOOK_FILES_MAX = 65536, /* files remembered at once */
    LOOK_ANSWERS = 32,      /* times of answers kept for each peer */
    LOOK_WATCHED = 16,
    LOOK_PORTS = 256,    /* ports that are listened on */
    LOOK_PEERS_MAX = 512 /* names given; what comes after is put together */
};

/* What a descriptor stands for. */
enum file_role {
    FILE_UNKNOWN,
    FILE_CLIENT,     /* TCP, opened by the program */
    FILE_SERVER,     /* TCP, accepted by it */
    FILE_LISTENS,    /* accepts */
    FILE_DATAGRAM,   /* UDP, with an address at the other end */
    FILE_UNIX,       /* to another process */
    FILE_UNIX_NAMED, /* that the program connected to by its path, to ask it something */
    FILE_PIPE,
    FILE_WAKER, /* by which threads wake each other */
    FILE_TIMER,
    FILE_SIGNALS,
    FILE_CHILD, /* a process's descriptor */
    FILE_TTY,
    FILE_DISK,
    FILE_OTHER
};

enum { AWAITS_UNKNOWN, AWAITS_NOT, AWAITS };

/* One file or connection, known by the number of its inode. */
struct file {
    uint64_t ino;
    int64_t asked;     /* hob_now() of the last TCP_INFO; 0: never */
    int64_t sent_at;   /* when the program last sent, as of then */
    uint32_t segs_out; /* segments with data, as of then */
    uint32_t segs_in;
    uint64_t bytes_in;
    uint64_t moved; /* changes when the program sends or reads */
    uint32_t peer;
    uint8_t role;
    uint8_t kind; /* enum rec_kind of a wait for it */
    uint8_t awaits;
    bool answered;     /* an answer had begun, as of then */
    uint8_t told;      /* looks in a row that found more of it, for which nobody had asked anew */
    bool server_first; /* a protocol in which the server speaks first */
};

/* Who waits in an epoll set. */
struct look_owner {
    int fd;
    int32_t tid; /* 0: the rest is free; -1: more than one */
};

/* The last wait by poll() or select() for others, of whom there may be several. */
struct look_polled {
    int32_t tid;  /* 0: there was none */
    bool listens; /* and then its connections may be newer than that */
    int64_t at;   /* hob_now() */
};

struct look_proc {
    int32_t pid;
    int pidfd;     /* -1: not open */
    bool no_getfd; /* its descriptors may not be duplicated */
    int64_t loops_at;
    uint32_t n_open;    /* descriptors that it had then; 0: not known */
    int64_t counted_at; /* by look_flight; in the recording's time */
    int loops[LOOK_LOOPS];
    int n_loops;
    struct look_owner owners[LOOK_LOOPS];
    struct look_polled polled;
    bool asks; /* a thread was seen to wait for one connection by itself */
};

struct pollset;

/* How long a peer takes to answer: the last few times, in ms. */
struct answers {
    uint32_t ms[LOOK_ANSWERS];
    uint32_t n, next;
};

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
};

/* A connection as the kernel lists it. */
struct inet_sock {
    uint64_t ino;
    int type;
    bool listens, connected;
    union address own, peer;
    struct tcp_info info;
    size_t n_info; /* bytes of it that the kernel filled */
};

struct inet_table {
    struct inet_sock *sock; /* by inode */
    size_t n, cap;
    int64_t at, cost; /* when it was read; 0: never */
    bool refused;
};

struct look_watched {
    uint32_t peer;
    int32_t pid;
    int64_t cpu; /* when it was met */
};

struct looker {
    struct recording *rec;
    struct look_proc procs[LOOK_PROCS];
    struct file *files; /* open addressing by ino */
    size_t n_files, cap_files;
    struct answers *answers; /* by peer */
    size_t n_answers;
    struct procfs_listener ports[LOOK_PORTS];
    size_t n_ports;
    int64_t ports_at, ports_cost;
    struct inet_table inet;
    struct pollset *sets[LOOK_PROCS];
    struct pollset *kept[LOOK_PROCS]; /* of the last poll() or select() for several, by pid */
    char *text;                       /* for the larger files of /proc */
    size_t cap_text;
    int64_t allowance; /* ns that may be spent on connections */
    int64_t allowed_at;
    int64_t spent;
    uint64_t n_looks;
    uint64_t n_asked;                          /* sets whose events were asked for */
    uint32_t n_opaque;                         /* processes that may not be seen */
    struct look_watched watched[LOOK_WATCHED]; /* local processes at the other end */
    size_t n_watched;
    uint64_t sought[LOOK_PEERS_MAX / 64 + 1]; /* peers looked for in /proc, a bit each */
    uint32_t n_sought;
};

/* look.c */
struct look_proc *look_proc_of(struct looker *l, int32_t pid);

/* Its entry in the recording; good until another process is met. */
struct rec_proc *look_rec_proc(struct looker *l, int32_t pid);

/* A file of /proc that may be long, in l->text; its length or a negative errno. */
int look_read(struct looker *l, const char *path);

/** look_allowed - may time be spent on connections now?  look_allow: its time goes on. */
bool look_allowed(const struct looker *l);
void look_allow(struct looker *l, int64_t now);

/* look_loop.c */

/** look_owned - a thread waits in that epoll set. */
void look_owned(struct look_proc *p, int fd, int32_t tid);

/** look_polled - a thread waits by poll() or select(); for whom, says *seen. */
void look_polled(struct looker *l, struct look_proc *p, int32_t tid, const struct call *c,
                 const struct look *seen);

/* file.c */

/** file_of - what a descriptor of a process is; *ret is good until the next call. */
int file_of(struct looker *l, struct look_proc *p, int fd, struct file **ret);

/** file_by_ino - what is known of an inode, made when new; *ret is good until the next call. */
int file_by_ino(struct looker *l, uint64_t ino, struct file **ret);

/** file_counts - is it a connection on which the program may have requests of its own? */
bool file_counts(const struct file *f);

/** file_dup - a duplicate of one of its descriptors, to be closed at once; a negative errno. */
int file_dup(struct look_proc *p, int fd);

/** look_peer - rec_peer_of, as long as there are not too many. */
uint32_t look_peer(struct looker *l, enum rec_kind kind, const char *name);

/* socket.c */

/** socket_describe - role, kind and peer of a socket; fd is the duplicate. */
void socket_describe(struct looker *l, struct look_proc *p, int fd, struct file *f);

/** socket_find - the same by the program's own descriptor. */
void socket_find(struct looker *l, struct look_proc *p, int fd, struct file *f);

/** socket_address - the wait of a connect() to this address. */
void socket_address(struct looker *l, const void *address, size_t n, struct look *ret);

/** socket_awaits - by what the kernel knows of a connection; fd is the duplicate. */
void socket_awaits(struct looker *l, int fd, struct file *f);

/** socket_moved - a number that changes when the program sends or reads; fd is the duplicate. */
uint64_t socket_moved(int fd);

/** socket_ended - closed by the other end when nobody had asked for a while: an idle connection. */
bool socket_ended(int fd);

/** socket_left - is that descriptor still this connection, and closed by the other end? */
bool socket_left(struct look_proc *p, int fd, uint64_t ino);

/** socket_awaits_listed - by what the kernel lists of it. */
void socket_awaits_listed(struct looker *l, struct file *f);

/* netlink.c */

/** netlink_sockets - f for each socket, and how many bytes of attributes follow its message. */
typedef void netlink_fn(void *arg, const struct inet_diag_msg *m, size_t left);
int netlink_sockets(int protocol, uint32_t states, bool info, netlink_fn *f, void *arg);

/* inet.c */

/** inet_find - one of TCP or UDP, good until the next call; NULL: none (*ret_none), or too new. */
const struct inet_sock *inet_find(struct looker *l, uint64_t ino, bool *ret_none);

/* listen.c */

/** listener_of - the socket that listens on a port of this machine; NULL: none. */
const struct procfs_listener *listener_of(struct looker *l, int32_t pid, uint16_t port);

/* peer.c */

/** peer_watch - the process at the other end, met for the first time. */
void peer_watch(struct looker *l, uint32_t peer, int32_t pid);

/** peer_seek - the same, by its listening socket; looks through /proc, once for each peer. */
void peer_seek(struct looker *l, uint32_t peer, uint64_t ino);

/** peer_finish - what they have computed since they were met. */
void peer_finish(struct looker *l);

/* members.c */

/** members_read - the descriptors that a call waits for, in a block for free(). */
int members_read(struct looker *l, int32_t pid, const struct call *c, struct procfs_member **ret,
                 size_t *ret_n);

/** open_count - descriptors that a process has; 0 where the kernel (before 6.2) does not say. */
uint32_t open_count(int32_t pid);

/** ring_find - the state of an io_uring that a process waits for. */
bool ring_find(struct looker *l, int32_t pid, int fd, struct procfs_ring *ret);

/* pollset.c */

/** pollset_look - the wait of a thread in epoll_wait, poll, select or io_uring_enter. */
void pollset_look(struct looker *l, struct look_proc *p, const struct call *c, struct look *ret);
void pollset_free(struct looker *l);

/* Who waits in a set. */
enum set_waits {
    SET_UNKNOWN, /* nobody of other programs; one of its own may */
    SET_NOBODY,  /* what is ready is the only connection, or the end of one that was idle */
    SET_WAITS    /* one of several others */
};

/**
 * pollset_events - of a set that nobody waits in now: who waits in it?
 * @c:         an epoll set that is ready; NULL: what pollset_keep has kept; CALL_OTHER: all clients
 *             that the process has accepted
 * @ret_waits: what a program reads from its only connection is its work, and nobody's that waits
 *             for it.  Of CALL_OTHER a socket that listens does not make two:
 *             who serves one after the other has no loop
 * @moved:     a sum is added that is another one when data was sent or read since the last time
 *
 * Return: 0; -EAGAIN: there is no time to ask them; -ENOENT: that set is not remembered.
 */
int pollset_events(struct looker *l, struct look_proc *p, const struct call *c,
                   enum set_waits *ret_waits, uint64_t *moved);

/** pollset_keep - remembers who was in the set of a poll() or select() that was looked at. */
void pollset_keep(struct looker *l, int32_t pid, const struct call *c);

/**
 * pollset_left - has the other end closed two connections of its epoll sets, which it has not?
 *
 * Return: 1 or 0; -EAGAIN: no time to ask.
 */
int pollset_left(struct looker *l, struct look_proc *p);

#endif
