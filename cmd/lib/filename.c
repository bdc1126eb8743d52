/* SPDX-License-Identifier: MIT
 *
 * filename.c - file names for URLs
 */
#include "lib/filename.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/siphash.h"

enum { STEM_MAX = 120, SUFFIX_MAX = 8 };

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Behind the scheme, and behind "user:password@", which is no part of a name. */
static const char *after_credentials(const char *url)
{
    const char *host = strstr(url, "://"), *at;

    host = host ? host + 3 : url;
    at = memrchr(host, '@', strcspn(host, "/?#"));
    return at ? at + 1 : host;
}

/* The path's suffix with its dot: up to SUFFIX_MAX letters and digits; else nothing. */
static size_t suffix_of(const char *host, const char **ret)
{
    size_t path_end = strcspn(host, "?#"), host_end = strcspn(host, "/?#"), n = 0;

    while (n < SUFFIX_MAX && path_end - n > host_end && is_alnum(host[path_end - n - 1]))
        n++;
    *ret = host;
    if (n == 0 || path_end - n == host_end || host[path_end - n - 1] != '.')
        return 0;
    *ret = host + path_end - n - 1;
    return n + 1;
}

char *filename_of_url(const char *url, char to[FILENAME_MAX_LEN + 1])
{
    const char *host = after_credentials(url), *suffix;
    size_t suffix_n = suffix_of(host, &suffix), n = 0;
    uint64_t hash[2];

    for (const char *p = host; *p && *p != '#' && n < STEM_MAX; p++) {
        if (suffix_n > 0 && p == suffix) {
            p += suffix_n - 1; /* it comes at the end */
            continue;
        }
        bool keep = is_alnum(*p) || ((*p == '.' || *p == '-') && n > 0);
        if (keep || (n > 0 && to[n - 1] != '_'))
            to[n++] = keep ? *p : '_';
    }
    while (n > 0 && (to[n - 1] == '_' || to[n - 1] == '.'))
        n--;
    sip128(&(struct sip_key){0, 0}, url, strlen(url), hash);
    snprintf(to + n, FILENAME_MAX_LEN + 1 - n, "%s%016llx%.*s", n > 0 ? "-" : "",
             (unsigned long long)hash[0], (int)suffix_n, suffix);
    return to;
}
