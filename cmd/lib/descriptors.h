/* SPDX-License-Identifier: MIT */
#ifndef HOB_CMD_DESCRIPTORS_H
#define HOB_CMD_DESCRIPTORS_H

#include <stdint.h>

/*
 * File descriptors: how many requests at once the limit of the process allows
 * ===========================================================================
 */

/**
 * descriptors_for - make room for `n` of something that takes `each` descriptors at once
 *
 * The soft limit is raised as far as needed, to the hard one at most (setrlimit(2)).  What is open
 * already and some for the process itself (its loop, its database, names to look up) are kept back.
 *
 * Return: how many there is room for, `n` at most; 0: not even one.
 */
int64_t descriptors_for(int64_t n, unsigned each);

/** descriptors_cap - the same, told on standard error as `command`; 0: said, and it cannot begin */
int64_t descriptors_cap(const char *command, int64_t n, unsigned each);

#endif
