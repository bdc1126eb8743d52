/* SPDX-License-Identifier: MIT
 *
 * charset_meta.c - the encoding that a page declares in a <meta>
 *
 * HOW   The standard's prescan: a tokenizer so small that it knows comments, tags and attributes
 *   and nothing else, run before there is any other.  It reads the beginning of the page
 *   only and treats all of it as ASCII.
 *
 * SEE   https://html.spec.whatwg.org/#prescan-a-byte-stream-to-determine-its-encoding
 */
#include "lib/charset_meta.h"

#include <string.h>
#include <strings.h>

/* The standard asks for 1,024 and has the parser start anew when a <meta> comes later. */
enum { PRESCAN_MAX = 16 * 1024 };

struct scan {
    const char *at, *end;
};

struct slice {
    const char *p;
    size_t n;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool is_letter(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool slice_is(struct slice s, const char *word)
{
    return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
}

static void skip_space(struct scan *s)
{
    while (s->at < s->end && is_space(*s->at))
        s->at++;
}

static void skip_to(struct scan *s, const char *token)
{
    const char *found = memmem(s->at, (size_t)(s->end - s->at), token, strlen(token));

    s->at = found ? found + strlen(token) : s->end;
}

static struct slice read_value(struct scan *s)
{
    struct slice v = {s->at, 0};

    if (s->at < s->end && (*s->at == '"' || *s->at == '\'')) {
        const char *close = memchr(s->at + 1, *s->at, (size_t)(s->end - s->at) - 1);
        v.p = s->at + 1;
        s->at = close ? close + 1 : s->end;
        v.n = close ? (size_t)(close - v.p) : 0; /* cut off: as if not there */
        return v;
    }
    while (s->at < s->end && !is_space(*s->at) && *s->at != '>')
        s->at++;
    v.n = (size_t)(s->at - v.p);
    return v;
}

/* The next attribute of a tag; false at its end. */
static bool read_attribute(struct scan *s, struct slice *name, struct slice *value)
{
    while (s->at < s->end && (is_space(*s->at) || *s->at == '/'))
        s->at++;
    if (s->at == s->end || *s->at == '>')
        return false;
    name->p = s->at++; /* a name may begin with '=' */
    while (s->at < s->end && !is_space(*s->at) && !memchr("=/>", *s->at, 3))
        s->at++;
    name->n = (size_t)(s->at - name->p);
    *value = (struct slice){s->at, 0};
    skip_space(s);
    if (s->at < s->end && *s->at == '=') {
        s->at++;
        skip_space(s);
        *value = read_value(s);
    }
    return true;
}

/* "text/html; charset=x": the x. */
static struct slice charset_of_content(struct slice content)
{
    struct scan s = {content.p, content.p + content.n};

    for (; s.end - s.at > 7; s.at++) {
        if (strncasecmp(s.at, "charset", 7) != 0)
            continue;
        struct scan v = {s.at + 7, s.end};
        skip_space(&v);
        if (v.at == v.end || *v.at != '=')
            continue;
        v.at++;
        skip_space(&v);
        struct slice value = read_value(&v);
        const char *stop = memchr(value.p, ';', value.n);
        if (stop && value.p[-1] != '"' && value.p[-1] != '\'')
            value.n = (size_t)(stop - value.p);
        return value;
    }
    return (struct slice){content.p, 0};
}

/* Behind "<meta": the label it gives, empty when none. */
static struct slice read_meta(struct scan *s)
{
    struct slice name, value, charset = {s->at, 0}, content = {s->at, 0};
    bool seen_charset = false, seen_content = false, pragma = false;

    while (read_attribute(s, &name, &value)) {
        if (slice_is(name, "charset") && !seen_charset) {
            charset = value;
            seen_charset = true;
        } else if (slice_is(name, "content") && !seen_content) {
            content = value;
            seen_content = true;
        } else if (slice_is(name, "http-equiv")) {
            pragma = pragma || slice_is(value, "content-type");
        }
    }
    if (s->at == s->end) /* not a whole tag */
        return (struct slice){s->at, 0};
    return seen_charset ? charset : pragma ? charset_of_content(content) : charset;
}

/* Past one comment, tag or text; the label when it was a <meta> that gives one. */
static struct slice read_one(struct scan *s)
{
    struct slice none = {s->at, 0}, name, value;
    size_t left = (size_t)(s->end - s->at);

    if (left >= 4 && memcmp(s->at, "<!--", 4) == 0) {
        s->at += 2; /* "<!-->" is a whole one */
        skip_to(s, "-->");
    } else if (left >= 6 && strncasecmp(s->at, "<meta", 5) == 0 &&
               (is_space(s->at[5]) || s->at[5] == '/')) {
        s->at += 5;
        return read_meta(s);
    } else if (left >= 3 && s->at[0] == '<' && is_letter(s->at[1 + (s->at[1] == '/')])) {
        while (s->at < s->end && !is_space(*s->at) && *s->at != '>')
            s->at++;
        while (read_attribute(s, &name, &value))
            continue;
    } else if (left >= 2 && s->at[0] == '<' && memchr("!/?", s->at[1], 3)) {
        skip_to(s, ">");
    } else {
        const char *tag = memchr(s->at + 1, '<', left - 1);
        s->at = tag ? tag : s->end;
    }
    return none;
}

bool charset_meta(const char *bytes, size_t n, size_t *at, char label[CHARSET_LABEL_MAX])
{
    struct scan s = {bytes + *at, bytes + (n < PRESCAN_MAX ? n : PRESCAN_MAX)};

    while (s.at < s.end) {
        struct slice found = read_one(&s);
        *at = (size_t)(s.at - bytes);
        if (found.n == 0 || found.n >= CHARSET_LABEL_MAX)
            continue;
        memcpy(label, found.p, found.n);
        label[found.n] = '\0';
        return true;
    }
    return false;
}
