/* SPDX-License-Identifier: MIT
 *
 * httpd_proxy.c - the test server as a proxy: see httpd.h
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/httpd_impl.h"

static int dial(unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool relay(struct conn *c, int to)
{
    struct pollfd p[2] = {{.fd = c->fd, .events = POLLIN}, {.fd = to, .events = POLLIN}};
    char some[16384];

    c->h->n_tunnels++;
    while (poll(p, 2, -1) > 0) {
        for (int i = 0; i < 2; i++) {
            if (!(p[i].revents & (POLLIN | POLLHUP | POLLERR)))
                continue;
            ssize_t n = recv(p[i].fd, some, sizeof some, 0);
            if (n <= 0 || send(p[1 - i].fd, some, (size_t)n, MSG_NOSIGNAL) != n) {
                close(to);
                return false;
            }
        }
    }
    close(to);
    return false;
}

static void base64(const char *in, char *to)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = strlen(in);

    for (size_t i = 0; i < n; i += 3) {
        unsigned a = (unsigned char)in[i], b = i + 1 < n ? (unsigned char)in[i + 1] : 0;
        unsigned d = i + 2 < n ? (unsigned char)in[i + 2] : 0, v = a << 16 | b << 8 | d;
        *to++ = digits[v >> 18];
        *to++ = digits[v >> 12 & 63];
        *to++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
        *to++ = i + 2 < n ? digits[v & 63] : '=';
    }
    *to = '\0';
}

static bool proxy_allows(struct conn *c)
{
    char plain[256], field[400] = "Proxy-Authorization: Basic ";

    if (!c->h->user)
        return true;
    snprintf(plain, sizeof plain, "%s:%s", c->h->user, c->h->password);
    base64(plain, field + strlen(field));
    return strstr(c->in, field) != NULL;
}

static void note_host(struct conn *c, const char *host)
{
    pthread_mutex_lock(&c->h->private->lock);
    snprintf(c->h->last_host, sizeof c->h->last_host, "%.255s", host);
    pthread_mutex_unlock(&c->h->private->lock);
}

bool httpd_connect(struct conn *c)
{
    const char *colon = strrchr(c->url, ':');

    note_host(c, c->url);
    if (!proxy_allows(c))
        return httpd_answer(c, 407, "Proxy-Authenticate: Basic realm=\"x\"\r\n", "", 0);
    int to = dial(colon ? (unsigned)atoi(colon + 1) : 0);
    if (to < 0)
        return httpd_answer(c, 502, "", "", 0);
    return httpd_putf(c, "HTTP/1.1 200 Connected\r\n\r\n") && relay(c, to);
}

bool httpd_absolute(struct conn *c)
{
    char *path = strchr(c->url + 7, '/');
    char host[256];

    snprintf(host, sizeof host, "%.*s", (int)(path ? path - c->url - 7 : 200), c->url + 7);
    note_host(c, host);
    if (!proxy_allows(c))
        return httpd_answer(c, 407, "Proxy-Authenticate: Basic realm=\"x\"\r\n", "", 0);
    return httpd_dispatch(c, path ? path : "/");
}

static bool take(struct conn *c, unsigned char *to, size_t n)
{
    while (n > 0) {
        ssize_t r = recv(c->fd, to, n, 0);
        if (r <= 0)
            return false;
        to += r;
        n -= (size_t)r;
    }
    return true;
}

/* RFC 1929 */
static bool socks_login(struct conn *c)
{
    unsigned char b[600], n;
    char user[256] = "", password[256] = "";

    if (!httpd_put(c, "\5\2", 2) || !take(c, b, 2) || !take(c, (unsigned char *)user, b[1]) ||
        !take(c, &n, 1) || !take(c, (unsigned char *)password, n))
        return false;
    bool ok = strcmp(user, c->h->user) == 0 && strcmp(password, c->h->password) == 0;
    return httpd_put(c, ok ? "\1\0" : "\1\1", 2) && ok;
}

/* RFC 1928, the version and the number of methods not yet read */
void httpd_socks(struct conn *c)
{
    unsigned char b[300];
    char host[256] = "";

    if (!take(c, b, 2) || !take(c, b + 2, b[1]))
        return;
    if (c->h->user ? !socks_login(c) : !httpd_put(c, "\5\0", 2))
        return;
    if (!take(c, b, 4))
        return;
    if (b[3] == 3) {
        if (!take(c, b, 1) || !take(c, (unsigned char *)host, b[0]))
            return;
    } else {
        bool six = b[3] == 4;
        if (!take(c, b, six ? 16 : 4))
            return;
        inet_ntop(six ? AF_INET6 : AF_INET, b, host, sizeof host);
    }
    if (!take(c, b, 2))
        return;
    note_host(c, host);
    int to = dial((unsigned)b[0] << 8 | b[1]);
    if (httpd_put(c, to < 0 ? "\5\5\0\1\0\0\0\0\0\0" : "\5\0\0\1\0\0\0\0\0\0", 10) && to >= 0)
        relay(c, to);
}
