/* SPDX-License-Identifier: MIT
 *
 * html_fields.c - the declared fields of a page, by XPath
 *
 * HOW   A field is kept as the text of an XPath expression; CSS was translated into one.  A plain
 *   selector (select_plain.h) is kept beside it and asked instead.  What
 *   libxml2 compiles from it is not immutable: evaluation caches function pointers in it.  So each
 *   asker compiles its own copies, and askers are lent out: taken from a stack in the rules, or
 *   made when it is empty, and put back after the page.
 *
 * INVARIANTS  (I1) an asker is on the stack or with exactly one html_parse, never both
 *
 * LOCKING     rules->lock guards the stack, for a few instructions; nothing else changes once
 *   pages are parsed.
 *
 * SEE   select.h
 */
#include "lib/html_fields.h"

#include <errno.h>
#include <libxml/HTMLtree.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/html_mem.h"
#include "lib/select.h"
#include "lib/select_plain.h"

/* Steps of one evaluation: seconds, where an honest expression takes milliseconds. */
enum { FIELD_STEPS_MAX = 10 * 1000 * 1000 };

struct field {
    char *name, *xpath, *text;
    const char *plain; /* in text; NULL: the XPath is asked */
};

struct html_rules {
    struct field *fields;
    size_t n;
    pthread_mutex_t lock;
    struct html_asker *idle; /* by lock */
};

struct html_asker {
    struct html_asker *next; /* on rules->idle */
    xmlXPathContext *ctx;
    const struct field *fields; /* the rules' */
    size_t n;
    xmlXPathCompExpr *compiled[];
};

static void libxml_quiet(void *arg, const char *format, ...)
{
}

static void libxml_init(void)
{
    html_mem_init();
    xmlInitParser();
    /* Some messages go round every other handler; the library's default prints them. */
    xmlSetGenericErrorFunc(NULL, libxml_quiet);
    xmlThrDefSetGenericErrorFunc(NULL, libxml_quiet);
}

void html_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, libxml_init);
}

int html_rules_new(struct html_rules **ret)
{
    struct html_rules *r = calloc(1, sizeof *r);

    if (!r)
        return -ENOMEM;
    html_init();
    pthread_mutex_init(&r->lock, NULL);
    *ret = r;
    return 0;
}

static void asker_free(struct html_asker *a)
{
    for (size_t i = 0; i < a->n; i++)
        xmlXPathFreeCompExpr(a->compiled[i]);
    xmlXPathFreeContext(a->ctx);
    free(a);
}

static void askers_drop(struct html_rules *r)
{
    while (r->idle) {
        struct html_asker *a = r->idle;
        r->idle = a->next;
        asker_free(a);
    }
}

