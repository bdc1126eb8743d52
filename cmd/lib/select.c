/* SPDX-License-Identifier: MIT
 *
 * select.c - CSS selectors, compiled to XPath 1.0
 *
 * HOW   Recursive descent that writes as it reads; each production below is a function:
 *
 *       group     = selector ("," selector)*
 *       selector  = compound (combinator compound)* suffix?
 *       compound  = (name | "*")? simple*          a step of a path and its predicates
 *       simple    = #id | .class | [attribute] | :pseudo | :not(simple)    one predicate
 *
 *       div > a.b:first-child     /descendant::div/child::a[...][not(preceding-sibling::*)]
 *
 *   A position among siblings is a count of the siblings before, never XPath's own position():
 *   that one counts what the step and the predicates before it have left over.
 *
 * REJECTED  A syntax tree in between.  The matcher that will replace libxml2 needs one; this
 *   translation does not.
 *
 * SEE   https://www.w3.org/TR/selectors-4/, and cssselect for the shape of the XPath
 */
#include "lib/select.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/css_scan.h"

static void word_lower(struct css *c)
{
    for (size_t i = 0; i < c->word.len; i++)
        if (c->word.p[i] >= 'A' && c->word.p[i] <= 'Z')
            c->word.p[i] |= 0x20;
}

/* XPath has no escapes: a text with both kinds of quotes is put together from pieces. */
static void put_literal(struct buf *b, const char *s, size_t n)
{
    if (!memchr(s, '\'', n)) {
        buf_printf(b, "'%.*s'", (int)n, s);
        return;
    }
    buf_puts(b, "concat(''");
    while (n > 0) {
        char quote = *s == '\'' ? '"' : '\'';
        size_t len = 1;
        while (len < n && (s[len] == '\'') == (*s == '\''))
            len++;
        buf_printf(b, ",%c%.*s%c", quote, (int)len, s, quote);
        s += len;
        n -= len;
    }
    buf_putc(b, ')');
}

