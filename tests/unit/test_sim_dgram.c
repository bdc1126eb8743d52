/* SPDX-License-Identifier: MIT
 *
 * test_sim_dgram.c - datagrams of the simulator
 */
#include "sim_util.h"

struct post {
    int from, to;
    hob_addr at;
};

static struct post post_open(void)
{
    struct post p;
    hob_addr a = addr("127.0.0.1", 0);

    CHECK((p.to = hob_udp_bind(&a, NULL)) >= 0);
    CHECK_INT(hob_sock_addr(p.to, &p.at), 0);
    CHECK((p.from = hob_udp_dial(&p.at, NULL)) >= 0);
    return p;
}

static int datagrams(void *arg)
{
    struct post p = post_open();
    hob_addr from, nobody = addr("127.0.0.1", 9);
    char text[8];
    size_t whole;
    int fd;

    (void)arg;
    for (int i = 0; i < 10; i++)
        CHECK_INT(hob_dgram_send(p.from, &(char){(char)i}, 1, NULL, HOB_FOREVER), 1);
    for (int i = 0; i < 10; i++) {
        CHECK_INT(hob_dgram_recv(p.to, text, sizeof text, HOB_FOREVER, &from, NULL), 1);
        CHECK_INT(text[0], i);
    }
    CHECK_INT(hob_dgram_send(p.to, "abc", 3, &from, HOB_FOREVER), 3);
    CHECK_INT(hob_dgram_recv(p.from, text, 2, HOB_FOREVER, NULL, &whole), 2);
    CHECK_INT(whole, 3);
    CHECK_INT(hob_dgram_send(p.to, "", 0, &from, HOB_FOREVER), 0);
    CHECK_INT(hob_dgram_recv(p.from, text, 2, HOB_FOREVER, NULL, NULL), 0);
    CHECK_INT(hob_dgram_recv(p.to, text, 1, hob_in(HOB_SEC), NULL, NULL), -ETIMEDOUT);
    CHECK_INT(hob_dgram_send(p.to, "x", 1, NULL, HOB_FOREVER), -EDESTADDRREQ);
    CHECK_INT(hob_udp_bind(&p.at, NULL), -EADDRINUSE);
    CHECK((fd = hob_udp_dial(&nobody, NULL)) >= 0);
    CHECK_INT(hob_write(fd, "x", 1, HOB_FOREVER), 1);
    CHECK_INT(hob_read(fd, text, 1, HOB_FOREVER), -ECONNREFUSED);
    hob_close(fd);
    CHECK((fd = hob_unix_bind("@post", NULL)) >= 0);
    CHECK_INT(hob_unix_addr("@post", &from), 0);
    CHECK_INT(hob_dgram_send(fd, "self", 4, &from, HOB_FOREVER), 4);
    CHECK_INT(hob_dgram_recv(fd, text, 8, HOB_FOREVER, &from, NULL), 4);
    for (int i = 0; i < 10; i++)
        CHECK_INT(hob_dgram_send(fd, "", 0, &from, HOB_FOREVER), 0);
    CHECK_INT(hob_dgram_send(fd, "", 0, &from, hob_in(HOB_SEC)), -ETIMEDOUT);
    hob_close(fd);
    hob_close(p.from);
    hob_close(p.to);
    return 0;
}

TEST(datagrams_come_whole_and_in_order)
{
    in_sims(50, datagrams, NULL);
}

static int n_lost, n_doubled, n_overtaken;

static int bad_post(void *arg)
{
    struct post p = post_open();
    int last = -1, n = 0;
    char c;

    (void)arg;
    for (int i = 0; i < 10; i++)
        CHECK_INT(hob_dgram_send(p.from, &(char){(char)i}, 1, NULL, HOB_FOREVER), 1);
    for (; hob_dgram_recv(p.to, &c, 1, hob_in(30 * HOB_SEC), NULL, NULL) == 1; n++) {
        n_doubled += c == last;
        n_overtaken += c < last;
        last = c;
    }
    n_lost += n < 10;
    hob_close(p.from);
    hob_close(p.to);
    return 0;
}

TEST(with_faults_datagrams_are_lost_doubled_and_overtaken)
{
    char text[32];

    for (int seed = 1; seed <= 30; seed++) {
        snprintf(text, sizeof text, "%d,faults=100", seed);
        CHECK_INT(in_sim(text, bad_post, NULL), 0);
    }
    CHECK(n_lost > 0 && n_doubled > 0 && n_overtaken > 0);
    n_lost = n_doubled = n_overtaken = 0;
    in_sims(30, bad_post, NULL);
    CHECK_INT(n_lost + n_doubled + n_overtaken, 0);
}
