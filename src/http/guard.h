/* SPDX-License-Identifier: MIT
 *
 * guard.h - the address guard
 */
#ifndef HOB_HTTP_GUARD_H
#define HOB_HTTP_GUARD_H

#include "http/client.h"
#include "http/names.h"

/* Whether a connection to this address may be made; a test may stand in. */
extern bool (*hob__http_addr_ok)(const hob_addr *a);

/* What can be refused without a lookup: 0, or -HOB_EADDRGUARD with hop->reason. */
int hob__guard_host(struct hop *hop);

/* The same of every address of a name. */
int hob__guard_name(struct hop *hop, const struct name *n);

#endif
