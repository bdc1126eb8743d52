/* SPDX-License-Identifier: MIT */
#ifndef HOB_CMD_URL_HOST_H
#define HOB_CMD_URL_HOST_H

#include <stddef.h>

/**
 * url_host_parse - the host of an http or https URL, canonical
 * @host, @n: as written in the URL, percent-encoding and all; overwritten
 * @out, @cap: take the result, without a NUL
 *
 * Return: its length, -EINVAL, -ENAMETOOLONG, -ENOMEM.
 */
int url_host_parse(char *host, size_t n, char *out, size_t cap);

/** The value of a hexadecimal digit, or -1. */
int url_hex(char c);

#endif
