/* SPDX-License-Identifier: MIT
 *
 * html_fields.h - between html.c, which reads a page, and html_fields.c, which asks it
 */
#ifndef HOB_CMD_HTML_FIELDS_H
#define HOB_CMD_HTML_FIELDS_H

#include <libxml/tree.h>

#include "lib/buf.h"
#include "lib/html_rules.h"

struct html_asker;

/** A context of the set's, for one page at a time; -ENOMEM. */
int html_asker_take(struct html_rules *r, struct html_asker **ret);
void html_asker_give(struct html_rules *r, struct html_asker *a);

/**
 * Appends field i of the page and a NUL.
 *
 * Return: 1, 0 (no match; nothing appended), -E2BIG (gave up), -ENOMEM.
 */
int html_asker_field(struct html_asker *a, size_t i, xmlDoc *doc, struct buf *out);

/** Appends the text below a node, white space collapsed and none at the ends. */
void html_text(const xmlNode *node, struct buf *out);

#endif
