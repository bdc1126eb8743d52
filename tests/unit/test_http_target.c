/* SPDX-License-Identifier: MIT
 *
 * Where a hop goes: URLs of hob's must be those of libcurl, which connects to them.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/target.h"
#include "lib/t.h"

static char *part(CURLU *u, CURLUPart what, unsigned flags)
{
    char *text = NULL;

    return curl_url_get(u, what, &text, flags) ? NULL : text;
}

/* Taken apart by hob and by libcurl: the same, or no URL for both.  Returns whether it was plain.
 */
static bool same_as_libcurl(const char *url)
{
    struct target t;
    const char *words = "";
    CURLU *u = curl_url();
    int r = hob__target_parse(url, NULL, &t, &words);
    bool plain = r == 0 && !t.handle;

    if (curl_url_set(u, CURLUPART_URL, url, CURLU_URLENCODE | CURLU_NON_SUPPORT_SCHEME) == 0) {
        /* As the transfer's own parser will see it, which is given the text that hob hands it. */
        char *text = part(u, CURLUPART_URL, CURLU_PUNYCODE);
        if (text)
            curl_url_set(u, CURLUPART_URL, r == 0 ? t.url : text, CURLU_NON_SUPPORT_SCHEME);
        char *scheme = part(u, CURLUPART_SCHEME, 0), *host = part(u, CURLUPART_HOST, 0);
        char *port = part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
        curl_free(text);
        text = part(u, CURLUPART_URL, 0);
        bool http = scheme && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
        if (http != (r == 0) && host && text)
            t_fail(__FILE__, __LINE__, "%s: %d", url, r);
        if (r == 0) {
            CHECK_STR(t.host, host);
            CHECK_STR(t.url, text);
            CHECK_INT(t.port, atoi(port));
            CHECK_INT(t.tls, strcmp(scheme, "https") == 0);
        }
        curl_free(scheme);
        curl_free(host);
        curl_free(text);
        curl_free(port);
    } else if (r == 0) {
        t_fail(__FILE__, __LINE__, "%s is no URL to libcurl", url);
    }
    if (r == 0)
        hob__target_fini(&t);
    else
        CHECK(words[0]);
    curl_url_cleanup(u);
    return plain;
}

TEST(plain_urls_are_what_libcurl_makes_of_them)
{
    static const char *const plain[] = {
        "http://a/",
        "https://example.com/",
        "http://example.com/a/b.html?x=1&y=%20#frag",
        "http://127.0.0.1:8080/",
        "https://127.0.0.1:80/",
        "http://10.0.0.1/",
        "http://a-b.c1.d/p/?q",
        "http://x:65535/~a/b;c=d/e,f/@g:h/!$&'()*+",
        "https://1.2.3.com:1/",
    };

    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (!same_as_libcurl(plain[i]))
            t_fail(__FILE__, __LINE__, "%s is not taken for plain", plain[i]);
}

TEST(what_could_be_read_in_two_ways_is_left_to_libcurl)
{
    static const char *const odd[] = {
        "http://a",
        "HTTP://a/",
        "http://A/",
        "http://u@a/",
        "http://u:p@a:1/",
        "http://a:80/",
        "https://a:443/",
        "http://a:080/",
        "http://a:/",
        "http://a:0/",
        "http://a:65536/",
        "http://a:99999999999/",
        "http://127.1/",
        "http://0x7f.1/",
        "http://127.0.0.01/",
        "http://0177.0.0.1/",
        "http://2130706433/",
        "http://1.2.3/",
        "http://256.1.1.1/",
        "http://1.2.3.4.5/",
        "http://a.0x1/",
        "http://a.1/",
        "http://a./",
        "http://.a/",
        "http://a..b/",
        "http://[::1]/",
        "http://a/./b",
        "http://a/../b",
        "http://a/.",
        "http://a/b/..",
        "http://a/%2e%2e/b",
        "http://a/ b",
        "http://a/b\\c",
        "http://a\\b/",
        "http://a?x",
        "http://a#x",
        "http://a/?",
        "http://a/#",
        "http://a/?#x",
        "http://a/\xc3\xa9",
        "http://a/\x01",
        "http://a_b/",
        "http://a%2eb/",
        "http://0x1%41/",
        "http://%31%32%37.1/",
        "http:/a/",
        "http:///a/",
        "http:a",
        "//a/",
        "https:// a/",
    };

    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        if (same_as_libcurl(odd[i]) && strcmp(odd[i], "http://a/%2e%2e/b") != 0)
            t_fail(__FILE__, __LINE__, "%s is taken for plain", odd[i]);
}

