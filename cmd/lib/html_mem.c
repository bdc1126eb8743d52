/* SPDX-License-Identifier: MIT
 *
 * html_mem.c - the memory of one page's tree, given back at once
 *
 * WHAT  libxml2 makes a tree of thousands of small pieces and frees them one by one: a quarter of
 *   what parsing cost.  Between begin and rest they are cut from a region, one after another, and
 *   freeing one is nothing.
 *
 * HOW   region  | size, piece | size, piece | ... | free ......... |
 *                                                 ^ at
 *   A region is address space, lent to one thread for one page and kept for the next; only what a
 *   page needed was ever touched.  What does not fit in is malloc's.  An address tells which of
 *   the two a piece is, so anything may be freed at any time.
 *
 * INVARIANTS  (M1) a region is on the list or with exactly one thread
 *             (M2) no piece of a region is used after its end: what libxml2 keeps for later (the
 *                  thread's last error, values of a field's evaluation) is dropped before it or
 *                  made after rest
 *
 * REJECTED    Not freeing the tree at all: what did not fit in would be lost.
 *
 * Under AddressSanitizer there is no region: it sees each piece for itself.
 */
#include "lib/html_mem.h"

#include <libxml/xmlerror.h>
#include <libxml/xmlmemory.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    REGION_BYTES = 64 << 20,
    REGION_KEPT = 4 << 20, /* touched memory that a region keeps between pages */
    ALIGN = 16,
};

#if defined(__SANITIZE_ADDRESS__)
static const bool regions = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
static const bool regions = false;
#else
static const bool regions = true;
#endif
#else
static const bool regions = true;
#endif

struct region {
    struct region *next; /* on the list */
    char *at, *last;     /* free from here; the piece cut last */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct region *idle; /* by lock */
static _Thread_local struct region *mine;
static _Thread_local bool filling; /* between begin and rest */

/* Where a region's pieces begin. */
static char *region_start(struct region *r)
{
    return (char *)r + (sizeof *r + ALIGN - 1) / ALIGN * ALIGN;
}

static bool is_mine(const void *p)
{
    return mine && (size_t)((const char *)p - (const char *)mine) < REGION_BYTES;
}

/* A piece's size stands before it. */
static size_t *piece_size(void *p)
{
    return (size_t *)(void *)((char *)p - ALIGN);
}

static void *piece_new(size_t n)
{
    struct region *r = mine;

    if (!filling || n > REGION_BYTES || (size_t)((char *)r + REGION_BYTES - r->at) < n + 2 * ALIGN)
        return malloc(n);
    r->last = r->at + ALIGN;
    r->at = r->last + (n + ALIGN - 1) / ALIGN * ALIGN;
    *piece_size(r->last) = n;
    return r->last;
}

static void piece_free(void *p)
{
    if (!p || is_mine(p))
        return;
    free(p);
}

static void *piece_resize(void *p, size_t n)
{
    if (p && !is_mine(p))
        return realloc(p, n);
    if (p && p == mine->last) { /* what grows is mostly the last one */
        mine->at = mine->last - ALIGN;
        void *same = piece_new(n);
        if (same == p)
            return p;
        mine->at = mine->last + (*piece_size(p) + ALIGN - 1) / ALIGN * ALIGN;
        if (same)
            memcpy(same, p, *piece_size(p) < n ? *piece_size(p) : n);
        return same;
    }
    void *moved = piece_new(n);
    if (moved && p)
        memcpy(moved, p, *piece_size(p) < n ? *piece_size(p) : n);
    return moved;
}

static char *piece_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *p = piece_new(n);

    return p ? memcpy(p, s, n) : NULL;
}

void html_mem_init(void)
{
    if (regions)
        xmlMemSetup(piece_free, piece_new, piece_resize, piece_strdup);
}

static struct region *region_new(void)
{
    void *p = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

void html_mem_begin(void)
{
    if (!regions)
        return;
    pthread_mutex_lock(&lock);
    struct region *r = idle;
    if (r)
        idle = r->next; /* (M1) */
    pthread_mutex_unlock(&lock);
    if (!r)
        r = region_new();
    if (r)
        r->at = r->last = region_start(r);
    mine = r;
    filling = r != NULL;
}

void html_mem_rest(void)
{
    filling = false;
}

void html_mem_end(void)
{
    struct region *r = mine;

    if (!r)
        return;
    xmlResetLastError(); /* (M2) */
    mine = NULL;
    filling = false;
    if (r->at - (char *)r > REGION_KEPT)
        madvise((char *)r + REGION_KEPT, REGION_BYTES - REGION_KEPT, MADV_DONTNEED);
    pthread_mutex_lock(&lock);
    r->next = idle;
    idle = r;
    pthread_mutex_unlock(&lock);
}
