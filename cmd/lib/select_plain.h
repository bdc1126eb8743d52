/* SPDX-License-Identifier: MIT
 *
 * select_plain.h - selectors of one element: "h1", ".price", "p#a.b"
 */
#ifndef HOB_CMD_SELECT_PLAIN_H
#define HOB_CMD_SELECT_PLAIN_H

#include <stdbool.h>

#include <libxml/tree.h>

/** select_is_plain - whether the selector asks for nothing but type, id and classes, in ASCII. */
bool select_is_plain(const char *css);

/** select_plain_matches - of such a selector; the same elements as select_to_xpath's XPath. */
bool select_plain_matches(const char *css, const xmlNode *node);

#endif
