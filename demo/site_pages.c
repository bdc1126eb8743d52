/* SPDX-License-Identifier: MIT
 *
 * site_pages.c - the pages of the demo site, each from nothing but the seed and its own number
 *
 * HOW  Links go everywhere at random; that a crawl finds every page does not rest on them but on
 *   the categories: product i is on category i mod SITE_CATEGORIES.  The copy of each 16th product
 *   under ?ref=related is linked from the product before it.
 *
 * SEE  bench/site/gensite.py, which writes such pages as files for nginx.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo/site_impl.h"

enum {
    REF_EVERY = 16,
    LINKS_MOST = 24,
    BYTES_A_LINK = 1200, /* of a page, to each of its related links */
    SITEMAP_MOST = 50000,
    PRIVATE_PAGES = 8,
};
#define REF "?ref=related"

struct page {
    const struct site *s;
    struct buf *to;
    size_t i, start; /* start: where in `to` the page begins */
    struct chooser c;
    unsigned links; /* in each section: fewer on small pages */
    char title[SITE_TITLE_MAX], price[SITE_PRICE_MAX];
};

static void page_init(struct page *p, const struct site *s, size_t i, struct buf *to)
{
    size_t links = s->o.page_size / BYTES_A_LINK;

    *p = (struct page){.s = s, .to = to, .i = i, .start = to ? to->len : 0};
    p->c = chooser_for(s->o.seed, i);
    p->links = links < 2 ? 2 : links > LINKS_MOST ? LINKS_MOST : (unsigned)links;
    text_title(&p->c, i, p->title);
    unsigned whole = 3 + choose(&p->c, 4997);
    snprintf(p->price, sizeof p->price, "%u.%02u", whole, choose(&p->c, 100));
}

/* "SSS/NNNNNN.html" */
static void put_tail(struct buf *to, size_t i)
{
    text_put_number(to, i / 100, 3);
    buf_putc(to, '/');
    text_put_number(to, i, 6);
    buf_puts(to, ".html");
}

static void put_path(struct buf *to, size_t i)
{
    buf_puts(to, "/p/");
    put_tail(to, i);
}

static void put_head(struct page *p)
{
    struct buf *to = p->to;

    buf_puts(to, "<!DOCTYPE html>\n<html lang=en>\n<head>\n<meta charset=\"utf-8\">\n<title>");
    text_put_escaped(to, p->title);
    buf_puts(to, " | Example Shop</title>\n<link rel=\"canonical\" href=\"");
    put_path(to, p->i);
    buf_puts(to, "\">\n<link rel=stylesheet href=\"/static/site.css?v=31\">\n");
    for (unsigned k = 0; k < p->links / 2; k++) {
        buf_puts(to, "<meta property=\"og:x\" content=\"");
        text_put_words(&p->c, 6, to);
        buf_puts(to, "\"/>\n");
    }
    buf_puts(to, "<script type=\"application/ld+json\">{\"@context\": \"https://schema.org\", "
                 "\"@type\": \"Product\", \"offers\": {\"@type\": \"Offer\", \"price\": \"");
    buf_puts(to, p->price);
    buf_puts(to, "\"}}</script>\n<script>\n//<![CDATA[\n(function(a,b){");
    for (unsigned k = 0; k < 2 * p->links; k++) {
        buf_puts(to, "var v=\"");
        buf_puts(to, text_word(&p->c));
        buf_puts(to, "<\\/b>\";if(a<1&&b>2){f(a)};");
    }
    buf_puts(to, "})(1,2);\n//]]>\n</script>\n<style>\n");
    for (unsigned k = 0; k < 2 * p->links; k++) {
        buf_puts(to, ".c");
        text_put_number(to, k, 1);
        buf_puts(to, ">.d:hover{margin:3px;color:#f08040}\n");
    }
    buf_puts(to, "</style>\n</head>\n<body class='page product'>\n");
}

static void put_menu(struct page *p)
{
    buf_puts(p->to, "<nav id=top><ul class=\"menu\">\n");
    for (unsigned k = 0; k < p->links && k < SITE_CATEGORIES; k++) {
        buf_puts(p->to, "<li class=\"menu-item\"><a class=\"nav-link\" href=\"/c/");
        text_put_number(p->to, k, 1);
        buf_puts(p->to, ".html#nav\"><span>");
        buf_puts(p->to, text_word(&p->c));
        buf_puts(p->to, "</span></a>\n");
    }
    buf_puts(p->to, "</ul></nav>\n<main>\n");
}

