/* SPDX-License-Identifier: MIT
 *
 * dns_server.h - a name server on loopback that says what the test wrote, on UDP and TCP
 */
#ifndef DNS_SERVER_H
#define DNS_SERVER_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/t.h"

enum dns_kind {
    DNS_ANSWER, /* the addresses of the type asked for; none of it: no data */
    DNS_NONE,   /* no such name */
    DNS_FAILS,  /* SERVFAIL */
    DNS_SILENT, /* no answer */
    DNS_HELD,   /* as DNS_ANSWER, when the test lets it */
};

struct dns_record {
    const char *name;
    enum dns_kind kind;
    const char *v4, *v6; /* numbers, one space between */
    uint32_t ttl;
    const char *alias; /* the addresses belong to this one, an alias good for alias_ttl */
    uint32_t alias_ttl;
    uint32_t no_ttl; /* a "no" has an SOA record that says so; 0: has none */
    bool big;        /* cut on UDP, whole on TCP */
    bool v6_held, v6_fails;
};

struct dns_pending {
    struct sockaddr_in to;
    unsigned char msg[512];
    int len;
};

struct dns_server {
    const struct dns_record *zone;
    int udp, tcp, stop[2];
    char csv[32];
    pthread_t id;
    _Atomic(int) n_udp, n_tcp, n_held;
    _Atomic(bool) open; /* what is held may go */
    struct dns_pending *held;
};

struct dns_text {
    unsigned char *at, *end;
};

static inline void dns_put(struct dns_text *t, const void *p, size_t n)
{
    CHECK(t->at + n <= t->end);
    memcpy(t->at, p, n);
    t->at += n;
}

static inline void dns_put16(struct dns_text *t, unsigned v)
{
    unsigned char b[2] = {(unsigned char)(v >> 8), (unsigned char)v};

    dns_put(t, b, 2);
}

static inline void dns_put32(struct dns_text *t, uint32_t v)
{
    dns_put16(t, v >> 16);
    dns_put16(t, v & 0xffff);
}

static inline void dns_put_name(struct dns_text *t, const char *name)
{
    while (*name) {
        size_t n = strcspn(name, ".");
        unsigned char len = (unsigned char)n;
        dns_put(t, &len, 1);
        dns_put(t, name, n);
        name += n + (name[n] == '.');
    }
    dns_put(t, "", 1);
}

/* The addresses of one type; how many. */
static inline unsigned dns_put_addrs(struct dns_text *t, const struct dns_record *r, int type)
{
    const char *list = type == 28 ? r->v6 : type == 1 ? r->v4 : NULL;
    char one[64];
    unsigned n = 0;

    for (int used; list && sscanf(list, " %63s%n", one, &used) == 1; list += used, n++) {
        unsigned char bytes[16];
        CHECK_INT(inet_pton(type == 28 ? AF_INET6 : AF_INET, one, bytes), 1);
        if (r->alias)
            dns_put_name(t, r->alias);
        else
            dns_put16(t, 0xc00c);
        dns_put16(t, (unsigned)type);
        dns_put16(t, 1);
        dns_put32(t, r->ttl);
        dns_put16(t, type == 28 ? 16 : 4);
        dns_put(t, bytes, type == 28 ? 16 : 4);
    }
    return n;
}

static inline void dns_put_alias(struct dns_text *t, const struct dns_record *r)
{
    struct dns_text size;

    dns_put16(t, 0xc00c);
    dns_put16(t, 5);
    dns_put16(t, 1);
    dns_put32(t, r->alias_ttl);
    size = (struct dns_text){t->at, t->at + 2};
    dns_put16(t, 0);
    dns_put_name(t, r->alias);
    dns_put16(&size, (unsigned)(t->at - size.at - 2));
}

static inline void dns_put_soa(struct dns_text *t, uint32_t no_ttl)
{
    dns_put16(t, 0xc00c);
    dns_put16(t, 6);
    dns_put16(t, 1);
    dns_put32(t, no_ttl + 1000);
    dns_put16(t, 2 + 20);
    dns_put(t, "\0\0", 2); /* both names are the root */
    for (int i = 0; i < 4; i++)
        dns_put32(t, 7);
    dns_put32(t, no_ttl);
}

/* The question's name as text, and its type; its length in the message. */
static inline int dns_question(const unsigned char *msg, char *name, int *type)
{
    int at = 12, n = 0;

    while (msg[at]) {
        memcpy(name + n, msg + at + 1, msg[at]);
        n += msg[at];
        name[n++] = '.';
        at += msg[at] + 1;
    }
    name[n ? n - 1 : 0] = '\0';
    *type = msg[at + 2];
    return at + 5;
}

static inline const struct dns_record *dns_find(const struct dns_server *s, const char *name)
{
    for (const struct dns_record *r = s->zone; r->name; r++)
        if (strcasecmp(r->name, name) == 0)
            return r;
    return NULL;
}

