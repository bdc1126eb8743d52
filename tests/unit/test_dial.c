/* SPDX-License-Identifier: MIT */
#include <hob/hob.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "dns_server.h"
#include "net/order.h"
#include "net_util.h"

static struct dns_server server;
static uint16_t port; /* where somebody listens on some of 127.0.0.0/8 */

static bool own_source(const hob_addr *to, hob_addr *ret)
{
    *ret = *to;
    return true;
}

static const struct dns_record zone[] = {
    {.name = "one.test", .v4 = "127.0.0.2", .ttl = 60},
    {.name = "second.test", .v4 = "127.0.0.3 127.0.0.4 127.0.0.2", .ttl = 60},
    {.name = "closed.test", .v4 = "127.0.0.3 127.0.0.4", .ttl = 60},
    {.name = "hole.test", .v4 = "127.0.0.9 127.0.0.2", .ttl = 60},
    {.name = "holes.test", .v4 = "127.0.0.9", .ttl = 60},
    {.name = "half.test", .v4 = "127.0.0.2", .v6_held = true, .ttl = 60},
    {.name = "late.test", .v4 = "127.0.0.3", .v6 = "::ffff:127.0.0.2", .v6_held = true, .ttl = 60},
    {.name = "none.test", .kind = DNS_NONE, .no_ttl = 60},
    {.name = "held.test", .kind = DNS_HELD, .v4 = "127.0.0.2", .ttl = 60},
    {NULL}};

static int listen_on(const char *text, uint16_t at, int backlog)
{
    hob_addr a;

    CHECK_INT(hob_addr_parse(text, at, &a), 0);
    return hob_tcp_listen(&a, backlog);
}

/* Its backlog is full: further connections hear nothing. */
struct hole {
    int listener, full[8];
};

static void hole_open(struct hole *h)
{
    hob_addr a;

    h->listener = listen_on("127.0.0.9", port, 1);
    CHECK(h->listener >= 0);
    CHECK_INT(hob_addr_parse("127.0.0.9", port, &a), 0);
    for (int i = 0; i < 8; i++) {
        h->full[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)!connect(h->full[i], &a.sa.any, a.len);
    }
}

static void hole_close(struct hole *h)
{
    close(h->listener);
    for (int i = 0; i < 8; i++)
        close(h->full[i]);
}

/* The body on both pollers; 127.0.0.2 listens. */
static void with_listener(hob_fn body)
{
    static const char *const pollers[] = {"uring", "epoll"};
    hob_addr a;

    hob__addr_source = own_source;
    setenv("CARES_HOSTS", "/dev/null", 1);
    for (int i = 0; i < 2; i++) {
        int listener = listen_on("127.0.0.2", 0, 0);
        CHECK(listener >= 0);
        CHECK_INT(hob_sock_addr(listener, &a), 0);
        port = hob_addr_port(&a);
        setenv("HOB_POLL", pollers[i], 1);
        dns_server_start(&server, zone);
        int r = hob_run(NULL, body, NULL);
        if (i > 0 || (r != -ENOSYS && r != -EPERM))
            CHECK_INT(r, 0);
        dns_server_stop(&server);
        close(listener);
    }
}

/* Connects, and says to which address. */
/* A fault may leave but an address that does not answer, which the kernel tries for two minutes. */
static void dials(const char *name, const char *want)
{
    char text[HOB_ADDR_TEXT_MAX];
    hob_addr peer = {.len = sizeof peer.sa};
    int fd = hob_tcp_dial_name(name, port, hob_in(t_times(3600, 3) * HOB_SEC));

    CHECK(fd >= 0 || (t_fail(name, fd, "no connection"), false));
    CHECK_INT(getpeername(fd, &peer.sa.any, &peer.len), 0);
    hob_addr_text(&peer, text);
    *strrchr(text, ':') = '\0';
    CHECK_STR(text, want);
    hob_close(fd);
}

static int finds_one(void *arg)
{
    (void)arg;
    dials("one.test", "127.0.0.2");
    dials("127.0.0.2", "127.0.0.2");
    dials("second.test", "127.0.0.2");
    return 0;
}

TEST(the_first_address_that_answers_is_connected_to)
{
    with_listener(finds_one);
}

