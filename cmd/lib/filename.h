/* SPDX-License-Identifier: MIT */
#ifndef HOB_CMD_FILENAME_H
#define HOB_CMD_FILENAME_H

/*
 * File names for URLs
 * ===================
 */
enum { FILENAME_MAX_LEN = 160 };

/**
 * filename_of_url - a name for the file that holds what a URL gave
 *
 * Letters, digits, '-', '_' and '.' of the URL's host, path and query, for people; then 16
 * hexadecimal digits of a hash of the whole URL, so that two URLs never share a name; then the
 * suffix of its path, if it has one.  One name, never a path: no '/', and no '.' in front.
 *
 * Return: `to`.
 */
char *filename_of_url(const char *url, char to[FILENAME_MAX_LEN + 1]);

#endif
