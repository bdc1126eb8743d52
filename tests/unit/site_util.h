/* SPDX-License-Identifier: MIT
 *
 * site_util.h - a site that exists only as arithmetic, and what a crawl of it must come to
 */
#ifndef SITE_UTIL_H
#define SITE_UTIL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { PAGES_MAX = 600 };

static inline uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static int site_pages = 150;

static inline void site_url(int page, char ret[64])
{
    sprintf(ret, "http://site.test/p/%d", page);
}

static inline int site_links(int page)
{
    return 3 + (int)(mix((uint64_t)page) % 5);
}

/* A tree, so that pages are reached, and links across and back. */
static inline int site_link(int page, int i)
{
    if (i < 2 && 2 * page + 1 + i < site_pages)
        return 2 * page + 1 + i;
    return (int)(mix((uint64_t)(page * 100 + i + 7)) % (uint64_t)site_pages);
}

static inline bool site_forbidden(int page)
{
    return page % 13 == 5;
}

static inline unsigned site_failures(int page) /* before it answers */
{
    return page % 7 == 3 ? 1 + (unsigned)page % 2 : 0;
}

static inline bool site_broken(int page)
{
    return page % 11 == 4;
}

/* What a crawl of it must come to. */
static struct truth {
    int depth[PAGES_MAX]; /* -1: no link leads there */
    int met, done, failed, forbidden, foreign, fetches;
} truth;

static inline void truth_make(void)
{
    int queue[PAGES_MAX], n = 1;

    memset(&truth, 0, sizeof(truth));
    for (int i = 0; i < PAGES_MAX; i++)
        truth.depth[i] = i == 0 ? 0 : -1;
    queue[0] = 0;
    for (int at = 0; at < n; at++) {
        int page = queue[at];
        truth.met++;
        if (site_forbidden(page)) {
            truth.forbidden++;
            continue;
        }
        truth.fetches += 1 + (int)site_failures(page);
        truth.failed += site_broken(page);
        truth.done += !site_broken(page);
        if (site_broken(page))
            continue;
        truth.foreign++;
        for (int i = 0; i < site_links(page); i++) {
            int to = site_link(page, i);
            if (truth.depth[to] < 0) {
                truth.depth[to] = truth.depth[page] + 1;
                queue[n++] = to;
            }
        }
    }
}

#endif
