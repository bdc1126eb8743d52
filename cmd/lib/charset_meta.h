/* SPDX-License-Identifier: MIT */
#ifndef HOB_CMD_CHARSET_META_H
#define HOB_CMD_CHARSET_META_H

#include <stdbool.h>
#include <stddef.h>

enum { CHARSET_LABEL_MAX = 40 };

/**
 * charset_meta - the label that the next <meta> near the beginning of a page gives
 * @at: 0 at first; left behind what was read, to go on there when the label is no good
 *
 * The prescan of the HTML standard; labels too long for any encoding count as none.
 */
bool charset_meta(const char *bytes, size_t n, size_t *at, char label[CHARSET_LABEL_MAX]);

#endif
