/* SPDX-License-Identifier: MIT
 *
 * multi_epoll.c - the limit of libcurl: its multi interface on a bare epoll loop
 *
 * WHAT   usage: multi_epoll LIST CONCURRENCY
 *        Fetches each URL of LIST, CONCURRENCY at a time, each body kept in memory until its
 *        page is done.  Prints "pages N count", "failed N count" and "bytes N count".
 *
 * HOW    One easy handle a slot, used again for the next URL; multi_socket_action on each ready
 *        descriptor; nothing else.  A client built on libcurl cannot cost less than this, so
 *        what `hob fetch` loses against it is what hob's own layers cost.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <curl/curl.h>

enum { EVENTS_MAX = 256, TIMEOUT_MS = 15000, RECV_BYTES = 65536 };

struct slot {
    CURL *easy;
    char *body;
    size_t len, cap;
};

static CURLM *multi;
static int epoll_fd;
static long timer_ms = -1; /* as libcurl last asked; -1: none */
static char **urls;
static size_t nurl, next_url;
static size_t npage, nfailed, nbyte;

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    struct epoll_event ev = {.data.fd = fd};

    if (what == CURL_POLL_REMOVE)
        return epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    if (what & CURL_POLL_IN)
        ev.events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        ev.events |= EPOLLOUT;
    if (!known)
        curl_multi_assign(multi, fd, &epoll_fd);
    return epoll_ctl(epoll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev);
}

static int on_timer(CURLM *m, long ms, void *arg)
{
    timer_ms = ms;
    return 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct slot *s = arg;
    size_t n = size * count;

    if (s->len + n > s->cap) {
        s->cap = 2 * (s->len + n);
        s->body = realloc(s->body, s->cap);
        if (!s->body)
            return 0; /* libcurl fails the transfer */
    }
    memcpy(s->body + s->len, data, n);
    s->len += n;
    return n;
}

static void slot_start(struct slot *s)
{
    s->len = 0;
    curl_easy_setopt(s->easy, CURLOPT_URL, urls[next_url++]);
    curl_multi_add_handle(multi, s->easy);
}

static void slot_init(struct slot *s)
{
    s->easy = curl_easy_init();
    curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, s);
    curl_easy_setopt(s->easy, CURLOPT_PRIVATE, s);
    curl_easy_setopt(s->easy, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
    curl_easy_setopt(s->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(s->easy, CURLOPT_BUFFERSIZE, (long)RECV_BYTES);
    curl_easy_setopt(s->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
}

/* Counts what has ended and starts the next URL in its slot; returns how many were started. */
static int reap(void)
{
    CURLMsg *msg;
    int left, nstarted = 0;

    while ((msg = curl_multi_info_read(multi, &left))) {
        struct slot *s;
        long status = 0;
        CURLcode result = msg->data.result;
        CURL *easy = msg->easy_handle;

        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &s);
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        curl_multi_remove_handle(multi, easy);
        if (result == CURLE_OK && status == 200) {
            npage++;
            nbyte += s->len;
        } else {
            nfailed++;
        }
        if (next_url < nurl) {
            slot_start(s);
            nstarted++;
        }
    }
    return nstarted;
}

static void loop_run(void)
{
    struct epoll_event ev[EVENTS_MAX];
    int running = 1;

    while (running) {
        int n = epoll_wait(epoll_fd, ev, EVENTS_MAX, timer_ms < 0 ? 1000 : (int)timer_ms);

        if (n == 0) {
            timer_ms = -1;
            curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        for (int i = 0; i < n; i++) {
            int ready = 0;

            if (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                ready |= CURL_CSELECT_IN;
            if (ev[i].events & EPOLLOUT)
                ready |= CURL_CSELECT_OUT;
            curl_multi_socket_action(multi, ev[i].data.fd, ready, &running);
        }
        if (reap())
            running = 1;
    }
}

static int list_read(const char *path)
{
    char line[4096];
    FILE *f = fopen(path, "r");

    if (!f)
        return -1;
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        if ((nurl & (nurl - 1)) == 0) /* room doubles at each power of two */
            urls = realloc(urls, (nurl ? 2 * nurl : 1) * sizeof *urls);
        if (!urls || !(urls[nurl] = strdup(line)))
            abort();
        nurl++;
    }
    fclose(f);
    return 0;
}

int main(int argc, char **argv)
{
    size_t nslot = argc == 3 ? (size_t)atoi(argv[2]) : 0;
    struct slot *slots = calloc(nslot + 1, sizeof *slots);

    if (nslot == 0 || !slots || list_read(argv[1]) < 0) {
        fprintf(stderr, "usage: multi_epoll LIST CONCURRENCY\n");
        return 2;
    }
    curl_global_init(CURL_GLOBAL_ALL);
    multi = curl_multi_init();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)nslot);
    for (size_t i = 0; i < nslot && next_url < nurl; i++) {
        slot_init(&slots[i]);
        slot_start(&slots[i]);
    }
    loop_run();
    printf("pages %zu count\nfailed %zu count\nbytes %zu count\n", npage, nfailed, nbyte);
    return nfailed > 0;
}
