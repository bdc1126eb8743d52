/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_RUN_H
#define HOB_DIAG_RUN_H

#include <stdbool.h>
#include <sys/types.h>

#include <hob/base.h>

#include "diag/live.h"
#include "diag/rec.h"
#include "lib/buf.h"

/*
 * Running a command, or finding one that runs, under a recorder
 * =============================================================
 *
 * The command is an ordinary child: same standard input, output and error, same process group and
 * terminal, signal mask and dispositions as hob was given.  It is stopped before its exec until
 * the recorder is ready, and runs on untouched should the recorder die.
 */

struct run_opts {
    char *const *argv; /* the command; NULL: attach */
    pid_t attach;
    int tier;                    /* 1 or 2; 0: the first that works, and its own trace */
    hob_dur most;                /* record no longer; 0: no limit */
    bool follow;                 /* until the last process that it started has ended */
    void (*pipe_was)(int);       /* SIGPIPE's disposition when hob was started */
    const struct live_how *live; /* look at it meanwhile; NULL: no */
    /* Called while it runs, a few times at growing distances; NULL: not. */
    void (*look)(void *arg, const struct recording *rec);
    void *arg;
};

struct run_end {
    bool ended;     /* the command has; else the recording was stopped, or could not be */
    int status;     /* as of waitpid */
    bool not_found; /* its exec failed with ENOENT or ENOTDIR, */
    bool not_run;   /* or with another error: err says */
    bool stopped;   /* a signal ended the recording of a program that goes on */
};

/**
 * run_record - run and record, from its start to its end
 * @rec: after rec_init
 * @err: one line without a newline when something failed
 *
 * Return: 0, and *ret filled; a negative errno: there is no recording, err says why.
 */
int run_record(const struct run_opts *opts, struct recording *rec, struct run_end *ret,
               struct buf *err);

#endif
