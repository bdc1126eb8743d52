/* SPDX-License-Identifier: MIT */
#ifndef CLAIM_H
#define CLAIM_H

#include <hob/hob.h>

/*
 * What the programs of the claims share: work that computes, a service to wait for, a stopwatch
 * =============================================================================================
 */

/**
 * claim_compute - compute, about a millisecond a unit on a core of today; always the same steps
 *
 * Return: always 0, in a way that no compiler can know, so that nothing is left out.
 */
int claim_compute(unsigned units);

/** claim_ms - milliseconds since `begin` */
double claim_ms(hob_time begin);

/** claim_cpu_ms - milliseconds of CPU that this process and its ended children have used */
double claim_cpu_ms(void);

/** claim_run - hob_run that ends the program with a line about what went wrong */
void claim_run(const struct hob_opts *opts, hob_fn fn, void *arg);

/** claim_check - end the program with that line if r is negative; else r */
int claim_check(int r, const char *what);

/*
 * A service that answers late: a process of its own on 127.0.0.1, so that a client that waits for
 * it really does nothing else.  A request is one byte n, and the answer is that byte n * 5 ms
 * later.
 */
struct service {
    hob_addr addr;
    int pid;
};

enum { SERVICE_UNIT_MS = 5 };

/** service_start - start it; before any hob_run, because it forks */
struct service service_start(void);
void service_stop(struct service *s);

/** service_dial - connect: from a fiber it parks, from a plain thread it blocks */
int service_dial(const struct service *s);

/** service_ask - one request on a connection; 0, or negative */
int service_ask(int fd, unsigned char delay);

#endif
