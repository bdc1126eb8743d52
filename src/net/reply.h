/* SPDX-License-Identifier: MIT
 *
 * reply.h - what a name server's answer says
 */
#ifndef HOB_NET_REPLY_H
#define HOB_NET_REPLY_H

#include <hob/net.h>

struct dns_reply {
    int rc;         /* 0; -HOB_EDNS: there is none; -EAGAIN; -ENOMEM */
    uint32_t ttl;   /* seconds it is good for, an answer or a "no" */
    size_t n;       /* with rc 0 at least 1 */
    hob_addr *addr; /* allocated */
};

/* Of a question for one family: c-ares's status, and the message if there was one. */
void hob__reply_read(int status, int family, const unsigned char *msg, int len,
                     struct dns_reply *ret);

/* How long a "no" is good for (RFC 2308): from the SOA in its authority section; 0: not said. */
uint32_t hob__reply_no_ttl(const unsigned char *msg, int len);

#endif
