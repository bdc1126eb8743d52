/* SPDX-License-Identifier: MIT
 *
 * charset.c - which encoding a page is in, and the page as UTF-8
 *
 * HOW   Labels are those of the WHATWG Encoding standard, which are not iconv's: there
 *   "iso-8859-1" is windows-1252 and "gb2312" is GB18030, because that is what pages that say so
 *   hold.  A label that is in no row of the table is ignored; so are the stateful encodings the
 *   standard forbids (utf-7, hz, iso-2022-kr), with which markup can be hidden from filters.
 *
 * SEE   https://encoding.spec.whatwg.org/#names-and-labels, charset_meta.c
 */
#include "lib/charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "lib/charset_meta.h"

static const char utf8_name[] = "UTF-8";
static const char replacement[] = "\xef\xbf\xbd";

/* iconv's name, and the labels that mean it, each with a space before and behind. */
static const struct {
    const char *name, *labels;
} charsets[] = {
    {utf8_name, " utf-8 utf8 unicode-1-1-utf-8 unicode11utf8 unicode20utf8 x-unicode20utf8 "},
    {"CP1252", " windows-1252 ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 "
               "iso-ir-100 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii "
               "x-cp1252 x-user-defined "},
    {"CP866", " 866 cp866 csibm866 ibm866 "},
    {"ISO-8859-2", " csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 l2 latin2 "},
    {"ISO-8859-3", " csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 l3 latin3 "},
    {"ISO-8859-4", " csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 l4 latin4 "},
    {"ISO-8859-5", " csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso_8859-5 "},
    {"ISO-8859-6", " arabic asmo-708 csisolatinarabic ecma-114 iso-8859-6 iso8859-6 iso_8859-6 "},
    {"ISO-8859-7", " csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso8859-7 "},
    {"ISO-8859-8", " csisolatinhebrew hebrew iso-8859-8 iso-8859-8-i iso8859-8 logical visual "},
    {"ISO-8859-10", " csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 l6 latin6 "},
    {"ISO-8859-13", " iso-8859-13 iso8859-13 iso885913 "},
    {"ISO-8859-14", " iso-8859-14 iso8859-14 iso885914 "},
    {"ISO-8859-15", " csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9 "},
    {"ISO-8859-16", " iso-8859-16 "},
    {"KOI8-R", " cskoi8r koi koi8 koi8-r koi8_r "},
    {"KOI8-U", " koi8-ru koi8-u "},
    {"MACINTOSH", " csmacintosh mac macintosh x-mac-roman "},
    {"MAC-CYRILLIC", " x-mac-cyrillic x-mac-ukrainian "},
    {"CP874", " dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874 "},
    {"CP1250", " cp1250 windows-1250 x-cp1250 "},
    {"CP1251", " cp1251 windows-1251 x-cp1251 "},
    {"CP1253", " cp1253 windows-1253 x-cp1253 "},
    {"CP1254", " cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 l5 latin5 "
               "windows-1254 x-cp1254 "},
    {"CP1255", " cp1255 windows-1255 x-cp1255 "},
    {"CP1256", " cp1256 windows-1256 x-cp1256 "},
    {"CP1257", " cp1257 windows-1257 x-cp1257 "},
    {"CP1258", " cp1258 windows-1258 x-cp1258 "},
    {"GB18030", " chinese csgb2312 csiso58gb231280 gb18030 gb2312 gb_2312 gb_2312-80 gbk "
                "iso-ir-58 x-gbk "},
    {"BIG5-HKSCS", " big5 big5-hkscs cn-big5 csbig5 x-x-big5 "},
    {"EUC-JP", " cseucpkdfmtjapanese euc-jp x-euc-jp "},
    {"ISO-2022-JP", " csiso2022jp iso-2022-jp "},
    {"CP932", " csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis "},
    {"UHC", " cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 "
            "ksc5601 ksc_5601 windows-949 "},
    {"UTF-16BE", " unicodefffe utf-16be "},
    {"UTF-16LE", " csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le "},
};

/* The row of a label; NULL when nobody knows it. */
static const char *charset_of_label(const char *label, size_t n)
{
    char key[40];

    while (n > 0 && (unsigned char)label[0] <= ' ') {
        label++;
        n--;
    }
    while (n > 0 && (unsigned char)label[n - 1] <= ' ')
        n--;
    if (n == 0 || n > sizeof key - 3 || memchr(label, ' ', n) || memchr(label, '\0', n))
        return NULL;
    key[0] = ' ';
    memcpy(key + 1, label, n);
    memcpy(key + 1 + n, " ", 2);
    for (size_t i = 0; i < sizeof charsets / sizeof *charsets; i++)
        if (strcasestr(charsets[i].labels, key))
            return charsets[i].name;
    return NULL;
}

