/* SPDX-License-Identifier: MIT */
#ifndef HOB_CMD_CHARSET_H
#define HOB_CMD_CHARSET_H

#include <stddef.h>

#include "lib/buf.h"

/*
 * The encoding of a page, and the page as UTF-8
 * =============================================
 *
 * In the order of the HTML standard: byte order mark, the charset of the Content-Type header, a
 * <meta> near the beginning, and failing all that UTF-8 where the octets look like it and
 * windows-1252 where they do not (browsers guess here too, each in its way).
 */

/**
 * charset_sniff - the name of the encoding, as iconv knows it
 * @label: from the Content-Type header, or NULL; one nobody knows counts as none
 */
const char *charset_sniff(const char *bytes, size_t n, const char *label);

/**
 * charset_to_utf8 - append the text to @out as valid UTF-8 without NULs
 *
 * What is no character in its encoding becomes U+FFFD; a byte order mark is dropped.
 *
 * Return: 0, -ENOMEM, -EINVAL (iconv has no such encoding).
 */
int charset_to_utf8(const char *name, const char *bytes, size_t n, struct buf *out);

/** charset_is_utf8 - valid UTF-8 and no NUL: what a parser may be given as it stands. */
bool charset_is_utf8(const char *bytes, size_t n);

/** charset_utf8_length - octets of the character that starts here; 0: none, or NUL.  n > 0. */
size_t charset_utf8_length(const char *text, size_t n);

#endif
