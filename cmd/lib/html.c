/* SPDX-License-Identifier: MIT
 *
 * html.c - a page's links, title and robots rules, from libxml2's tree
 *
 * HOW   decode to clean UTF-8 (charset.h) -> tree -> one walk for <base>, one for the rest -> the
 *   fields (html_fields.h) -> the tree is freed; what was found lies in one growing text, and
 *   becomes pointers once that has stopped moving.
 *
 *   Nothing reaches libxml2 that is not valid UTF-8 without NULs: its own guesses at encodings
 *   switch in the middle of a page, and a NUL ends its input.
 *
 * INVARIANTS  (I1) no recursion over the tree: its depth is the page's to choose
 *
 * REJECTED  Keeping one parser context a thread: it keeps a dictionary of every name that any page
 *   ever made up.
 */
#include "lib/html.h"

#include <errno.h>
#include <libxml/HTMLparser.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <hob/base.h>

#include "lib/buf.h"
#include "lib/charset.h"
#include "lib/html_fields.h"
#include "lib/html_mem.h"
#include "lib/url.h"

/* No string: offsets are made pointers at the end. */
#define NOWHERE SIZE_MAX

struct link_at {
    size_t url;
    uint32_t len;
    bool nofollow;
};

struct reader {
    struct html_page page; /* its pointers are set at the end */
    struct buf text, links;
    size_t title, canonical, base;
    struct url base_url;
    char base_text[URL_MAX + 1];
};

/* What html_page_free finds again behind the page the caller sees. */
struct page_block {
    struct html_page page;
    char *text;
    struct html_link *links;
    const char *fields[];
};

/* The parser has put names of elements and attributes in lower case. */
static bool is_element(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && (char)node->name[0] == name[0] &&
           strcmp((const char *)node->name, name) == 0;
}

/* The attribute's value, which lives in the tree; NULL when it is not there. */
static const char *attribute(const xmlNode *node, const char *name)
{
    for (const xmlAttr *a = node->properties; a; a = a->next) {
        if (strcmp((const char *)a->name, name) != 0)
            continue;
        return a->children && a->children->content ? (const char *)a->children->content : "";
    }
    return NULL;
}

/* Is `word` one of the list's words, between white space and commas? */
static bool has_word(const char *list, const char *word)
{
    static const char between[] = " \t\n\r\f,";
    size_t n = strlen(word);

    for (const char *s = list; s && *s;) {
        s += strspn(s, between);
        size_t len = strcspn(s, between);
        if (len == n && strncasecmp(s, word, n) == 0)
            return true;
        s += len;
    }
    return false;
}

/* The next node of the document in its order; NULL at the end.  (I1) */
static const xmlNode *next_node(const xmlNode *node)
{
    if (node->type == XML_ELEMENT_NODE && node->children)
        return node->children;
    while (node && !node->next)
        node = node->parent && node->parent->type == XML_ELEMENT_NODE ? node->parent : NULL;
    return node ? node->next : NULL;
}

static size_t text_add(struct reader *rd, const char *s, size_t n)
{
    size_t at = rd->text.len;

    buf_add(&rd->text, s, n);
    buf_add(&rd->text, "", 1);
    return at;
}

/* Resolves and keeps a URL; NOWHERE when it is none that is fetched. */
static size_t url_add(struct reader *rd, const char *href, uint32_t *len)
{
    char text[URL_MAX + 1];
    struct url u;

    if (url_parse(href, strlen(href), &rd->base_url, text, sizeof text, &u) < 0)
        return NOWHERE;
    *len = u.len;
    return text_add(rd, u.text, u.len);
}

static void read_link(struct reader *rd, const xmlNode *node)
{
    const char *href = attribute(node, "href"), *rel = attribute(node, "rel");
    struct link_at link;

    if (!href)
        return;
    link.url = url_add(rd, href, &link.len);
    if (link.url == NOWHERE) {
        rd->page.n_other++;
        return;
    }
    link.nofollow = has_word(rel, "nofollow");
    buf_add(&rd->links, &link, sizeof link);
    rd->page.n_links++;
}

static void read_meta(struct reader *rd, const xmlNode *node)
{
    const char *name = attribute(node, "name"), *content = attribute(node, "content");

    if (!name || strcasecmp(name, "robots") != 0)
        return;
    bool none = has_word(content, "none");
    rd->page.noindex = rd->page.noindex || none || has_word(content, "noindex");
    rd->page.nofollow = rd->page.nofollow || none || has_word(content, "nofollow");
}

static void read_canonical(struct reader *rd, const xmlNode *node)
{
    const char *href = attribute(node, "href");
    uint32_t len;

    if (href && rd->canonical == NOWHERE && has_word(attribute(node, "rel"), "canonical"))
        rd->canonical = url_add(rd, href, &len);
}

static void read_title(struct reader *rd, const xmlNode *node)
{
    if (rd->title != NOWHERE)
        return;
    rd->title = rd->text.len;
    html_text(node, &rd->text);
    buf_add(&rd->text, "", 1);
}

static void read_node(struct reader *rd, const xmlNode *node)
{
    if (node->type != XML_ELEMENT_NODE)
        return;
    if (is_element(node, "a") || is_element(node, "area"))
        read_link(rd, node);
    else if (is_element(node, "meta"))
        read_meta(rd, node);
    else if (is_element(node, "link"))
        read_canonical(rd, node);
    else if (is_element(node, "title"))
        read_title(rd, node);
}

