/* SPDX-License-Identifier: MIT
 *
 * sim_name.c - addresses of the simulator's sockets: who is found where
 *
 * WHAT        A list of the sockets that have a name.  Any address is one of this host's: a part of
 *             a program that listens at 192.0.2.1 stands for another machine.
 *
 * REJECTED    Paths in the file system for Unix names: a run would find what the one before left.
 *               So a name is free again when its socket is closed, as Linux' abstract ones are.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "sched/sim_net.h"

enum { PORT_FIRST = 32768, PORT_LAST = 60999 };

static struct {
    struct list named;
    uint16_t port; /* given last */
} names;

void hob__sim_names_open(void)
{
    list_init(&names.named);
    names.port = PORT_FIRST - 1;
}

static uint16_t *port_of(hob_addr *a)
{
    return &((struct sockaddr_in *)(void *)&a->sa.room)->sin_port; /* of both families */
}

static uint16_t port_get(const hob_addr *a)
{
    return ((const struct sockaddr_in *)(const void *)&a->sa.room)->sin_port;
}

static bool is_any(const hob_addr *a)
{
    if (a->sa.any.sa_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)&a->sa.room)->sin_addr.s_addr == 0;
    return a->sa.any.sa_family == AF_INET6 &&
           IN6_IS_ADDR_UNSPECIFIED(
               &((const struct sockaddr_in6 *)(const void *)&a->sa.room)->sin6_addr);
}

static bool host_same(const hob_addr *a, const hob_addr *b)
{
    if (a->sa.any.sa_family != b->sa.any.sa_family)
        return false;
    if (a->sa.any.sa_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)&a->sa.room)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)(const void *)&b->sa.room)->sin_addr.s_addr;
    return IN6_ARE_ADDR_EQUAL(&((const struct sockaddr_in6 *)(const void *)&a->sa.room)->sin6_addr,
                              &((const struct sockaddr_in6 *)(const void *)&b->sa.room)->sin6_addr);
}

/* Whether what is sent to `to` comes to a socket of that name. */
static bool name_takes(const hob_addr *name, const hob_addr *to)
{
    if (name->sa.any.sa_family == AF_UNIX || to->sa.any.sa_family == AF_UNIX)
        return name->len == to->len && memcmp(&name->sa, &to->sa, to->len) == 0;
    if (port_get(name) != port_get(to))
        return false;
    if (is_any(name)) /* that of IPv6 takes IPv4 too */
        return name->sa.any.sa_family == AF_INET6 || to->sa.any.sa_family == AF_INET;
    return host_same(name, to);
}

struct sim_sock *hob__sim_sock_at(const hob_addr *a, int type)
{
    struct sim_sock *wide = NULL;

    list_each (n, &names.named) {
        struct sim_sock *s = list_entry(n, struct sim_sock, named);
        if (s->type != type || (type == SOCK_STREAM && s->state != SOCK_LISTENS) ||
            !name_takes(&s->name, a))
            continue;
        if (!is_any(&s->name))
            return s;
        wide = s;
    }
    return wide;
}

static bool name_free(const struct sim_sock *s, const hob_addr *a)
{
    list_each (n, &names.named) {
        const struct sim_sock *o = list_entry(n, struct sim_sock, named);
        if (o->type == s->type && (name_takes(&o->name, a) || name_takes(a, &o->name)) &&
            !(o->shares_port && s->shares_port))
            return false;
    }
    return true;
}

/* A port that nobody has; all taken: -EADDRINUSE. */
static int port_give(const struct sim_sock *s, hob_addr *a)
{
    for (int i = PORT_FIRST; i <= PORT_LAST; i++) {
        names.port = names.port < PORT_LAST ? names.port + 1 : PORT_FIRST;
        *port_of(a) = htons(names.port);
        if (name_free(s, a))
            return 0;
    }
    return -EADDRINUSE;
}

bool hob__sim_addr_far(const hob_addr *a)
{
    const struct sockaddr_in6 *six = (const void *)&a->sa.room;
    const struct sockaddr_in *four = (const void *)&a->sa.room;

    if (a->sa.any.sa_family == AF_INET)
        return ntohl(four->sin_addr.s_addr) >> 24 != 127 && four->sin_addr.s_addr != 0;
    return a->sa.any.sa_family == AF_INET6 && !IN6_IS_ADDR_LOOPBACK(&six->sin6_addr) && !is_any(a);
}

int hob__sim_addr_copy(const struct sockaddr *a, socklen_t len, int family, hob_addr *ret)
{
    if (len < sizeof(sa_family_t) || len > sizeof ret->sa)
        return -EINVAL;
    if (a->sa_family != family)
        return -EAFNOSUPPORT;
    if ((family == AF_INET && len < sizeof(struct sockaddr_in)) ||
        (family == AF_INET6 && len < sizeof(struct sockaddr_in6)))
        return -EINVAL;
    *ret = (hob_addr){.len = len};
    memcpy(&ret->sa, a, len);
    return 0;
}

int hob__sim_bind(int fd, const struct sockaddr *a, socklen_t len)
{
    struct sim_sock *s;
    hob_addr name;
    int r = hob__sim_socket(fd, &s);

    if (r < 0 || (r = hob__sim_addr_copy(a, len, s->family, &name)) < 0)
        return r;
    if (s->name.len)
        return -EINVAL;
    if (s->family != AF_UNIX && port_get(&name) == 0)
        r = port_give(s, &name);
    else if (!name_free(s, &name))
        r = -EADDRINUSE;
    if (r < 0)
        return r;
    s->name = name;
    list_push(&names.named, &s->named);
    return 0;
}

/* As connect(2) and sendto(2) do: the host is this one, whichever that is. */
void hob__sim_sock_autoname(struct sim_sock *s)
{
    hob_addr a = {.len = 0};

    if (s->name.len)
        return;
    a.sa.any.sa_family = (sa_family_t)s->family;
    if (s->family == AF_UNIX)
        return; /* has none */
    a.len = s->family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (s->family == AF_INET)
        ((struct sockaddr_in *)(void *)&a.sa.room)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        ((struct sockaddr_in6 *)(void *)&a.sa.room)->sin6_addr = in6addr_loopback;
    if (port_give(s, &a) < 0)
        return; /* none left: then it has none */
    s->name = a;
    list_push(&names.named, &s->named);
}

int hob__sim_addr(int fd, struct sockaddr *ret, socklen_t *len)
{
    struct sim_sock *s;
    hob_addr a;
    int r = hob__sim_socket(fd, &s);

    if (r < 0)
        return r;
    a = s->name;
    if (a.len == 0) {
        a.sa.any.sa_family = (sa_family_t)s->family;
        a.len = s->family == AF_INET    ? sizeof(struct sockaddr_in)
                : s->family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                        : sizeof(sa_family_t);
    }
    memcpy(ret, &a.sa, *len < a.len ? *len : a.len);
    *len = a.len;
    return 0;
}
