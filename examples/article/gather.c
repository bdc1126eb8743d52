/* SPDX-License-Identifier: MIT
 *
 * gather.c - fetch a list of URLs on one thread, a hundred at once, results in their order
 *
 *     build/examples/article/gather https://example.com/ https://example.org/
 *
 * Each URL is a fiber of its own that reads like blocking code.  While one waits for its server the
 * others go on, so a hundred together take about as long as the slowest.  The group's max_live is
 * the semaphore.  gather_proxy.c does the same through a proxy, crawl.c with 50 and several
 * proxies.
 */
#include <stdio.h>
#include <stdlib.h>

#include <hob/hob.h>

enum { URLS_MAX = 1000 };

static hob_http *client; /* fibers of one loop never run at the same instant: no lock */

static struct page {
    const char *url;
    int error; /* 0, or why there is no response */
    struct hob_http_response res;
} page[URLS_MAX];

static int fetch(void *arg)
{
    struct page *p = arg;

    p->error = hob_http_get(client, p->url, hob_in(15 * HOB_SEC), &p->res);
    return 0; /* a failure is a result too: the others go on */
}

static int gather(void *urls)
{
    char **url = urls;
    hob_group g;
    /* Without allow_private only addresses of the public Internet are connected to. */
    int r = hob_http_new(HOB_HTTP_OPTS(.allow_private = getenv("ALLOW_PRIVATE") != NULL), &client);

    if (r < 0)
        return r;
    r = hob_group_open(&g, HOB_GROUP_OPTS(.max_live = 100));
    for (size_t i = 0; r == 0 && url[i]; i++) {
        page[i].url = url[i];
        r = hob_go(&g, fetch, &page[i]); /* starts it; waits only while a hundred are alive */
    }
    r = hob_group_join(&g, r); /* waits for all */
    hob_http_free(client);
    return r;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > URLS_MAX) {
        fprintf(stderr, "usage: gather URL...\nTry: gather https://example.com/\n");
        return 2;
    }
    if (hob_run(NULL, gather, argv + 1) < 0)
        return 1;
    for (struct page *p = page; p->url; p++) {
        if (p->error == 0)
            printf("%u %zu bytes  %s\n", p->res.status, p->res.body_n, p->url);
        else
            printf("null %s  %s\n", p->res.reason, p->url);
        hob_http_response_free(&p->res);
    }
    return 0;
}