static int fails_for_a_reason(void *arg)
{
    (void)arg;
    CHECK_INT(hob_tcp_dial_name("closed.test", port, HOB_FOREVER), -ECONNREFUSED);
    CHECK_INT(hob_tcp_dial_name("none.test", port, HOB_FOREVER), -HOB_EDNS);
    CHECK_INT(hob_tcp_dial_name("", port, HOB_FOREVER), -EINVAL);
    CHECK_INT(hob_tcp_dial_name("one.test", port, 0), -ETIMEDOUT);
    return 0;
}

TEST(a_name_that_nobody_answers_for_says_why)
{
    with_listener(fails_for_a_reason);
}

static int goes_past_a_hole(void *arg)
{
    struct hole h;

    (void)arg;
    hole_open(&h);
    dials("hole.test", "127.0.0.2");
    CHECK_INT(hob_tcp_dial_name("holes.test", port, hob_in(10 * HOB_MS)), -ETIMEDOUT);
    hole_close(&h);
    return 0;
}

TEST(an_address_that_does_not_answer_holds_nobody_up)
{
    with_listener(goes_past_a_hole);
}

static int one_family_is_enough(void *arg)
{
    (void)arg;
    dials("half.test", "127.0.0.2"); /* the other one's server says nothing at all */
    return 0;
}

TEST(a_family_that_is_not_answered_for_is_not_waited_for)
{
    with_listener(one_family_is_enough);
}

static int dial_late(void *arg)
{
    int fd = hob_tcp_dial_name("late.test", port, HOB_FOREVER);

    (void)arg;
    return fd < 0 ? fd : (hob_close(fd), 0);
}

/* Its first family is refused; the second comes when the test lets it. */
static int second_comes_late(void *arg)
{
    hob_group g;
    int r = hob_group_open(&g, NULL);

    (void)arg;
    if (r == 0)
        r = hob_go(&g, dial_late, NULL);
    while (server.n_held < 1)
        CHECK_INT(hob_yield(), 0);
    dns_server_open(&server);
    return hob_group_join(&g, r);
}

TEST(addresses_that_come_late_are_tried)
{
    with_listener(second_comes_late);
}

static int dial_held(void *arg)
{
    return hob_tcp_dial_name(arg, port, HOB_FOREVER);
}

static int is_cancelled(void *arg)
{
    static const char *const names[] = {"held.test", "hole.test"};
    struct hole h;

    (void)arg;
    hole_open(&h);
    for (int i = 0; i < 2; i++) {
        hob_group g;
        int r = hob_group_open(&g, NULL);
        if (r == 0)
            r = hob_go(&g, dial_held, (void *)names[i]);
        while (r == 0 && server.n_udp < 2 + 2 * i)
            r = hob_yield();
        hob_group_cancel(&g, -ESTALE);
        CHECK_INT(hob_group_join(&g, r), -ESTALE);
    }
    hole_close(&h);
    return 0;
}

TEST(a_cancel_takes_back_every_attempt)
{
    with_listener(is_cancelled);
}

TEST(a_plain_thread_tries_one_after_another)
{
    int listener = listen_on("127.0.0.1", 0, 0), fd;
    hob_addr a;

    CHECK_INT(hob_sock_addr(listener, &a), 0);
    fd = hob_tcp_dial_name("localhost", hob_addr_port(&a), HOB_FOREVER);
    CHECK(fd >= 0);
    hob_close(fd);
    hob_close(listener);
    CHECK_INT(hob_tcp_dial_name("127.0.0.1", hob_addr_port(&a), HOB_FOREVER), -ECONNREFUSED);
}

static int simulated(void *arg)
{
    hob_addr a;
    int listening, one, other;

    (void)arg;
    CHECK_INT(hob_tcp_dial_name("127.0.0.1", 80, HOB_FOREVER), -ECONNREFUSED);
    CHECK_INT(hob_tcp_dial_name("host.example", 80, HOB_FOREVER), -EOPNOTSUPP);
    CHECK_INT(hob_addr_parse("::1", 80, &a), 0);
    CHECK((listening = hob_tcp_listen(&a, 0)) >= 0);
    CHECK((one = hob_tcp_dial_name("localhost", 80, HOB_FOREVER)) >= 0); /* its second address */
    CHECK((other = hob_tcp_accept(listening, HOB_FOREVER)) >= 0);
    hob_close(one);
    hob_close(other);
    hob_close(listening);
    return 0;
}

TEST(the_simulator_knows_names_of_this_host)
{
    setenv("HOB_SIM", "1", 1);
    CHECK_INT(hob_run(NULL, simulated, NULL), 0);
}