static void put_product(struct page *p)
{
    struct buf *to = p->to;
    size_t until = p->start + p->s->o.page_size * 2 / 5;

    buf_puts(to, "<div class=product>\n<h1 class=\"product-title\" itemprop=\"name\">");
    text_put_escaped(to, p->title);
    buf_puts(to, "</h1>\n<p>$<span class=price>");
    buf_puts(to, p->price);
    buf_puts(to, "</span></p>\n");
    for (unsigned k = 0; k < p->links / 4; k++) {
        buf_puts(to, "<img src=\"/img/");
        text_put_number(to, p->i, 6);
        buf_puts(to, ".jpg\" alt=\"a & b < c\" width=320 height=240 loading=lazy>\n");
    }
    buf_puts(to, "<div class=\"description\">\n");
    for (unsigned k = 0; to->len < until && !to->failed; k++) {
        buf_puts(to, "<p>");
        for (unsigned n = 2 + choose(&p->c, 3); n > 0; n--)
            prose_put(p->s->prose, &p->c, to);
        buf_puts(to, k % 5 < 2 ? "\n" : "</p>\n"); /* some left open */
    }
    if (choose(&p->c, 2))
        buf_puts(to, "<b><i>mis-nested</b> text</i> & stray < signs <br></br>\n");
    buf_puts(to, "</div>\n<table class=spec>\n");
    for (unsigned k = 0; k < p->links; k++) {
        buf_puts(to, "<tr><th>");
        buf_puts(to, text_word(&p->c));
        buf_puts(to, "<td>");
        text_put_words(&p->c, 4, to);
        buf_puts(to, k % 3 ? "</td></tr>\n" : "\n"); /* the end tags implied */
    }
    buf_puts(to, "</table>\n<!-- related -- products > -->\n");
}

/* The k-th related link, each in another notation, quoted in another way. */
static void put_href(struct page *p, unsigned k, size_t target)
{
    static const char *const quotes[] = {"\"", "'", ""};
    struct buf *to = p->to;

    buf_puts(to, quotes[k % 3]);
    if (k % 9 == 4) {
        buf_puts(to, "../");
    } else if (k % 9 == 7) {
        buf_puts(to, "/p/./");
        text_put_number(to, target / 100, 3);
        buf_puts(to, "/../");
    } else {
        buf_puts(to, "/p/");
    }
    put_tail(to, target);
    if (k % 8 == 5 && target % REF_EVERY == 0)
        buf_puts(to, REF);
    if (k % 8 == 6)
        buf_puts(to, "#reviews");
    buf_puts(to, quotes[k % 3]);
}

static void put_related(struct page *p)
{
    struct buf *to = p->to;
    size_t n = p->s->o.pages, next = (p->i + 1) % n;

    buf_puts(to, "<section class=related>\n");
    for (unsigned k = 0; k < p->links; k++) {
        size_t target = k == 0 ? next : k == 1 ? (p->i + n - 1) % n : choose_any(&p->c) % n;
        buf_puts(to, "<div class=\"card\"><a class=\"card-link\" href=");
        put_href(p, k, target);
        buf_puts(to, "><h3>");
        text_put_words(&p->c, 4, to);
        buf_puts(to, "</h3></a><span class=\"card-price\">$9.99</span><p class=snip>");
        text_put_words(&p->c, 8, to);
        buf_puts(to, "</p></div>\n");
    }
    if (next % REF_EVERY == 0) {
        buf_puts(to, "<a href=\"");
        put_path(to, next);
        buf_puts(to, REF "\">more like this</a>\n");
    }
    buf_puts(to, "</section>\n");
}

/* What fills a page up to its size comes late, so that it comes out right. */
static void put_end(struct page *p)
{
    struct buf *to = p->to;
    size_t footer = 300 + 47 * (size_t)p->links, used = to->len - p->start + footer;
    size_t until = to->len + (used < p->s->o.page_size ? p->s->o.page_size - used : 0);

    buf_puts(to, "<section id=reviews>\n");
    while (to->len < until && !to->failed) {
        buf_puts(
            to, "<article class=\"review\"><header><b>A</b> <time>2026-03-01</time></header><div>");
        prose_put(p->s->prose, &p->c, to);
        prose_put(p->s->prose, &p->c, to);
        buf_puts(to, choose(&p->c, 10) ? "</div></article>\n" : "</div>\n");
    }
    buf_puts(to, "</section>\n</div></main>\n<footer><ul>\n");
    for (unsigned k = 0; k + 4 < p->links; k++) {
        buf_puts(to, "<li><a rel=\"nofollow\" href=\"/c/");
        text_put_number(to, k, 1);
        buf_puts(to, ".html\">aisle</a></li>\n");
    }
    buf_puts(to, "<li><a href=\"mailto:x@example.test\">mail</a>"
                 "<li><a href=\"javascript:void(0)\">js</a><li><a href=\"/private/");
    text_put_number(to, p->i % PRIVATE_PAGES, 1);
    buf_puts(to, ".html\">staff</a><li><a href=\"https://other.example.test/");
    text_put_number(to, p->i, 1);
    buf_puts(to, "\">out</a></ul>\n</footer>\n</body>\n</html>\n");
}

static void put_product_page(const struct site *s, size_t i, struct buf *to)
{
    struct page p;

    page_init(&p, s, i, to);
    put_head(&p);
    put_menu(&p);
    put_product(&p);
    put_related(&p);
    put_end(&p);
}

static void put_index(struct buf *to)
{
    buf_puts(to, "<!DOCTYPE html><title>Shop</title><h1>Shop</h1>\n");
    for (unsigned k = 0; k < SITE_CATEGORIES; k++)
        buf_printf(to, "<a href=\"c/%u.html\">category %u</a>\n", k, k);
}

