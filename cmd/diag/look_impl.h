/* SPDX-License-Identifier: MIT
 *
 * look_impl.h - what the files of the looker share
 */
#ifndef HOB_DIAG_LOOK_IMPL_H
#define HOB_DIAG_LOOK_IMPL_H

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
    FILE_CLIENT,   /* TCP, opened by the program */
    FILE_SERVER,   /* TCP, accepted by it */
    FILE_LISTENS,  /* accepts */
    FILE_DATAGRAM, /* UDP, with an address at the other end */
    FILE_UNIX,     /* to another process */
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
    uint32_t peer;
    uint8_t role;
    uint8_t kind; /* enum rec_kind of a wait for it */
    uint8_t awaits;
    bool server_first; /* a protocol in which the server speaks first */
};

struct look_proc {
    int32_t pid;
    int pidfd;     /* -1: not open */
    bool no_getfd; /* its descriptors may not be duplicated */
    int64_t loops_at;
    int loops[LOOK_LOOPS];
    int n_loops;
};

struct pollset;

/* How long a peer takes to answer: the last few times, in ms. */
struct answers {
    uint32_t ms[LOOK_ANSWERS];
    uint32_t n, next;
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
    struct pollset *sets[LOOK_PROCS];
    char *text; /* for the larger files of /proc */
    size_t cap_text;
    int64_t allowance; /* ns that may be spent on connections */
    int64_t allowed_at;
    int64_t spent;
    uint64_t n_looks;
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

/** look_allowed - may time be spent on connections now? */
bool look_allowed(const struct looker *l);

/* file.c */

/** file_of - what a descriptor of a process is; *ret is good until the next call. */
int file_of(struct looker *l, struct look_proc *p, int fd, struct file **ret);

/** file_by_ino - what is known of an inode, made when new; *ret is good until the next call. */
int file_by_ino(struct looker *l, uint64_t ino, struct file **ret);

/** file_ask - is an answer outstanding on this connection? */
void file_ask(struct looker *l, struct look_proc *p, int fd, struct file *f);

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

/* pollset.c */

/** pollset_look - the wait of a thread in epoll_wait, poll, select or io_uring_enter. */
void pollset_look(struct looker *l, struct look_proc *p, const struct call *c, struct look *ret);
void pollset_free(struct looker *l);

#endif
