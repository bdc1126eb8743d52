/* SPDX-License-Identifier: MIT */
#ifndef HOB_CMD_URL_H
#define HOB_CMD_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The URLs of a crawler: http and https, parsed and written as the WHATWG URL standard says
 * =========================================================================================
 *
 * A parsed URL is its own canonical text plus where its parts lie in it: scheme and host in lower
 * case, the default port dropped, dot segments resolved, what must be percent-encoded encoded,
 * host names in ASCII (UTS-46), IPv4 and IPv6 addresses in their one form, the fragment dropped.
 * Nothing else is touched: two texts that a server may tell apart stay apart.
 *
 * Two deliberate differences from a browser: the query is always encoded from UTF-8, never in the
 * page's legacy encoding, and octets that are not UTF-8 are percent-encoded as they stand
 * instead of becoming U+FFFD, so that a server that uses them gets them back.
 */

/* Octets of a canonical URL.  RFC 9110 asks servers to take 8,000; a longer one is a trap. */
enum { URL_MAX = 8192 };

struct url {
    const char *text;           /* NUL-terminated */
    uint32_t len;               /* of text */
    uint32_t scheme_len;        /* "http" or "https" at text[0] */
    uint32_t host_at, host_len; /* an IPv6 address keeps its brackets */
    uint32_t path_at;           /* text[path_at] is '/' */
    uint32_t query_at;          /* text[query_at] is '?'; len when there is no query */
    uint16_t port;              /* the one to connect to, default or not */
};

/**
 * url_parse - parse and canonicalise into the caller's buffer
 * @in, @n: the text as found, in UTF-8; white space around it and tabs or newlines in it are
 *          dropped, as the standard says
 * @base:   what a relative one is resolved against; NULL: none
 * @buf, @cap: take the text; URL_MAX + 1 always suffices; not the base's own
 *
 * Return: 0, -EINVAL (not a URL), -EPROTONOSUPPORT (a scheme other than http and https),
 * -ENAMETOOLONG (over URL_MAX or @cap), -ENOMEM.
 */
int url_parse(const char *in, size_t n, const struct url *base, char *buf, size_t cap,
              struct url *ret);

/** url_new - the same into one block of memory, which free() releases. */
int url_new(const char *in, size_t n, const struct url *base, struct url **ret);

/** url_origin - "https://host:port" into @buf; its length, or -ENAMETOOLONG. */
int url_origin(const struct url *u, char *buf, size_t cap);

/** url_path_query - "/path?query", for a request line and for robots.txt; lives in u->text. */
const char *url_path_query(const struct url *u);

bool url_same_host(const struct url *a, const struct url *b);
bool url_same_origin(const struct url *a, const struct url *b);

/** url_strerror - words for what url_parse returned for `text`. */
const char *url_strerror(int code, const char *text);

#endif