static void put_category(const struct site *s, size_t k, struct buf *to)
{
    buf_printf(to, "<!DOCTYPE html><title>Category %zu</title><h1>Category %zu</h1><ul>\n", k, k);
    for (size_t i = k; i < s->o.pages; i += SITE_CATEGORIES) {
        buf_puts(to, "<li><a href=\"");
        put_path(to, i);
        buf_puts(to, "\">x</a>\n");
    }
    buf_puts(to, "</ul>\n");
}

/* Products `from` up to SITEMAP_MOST of them, the protocol's limit for one file. */
static void put_sitemap(const struct site *s, const char *host, size_t from, struct buf *to)
{
    buf_puts(to, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                 "<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n");
    for (size_t i = from; i < s->o.pages && i < from + SITEMAP_MOST; i++) {
        buf_puts(to, "<url><loc>http://");
        buf_puts(to, host);
        put_path(to, i);
        buf_puts(to, "</loc></url>\n");
    }
    buf_puts(to, "</urlset>\n");
}

static void put_sitemap_index(const struct site *s, const char *host, struct buf *to)
{
    buf_puts(to, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                 "<sitemapindex xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n");
    for (size_t k = 0; k * SITEMAP_MOST < s->o.pages; k++)
        buf_printf(to, "<sitemap><loc>http://%s/sitemap-%zu.xml</loc></sitemap>\n", host, k);
    buf_puts(to, "</sitemapindex>\n");
}

/* The number in "PREFIX<number>SUFFIX", if that is what the path is and it is below `most`. */
static bool path_number(const char *path, const char *prefix, const char *suffix, size_t most,
                        size_t *ret)
{
    size_t n = strlen(prefix);
    char *end;

    if (strncmp(path, prefix, n) != 0 || path[n] < '0' || path[n] > '9')
        return false;
    unsigned long long x = strtoull(path + n, &end, 10);
    if (strcmp(end, suffix) != 0 || x >= most)
        return false;
    *ret = (size_t)x;
    return true;
}

/* A product's path has one spelling only: anything else, ./ among it, is no page. */
static bool path_product(const struct site *s, const char *path, size_t *ret)
{
    const char *name = strrchr(path, '/');
    struct buf want = {0};
    size_t i;

    if (strncmp(path, "/p/", 3) != 0 || !path_number(name, "/", ".html", s->o.pages, &i))
        return false;
    put_path(&want, i);
    bool is = buf_error(&want) == 0 && strcmp(want.p, path) == 0;
    buf_free(&want);
    if (is)
        *ret = i;
    return is;
}

bool site_page(const struct site *s, const char *host, const char *path, struct buf *to)
{
    size_t i, maps = (s->o.pages + SITEMAP_MOST - 1) / SITEMAP_MOST;

    if (path_product(s, path, &i))
        put_product_page(s, i, to);
    else if (strcmp(path, "/") == 0 || strcmp(path, "/index.html") == 0)
        put_index(to);
    else if (path_number(path, "/c/", ".html", SITE_CATEGORIES, &i))
        put_category(s, i, to);
    else if (path_number(path, "/private/", ".html", PRIVATE_PAGES, &i))
        buf_printf(to, "<!DOCTYPE html><title>Private %zu</title><h1>Not for robots</h1>\n", i);
    else if (strcmp(path, "/robots.txt") == 0)
        buf_printf(to,
                   "User-agent: *\nDisallow: /private/\nAllow: /\nSitemap: http://%s/sitemap.xml\n",
                   host);
    else if (strcmp(path, "/sitemap.xml") == 0 && maps > 1)
        put_sitemap_index(s, host, to);
    else if (strcmp(path, "/sitemap.xml") == 0)
        put_sitemap(s, host, 0, to);
    else if (path_number(path, "/sitemap-", ".xml", maps, &i))
        put_sitemap(s, host, i * SITEMAP_MOST, to);
    else
        return false;
    return true;
}

const char *site_type(const char *path)
{
    const char *dot = strrchr(path, '.');

    return dot && strcmp(dot, ".txt") == 0   ? "text/plain; charset=utf-8"
           : dot && strcmp(dot, ".xml") == 0 ? "application/xml"
                                             : "text/html; charset=utf-8";
}

size_t site_truths(const struct site *s)
{
    return s->o.pages + (s->o.pages + REF_EVERY - 1) / REF_EVERY;
}

/* First the products, then the copies. */
void site_truth(const struct site *s, size_t i, struct site_row *ret)
{
    bool copy = i >= s->o.pages;
    struct page p;

    if (copy)
        i = (i - s->o.pages) * REF_EVERY;
    page_init(&p, s, i, NULL);
    snprintf(ret->path, sizeof ret->path, "/p/%03zu/%06zu.html%s", i / 100, i, copy ? REF : "");
    memcpy(ret->title, p.title, sizeof p.title);
    memcpy(ret->price, p.price, sizeof p.price);
}
