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
struct load {
    uint64_t *busy; /* of each CPU, clock ticks that were not idle, at the beginning */
    size_t n_cpus;
    uint64_t pressure;     /* us in which something had no core, of the whole machine */
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

/** load_end - sets n_cores and foreign (and user and system of an attached one). */
void load_end(struct load *l, struct recording *rec);

void load_free(struct load *l);

/** load_parse_stat - busy ticks of each CPU from the text of /proc/stat; how many CPUs it names. */
size_t load_parse_stat(const char *text, uint64_t *busy, size_t n);

#endif
