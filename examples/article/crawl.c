/* SPDX-License-Identifier: MIT
 *
 * crawl.c - many URLs, 50 under way, each through a random proxy, null for what failed
 *
 *     build/examples/article/crawl -x http://user:password@proxy.example:8080 -x ... URL...
 *
 * The group's max_live is the semaphore: hob_go parks while 50 fetches are alive.  Each fetch has
 * 15 s for everything together.  The tool does the same and more: `hob fetch -h`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hob/hob.h>

enum { URLS_MAX = 100 * 1000, PROXIES_MAX = 100 };

/* Fibers of one loop never run at the same instant: what they share needs no lock. */
static hob_http *client;
static const char *proxy[PROXIES_MAX];
static uint32_t n_proxies;

static struct page {
    const char *url;
    int error; /* 0, or why it is null */
    struct hob_http_response res;
} page[URLS_MAX];

static int fetch(void *arg)
{
    struct page *p = arg;
    const char *through = n_proxies > 0 ? proxy[hob_random() % n_proxies] : NULL;

    p->error = hob_http_do(client, HOB_HTTP_REQUEST(.url = p->url, .proxy = through),
                           hob_in(15 * HOB_SEC), &p->res);
    return 0; /* any failure is a null, and never the end of the others */
}

static int crawl(void *urls)
{
    char **url = urls;
    hob_group g;
    /* Without allow_private only addresses of the public Internet are connected to. */
    int r = hob_http_new(HOB_HTTP_OPTS(.allow_private = getenv("ALLOW_PRIVATE") != NULL), &client);

    if (r < 0)
        return r;
    r = hob_group_open(&g, HOB_GROUP_OPTS(.max_live = 50));
    for (size_t i = 0; r == 0 && url[i]; i++) {
        page[i].url = url[i];
        r = hob_go(&g, fetch, &page[i]);
    }
    r = hob_group_join(&g, r);
    hob_http_free(client);
    return r;
}

int main(int argc, char **argv)
{
    size_t n = 0, n_good = 0;

    for (; argc > 2 && strcmp(argv[1], "-x") == 0 && n_proxies < PROXIES_MAX; argc -= 2, argv += 2)
        proxy[n_proxies++] = argv[2];
    if (argc < 2 || argc > URLS_MAX) {
        fprintf(stderr, "usage: crawl [-x http://USER:PASSWORD@HOST:PORT]... URL...\n");
        return 2;
    }
    if (hob_run(NULL, crawl, argv + 1) < 0)
        return 1;
    for (; page[n].url; n++) {
        struct page *p = &page[n];
        if (p->error == 0)
            printf("%u %zu bytes  %s\n", p->res.status, p->res.body_n, p->url);
        else
            printf("null %s  %s\n", p->res.reason, p->url);
        n_good += p->error == 0;
        hob_http_response_free(&p->res);
    }
    printf("%zu of %zu pages\n", n_good, n);
    return 0;
}
