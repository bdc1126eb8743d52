/* SPDX-License-Identifier: MIT
 *
 * late.c - a server that answers late: what the programs of this bench wait for
 *
 * WHAT        HTTP on a free port of 127.0.0.1: /?ms=25 is answered after 25 ms with 200 bytes, and
 *   the connection stays open unless the request says "close".  /count is answered at once with how
 *   many were waiting, on average while there was one, since the last time it was asked.  With -d
 * ADDRESS also a name server on port 53 of that loopback address that answers each packet after 20
 * ms with itself.
 *
 * HOW         A fiber for each connection; one for the packets, which starts one for each answer.
 *   "port N" is printed once all of it listens.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <hob/hob.h>

static const char *dns_address;
static hob_group connections;
static const hob_dur dns_late = 20 * HOB_MS;

struct packet {
    int fd;
    struct sockaddr_storage from;
    socklen_t from_len;
    size_t n;
    unsigned char bytes[512];
};

/* Requests that wait for their answer: the sum over time, and how long there was one. */
static struct {
    hob_time at;
    int now;
    double sum, any;
} waiting;

static void waiting_change(int by)
{
    hob_time at = hob_now();
    double d = (double)(at - waiting.at);

    waiting.sum += waiting.now * d;
    waiting.any += waiting.now > 0 ? d : 0;
    waiting.now += by;
    waiting.at = at;
}

static int answer_count(int fd)
{
    char answer[128], text[32];

    waiting_change(0);
    snprintf(text, sizeof(text), "%.3f\n", waiting.any > 0 ? waiting.sum / waiting.any : 0);
    waiting.sum = waiting.any = 0;
    int n = snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
                     strlen(text), text);
    return hob_write(fd, answer, (size_t)n, hob_in(HOB_SEC)) == n ? 0 : -EPIPE;
}

static int answer_http(int fd, const char *request)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                               "Content-Length: 200\r\n\r\n";
    const char *ms = strstr(request, "ms="), *line_end = strstr(request, "\r\n");
    char answer[sizeof(head) - 1 + 200];

    if (strncmp(request, "GET /count ", 11) == 0)
        return answer_count(fd);
    if (ms && ms < line_end) {
        waiting_change(1);
        int r = hob_sleep(atoi(ms + 3) * HOB_MS);
        waiting_change(-1);
        if (r < 0)
            return -ECANCELED;
    }
    memcpy(answer, head, sizeof(head) - 1);
    memset(answer + sizeof(head) - 1, 'x', 200);
    if (hob_write(fd, answer, sizeof(answer), hob_in(10 * HOB_SEC)) != (ssize_t)sizeof(answer))
        return -EPIPE;
    return strcasestr(request, "\r\nconnection: close") ? -ECONNRESET : 0;
}

static int connection(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char request[2048];
    size_t have = 0;

    for (;;) {
        ssize_t n = hob_read(fd, request + have, sizeof(request) - 1 - have, HOB_FOREVER);
        if (n <= 0)
            break;
        have += (size_t)n;
        request[have] = '\0';
        char *end = strstr(request, "\r\n\r\n");
        if (!end && have == sizeof(request) - 1)
            break;
        if (!end)
            continue;
        if (answer_http(fd, request) < 0)
            break;
        have -= (size_t)(end + 4 - request);
        memmove(request, end + 4, have);
    }
    hob_close(fd);
    return 0;
}

static int dns_answer(void *arg)
{
    struct packet *p = arg;

    if (hob_sleep(dns_late) == 0) {
        p->bytes[2] |= 0x80; /* an answer */
        (void)!sendto(p->fd, p->bytes, p->n, 0, (struct sockaddr *)&p->from, p->from_len);
    }
    free(p);
    return 0;
}

static int dns_serve(void *arg)
{
    int fd = (int)(intptr_t)arg;

    for (;;) {
        int r = hob_fd_wait(fd, EPOLLIN, HOB_FOREVER);
        struct packet *p = r < 0 ? NULL : calloc(1, sizeof(*p));
        if (!p)
            return r < 0 ? r : -ENOMEM;
        p->fd = fd;
        p->from_len = sizeof(p->from);
        ssize_t n = recvfrom(fd, p->bytes, sizeof(p->bytes), MSG_DONTWAIT,
                             (struct sockaddr *)&p->from, &p->from_len);
        p->n = n > 0 ? (size_t)n : 0;
        if (p->n < 3 || hob_go(&connections, dns_answer, p) < 0)
            free(p);
    }
}

static int dns_open(void)
{
    hob_addr a;
    int fd, r = hob_addr_parse(dns_address, 53, &a);

    if (r < 0)
        return r;
    fd = socket(a.sa.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (bind(fd, &a.sa.any, a.len) == 0)
        return fd;
    r = -errno;
    close(fd);
    return r;
}

static int serve(void *arg)
{
    hob_addr a;
    int fd = -1, dns = -1, r = hob_addr_parse("127.0.0.1", 0, &a);

    if (r == 0)
        r = hob_group_open(&connections, NULL);
    if (r < 0)
        return r;
    fd = r = hob_tcp_listen(&a, 4096);
    if (r >= 0)
        r = hob_sock_addr(fd, &a);
    if (r >= 0 && dns_address) {
        dns = r = dns_open();
        if (r >= 0)
            r = hob_go(&connections, dns_serve, (void *)(intptr_t)dns);
    }
    if (r >= 0) {
        printf("port %u\n", hob_addr_port(&a));
        fflush(stdout);
    }
    while (r >= 0) {
        r = hob_tcp_accept(fd, HOB_FOREVER);
        if (r >= 0)
            r = hob_go(&connections, connection, (void *)(intptr_t)r);
    }
    return hob_group_join(&connections, r);
}

int main(int argc, char *argv[])
{
    int r;

    if (argc == 3 && strcmp(argv[1], "-d") == 0) {
        dns_address = argv[2];
    } else if (argc != 1) {
        fputs("usage: late [-d ADDRESS]\n", stderr);
        return 2;
    }
    r = hob_run(NULL, serve, NULL);
    fprintf(stderr, "late: %s\n", hob_strerror(r));
    return 1;
}
