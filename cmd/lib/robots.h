/* SPDX-License-Identifier: MIT */
#ifndef HOB_CMD_ROBOTS_H
#define HOB_CMD_ROBOTS_H

#include <stdbool.h>
#include <stddef.h>

#include <hob/base.h>

/*
 * robots.txt by RFC 9309
 * ======================
 *
 * A file is read for one agent: what is kept are the rules that apply to it, so that a crawl
 * that remembers ten thousand hosts remembers little.  A value is immutable once made: any number
 * of threads may ask it.
 *
 * Of what robots.txt files hold beyond the RFC two things are kept: "Crawl-delay" of the agent's
 * groups, and the "Sitemap" lines.  Misspelt directives, missing colons and agent wildcards are
 * not guessed at.
 */
struct robots;

/* What is read of a file; the RFC asks for at least this, and a line cut here is ignored. */
enum { ROBOTS_SIZE_MAX = 500 * 1024 };

/**
 * robots_parse - read a file for one agent
 * @text, @n: the body of a successful answer, any octets
 * @agent:    product token or whole User-Agent string: "hob", "hob/0.1 (+https://...)"
 *
 * Return: 0 or -ENOMEM; a file is never wrong, only useless in parts.
 */
int robots_parse(const char *text, size_t n, const char *agent, struct robots **ret);

/* The two answers for a file that could not be had (RFC 9309, 2.3.1); robots_free takes them. */
int robots_unavailable(struct robots **ret); /* 4xx: there is none, everything is allowed */
int robots_unreachable(struct robots **ret); /* 5xx, network errors: nothing is allowed */

/** robots_from_status - the right one of the three for an HTTP status; 0: no answer at all. */
int robots_from_status(int status, const char *text, size_t n, const char *agent,
                       struct robots **ret);

void robots_free(struct robots *r);

/** robots_allowed - may the agent fetch this "/path?query"? */
bool robots_allowed(const struct robots *r, const char *path_query);

/** robots_delay - the agent's Crawl-delay, or -1 when it has none. */
hob_dur robots_delay(const struct robots *r);

/** robots_sitemap - the i-th Sitemap line, as written; NULL after the last. */
const char *robots_sitemap(const struct robots *r, size_t i);

#endif
