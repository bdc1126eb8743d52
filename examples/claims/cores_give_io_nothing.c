/* SPDX-License-Identifier: MIT
 *
 * cores_give_io_nothing.c - requests to a slow service: connections help, cores do not
 *
 * A service in another process answers after 10 ms.  One connection, then fifty on one core, then
 * fifty on all cores: requests a second.
 */
#include <stdio.h>

#include "claim.h"

enum { DELAY = 2, REQUESTS = 50, CONNECTIONS = 50 };

static int client(void *arg)
{
    int fd = service_dial(arg), r = fd < 0 ? fd : 0;

    for (int i = 0; r == 0 && i < REQUESTS; i++)
        r = service_ask(fd, DELAY);
    hob_close(fd);
    return r;
}

struct load {
    struct service *service;
    int connections;
};

static int run(void *arg)
{
    struct load *l = arg;
    hob_group g;
    int r = hob_group_open(&g, HOB_GROUP_OPTS(.spread = true));

    for (int i = 0; r == 0 && i < l->connections; i++)
        r = hob_go(&g, client, l->service);
    return hob_group_join(&g, r);
}

static double rate(struct service *s, int connections, unsigned cores)
{
    struct load l = {s, connections};
    hob_time begin = hob_now();

    claim_run(HOB_OPTS(.loops = cores), run, &l);
    return REQUESTS * connections / claim_ms(begin) * 1e3;
}

int main(void)
{
    struct service s = service_start();
    unsigned cores = hob_cores();
    double one = rate(&s, 1, 1), many, all;

    printf(" 1 connection,  1 core:  %6.0f requests/s\n", one);
    many = rate(&s, CONNECTIONS, 1);
    printf("%d connections, 1 core:  %6.0f requests/s, %.1fx: concurrency\n", CONNECTIONS, many,
           many / one);
    all = rate(&s, CONNECTIONS, cores);
    printf("%d connections, %u cores: %6.0f requests/s, %.2fx of that: cores\n", CONNECTIONS, cores,
           all, all / many);
    service_stop(&s);
    return 0;
}
