/* SPDX-License-Identifier: MIT
 *
 * three.c - Promise.all: three requests under way before any of them is waited for
 *
 *     build/examples/article/three PRICES-URL INVENTORY-URL COMPETITORS-URL
 *
 * As with Promise.all, the first failure is that of the whole: a fiber that returns a negative
 * value cancels its group, the others are called back, and the join returns that value.
 */
#include <stdio.h>
#include <stdlib.h>

#include <hob/hob.h>

static hob_http *client; /* fibers of one loop never run at the same instant: no lock */

struct request {
    const char *url;
    struct hob_http_response res;
};

static int fetch(void *arg)
{
    struct request *q = arg;

    return hob_http_get(client, q->url, hob_in(15 * HOB_SEC), &q->res);
}

static int all_three(void *arg)
{
    struct request *q = arg;
    hob_group g;
    /* Without allow_private only addresses of the public Internet are connected to. */
    int r = hob_http_new(HOB_HTTP_OPTS(.allow_private = getenv("ALLOW_PRIVATE") != NULL), &client);

    if (r < 0)
        return r;
    r = hob_group_open(&g, NULL);
    for (int i = 0; r == 0 && i < 3; i++)
        r = hob_go(&g, fetch, &q[i]);
    r = hob_group_join(&g, r);
    hob_http_free(client);
    return r;
}

int main(int argc, char **argv)
{
    struct request q[3] = {0};
    int r;

    if (argc != 4) {
        fprintf(stderr, "usage: three PRICES-URL INVENTORY-URL COMPETITORS-URL\n");
        return 2;
    }
    for (int i = 0; i < 3; i++)
        q[i].url = argv[i + 1];
    if ((r = hob_run(NULL, all_three, q)) == 0)
        printf("prices %zu bytes, inventory %zu bytes, competitors %zu bytes\n", q[0].res.body_n,
               q[1].res.body_n, q[2].res.body_n);
    else
        fprintf(stderr, "three: %s\n", hob_strerror(r));
    for (int i = 0; i < 3; i++)
        hob_http_response_free(&q[i].res);
    return r < 0;
}
