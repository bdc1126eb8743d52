/* SPDX-License-Identifier: MIT */
#ifndef HOB_DIAG_LOAD_H
#define HOB_DIAG_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "diag/rec.h"

enum { LOAD_NOISE = 3 }; /* clock ticks: less than that is how they are counted */

/*
 * What else went on: the cores a program could use, and what other programs took of them
 */

/* A thread of the kernel's own. */
struct load_kernel {
    int32_t pid;
    uint64_t run; /* ns on CPU */
};

struct load {
    uint64_t *idle; /* of each CPU, clock ticks, at the beginning */
    size_t n_cpus;
    int64_t began;     /* when they were read */
    uint64_t pressure; /* us in which something had no core, of the whole machine */
    struct load_kernel *kernel;
    size_t n_kernel;
    bool has_kernel;       /* they were asked; a program that ended soon had little of them */
    uint64_t *mask;        /* the CPUs the command may run on, a bit each */
    uint64_t user, system; /* of an attached process at the beginning, clock ticks */
    int64_t asked, every;  /* the mask: when last, and how long until again */
    bool has_pressure;
};

void load_begin(struct load *l, pid_t root, bool attached, size_t n_cpus);

/** load_tick - called often; it looks at what the command may use now and then. */
void load_tick(struct load *l, int64_t now, pid_t root);

/** load_cores - how many the command may use, by mask and quota */
uint32_t load_cores(const struct load *l);

/** load_busy - ns that these were busy since load_begin, with whatever; -1: not known */
int64_t load_busy(const struct load *l);

/** load_unreaped - adds the CPU time of processes that nobody has waited for, and of their children
 * that were: what a killed shell leaves behind is in nobody's sum yet */
void load_unreaped(const struct recording *rec, int64_t *user, int64_t *system);

/** load_end - sets n_cores and foreign (and user and system of an attached one). */
void load_end(struct load *l, struct recording *rec);

void load_free(struct load *l);

/** load_parse_stat - idle ticks of each CPU from the text of /proc/stat; how many CPUs it names. */
size_t load_parse_stat(const char *text, uint64_t *idle, size_t n);

/* What the cores that a program may run on did meanwhile, ns. */
struct load_sums {
    int64_t busy;     /* not idle, all of them together */
    int64_t own;      /* the program's CPU time, as the kernel counts it */
    int64_t system;   /* its part in the kernel */
    int64_t recorder; /* ours */
    int64_t kernel;   /* of the kernel's own threads */
    int64_t peers;    /* of the local processes that worked for it */
    int64_t noise;    /* differences below this say nothing */
};

/** load_foreign - what others took of them, ns; 0: nothing to speak of */
int64_t load_foreign(const struct load_sums *s);

#endif