static const char *charset_of_meta(const char *bytes, size_t n)
{
    char label[CHARSET_LABEL_MAX];
    const char *name = NULL;
    size_t at = 0;

    while (!name && charset_meta(bytes, n, &at, label))
        name = charset_of_label(label, strlen(label));
    /* A tag that could be read octet by octet is not UTF-16, whatever it says. */
    return name && strncmp(name, "UTF-16", 6) == 0 ? utf8_name : name;
}

size_t charset_utf8_length(const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;

    if (s[0] < 0x80)
        return s[0] != 0;
    size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || len > n)
        return 0;
    /* Over-long forms, surrogates and what is beyond U+10FFFF show in the second octet. */
    unsigned char low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

/* Octets from the start that need no change. */
static size_t utf8_valid(const char *bytes, size_t n)
{
    const uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080;
    size_t i = 0;

    while (i < n) {
        uint64_t word;
        if (n - i >= sizeof word) {
            memcpy(&word, bytes + i, sizeof word);
            if (((word | (word - ones)) & tops) == 0) { /* all ASCII, none NUL */
                i += sizeof word;
                continue;
            }
        }
        size_t len = charset_utf8_length(bytes + i, n - i);
        if (len == 0)
            break;
        i += len;
    }
    return i;
}

bool charset_is_utf8(const char *bytes, size_t n)
{
    return utf8_valid(bytes, n) == n;
}

/* With nothing declared: UTF-8, unless more octets speak against it than characters for it. */
static bool looks_like_utf8(const char *bytes, size_t n)
{
    size_t good = 0, bad = 0;

    for (size_t i = 0; i < n;) {
        size_t len = charset_utf8_length(bytes + i, n - i);
        good += len > 1;
        bad += len == 0 && bytes[i] != '\0';
        i += len ? len : 1;
    }
    return bad == 0 || good > bad;
}

const char *charset_sniff(const char *bytes, size_t n, const char *label)
{
    const char *name = NULL;

    if (n >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
        return utf8_name;
    if (n >= 2 && memcmp(bytes, "\xfe\xff", 2) == 0)
        return "UTF-16BE";
    if (n >= 2 && memcmp(bytes, "\xff\xfe", 2) == 0)
        return "UTF-16LE";
    if (label)
        name = charset_of_label(label, strlen(label));
    if (!name)
        name = charset_of_meta(bytes, n);
    if (!name)
        name = looks_like_utf8(bytes, n) ? utf8_name : "CP1252";
    return name;
}

static void utf8_clean(const char *bytes, size_t n, struct buf *out)
{
    for (;;) {
        size_t good = utf8_valid(bytes, n);
        buf_add(out, bytes, good);
        if (good == n)
            break;
        if (bytes[good] != '\0') /* the standard ignores a NUL in text */
            buf_puts(out, replacement);
        bytes += good + 1;
        n -= good + 1;
    }
}

/* Everything iconv can make of it, U+FFFD for each unit of `unit` octets it cannot. */
static void convert(iconv_t cd, size_t unit, const char *bytes, size_t n, struct buf *out)
{
    char *in = (char *)(uintptr_t)bytes, chunk[4096];

    while (n > 0) {
        char *to = chunk;
        size_t room = sizeof chunk;
        size_t r = iconv(cd, &in, &n, &to, &room);
        utf8_clean(chunk, (size_t)(to - chunk), out);
        if (r != (size_t)-1 || errno == E2BIG)
            continue;
        buf_puts(out, replacement);
        if (errno == EINVAL || n < unit) /* half a character at the end */
            break;
        in += unit;
        n -= unit;
    }
}

int charset_to_utf8(const char *name, const char *bytes, size_t n, struct buf *out)
{
    bool utf8 = strcmp(name, utf8_name) == 0, utf16 = strncmp(name, "UTF-16", 6) == 0;

    if (utf8 && n >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
        bytes += 3;
        n -= 3;
    } else if (utf16 && n >= 2 &&
               (memcmp(bytes, "\xfe\xff", 2) == 0 || memcmp(bytes, "\xff\xfe", 2) == 0)) {
        bytes += 2;
        n -= 2;
    }
    if (utf8) {
        utf8_clean(bytes, n, out);
        return buf_error(out);
    }
    iconv_t cd = iconv_open(utf8_name, name);
    if (cd == (iconv_t)-1)
        return errno == ENOMEM ? -ENOMEM : -EINVAL;
    convert(cd, utf16 ? 2 : 1, bytes, n, out);
    iconv_close(cd);
    return buf_error(out);
}
