/* SPDX-License-Identifier: MIT */
#include "lib/html_mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/xmlmemory.h>

#include "lib/html.h"
#include "lib/t.h"

/* Pieces of all sizes, grown and shrunk and freed in and out of order, keep what is in them. */
static void pieces(unsigned seed)
{
    enum { N = 200 };
    char *piece[N] = {NULL};
    size_t size[N] = {0};

    for (unsigned i = 0; i < 4000; i++) {
        seed = seed * 1103515245 + 12345;
        unsigned k = seed >> 16 & 0x7fff, at = k % N;
        size_t n = k % 7 == 0 ? k * 8 : k % 100;
        for (size_t j = 0; j < size[at]; j += 37)
            CHECK_INT(piece[at][j], (char)(at + j));
        if (k % 5 == 0) {
            xmlFree(piece[at]);
            piece[at] = NULL;
            size[at] = 0;
            continue;
        }
        piece[at] = piece[at] ? xmlRealloc(piece[at], n + 1) : xmlMalloc(n + 1);
        CHECK(piece[at] && (uintptr_t)piece[at] % 16 == 0);
        for (size_t j = 0; j < size[at] && j < n; j += 37)
            CHECK_INT(piece[at][j], (char)(at + j));
        size[at] = n;
        for (size_t j = 0; j < n; j++)
            piece[at][j] = (char)(at + j);
    }
    for (unsigned i = 0; i < N; i++)
        xmlFree(piece[i]);
}

TEST(pieces_keep_what_is_in_them)
{
    html_init();
    for (unsigned i = 0; i < 5; i++) {
        html_mem_begin();
        pieces(i);
        html_mem_rest();
        pieces(i + 100);
        html_mem_end();
        pieces(i + 200);
    }
}

TEST(a_piece_may_be_freed_whenever_it_was_made)
{
    html_init();
    char *before = xmlMemStrdup("before");
    html_mem_begin();
    char *in = xmlMemStrdup("in"), *grows = xmlMemStrdup("grows");
    before = xmlRealloc(before, 100000);
    CHECK_STR(before, "before");
    xmlFree(before);
    html_mem_rest();
    char *rest = xmlMemStrdup("rest");
    grows = xmlRealloc(grows, 100000);
    CHECK_STR(grows, "grows");
    CHECK_STR(in, "in");
    xmlFree(in);
    xmlFree(NULL);
    html_mem_end();
    CHECK_STR(rest, "rest");
    CHECK_STR(grows, "grows");
    xmlFree(rest);
    xmlFree(grows);
}

TEST(what_does_not_fit_in_is_kept_elsewhere)
{
    enum { N = 100, SIZE = 1 << 20 };
    char *piece[N];

    html_init();
    html_mem_begin();
    for (int i = 0; i < N; i++) {
        piece[i] = xmlMalloc(SIZE);
        memset(piece[i], i, SIZE);
    }
    for (int i = 0; i < N; i++) {
        CHECK_INT(piece[i][0], i);
        CHECK_INT(piece[i][SIZE - 1], i);
        xmlFree(piece[i]);
    }
    html_mem_end();
    html_mem_begin();
    pieces(1);
    html_mem_end();
}

/* Its tree is larger than a region. */
TEST(a_page_of_very_many_elements)
{
    enum { N = 600 * 1000 };
    struct html_rules *rules;
    struct html_page *page;
    char *text = malloc(N * 4 + 100), *at = text;

    CHECK(text != NULL);
    for (int i = 0; i < N; i++, at += 4)
        memcpy(at, "<br>", 4);
    at += sprintf(at, "<a href=/x>x</a>");
    CHECK_INT(html_rules_new(&rules), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(html_parse(rules, text, (size_t)(at - text), "utf-8", "http://h/", &page), 0);
        CHECK_INT(page->n_links, 1);
        html_page_free(page);
    }
    html_rules_free(rules);
    free(text);
}
