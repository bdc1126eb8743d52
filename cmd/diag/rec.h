/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_REC_H
#define HOB_DIAG_REC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <hob/base.h>

/*
 * A recording of a process tree
 * =============================
 *
 * What was seen from outside: for each thread a row of intervals, each on CPU, runnable without a
 * core, or waiting, and what for.  Whoever records fills it (perf's switch records, samples of
 * /proc, hob's own trace); whoever measures or draws reads it; a file holds it.
 *
 * Times are nanoseconds since the recording began.  Intervals of a thread do not overlap and lie
 * in the order of time; between two of them nothing is known.
 *
 * Memory is bounded: beyond max_ivals intervals the shortest are folded into their neighbours.
 * A folded interval says how much of it was spent on CPU and without a core; the rest is the wait
 * of its kind and peer (of several, the longest).  So what is lost is the order within it.
 */

/* How it was seen. */
enum rec_tier {
    REC_T2,      /* samples of /proc */
    REC_T1,      /* perf's switch records, and one look at each longer wait */
    REC_T1_PLUS, /* and who woke whom (CAP_PERFMON) */
    REC_T0       /* the program's own trace: it uses hob */
};

enum rec_state { REC_RUN, REC_READY, REC_WAIT, REC_N_STATES };

/* What a wait is for, the most external first: of waits at the same time, the first is blamed.
 * X(name, class, word): class as in enum hob_wait_class, NONE for what is nobody's delay. */
#define REC_KIND_MAP(X)                                                                            \
    X(DISK, IO, "disk")          /* reading or writing a file */                                   \
    X(FSYNC, IO, "disk sync")    /* until a file is safe on disk */                                \
    X(FAULT, IO, "page fault")   /* a page of a file mapped to memory */                           \
    X(DNS, IO, "dns")            /* a name server */                                               \
    X(DB, IO, "database")        /* a connection to a known database's port or socket */           \
    X(NET, IO, "network")        /* any other connection */                                        \
    X(IPC, SYNC, "ipc")          /* a Unix socket to another local process */                      \
    X(PIPE, SYNC, "pipe")        /* the other end of a pipe */                                     \
    X(SLEEP, TIME, "sleep")      /* the clock */                                                   \
    X(CHILD, SYNC, "child")      /* a process it started */                                        \
    X(LOCK, SYNC, "lock")        /* a futex: another thread */                                     \
    X(TTY, NONE, "terminal")     /* a person */                                                    \
    X(SIGNAL, NONE, "signal")    /* a signal */                                                    \
    X(ACCEPT, NONE, "no client") /* a server without work */                                       \
    X(IDLE, NONE, "idle")        /* an event loop or pool thread with nothing to do */             \
    X(UNKNOWN, SYNC, "unknown")  /* could not be read */

#define REC_KIND_ENUM(name, class, word) REC_##name,
enum rec_kind { REC_NO_KIND, REC_KIND_MAP(REC_KIND_ENUM) REC_N_KINDS };
#undef REC_KIND_ENUM

enum {
    REC_IVAL_SET = 1,     /* in_flight counts a poll set, not one operation */
    REC_IVAL_GUESSED = 2, /* too short to look at: kind and peer are those of its like */
    REC_IVAL_FOLDED = 4,
    REC_IVAL_COPY = 8 /* of a task: what its thread's row says too; not to be counted again */
};

enum { REC_NO_CORE = 0xffff, REC_MAX_THREADS = 200000, REC_MAX_PEERS = 20000 };

struct rec_ival {
    int64_t from, to;
    uint32_t peer;      /* index into peers; 0: none known */
    uint32_t in_flight; /* of a wait: operations sent and not answered; a direct wait is 1 */
    uint32_t run_ppm;   /* of a folded one: parts per million on CPU, */
    uint32_t ready_ppm; /* and without a core */
    uint16_t core;      /* of REC_RUN, and where most of a folded one ran; or REC_NO_CORE */
    uint8_t state;      /* enum rec_state */
    uint8_t kind;       /* enum rec_kind, of REC_WAIT and folded ones */
    uint8_t flags;      /* REC_IVAL_... */
    uint8_t unused[3];
};

