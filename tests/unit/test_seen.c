/* SPDX-License-Identifier: MIT */
#include "lib/seen.h"

#include <stdio.h>

#include "lib/siphash.h"
#include "lib/t.h"

static int add(struct seen *s, const char *prefix, int i)
{
    char url[64];
    int len = snprintf(url, sizeof(url), "%s%d", prefix, i);

    return seen_add(s, url, (size_t)len);
}

TEST(siphash_gives_the_published_vectors)
{
    /* SipHash-2-4-128, key 00..0f, message 00..len-1: the reference implementation's. */
    static const struct {
        size_t len;
        unsigned char want[16];
    } v[] = {
        {0,
         {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02,
          0x93}},
        {1,
         {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc,
          0x45}},
    };
    const struct sip_key key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    unsigned char message[64];
    uint64_t got[2];

    for (unsigned i = 0; i < sizeof(message); i++)
        message[i] = (unsigned char)i;
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        sip128(&key, message, v[i].len, got);
        CHECK(memcmp(got, v[i].want, 16) == 0);
    }
}

TEST(each_url_is_new_once)
{
    struct seen *s;
    const int n = 200000;

    CHECK_INT(seen_new(&s), 0);
    for (int i = 0; i < n; i++)
        CHECK_INT(add(s, "https://a.test/", i), 1);
    for (int i = 0; i < n; i++)
        CHECK_INT(add(s, "https://a.test/", i), 0);
    CHECK_INT(add(s, "https://b.test/", 0), 1);
    CHECK_INT(seen_count(s), n + 1);
    seen_free(s);
}

TEST(bytes_count_and_length_tells_apart)
{
    struct seen *s;

    CHECK_INT(seen_new(&s), 0);
    CHECK_INT(seen_add(s, "abc", 2), 1);
    CHECK_INT(seen_add(s, "abc", 3), 1);
    CHECK_INT(seen_add(s, "abd", 2), 0);
    CHECK_INT(seen_add(s, "\0a", 2), 1);
    CHECK_INT(seen_add(s, "\0b", 2), 1);
    CHECK_INT(seen_count(s), 4);
    seen_free(s);
}

TEST(a_url_costs_at_most_twelve_bytes_at_any_size)
{
    struct seen *s;
    const int full_size = 500000; /* from here the fixed part is below a byte a URL */
    double worst = 0;

    CHECK_INT(seen_new(&s), 0);
    for (int i = 0; i < 4 * full_size; i++) {
        add(s, "", i);
        double each = (double)seen_bytes(s) / (double)seen_count(s);
        if (i > full_size && each > worst)
            worst = each;
    }
    fprintf(stderr, "worst: %.2f bytes a URL\n", worst);
    CHECK(worst <= 12.0);
    seen_free(s);
}

TEST(free_takes_nothing)
{
    seen_free(NULL);
}

TEST(what_is_loaded_in_bulk_is_the_same_set)
{
    enum { N = 100000 };
    struct seen *one, *bulk;
    char url[64];

    CHECK_INT(seen_new(&one), 0);
    CHECK_INT(seen_new(&bulk), 0);
    CHECK_INT(seen_reserve(bulk, N), 0);
    size_t room = seen_bytes(bulk);
    for (int i = 0; i < N; i++) {
        int n = snprintf(url, sizeof url, "http://h/%d", i);
        CHECK_INT(seen_add(one, url, (size_t)n), 1);
        CHECK_INT(seen_load(bulk, url, (size_t)n), 0);
    }
    CHECK_INT(seen_load(bulk, "http://h/7", 10), 0); /* twice is once */
    CHECK_INT(seen_load_end(bulk), 0);
    CHECK_INT(seen_count(bulk), N);
    CHECK(seen_bytes(bulk) < room + room / 10); /* next to nothing had to grow */
    CHECK(seen_bytes(bulk) < seen_bytes(one) + seen_bytes(one) / 4);
    for (int i = 0; i < N; i++) {
        int n = snprintf(url, sizeof url, "http://h/%d", i);
        CHECK_INT(seen_add(bulk, url, (size_t)n), 0);
    }
    CHECK_INT(seen_add(bulk, "http://h/new", 12), 1);
    seen_free(one);
    seen_free(bulk);
}

TEST(room_for_more_than_there_can_be_is_no_harm)
{
    struct seen *s;

    CHECK_INT(seen_new(&s), 0);
    CHECK_INT(seen_reserve(s, UINT64_MAX), 0);
    CHECK_INT(seen_reserve(s, 0), 0);
    CHECK_INT(seen_add(s, "x", 1), 1);
    CHECK_INT(seen_reserve(s, 40000), 0); /* and what is there stays */
    CHECK_INT(seen_add(s, "x", 1), 0);
    seen_free(s);
}
