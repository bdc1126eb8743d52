/* SPDX-License-Identifier: MIT
 *
 * css_scan.c - the words of a CSS selector
 */
#include "lib/css_scan.h"

#include <errno.h>
#include <string.h>

#include "lib/charset.h"
#include "lib/url_host.h"

int css_fail(struct css *c, const char *text)
{
    c->err->at = (size_t)(c->at - c->start);
    c->err->text = text;
    return -EINVAL;
}

bool css_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

void css_space(struct css *c)
{
    while (css_is_space(*c->at))
        c->at++;
}

bool css_take(struct css *c, const char *token)
{
    size_t n = strlen(token);

    if (strncmp(c->at, token, n) != 0)
        return false;
    c->at += n;
    return true;
}

bool css_is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_name_char(char c)
{
    return css_is_name_start(c) || (c >= '0' && c <= '9') || c == '-';
}

static void put_utf8(struct buf *b, unsigned c)
{
    if (c < 0x80) {
        buf_putc(b, (char)c);
        return;
    }
    if (c >= 0x10000)
        buf_add(b, (char[]){(char)(0xf0 | c >> 18), (char)(0x80 | (c >> 12 & 63))}, 2);
    else if (c >= 0x800)
        buf_putc(b, (char)(0xe0 | c >> 12));
    if (c >= 0x800)
        buf_putc(b, (char)(0x80 | (c >> 6 & 63)));
    else
        buf_putc(b, (char)(0xc0 | c >> 6));
    buf_putc(b, (char)(0x80 | (c & 63)));
}

/* No other character can be in a page's tree, nor in an XPath expression. */
static bool is_xml_char(unsigned code)
{
    if (code < 0x20)
        return code == '\t' || code == '\n' || code == '\r';
    return code <= 0x10ffff && !(code >= 0xd800 && code < 0xe000) && (code & ~1u) != 0xfffe;
}

int css_check_text(struct css *c)
{
    static const char noncharacter[] = "\xef\xbf\xbe"; /* U+FFFE; U+FFFF is one on */

    for (size_t len; *c->at; c->at += len) {
        unsigned char first = (unsigned char)*c->at;
        len = charset_utf8_length(c->at, strnlen(c->at, 4));
        if (first < 0x80 ? !is_xml_char(first) : len == 0)
            return css_fail(c, "not a character of UTF-8 text");
        if (len == 3 && memcmp(c->at, noncharacter, 2) == 0 && (c->at[2] & 0x3e) == 0x3e)
            return css_fail(c, "not a character of UTF-8 text");
    }
    c->at = c->start;
    return 0;
}

/* Behind a backslash: up to six hexadecimal digits and a space, or any character as itself. */
static int css_escape(struct css *c)
{
    unsigned code = 0, digits = 0;

    if (*c->at == '\0' || *c->at == '\n')
        return css_fail(c, "a backslash needs a character behind it");
    for (; digits < 6 && url_hex(*c->at) >= 0; digits++)
        code = code << 4 | (unsigned)url_hex(*c->at++);
    if (digits == 0) {
        buf_putc(&c->word, *c->at++);
        return 0;
    }
    if (css_is_space(*c->at))
        c->at++;
    bool bad = !is_xml_char(code);
    put_utf8(&c->word, bad ? 0xfffd : code);
    return 0;
}

int css_name(struct css *c, const char *what)
{
    const char *s = c->at + (*c->at == '-');

    buf_reset(&c->word);
    if (!css_is_name_start(*s) && *s != '-' && *s != '\\')
        return css_fail(c, what);
    while (is_name_char(*c->at) || *c->at == '\\') {
        if (*c->at != '\\') {
            buf_putc(&c->word, *c->at++);
            continue;
        }
        c->at++;
        int r = css_escape(c);
        if (r < 0)
            return r;
    }
    return 0;
}

int css_string(struct css *c)
{
    const char *open = c->at++;

    buf_reset(&c->word);
    buf_puts(&c->word, "");
    while (*c->at != *open) {
        if (*c->at == '\0') {
            c->at = open;
            return css_fail(c, "the string is not closed");
        }
        if (*c->at != '\\') {
            buf_putc(&c->word, *c->at++);
            continue;
        }
        c->at++;
        int r = css_escape(c);
        if (r < 0)
            return r;
    }
    c->at++;
    return 0;
}

int css_number(struct css *c)
{
    int n = -1;

    for (; *c->at >= '0' && *c->at <= '9'; c->at++)
        if (n < CSS_NUMBER_MAX)
            n = (n < 0 ? 0 : n) * 10 + (*c->at - '0');
    return n;
}
