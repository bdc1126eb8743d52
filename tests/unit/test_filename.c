/* SPDX-License-Identifier: MIT */
#include "lib/filename.h"

#include <ctype.h>
#include <stdio.h>

#include "lib/t.h"

/* The name without its hash, which must be there: 16 digits before the suffix. */
static const char *readable(const char *url)
{
    static char name[FILENAME_MAX_LEN + 1];
    char *end;

    filename_of_url(url, name);
    end = strrchr(name, '.');
    if (!end || strlen(end) > 9 || strspn(end + 1, "0123456789abcdef") == strlen(end + 1))
        end = name + strlen(name);
    CHECK(end - name >= 16);
    for (int i = 1; i <= 16; i++)
        CHECK(isxdigit(end[-i]));
    memmove(end - 16, end, strlen(end) + 1);
    return name;
}

TEST(people_can_read_them)
{
    CHECK_STR(readable("https://example.com/"), "example.com-");
    CHECK_STR(readable("https://example.com/a/b.html"), "example.com_a_b-.html");
    CHECK_STR(readable("http://u:p@example.com:80/x.tar.gz?a=1#f"), "example.com_80_x.tar_a_1-.gz");
    CHECK_STR(readable("http://h/?q=a.b"), "h_q_a.b-");
    CHECK_STR(readable("http://h/a.longsuffix"), "h_a.longsuffix-");
    CHECK_STR(readable("http://[::1]:80/x"), "1_80_x-");
    CHECK_STR(readable("http://example.com"), "example.com-");
    CHECK_STR(readable("http://h/a.b/"), "h_a.b-");
    CHECK_STR(readable("http://h/.html"), "h-.html");
    CHECK_STR(readable(""), "");
    CHECK_STR(readable("://"), "");
}

TEST(they_are_names_whatever_the_url)
{
    static const char *const urls[] = {
        "http://h/../../etc/passwd",
        "http://../x",
        "http://.hidden/",
        "-rf",
        "http://h/%2f",
        "http://h/\xff\xfe\n\t",
        "http://h/..",
        "http://h/.",
        "////",
        "..",
        "http://h/a.exe\x01",
        "http://user@/@/@x/",
        "#",
        "?",
        "http://@",
    };
    char name[FILENAME_MAX_LEN + 1], longest[20000] = "http://h/";

    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        filename_of_url(urls[i], name);
        CHECK(isalnum((unsigned char)name[0]));
        CHECK_INT(strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"),
                  strlen(name));
        CHECK(strlen(name) >= 16 && strlen(name) <= FILENAME_MAX_LEN);
    }
    memset(longest + 9, 'x', sizeof longest - 10);
    CHECK(strlen(filename_of_url(longest, name)) <= FILENAME_MAX_LEN);
}

TEST(other_urls_have_other_names_and_the_same_one_the_same)
{
    static const char *const urls[] = {
        "http://h/a?b", "http://h/a_b",  "http://h/a/b",  "http://h/a%b", "https://h/a/b",
        "http://h/A/b", "http://h/a/b#", "http://h/a//b", "http://h_a/b", "http://u@h/a/b",
    };
    enum { N = sizeof urls / sizeof *urls };
    char name[N][FILENAME_MAX_LEN + 1], again[FILENAME_MAX_LEN + 1];

    for (size_t i = 0; i < N; i++) {
        filename_of_url(urls[i], name[i]);
        CHECK_STR(filename_of_url(urls[i], again), name[i]);
        for (size_t k = 0; k < i; k++)
            CHECK(strcmp(name[i], name[k]) != 0);
    }
}