struct rec_thread {
    int32_t tid;
    uint32_t proc;      /* index into procs */
    char name[32];      /* a fiber's or stage's name may be longer than a thread's */
    int64_t born, died; /* died: INT64_MAX while it lives */
    struct rec_ival *ivals;
    size_t n_ivals, cap_ivals;
    bool is_task; /* a fiber or job of hob's trace, on some thread's time: its REC_RUN intervals
                   * are also that thread's */
};

struct rec_proc {
    int32_t pid, parent; /* parent: its pid, 0 for the command itself */
    char *exe;           /* path of the program; "" when not readable */
    char *command;       /* arguments, blanks between; "" */
    int64_t born, died;
    bool opaque;  /* other user, setuid or not dumpable: no reasons for its waits */
    bool listens; /* has a listening socket: a server */
};

/* What a wait was for, by name: "tcp 10.0.0.1:443", "unix /run/x.sock", "/var/lib/x.db". */
struct rec_peer {
    uint8_t kind; /* enum rec_kind */
    char *name;
    int32_t pid;      /* of the local process at the other end; 0: not known */
    int64_t peer_cpu; /* ns that process spent on CPU during the recording; -1: not known */
};

/* One look at a thread that was not waiting for the events of its epoll set, or that had been on
 * CPU for long: were there any? */
struct rec_look {
    int64_t at;
    uint32_t thread;
    bool ready;
    uint8_t outside;   /* of other programs than its own */
    uint8_t stands;    /* it waited for something else meanwhile */
    uint64_t io_calls; /* stands for what it has read and written: two looks with equal ones had
                        * nothing in between */
};

/* What was in flight of a process whose loop had been on CPU for long: there is no wait to say. */
struct rec_count {
    int64_t at;
    uint32_t thread;    /* that was on CPU */
    uint32_t in_flight; /* in all sets of its process */
    uint8_t kind;       /* enum rec_kind, of class IO, or any if there is nothing in flight */
    uint8_t unused[7];
};

/* Who woke whom (REC_T1_PLUS). */
struct rec_wake {
    int64_t at;
    uint32_t waker, woken; /* threads */
};

/* What programs that use hob say of their tasks, beyond rows (REC_T0).  Times in ns, of all
 * loops, threads and tasks added up. */
struct rec_own {
    uint32_t n_traces; /* processes that recorded themselves; 0: none did, all below is 0 */
    uint32_t n_loops;
    int64_t loop_cpu, job_cpu;        /* on CPU in turns of fibers, and in jobs */
    int64_t long_cpu;                 /* of loop_cpu: in turns of 10 ms and more */
    int64_t held, held_longest;       /* of long_cpu: while other fibers of that loop could run,
                                       * or waited for I/O or the clock */
    int64_t blocked, blocked_longest; /* a fiber made its loop's thread wait */
    int64_t job_locks;                /* jobs waited for another thread */
    int64_t job_waits;                /* jobs made a thread of the pool wait: I/O or the clock */
    int64_t send_any, recv_any;       /* one or more wait for room in a channel; for a value */
    int64_t lane_any, lane_sum;       /* one or more wait for a call on a lane; all of these */
    int64_t lock_any, lock_sum;       /* the same for a mutex */
    uint32_t chan_least; /* of the names that use channels, who waits for them least: ppm of its
                          * tasks' lives; UINT32_MAX: none does */
    uint8_t blocked_kind, job_kind;               /* enum rec_kind: most of these waits */
    uint8_t io_stage, cpu_stage;                  /* 1: io_by and cpu_by are stages of a flow */
    char held_by[32], blocked_by[32], job_by[32]; /* who did most of that; "" */
    char io_by[32], cpu_by[32]; /* who waits for I/O most, who computes most, and for how */
    int64_t io_sum, cpu_sum;    /* long */
};

