/* SPDX-License-Identifier: MIT */
#ifndef HOB_CMD_HTML_H
#define HOB_CMD_HTML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/html_rules.h"

/*
 * What a crawler wants of a page: its links, what it says about itself, and declared fields
 * =========================================================================================
 *
 * Which parser stands behind is not to be seen from here.  Today it is libxml2's, whose rules
 * are those of HTML 4 and whose trees differ from a browser's on broken markup.
 */

struct html_link {
    const char *url; /* canonical (url.h) */
    uint32_t len;
    bool nofollow; /* by rel */
};

struct html_page {
    const char *title;      /* white space collapsed; NULL: none */
    const char *canonical;  /* <link rel=canonical>, canonical; NULL: none, or none we fetch */
    const char *base;       /* what links were resolved against */
    bool noindex, nofollow; /* <meta name=robots> */
    bool cut;               /* the parser gave up midway: too deep, or out of memory */
    const struct html_link *links; /* http and https targets of a and area, as they came */
    size_t n_links;
    size_t n_other;            /* hrefs left out: other schemes, no valid URLs */
    const char *const *fields; /* in the order of the rules; NULL: no match */
    size_t n_fields;
    size_t n_failed; /* fields given up: the expression took too long or is wrong for its input */
};

/* A page larger than this is refused; what is fetched is limited long before. */
enum { HTML_SIZE_MAX = 64 << 20 };

/**
 * html_parse - read a page
 * @bytes, @n: the body, in any encoding, however broken
 * @charset:   of the Content-Type header; NULL: none
 * @url:       where the page came from, after redirects
 * @ret:       the page, for html_page_free
 *
 * A field is the first match in document order: the text of an element with white space
 * collapsed, the value of an attribute, or what an XPath function gives.
 *
 * Return: 0 (of anything that is not HTML too: a page without links), -EINVAL or another code of
 * url_parse for @url, -HOB_ETOOBIG, -ENOMEM.
 */
int html_parse(struct html_rules *r, const char *bytes, size_t n, const char *charset,
               const char *url, struct html_page **ret);
void html_page_free(struct html_page *p);

#endif