/* Every host of a few odd pieces, every path of a few: whatever is taken for plain is right. */
TEST(hosts_and_paths_of_odd_pieces)
{
    static const char *const piece[] = {"a", "1",    "0x1", "08",  ".", "-", ":",   ":8",
                                        "@", "xn--", "%41", "b.c", "[", "]", "255", "A"};
    static const char *const end[] = {"",     "/",  "/.", "/a/../b", "/%2e",
                                      "/a?b", "?c", "#d", "/a b",    "/{"};
    enum { N = sizeof piece / sizeof piece[0], E = sizeof end / sizeof end[0] };
    unsigned n_plain = 0;
    char url[128];

    t_timeout(60);
    for (unsigned i = 0; i < N * N * N * E; i++) {
        snprintf(url, sizeof url, "http://%s%s%s%s", piece[i % N], piece[i / N % N],
                 piece[i / N / N % N], end[i / N / N / N]);
        n_plain += same_as_libcurl(url);
    }
    CHECK(n_plain > 100);
}

static void shown_is(const char *url, const char *want)
{
    char to[200], words[URL_WORDS_MAX];

    CHECK_INT(hob__url_shown(url, NULL), strlen(want) + 1);
    CHECK_INT(hob__url_shown(url, to), strlen(want) + 1);
    CHECK_STR(to, want);
    CHECK_STR(hob__url_words(url, words), want);
}

TEST(an_international_host_is_utf_8_in_any_locale)
{
    struct target t;
    const char *words = "";

    CHECK_INT(hob__target_parse("http://B\xc3\xbc"
                                "cher.test:81/\xc3\xa9",
                                NULL, &t, &words),
              0);
    CHECK_STR(t.host, "xn--bcher-kva.test");
    CHECK_STR(t.url, "http://xn--bcher-kva.test:81/%c3%a9");
    hob__target_fini(&t);
    CHECK_INT(hob__target_parse("http://\xff\xfe.test/", NULL, &t, &words), -22);
    CHECK(words[0]);
}

TEST(credentials_are_cut_out)
{
    shown_is("http://a/", "http://a/");
    shown_is("http://u:p@a/b@c", "http://a/b@c");
    shown_is("http://u@a", "http://a");
    shown_is("http://u@v@a?x@y", "http://a?x@y");
    shown_is("u:p@a:1", "a:1");
    shown_is("", "");
}

static void proxy_is(const char *text, int want, const char *url, const char *user,
                     const char *password)
{
    struct proxy p;
    int r = hob__proxy_parse(text, &p);

    if (r != want)
        t_fail(__FILE__, __LINE__, "%s is %d", text, r);
    if (r < 0)
        return;
    CHECK_STR(p.user ? p.user : "-", user);
    CHECK_STR(p.password ? p.password : "-", password);
    if (url)
        CHECK_STR(p.url, url);
    else
        CHECK(strstr(p.url, ".hob.invalid:") != NULL);
    hob__proxy_fini(&p);
}

TEST(proxies_are_understood)
{
    proxy_is("http://h", 0, "http://h:8080", "-", "-");
    proxy_is("https://h", 0, "https://h:443", "-", "-");
    proxy_is("socks5://h:1", 0, "socks5://h:1", "-", "-");
    proxy_is("SOCKS5H://h", 0, "socks5h://h:1080", "-", "-");
    proxy_is("h:3128", 0, "http://h:3128", "-", "-");
    proxy_is("http://[::1]:8/", 0, "http://[::1]:8", "-", "-");
    proxy_is("http://u:p%40%3a@h:1", 0, NULL, "u", "p@:");
    proxy_is("socks5://u@h:1", 0, "socks5://h:1", "u", "-");
    proxy_is("ftp://h", -22, NULL, NULL, NULL);
    proxy_is("http://", -22, NULL, NULL, NULL);
    proxy_is("", -22, NULL, NULL, NULL);
    proxy_is("http://h:0x", -22, NULL, NULL, NULL);
}
