/* SPDX-License-Identifier: MIT
 *
 * gather_proxy.c - gather.c through a proxy that asks for credentials
 *
 *     build/examples/article/gather_proxy http://user:password@proxy.example:8080 URL...
 *
 * The proxy belongs to the client, so nothing else changes; https and socks5 proxies are written
 * the same way.  With several in `proxies` they are taken in turn, one a request.  The proxy looks
 * the names up, and the credentials go to it and never to the sites.
 */
#include <stdio.h>

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

static int gather(void *arguments)
{
    char **url = arguments;
    const char *proxy = *url++;
    hob_group g;
    int r = hob_http_new(HOB_HTTP_OPTS(.proxies = &proxy, .n_proxies = 1), &client);

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
    if (argc < 3 || argc > URLS_MAX) {
        fprintf(stderr, "usage: gather_proxy http://USER:PASSWORD@HOST:PORT URL...\n");
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