/* The first <base href> counts for the whole page, wherever it stands. */
static void read_base(struct reader *rd, const xmlNode *root)
{
    char text[URL_MAX + 1];
    struct url u;

    for (const xmlNode *node = root; node; node = next_node(node)) {
        const char *href = is_element(node, "base") ? attribute(node, "href") : NULL;
        if (!href)
            continue;
        if (url_parse(href, strlen(href), &rd->base_url, text, sizeof text, &u) == 0) {
            memcpy(rd->base_text, text, u.len + 1);
            u.text = rd->base_text;
            rd->base_url = u;
        }
        break;
    }
    rd->base = text_add(rd, rd->base_url.text, rd->base_url.len);
}

static int read_fields(struct reader *rd, struct html_rules *rules, xmlDoc *doc, size_t *at)
{
    struct html_asker *asker;
    size_t n = html_rules_count(rules);

    rd->page.n_fields = n;
    if (n == 0)
        return 0;
    int r = html_asker_take(rules, &asker);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n && r >= 0; i++) {
        size_t start = rd->text.len;
        at[i] = NOWHERE;
        r = doc ? html_asker_field(asker, i, doc, &rd->text) : 0;
        if (r == 1)
            at[i] = start;
        if (r == -E2BIG) {
            rd->page.n_failed++;
            r = 0;
        }
    }
    html_asker_give(rules, asker);
    return r < 0 ? r : 0;
}

/* Offsets become pointers; the text does not move any more. */
static int page_build(struct reader *rd, const size_t *field_at, struct html_page **ret)
{
    size_t n = rd->page.n_fields;
    struct page_block *b = calloc(1, sizeof *b + n * sizeof b->fields[0]);
    struct html_link *links = calloc(rd->page.n_links + 1, sizeof *links);
    const struct link_at *from = (const struct link_at *)(const void *)rd->links.p;

    char *text = buf_take(&rd->text);
    if (!b || !links || !text || buf_error(&rd->links) < 0) {
        free(b);
        free(links);
        free(text);
        return -ENOMEM;
    }
    b->page = rd->page;
    b->text = text;
    b->links = links;
    for (size_t i = 0; i < rd->page.n_links; i++)
        links[i] = (struct html_link){text + from[i].url, from[i].len, from[i].nofollow};
    for (size_t i = 0; i < n; i++)
        b->fields[i] = field_at[i] == NOWHERE ? NULL : text + field_at[i];
    b->page.links = links;
    b->page.fields = b->fields;
    b->page.base = text + rd->base;
    b->page.title = rd->title == NOWHERE ? NULL : text + rd->title;
    b->page.canonical = rd->canonical == NOWHERE ? NULL : text + rd->canonical;
    *ret = &b->page;
    return 0;
}

/* A body without any markup gives no tree at all: *ret is NULL then. */
static int tree_build(const char *text, size_t n, bool *cut, xmlDoc **ret)
{
    const int options = HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
                        HTML_PARSE_NONET | HTML_PARSE_COMPACT | HTML_PARSE_IGNORE_ENC;
    htmlParserCtxt *ctxt = htmlNewParserCtxt();

    if (!ctxt)
        return -ENOMEM;
    *ret = htmlCtxtReadMemory(ctxt, text, (int)n, NULL, "UTF-8", options);
    *cut = ctxt->disableSAX != 0;
    htmlFreeParserCtxt(ctxt);
    return 0;
}

static int read_page(struct reader *rd, struct html_rules *rules, const char *text, size_t n,
                     struct html_page **ret)
{
    size_t *field_at = calloc(html_rules_count(rules) + 1, sizeof *field_at);
    xmlDoc *doc = NULL;

    if (!field_at)
        return -ENOMEM;
    html_mem_begin();
    int r = tree_build(text, n, &rd->page.cut, &doc);
    html_mem_rest();
    if (r == 0) {
        const xmlNode *root = doc ? doc->children : NULL;
        read_base(rd, root);
        for (const xmlNode *node = root; node; node = next_node(node))
            read_node(rd, node);
        r = read_fields(rd, rules, doc, field_at);
    }
    xmlFreeDoc(doc);
    html_mem_end();
    if (r == 0)
        r = page_build(rd, field_at, ret);
    free(field_at);
    return r;
}

int html_parse(struct html_rules *r, const char *bytes, size_t n, const char *charset,
               const char *url, struct html_page **ret)
{
    struct buf utf8 = {0};
    int res;

    if (n > HTML_SIZE_MAX)
        return -HOB_ETOOBIG;
    struct reader *rd = calloc(1, sizeof *rd);
    if (!rd)
        return -ENOMEM;
    rd->title = rd->canonical = NOWHERE;
    res = url_parse(url, strlen(url), NULL, rd->base_text, sizeof rd->base_text, &rd->base_url);
    if (res == 0)
        res = charset_to_utf8(charset_sniff(bytes, n, charset), bytes, n, &utf8);
    if (res == 0)
        res = read_page(rd, r, utf8.p ? utf8.p : "", utf8.len, ret);
    buf_free(&utf8);
    buf_free(&rd->text);
    buf_free(&rd->links);
    free(rd);
    return res;
}

void html_page_free(struct html_page *p)
{
    if (!p)
        return;
    struct page_block *b = (struct page_block *)p; /* its first member */
    free(b->text);
    free(b->links);
    free(b);
}
