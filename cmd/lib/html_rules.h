/* SPDX-License-Identifier: MIT */
#ifndef HOB_CMD_HTML_RULES_H
#define HOB_CMD_HTML_RULES_H

#include <stddef.h>

/*
 * Which fields a crawler wants of each page
 * =========================================
 *
 * A set of rules is compiled once, while nobody parses with it; from then on any number of
 * threads may, at once and without ado: each call borrows an evaluation context from the set,
 * which makes as many as there are calls at one time.
 */

/** html_init - set libxml2 up; in main, before there are threads. */
void html_init(void);

struct html_rules;

/** html_rules_new - no fields yet; html_parse with it gives links and title only. */
int html_rules_new(struct html_rules **ret);
void html_rules_free(struct html_rules *r);

/**
 * html_rules_add - declare a field
 * @spec: "price=css:.price", "title=xpath://h1" (the syntax of css: is in select.h)
 * @err, @cap: take one line that says what is wrong and where, after -EINVAL
 *
 * Return: 0, -EINVAL, -EEXIST (the name is taken), -ENOMEM.
 */
int html_rules_add(struct html_rules *r, const char *spec, char *err, size_t cap);

size_t html_rules_count(const struct html_rules *r);
const char *html_rules_name(const struct html_rules *r, size_t i);
const char *html_rules_text(const struct html_rules *r, size_t i); /* as it was declared */

#endif
