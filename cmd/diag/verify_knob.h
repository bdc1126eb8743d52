/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_VERIFY_KNOB_H
#define HOB_DIAG_VERIFY_KNOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hob/base.h>

#include "diag/rec.h"
#include "lib/buf.h"

/*
 * Knobs: what can be set from outside of a command, and how it is set now
 * =======================================================================
 *
 * A number on its command line that says how many at once, an environment variable that its
 * runtime reads (which the command line may set), and for each command the cores it may run on.
 */

enum knob_kind { KNOB_CORES, KNOB_ENV, KNOB_ARGUMENT };

enum { KNOB_NAME = 64, KNOB_TEXT = 128, KNOB_MOST = 4096 };

struct knob {
    enum knob_kind kind;
    bool workers;         /* how many work or wait at once; else how many cores compute */
    bool set;             /* somebody chose `now`; else it is the default of the runtime */
    uint32_t now;         /* the level of the command as given */
    char name[KNOB_NAME]; /* "cores", "GOMAXPROCS", "-P" */
    char text[KNOB_TEXT]; /* of a variable: the value, with '%' for the level */
    size_t arg, at, n;    /* KNOB_ARGUMENT: the number is argv[arg][at .. at + n) */
};

/* Variables whose name is in a program's file or in its libraries: whoever reads a variable has
 * its name.  X(what to look for, variable, value, workers, default: 0 is "as many as cores"). */
#define KNOB_ENV_MAP(X)                                                                            \
    X("HOB_CORES", "HOB_CORES", "%", false, 0)                                                     \
    X("GOMAXPROCS", "GOMAXPROCS", "%", false, 0)                                                   \
    X("RAYON_NUM_THREADS", "RAYON_NUM_THREADS", "%", false, 0)                                     \
    X("TOKIO_WORKER_THREADS", "TOKIO_WORKER_THREADS", "%", false, 0)                               \
    X("OPENBLAS_NUM_THREADS", "OPENBLAS_NUM_THREADS", "%", false, 0)                               \
    X("MKL_NUM_THREADS", "MKL_NUM_THREADS", "%", false, 0)                                         \
    X("OMP_NUM_THREADS", "OMP_NUM_THREADS", "%", false, 0)                                         \
    X("ActiveProcessorCount", "JAVA_TOOL_OPTIONS", "-XX:ActiveProcessorCount=%", false, 0)         \
    X("UV_THREADPOOL_SIZE", "UV_THREADPOOL_SIZE", "%", true, 4)

#define KNOB_ENV_ENUM(mark, name, value, workers, by_default) +1
enum { KNOB_N_ENV = 0 KNOB_ENV_MAP(KNOB_ENV_ENUM) };
#undef KNOB_ENV_ENUM

/** knob_marks - what to look for in files, KNOB_N_ENV of them; bit i of `marks` is the i-th */
const char *const *knob_marks(void);

/* What is known of the command and its first run. */
struct knob_facts {
    char *const *argv;
    uint32_t n_cores;
    uint32_t at_once; /* most threads of the tree that were alive at a time */
    bool helped;      /* others than main threads did a real part of the work */
    uint32_t marks;   /* found in the program's files */
};

/** knob_at_once - most threads alive at a time; 0 when there is no memory to count them */
uint32_t knob_at_once(const struct recording *rec);

/**
 * knob_in_text - the first option with a number that counts, in a command as one text; where there
 *   is none, the first variable that the command sets
 *
 * For recordings, which keep no argv: a blank within an argument looks like one between two.
 *
 * Return: whether there is one.
 */
bool knob_in_text(const struct knob_facts *facts, const char *command, struct knob *ret);

/**
 * knobs_find - the knobs of a command, the most telling first, the cores last
 *
 * Of the arguments the first that counts, of the variables the first: two that say the same are
 * not turned one by one.  Where only one core is usable, cores are no knob.
 *
 * Return: how many, at most max.
 */
size_t knobs_find(const struct knob_facts *facts, struct knob *ret, size_t max);

/**
 * knob_named - the knob that somebody asks for
 * @what: "cores"; "-j" or "--jobs", which the command line must have with a number; a variable,
 *        "NAME" or "NAME=VALUE" with % in VALUE for the level
 *
 * Return: 0, -EINVAL and err says why.
 */
HOB_MUST_CHECK int knob_named(const struct knob_facts *facts, const char *what, struct knob *ret,
                              struct buf *err);

/** knob_argument - argv[k->arg] with another level in it, for free(); NULL: no memory */
char *knob_argument(const struct knob *k, char *const *argv, uint32_t level);

/** knob_value - the variable's value at that level, behind what it has when it is a list of
 * options; for free() */
char *knob_value(const struct knob *k, uint32_t level);

/** knob_setting - "GOMAXPROCS=4", "-P 4", "4 cores" */
void knob_setting(const struct knob *k, uint32_t level, struct buf *to);

#endif