static bool is_xpath_name(const char *s)
{
    if (!((*s >= 'a' && *s <= 'z') || *s == '_'))
        return false;
    while ((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || *s == '_' || *s == '-')
        s++;
    return *s == '\0';
}

/* c->word as a name test behind `axis` ("@", "self::", "/descendant::"). */
static void put_name_test(struct css *c, const char *axis)
{
    word_lower(c);
    buf_puts(&c->out, axis);
    if (buf_error(&c->word) < 0) {
        c->out.failed = true;
        return;
    }
    if (is_xpath_name(c->word.p)) {
        buf_puts(&c->out, c->word.p);
        return;
    }
    buf_puts(&c->out, "*[name()=");
    put_literal(&c->out, c->word.p, c->word.len);
    buf_putc(&c->out, ']');
}

/* The attribute's words, each with a space at both ends, hold this one. */
static void put_has_word(struct css *c, const char *attr)
{
    struct buf *word = &c->word;
    bool one = word->len > 0;

    for (size_t i = 0; i < word->len; i++)
        one = one && !css_is_space(word->p[i]);
    if (!one) {
        buf_puts(&c->out, "false()");
        return;
    }
    /* Most elements have no such attribute, and the first test is the cheap one. */
    buf_printf(&c->out, "%s and contains(concat(' ',normalize-space(%s),' '),", attr, attr);
    buf_puts(word, "  ");
    if (buf_error(word) < 0) {
        c->out.failed = true;
        return;
    }
    memmove(word->p + 1, word->p, word->len - 2);
    word->p[0] = ' ';
    put_literal(&c->out, word->p, word->len);
    buf_putc(&c->out, ')');
}

/* Test `op` between the attribute and c->word. */
static void put_attribute_test(struct css *c, const char *attr, char op)
{
    struct buf *b = &c->out;
    const char *value = c->word.p;
    size_t n = c->word.len;

    if (buf_error(&c->word) < 0) {
        b->failed = true;
        return;
    }
    if (n == 0 && strchr("^$*", op)) {
        buf_puts(b, "false()"); /* every value starts with nothing; CSS says none matches */
        return;
    }
    switch (op) {
    case '~':
        put_has_word(c, attr);
        return;
    case '^':
    case '*':
        buf_printf(b, "%s(%s,", op == '^' ? "starts-with" : "contains", attr);
        put_literal(b, value, n);
        buf_putc(b, ')');
        return;
    case '$':
        buf_printf(b, "substring(%s,string-length(%s)-string-length(", attr, attr);
        put_literal(b, value, n);
        buf_puts(b, ")+1)=");
        put_literal(b, value, n);
        return;
    case '|':
        buf_printf(b, "(%s=", attr);
        put_literal(b, value, n);
        buf_printf(b, " or starts-with(%s,concat(", attr);
        put_literal(b, value, n);
        buf_puts(b, ",'-')))");
        return;
    default:
        buf_printf(b, "%s=", attr);
        put_literal(b, value, n);
    }
}

/* Behind "[". */
static int css_attribute(struct css *c)
{
    char op = '\0', *attr = NULL;
    struct buf mark = c->out;

    css_space(c);
    int r = css_name(c, "an attribute's name expected");
    if (r < 0)
        return r;
    put_name_test(c, "@");
    css_space(c);
    if (css_take(c, "]"))
        return 0;
    if (*c->at != '\0' && strchr("~|^$*", *c->at))
        op = *c->at++;
    if (!css_take(c, "="))
        return css_fail(c, "one of = ~= |= ^= $= *= or ] expected");
    css_space(c);
    r = *c->at == '"' || *c->at == '\'' ? css_string(c)
                                        : css_name(c, "a name or a string expected");
    if (r < 0)
        return r;
    css_space(c);
    if (!css_take(c, "]"))
        return css_fail(c, "] expected");
    /* The name test just written becomes an operand. */
    if (!c->out.failed)
        attr = strdup(c->out.p + mark.len);
    if (!attr)
        return -ENOMEM;
    c->out.len = mark.len;
    put_attribute_test(c, attr, op);
    free(attr);
    return 0;
}

/* "+3" or "- 3" behind "an"; nothing is 0. */
static int css_nth_offset(struct css *c, int *b)
{
    css_space(c);
    *b = 0;
    if (*c->at != '+' && *c->at != '-')
        return 0;
    int sign = *c->at++ == '-' ? -1 : 1;
    css_space(c);
    int n = css_number(c);
    if (n < 0)
        return css_fail(c, "a number expected");
    *b = sign * n;
    return 0;
}

/* "odd", "even", "3", "-n+3", "2n + 1", as a and b. */
static int css_nth(struct css *c, int *a, int *b)
{
    const char *start = c->at;
    int r = 0;

    if (css_take(c, "odd")) {
        *a = 2;
        *b = 1;
    } else if (css_take(c, "even")) {
        *a = 2;
        *b = 0;
    } else {
        int sign = css_take(c, "-") ? -1 : 1;
        if (sign > 0)
            css_take(c, "+");
        int n = css_number(c);
        if (css_take(c, "n")) {
            *a = sign * (n < 0 ? 1 : n);
            r = css_nth_offset(c, b);
        } else if (n < 0) {
            return css_fail(c, "odd, even, a number or an+b expected");
        } else {
            *a = 0;
            *b = sign * n;
        }
    }
    if (r == 0 && (abs(*a) >= CSS_NUMBER_MAX || abs(*b) >= CSS_NUMBER_MAX)) {
        c->at = start;
        return css_fail(c, "the number is too large");
    }
    return r;
}

/* Of the k siblings before: k + 1 = a n + b for some n >= 0. */
static void put_nth(struct css *c, int a, int b)
{
    static const char before[] = "count(preceding-sibling::*)";
    int k = b - 1;

    if (a == 0)
        buf_printf(&c->out, "%s=%d", before, k);
    else if (a > 0)
        buf_printf(&c->out, "(%s>=%d and (%s - %d) mod %d=0)", before, k, before, k, a);
    else
        buf_printf(&c->out, "(%s<=%d and (%d - %s) mod %d=0)", before, k, k, before, -a);
}

static int css_simple(struct css *c, bool in_not);

/* Behind ":not(". */
static int css_not(struct css *c)
{
    int r = 0;

    css_space(c);
    buf_puts(&c->out, "not(");
    if (css_take(c, "*")) {
        buf_puts(&c->out, "self::*");
    } else if (css_is_name_start(*c->at) || *c->at == '\\') {
        r = css_name(c, "a name expected");
        if (r == 0)
            put_name_test(c, "self::");
    } else {
        r = css_simple(c, true);
    }
    css_space(c);
    if (r == 0 && !css_take(c, ")"))
        return css_fail(c, ") expected: :not() takes one simple selector");
    buf_putc(&c->out, ')');
    return r;
}

/* Behind ":". */
static int css_pseudo(struct css *c, bool in_not)
{
    const char *start = c->at;
    int a = 0, b = 0, r;

    if (css_take(c, "nth-child(")) {
        css_space(c);
        r = css_nth(c, &a, &b);
        if (r < 0)
            return r;
        css_space(c);
        if (!css_take(c, ")"))
            return css_fail(c, ") expected");
        put_nth(c, a, b);
        return 0;
    }
    if (css_take(c, "not(")) {
        if (!in_not)
            return css_not(c);
        c->at = start;
        return css_fail(c, ":not() inside :not() is not understood");
    }
    r = css_name(c, "a pseudo-class expected");
    if (r < 0 || buf_error(&c->word) < 0)
        return r < 0 ? r : -ENOMEM;
    if (strcmp(c->word.p, "first-child") == 0) {
        buf_puts(&c->out, "not(preceding-sibling::*)");
    } else if (strcmp(c->word.p, "last-child") == 0) {
        buf_puts(&c->out, "not(following-sibling::*)");
    } else {
        c->at = start;
        return css_fail(c, "this pseudo-class is not understood (:first-child, :last-child, "
                           ":nth-child(), :not() are)");
    }
    return 0;
}

/* One condition, without the brackets of a predicate. */
static int css_simple(struct css *c, bool in_not)
{
    int r;

    if (css_take(c, "#")) {
        r = css_name(c, "an id expected");
        if (r == 0)
            put_attribute_test(c, "@id", '=');
    } else if (css_take(c, ".")) {
        r = css_name(c, "a class expected");
        if (r == 0)
            put_attribute_test(c, "@class", '~');
    } else if (css_take(c, "[")) {
        r = css_attribute(c);
    } else if (css_take(c, ":")) {
        r = css_pseudo(c, in_not);
    } else {
        r = css_fail(c, "a selector expected");
    }
    return r;
}

static bool starts_simple(const struct css *c)
{
    return *c->at != '\0' && strchr("#.[:", *c->at) && strncmp(c->at, "::", 2) != 0;
}

static int css_compound(struct css *c, const char *axis)
{
    int r = 0;
    /* "::text" alone is the text of anything. */
    bool any = css_take(c, "*") || starts_simple(c) || strncmp(c->at, "::", 2) == 0;

    if (any) {
        buf_printf(&c->out, "%s*", axis);
    } else {
        r = css_name(c, "a selector expected");
        if (r == 0)
            put_name_test(c, axis);
    }
    while (r == 0 && starts_simple(c)) {
        buf_putc(&c->out, '[');
        r = css_simple(c, false);
        buf_putc(&c->out, ']');
    }
    return r;
}

/* Behind "::". */
static int css_suffix(struct css *c)
{
    if (css_take(c, "text")) {
        buf_puts(&c->out, "/text()[normalize-space()]");
    } else if (css_take(c, "attr(")) {
        css_space(c);
        int r = css_name(c, "an attribute's name expected");
        if (r < 0)
            return r;
        put_name_test(c, "/@");
        css_space(c);
        if (!css_take(c, ")"))
            return css_fail(c, ") expected");
    } else {
        return css_fail(c, "::text and ::attr(name) are understood");
    }
    css_space(c);
    if (*c->at != '\0' && *c->at != ',')
        return css_fail(c, "nothing may follow ::text and ::attr(name)");
    return 0;
}

/* The step to the next compound, or NULL at the end of the selector. */
static const char *css_combinator(struct css *c)
{
    const char *axis = css_is_space(*c->at) ? "/descendant::" : NULL;

    css_space(c);
    if (*c->at == '\0' || *c->at == ',')
        return NULL;
    if (css_take(c, ">"))
        axis = "/child::";
    else if (css_take(c, "+"))
        axis = "/following-sibling::*[1]/self::";
    else if (css_take(c, "~"))
        axis = "/following-sibling::";
    css_space(c);
    return axis;
}

static int css_selector(struct css *c)
{
    css_space(c);
    for (const char *axis = "/descendant::"; axis;) {
        int r = css_compound(c, axis);
        if (r < 0)
            return r;
        if (css_take(c, "::"))
            return css_suffix(c);
        axis = css_combinator(c);
        if (!axis && *c->at != '\0' && *c->at != ',')
            return css_fail(c, "this does not belong to a selector");
    }
    return 0;
}

int select_to_xpath(const char *css, char **ret, struct select_error *err)
{
    struct css c = {.start = css, .at = css, .err = err};

    int r = css_check_text(&c);
    if (r == 0)
        r = css_selector(&c);
    while (r == 0 && css_take(&c, ",")) {
        buf_putc(&c.out, '|');
        r = css_selector(&c);
    }
    buf_free(&c.word);
    char *text = buf_take(&c.out);
    if (r == 0 && text) {
        *ret = text;
        return 0;
    }
    free(text);
    return r < 0 ? r : -ENOMEM;
}
