/* SPDX-License-Identifier: MIT
 *
 * select_plain.c - selectors of one element: "h1", ".price", "p#a.b"
 *
 * WHAT  Most fields are asked for so.  The XPath of two of them (select.c) was a fifth of what
 *   reading a page cost: for each element with a class it makes a string of its words.  Here an
 *   element is held against the selector's text as it stands.
 */
#include "lib/select_plain.h"

#include <stddef.h>
#include <string.h>

static const char lower[] = "abcdefghijklmnopqrstuvwxyz0123456789";
static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool select_is_plain(const char *css)
{
    const char *s = css;

    if (*s >= 'a' && *s <= 'z')
        s += strspn(s, lower);
    while ((*s == '.' || *s == '#') && is_letter(s[1]))
        s += 1 + strspn(s + 1, word);
    return s > css && *s == '\0';
}

/* The attribute's value, which lives in the tree; NULL when it is not there. */
static const char *value_of(const xmlNode *node, const char *name)
{
    for (const xmlAttr *a = node->properties; a; a = a->next)
        if (strcmp((const char *)a->name, name) == 0)
            return a->children && a->children->content ? (const char *)a->children->content : "";
    return NULL;
}

/* Is it one of the words, between what XPath takes for white space? */
static bool has_word(const char *list, const char *want, size_t n)
{
    static const char between[] = " \t\n\r";

    for (const char *s = list; s && *s;) {
        s += strspn(s, between);
        size_t len = strcspn(s, between);
        if (len == n && memcmp(s, want, n) == 0)
            return true;
        s += len;
    }
    return false;
}

static bool is_value(const char *value, const char *want, size_t n)
{
    return value && strncmp(value, want, n) == 0 && value[n] == '\0';
}

bool select_plain_matches(const char *css, const xmlNode *node)
{
    const char *s = css;

    if (node->type != XML_ELEMENT_NODE)
        return false;
    if (*s != '.' && *s != '#') {
        size_t n = strspn(s, lower);
        if (node->ns || !is_value((const char *)node->name, s, n))
            return false;
        s += n;
    }
    while (*s) {
        bool id = *s++ == '#';
        size_t n = strspn(s, word);
        if (id ? !is_value(value_of(node, "id"), s, n) : !has_word(value_of(node, "class"), s, n))
            return false;
        s += n;
    }
    return true;
}