void html_rules_free(struct html_rules *r)
{
    if (!r)
        return;
    askers_drop(r);
    for (size_t i = 0; i < r->n; i++) {
        free(r->fields[i].name);
        free(r->fields[i].text);
        free(r->fields[i].xpath);
    }
    free(r->fields);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

size_t html_rules_count(const struct html_rules *r)
{
    return r->n;
}

const char *html_rules_name(const struct html_rules *r, size_t i)
{
    return r->fields[i].name;
}

const char *html_rules_text(const struct html_rules *r, size_t i)
{
    return r->fields[i].text;
}

/* libxml2 calls this where it would print. */
static void xpath_error(void *arg, xmlError *error)
{
    struct select_error *err = arg;

    if (!err || err->text)
        return;
    err->at = error->int1 > 0 ? (size_t)error->int1 : 0;
    switch (error->code) {
    case XML_XPATH_UNDEF_PREFIX_ERROR:
        err->text = "a namespace prefix nobody declared";
        break;
    case XML_XPATH_UNKNOWN_FUNC_ERROR:
        err->text = "no such function";
        break;
    case XML_XPATH_UNFINISHED_LITERAL_ERROR:
    case XML_XPATH_START_LITERAL_ERROR:
        err->text = "the string is not closed";
        break;
    case XML_XPATH_INVALID_PREDICATE_ERROR:
        err->text = "this predicate is not valid XPath";
        break;
    default:
        err->text = "this is not valid XPath";
        break;
    }
}

/* Functions and prefixes are looked up only in evaluation: an empty page shows most mistakes. */
static bool xpath_evaluates(xmlXPathContext *ctx, xmlXPathCompExpr *compiled)
{
    xmlDoc *doc = htmlNewDoc(NULL, NULL);
    xmlXPathObject *value = NULL;

    if (doc) {
        ctx->doc = doc;
        ctx->node = (xmlNode *)doc;
        value = xmlXPathCompiledEval(compiled, ctx);
    }
    bool good = value != NULL;
    xmlXPathFreeObject(value);
    xmlFreeDoc(doc);
    return good;
}

static int xpath_check(const char *xpath, struct select_error *err)
{
    xmlXPathContext *ctx = xmlXPathNewContext(NULL);

    if (!ctx)
        return -ENOMEM;
    ctx->error = xpath_error;
    ctx->userData = err;
    xmlXPathCompExpr *compiled = xmlXPathCtxtCompile(ctx, (const xmlChar *)xpath);
    bool good = compiled && xpath_evaluates(ctx, compiled);
    if (!good && !err->text)
        err->text = "this is not valid XPath";
    xmlXPathFreeCompExpr(compiled);
    xmlXPathFreeContext(ctx);
    return good ? 0 : -EINVAL;
}

/* The expression of "css:..." or "xpath:...", for free(); err->at counts from the spec. */
static int field_compile(const char *spec, const char *how, char **ret, struct select_error *err)
{
    char *xpath = NULL, *first;
    int r;

    if (strncmp(how, "css:", 4) == 0) {
        how += 4;
        r = select_to_xpath(how, &xpath, err);
        /* Only the first match is wanted, and the evaluator can stop there. */
        if (r == 0 && asprintf(&first, "(%s)[1]", xpath) < 0)
            r = -ENOMEM;
        else if (r == 0)
            *ret = first;
        free(xpath);
    } else if (strncmp(how, "xpath:", 6) == 0) {
        how += 6;
        r = xpath_check(how, err);
        if (r == 0) {
            *ret = strdup(how);
            r = *ret ? 0 : -ENOMEM;
        }
    } else {
        err->text = "css: or xpath: expected";
        r = -EINVAL;
    }
    err->at += (size_t)(how - spec);
    return r;
}

int html_rules_add(struct html_rules *r, const char *spec, char *err, size_t cap)
{
    struct select_error where = {0};
    const char *equals = strchr(spec, '=');
    char *xpath = NULL;
    int res;

    if (!equals || equals == spec) {
        snprintf(err, cap, "'%s' is not a field (like 'price=css:.price')", spec);
        return -EINVAL;
    }
    size_t name = (size_t)(equals - spec);
    for (size_t i = 0; i < r->n; i++) {
        if (strlen(r->fields[i].name) == name && memcmp(r->fields[i].name, spec, name) == 0) {
            snprintf(err, cap, "field '%s' is declared twice", r->fields[i].name);
            return -EEXIST;
        }
    }
    res = field_compile(spec, equals + 1, &xpath, &where);
    if (res == -EINVAL)
        snprintf(err, cap, "'%s': column %zu: %s", spec, where.at + 1, where.text);
    if (res < 0)
        return res;
    struct field *fields = realloc(r->fields, (r->n + 1) * sizeof *fields);
    if (fields)
        r->fields = fields;
    char *copy = fields ? strndup(spec, name) : NULL;
    char *text = copy ? strdup(spec) : NULL;
    if (!text) {
        free(copy);
        free(xpath);
        return -ENOMEM;
    }
    const char *css = strncmp(equals + 1, "css:", 4) == 0 ? text + (equals + 5 - spec) : NULL;
    const char *plain = css && select_is_plain(css) ? css : NULL;
    r->fields[r->n++] = (struct field){copy, xpath, text, plain};
    askers_drop(r); /* they know the fields there were */
    return 0;
}

static int asker_new(const struct html_rules *r, struct html_asker **ret)
{
    struct html_asker *a = calloc(1, sizeof *a + r->n * sizeof a->compiled[0]);

    if (!a)
        return -ENOMEM;
    a->fields = r->fields;
    a->ctx = xmlXPathNewContext(NULL);
    if (!a->ctx) {
        free(a);
        return -ENOMEM;
    }
    xmlXPathContextSetCache(a->ctx, 1, -1, 0); /* values made for one node serve for the next */
    a->ctx->error = xpath_error;
    a->ctx->opLimit = FIELD_STEPS_MAX;
    for (a->n = 0; a->n < r->n; a->n++) {
        const xmlChar *text = (const xmlChar *)r->fields[a->n].xpath;
        a->compiled[a->n] = xmlXPathCtxtCompile(a->ctx, text);
        if (!a->compiled[a->n]) {
            asker_free(a);
            return -ENOMEM; /* it compiled when it was declared */
        }
    }
    *ret = a;
    return 0;
}

int html_asker_take(struct html_rules *r, struct html_asker **ret)
{
    pthread_mutex_lock(&r->lock);
    struct html_asker *a = r->idle;
    if (a)
        r->idle = a->next; /* (I1) */
    pthread_mutex_unlock(&r->lock);
    if (!a)
        return asker_new(r, ret);
    *ret = a;
    return 0;
}

void html_asker_give(struct html_rules *r, struct html_asker *a)
{
    a->ctx->doc = NULL;
    a->ctx->node = NULL;
    pthread_mutex_lock(&r->lock);
    a->next = r->idle;
    r->idle = a;
    pthread_mutex_unlock(&r->lock);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/* Runs of white space become one space, which is written only once something follows it. */
static void put_collapsed(const char *s, size_t start, bool *space, struct buf *out)
{
    while (*s) {
        size_t n = 0;
        if (is_space(*s)) {
            *space = true;
            s++;
            continue;
        }
        while (s[n] && !is_space(s[n]))
            n++;
        if (*space && out->len > start)
            buf_putc(out, ' ');
        *space = false;
        buf_add(out, s, n);
        s += n;
    }
}

static const xmlNode *next_in(const xmlNode *node, const xmlNode *top)
{
    bool parent = node->type == XML_ELEMENT_NODE || node->type == XML_HTML_DOCUMENT_NODE;

    if (parent && node->children)
        return node->children;
    while (node != top && !node->next)
        node = node->parent;
    return node == top ? NULL : node->next;
}

void html_text(const xmlNode *node, struct buf *out)
{
    size_t start = out->len;
    bool space = false;

    if (node->type == XML_ATTRIBUTE_NODE)
        node = node->children; /* one text, or nothing */
    if (node && node->type == XML_COMMENT_NODE && node->content)
        put_collapsed((const char *)node->content, start, &space, out);
    for (const xmlNode *at = node; at; at = next_in(at, node))
        if ((at->type == XML_TEXT_NODE || at->type == XML_CDATA_SECTION_NODE) && at->content)
            put_collapsed((const char *)at->content, start, &space, out);
}

/* A string, number or boolean, as XPath's string() has it. */
static int put_scalar(xmlXPathObject *value, struct buf *out)
{
    xmlChar *text = xmlXPathCastToString(value);
    bool space = false;

    if (!text)
        return -ENOMEM;
    put_collapsed((const char *)text, out->len, &space, out);
    xmlFree(text);
    return 1;
}

static int put_plain(const char *css, const xmlNode *doc, struct buf *out)
{
    const xmlNode *at = doc;

    while (at && !select_plain_matches(css, at))
        at = next_in(at, doc);
    if (!at)
        return 0;
    html_text(at, out);
    buf_add(out, "", 1);
    return buf_error(out) < 0 ? -ENOMEM : 1;
}

int html_asker_field(struct html_asker *a, size_t i, xmlDoc *doc, struct buf *out)
{
    if (a->fields[i].plain)
        return put_plain(a->fields[i].plain, (const xmlNode *)doc, out);
    a->ctx->doc = doc;
    a->ctx->node = (xmlNode *)doc;
    a->ctx->opCount = 0;
    xmlXPathObject *value = xmlXPathCompiledEval(a->compiled[i], a->ctx);
    if (!value)
        return -E2BIG;
    int r = 0;
    if (value->type == XPATH_NODESET) {
        if (value->nodesetval && value->nodesetval->nodeNr > 0) {
            xmlXPathNodeSetSort(value->nodesetval);
            html_text(value->nodesetval->nodeTab[0], out);
            r = 1;
        }
    } else {
        r = put_scalar(value, out);
    }
    xmlXPathFreeObject(value);
    if (r == 1)
        buf_add(out, "", 1);
    return buf_error(out) < 0 ? -ENOMEM : r;
}
