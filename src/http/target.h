/* SPDX-License-Identifier: MIT
 *
 * target.h - where a hop goes: a parsed URL; and a proxy
 */
#ifndef HOB_HTTP_TARGET_H
#define HOB_HTTP_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include <hob/base.h>

struct target {
    void *handle; /* libcurl's URL handle; NULL: the URL is plain, and nobody asked for one */
    char *url;    /* normalised, with credentials and fragment */
    char *host;   /* ASCII; an IPv6 address in brackets */
    uint16_t port;
    bool tls;
    bool numeric; /* the host is an address */
};

enum { URL_MAX_BYTES = 16384 };

/*
 * Parses `url`; on top of `base`, unless NULL, as a redirect does.  *ret is untouched on failure.
 * -EINVAL: *ret_words says why.  -ENOMEM.
 */
int hob__target_parse(const char *url, struct target *base, struct target *ret,
                      const char **ret_words);
void hob__target_fini(struct target *t);

/* A URL without its credentials, into `to` unless NULL; returns its length with the NUL. */
size_t hob__url_shown(const char *url, char *to);

/* The same for a line of words: whatever the text is, so many bytes of it; returns `to`. */
enum { URL_WORDS_MAX = 120 };
const char *hob__url_words(const char *url, char to[URL_WORDS_MAX]);

bool hob__target_same_origin(const struct target *a, const struct target *b);

enum proxy_kind { PROXY_HTTP, PROXY_HTTPS, PROXY_SOCKS5, PROXY_SOCKS5H };

struct proxy {
    enum proxy_kind kind;
    char *host;            /* as looked up */
    char *alias;           /* as libcurl knows it: one a set of credentials, see target.c */
    char *url;             /* kind://alias:port */
    char *user, *password; /* NULL: none */
    uint16_t port;
    bool numeric; /* the alias is an address */
};

/* 0, -EINVAL, -ENOMEM. */
int hob__proxy_parse(const char *text, struct proxy *ret);
void hob__proxy_fini(struct proxy *p);

/* Whether the proxy looks the target's name up. */
static inline bool proxy_resolves(const struct proxy *p)
{
    return p && p->kind != PROXY_SOCKS5;
}

#endif
