/* SPDX-License-Identifier: MIT
 *
 * fuzz_dns.c - a name server's answer, as to both kinds of question, and as to one that failed
 */
#include <ares.h>
#include <string.h>
#include <sys/socket.h>

#include "fuzz/fuzz.h"
#include "net/reply.h"

enum { A_DAY = 24 * 3600, NO_MOST = 3 * 3600 };

static void check(int status, int family, const uint8_t *msg, size_t n)
{
    struct dns_reply reply;
    char text[HOB_ADDR_TEXT_MAX];

    hob__reply_read(status, family, msg, (int)n, &reply);
    if (reply.rc < 0) {
        FUZZ_CHECK(reply.n == 0 && !reply.addr);
        FUZZ_CHECK(reply.ttl <= NO_MOST);
        return;
    }
    FUZZ_CHECK(reply.rc == 0 && reply.n > 0 && status == ARES_SUCCESS && reply.ttl <= A_DAY);
    for (size_t i = 0; i < reply.n; i++) {
        FUZZ_CHECK(reply.addr[i].sa.any.sa_family == family);
        FUZZ_CHECK(hob_addr_port(&reply.addr[i]) == 0);
        FUZZ_CHECK(strlen(hob_addr_text(&reply.addr[i], text)) < sizeof text);
        (void)hob_addr_public(&reply.addr[i]);
    }
    free(reply.addr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const int status[] = {ARES_SUCCESS, ARES_ENODATA, ARES_ENOTFOUND};

    if (n > UINT16_MAX) /* no message over TCP is longer */
        return 0;
    for (size_t i = 0; i < sizeof status / sizeof *status; i++) {
        check(status[i], AF_INET, data, n);
        check(status[i], AF_INET6, data, n);
    }
    FUZZ_CHECK(hob__reply_no_ttl(data, (int)n) <= NO_MOST);
    return 0;
}