/* The answer to a message, into `to`; 0: none; -1: held. */
static inline int dns_answer_to(const struct dns_server *s, const unsigned char *msg, bool tcp,
                                bool held_too, unsigned char *to, size_t size)
{
    struct dns_text t = {to, to + size}, count;
    char name[300];
    int type, len = dns_question(msg, name, &type);
    const struct dns_record *r = dns_find(s, name);
    bool fails = r && (r->kind == DNS_FAILS || (type == 28 && r->v6_fails));
    bool none = !r || r->kind == DNS_NONE, cut = r && r->big && !tcp;
    unsigned n = 0;

    if (r && r->kind == DNS_SILENT)
        return 0;
    if (r && (r->kind == DNS_HELD || (type == 28 && r->v6_held)) && !held_too)
        return -1;
    dns_put(&t, msg, 2);
    dns_put16(&t, 0x8180u | (fails ? 2 : none ? 3 : 0) | (cut ? 0x200 : 0));
    dns_put16(&t, 1);
    count = (struct dns_text){t.at, t.at + 6};
    dns_put(&t, "\0\0\0\0\0\0", 6);
    dns_put(&t, msg + 12, (size_t)len - 12);
    if (!none && !fails && !cut) {
        if (r->alias)
            dns_put_alias(&t, r);
        n = dns_put_addrs(&t, r, type) + (r->alias ? 1 : 0);
    }
    bool soa = n == 0 && r && r->no_ttl && !fails && !cut;
    if (soa)
        dns_put_soa(&t, r->no_ttl);
    dns_put16(&count, n);
    dns_put16(&count, soa);
    return (int)(t.at - to);
}

static inline void dns_on_udp(struct dns_server *s)
{
    unsigned char out[512];
    struct dns_pending p;
    socklen_t len = sizeof p.to;

    p.len = (int)recvfrom(s->udp, p.msg, sizeof p.msg, 0, (struct sockaddr *)&p.to, &len);
    if (p.len < 17)
        return;
    s->n_udp++;
    int n = dns_answer_to(s, p.msg, false, s->open, out, sizeof out);
    if (n < 0) {
        s->held = realloc(s->held, (size_t)(s->n_held + 1) * sizeof p);
        s->held[s->n_held] = p;
        s->n_held++;
    } else if (n > 0) {
        sendto(s->udp, out, (size_t)n, 0, (struct sockaddr *)&p.to, len);
    }
}

static inline void dns_let_go(struct dns_server *s)
{
    unsigned char out[512];

    for (int i = 0; i < s->n_held; i++) {
        struct dns_pending *p = &s->held[i];
        int n = dns_answer_to(s, p->msg, false, true, out, sizeof out);
        sendto(s->udp, out, (size_t)n, 0, (struct sockaddr *)&p->to, sizeof p->to);
    }
    s->n_held = 0;
}

/* One message a connection: what c-ares sends; more at once belong to other names. */
static inline void dns_on_tcp(struct dns_server *s)
{
    unsigned char in[514], out[65537];
    int fd = accept4(s->tcp, NULL, NULL, SOCK_CLOEXEC);

    while (recv(fd, in, 2, MSG_WAITALL) == 2) {
        size_t len = (size_t)in[0] << 8 | in[1];
        CHECK(len <= 512);
        if (recv(fd, in + 2, len, MSG_WAITALL) != (ssize_t)len)
            break;
        s->n_tcp++;
        int n = dns_answer_to(s, in + 2, true, true, out + 2, sizeof out - 2);
        out[0] = (unsigned char)(n >> 8);
        out[1] = (unsigned char)n;
        if (n > 0)
            (void)!send(fd, out, (size_t)n + 2, MSG_NOSIGNAL);
    }
    close(fd);
}

static inline void *dns_server_run(void *arg)
{
    struct dns_server *s = arg;
    struct pollfd p[3] = {{s->udp, POLLIN, 0}, {s->tcp, POLLIN, 0}, {s->stop[0], POLLIN, 0}};
    char what;

    while (poll(p, 3, -1) > 0) {
        if (p[2].revents) {
            if (read(s->stop[0], &what, 1) != 1 || what == 'x')
                break;
            s->open = true;
            dns_let_go(s);
        }
        if (p[0].revents)
            dns_on_udp(s);
        if (p[1].revents)
            dns_on_tcp(s);
    }
    return NULL;
}

static inline void dns_server_say(struct dns_server *s, char what)
{
    CHECK_INT(write(s->stop[1], &what, 1), 1);
}

/* What is held goes, and nothing is held from now on. */
static inline void dns_server_open(struct dns_server *s)
{
    dns_server_say(s, 'o');
}

/* On a port of its own, which HOB_DNS then names. */
static inline void dns_server_start(struct dns_server *s, const struct dns_record *zone)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof a;

    memset(s, 0, sizeof *s);
    s->zone = zone;
    for (int tries = 0;; tries++) { /* the same port must be free on both */
        CHECK(tries < 100);
        a.sin_port = 0;
        s->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        s->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        /* Questions of hundreds of names at once; one lost is seconds until it is asked again. */
        CHECK_INT(setsockopt(s->udp, SOL_SOCKET, SO_RCVBUF, &(int){1 << 20}, sizeof(int)), 0);
        CHECK_INT(bind(s->udp, (struct sockaddr *)&a, sizeof a), 0);
        CHECK_INT(getsockname(s->udp, (struct sockaddr *)&a, &len), 0);
        if (bind(s->tcp, (struct sockaddr *)&a, sizeof a) == 0 && listen(s->tcp, 16) == 0)
            break;
        close(s->udp);
        close(s->tcp);
    }
    snprintf(s->csv, sizeof s->csv, "127.0.0.1:%d", ntohs(a.sin_port));
    setenv("HOB_DNS", s->csv, 1);
    CHECK_INT(pipe2(s->stop, O_CLOEXEC), 0);
    CHECK_INT(pthread_create(&s->id, NULL, dns_server_run, s), 0);
}

static inline void dns_server_stop(struct dns_server *s)
{
    dns_server_say(s, 'x');
    CHECK_INT(pthread_join(s->id, NULL), 0);
    close(s->udp);
    close(s->tcp);
    close(s->stop[0]);
    close(s->stop[1]);
    free(s->held);
    unsetenv("HOB_DNS");
}

#endif