struct recording {
    enum rec_tier tier;
    uint32_t n_cores;     /* usable by the program: affinity and cgroup quota */
    uint32_t n_cpus;      /* of the machine: core numbers are below it */
    int64_t began;        /* CLOCK_REALTIME, ns */
    int64_t wall;         /* from its start (or the attach) to its end */
    int64_t tick;         /* between two looks; a wait shorter than this may be REC_IVAL_GUESSED */
    int32_t root;         /* pid */
    int exit_status;      /* as of waitpid; -1: it had not ended */
    bool attached;        /* -p: began when the program was running already */
    int64_t user, system; /* CPU time of the tree as the kernel counts it; -1: not known */
    uint64_t n_switches, n_lost; /* records of the kernel, and those it had no room for */
    uint64_t n_looked, n_waits;  /* waits that were looked at, and all of them */
    int64_t recorder_cpu;
    double duty;    /* part of the time in which switches were recorded; 1: always */
    double foreign; /* cores that other programs kept busy, mean */
    char *command;  /* as given */
    char *notes;    /* what could not be seen and why, a line each; NULL: nothing */
    struct rec_proc *procs;
    size_t n_procs;
    struct rec_thread *threads;
    size_t n_threads;
    struct rec_peer *peers; /* [0] is the peer nobody knows */
    size_t n_peers;
    struct rec_look *looks;
    size_t n_looks;
    struct rec_count *counts;
    size_t n_counts;
    struct rec_wake *wakes;
    size_t n_wakes;
    struct rec_own own;
    /* for whoever fills it */
    size_t n_ivals, max_ivals; /* of all threads; 0: a default of 1 million (48 MB) */
    int64_t grain;             /* intervals shorter than this may have been folded; 0: none */
    struct rec_index {
        uint32_t *slot; /* index + 1; 0: empty */
        size_t n, cap;
    } proc_index, thread_index, peer_index;
    bool failed; /* out of memory: what followed is missing */
};

/** rec_init - an empty one with peers[0]. */
void rec_init(struct recording *r);

/** rec_free - and what it points to. */
void rec_free(struct recording *r);

/** rec_proc_of - the index of a process, made when new; rec_thread_of likewise. */
uint32_t rec_proc_of(struct recording *r, int32_t pid);
uint32_t rec_thread_of(struct recording *r, int32_t pid, int32_t tid);

/**
 * rec_thread_new - a new entry although the tid was seen before: the kernel reuses them
 *
 * Beyond REC_MAX_THREADS all share one entry with pid and tid 0; rec_proc_of likewise.  An index
 * stays true; a pointer into procs, threads or peers does not outlive the next call that adds.
 */
uint32_t rec_thread_new(struct recording *r, int32_t pid, int32_t tid);

/** rec_peer_of - the index of the peer of that kind and name, made when new. */
uint32_t rec_peer_of(struct recording *r, enum rec_kind kind, const char *name);

/** rec_set_text - replace *at by a copy; rec_note adds a line to notes unless it is there. */
void rec_set_text(struct recording *r, char **at, const char *text);
void rec_note(struct recording *r, const char *format, ...) HOB_PRINTF(2, 3);

/**
 * rec_add - the next interval of a thread
 *
 * Cut where it overlaps the one before; joined to it when both say the same.  Folds when there
 * are too many.  A failed allocation sets r->failed.
 */
void rec_add(struct recording *r, uint32_t thread, const struct rec_ival *iv);

void rec_add_look(struct recording *r, const struct rec_look *look);
void rec_add_count(struct recording *r, const struct rec_count *count);
void rec_add_wake(struct recording *r, const struct rec_wake *wake);

/** rec_own_add - another process's, or another run's; `to` may be of none */
void rec_own_add(struct rec_own *to, const struct rec_own *more);

/**
 * rec_append - what a second run of the same command did, behind what the first did
 * @more: is left as it is
 *
 * Its processes are others although a number may come again.  Counts and CPU times add up, the
 * exit status is the later one's.
 */
void rec_append(struct recording *r, const struct recording *more);

/** rec_kind_word - "network"; rec_kind_class: -1 for what is nobody's delay. */
const char *rec_kind_word(enum rec_kind kind);
int rec_kind_class(enum rec_kind kind);

/**
 * rec_save - write it; 0 or why the file could not be written
 * rec_load - read it; a file cut anywhere is read up to the cut, and says so in notes.
 *
 * Return of rec_load: 0, -EBADMSG (no recording, or not one inner index is to be trusted),
 * -ENOMEM, -EFBIG (over 1 GiB), or open's or read's error.
 */
int rec_save(const struct recording *r, const char *path);
int rec_load(const char *path, struct recording *ret);

/** rec_parse - rec_load from memory. */
int rec_parse(const void *bytes, size_t n, struct recording *ret);

#endif
