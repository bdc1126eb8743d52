/* SPDX-License-Identifier: MIT
 *
 * guard.c - the address guard: what a client that may not reach private addresses refuses
 *
 * WHAT        Three looks at a hop: at the host as it is written, before anything is looked up; at
 *             every address of its name, before anything is connected; and at the address that
 *             libcurl makes a socket for (transfer.c), whatever came before.
 */
#include "http/guard.h"

#include "net/dns.h"

bool (*hob__http_addr_ok)(const hob_addr *a) = hob_addr_public;

int hob__guard_host(struct hop *hop)
{
    const struct target *to = hop->target;
    hob_addr a;

    /* Where localhost is looked up here, its addresses are seen by hob__guard_name. */
    if (hob_addr_parse(to->host, to->port, &a) == 0
            ? !hob__http_addr_ok(&a)
            : hob__name_local(to->host) && proxy_resolves(hop->proxy))
        return hob__hop_fail(hop, -HOB_EADDRGUARD, "%s", hob_strerror(HOB_EADDRGUARD));
    return 0;
}

int hob__guard_name(struct hop *hop, const struct name *n)
{
    char text[HOB_ADDR_TEXT_MAX];

    for (size_t i = 0; i < n->n; i++)
        if (!hob__http_addr_ok(&n->addr[i]))
            return hob__hop_fail(hop, -HOB_EADDRGUARD, "%s: %s", hob_strerror(HOB_EADDRGUARD),
                                 hob_addr_text(&n->addr[i], text));
    return 0;
}
