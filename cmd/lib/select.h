/* SPDX-License-Identifier: MIT */
#ifndef HOB_CMD_SELECT_H
#define HOB_CMD_SELECT_H

#include <stddef.h>

/*
 * CSS selectors, compiled to XPath 1.0
 * ====================================
 *
 * What is understood: type, *, #id, .class, [attr], [attr=v] and its ~= |= ^= $= *=, descendant,
 * child ">", next "+" and later "~" sibling, :first-child, :last-child, :nth-child(2, odd, even,
 * an+b), :not(one simple selector), groups with ",".  As in Scrapy a selector may end in ::text
 * (the text right inside the elements, blank pieces left out) or ::attr(name).
 *
 * Type and attribute names are compared in lower case, as HTML parsers deliver them; ids, classes
 * and values as they are.
 */

struct select_error {
    size_t at;        /* octets into the selector */
    const char *text; /* what is wrong there */
};

/**
 * select_to_xpath - the XPath expression that finds the same nodes
 * @ret: for free(); untouched on failure
 * @err: says where and what, after -EINVAL
 *
 * Return: 0, -EINVAL, -ENOMEM.
 */
int select_to_xpath(const char *css, char **ret, struct select_error *err);

#endif
