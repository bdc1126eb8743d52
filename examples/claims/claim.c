/* SPDX-License-Identifier: MIT
 *
 * claim.c - what the programs of the claims share
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "claim.h"

enum { STEPS_A_UNIT = 500 * 1000 };

int claim_compute(unsigned units)
{
    uint64_t x = units + 1;

    for (uint64_t i = 0; i < (uint64_t)units * STEPS_A_UNIT; i++) {
        x ^= x << 13; /* each step needs the one before: no compiler makes it faster */
        x ^= x >> 7;
        x ^= x << 17;
    }
    return x == 0; /* never: xorshift does not reach 0 */
}

double claim_ms(hob_time begin)
{
    return (double)(hob_now() - begin) / (double)HOB_MS;
}

static double timeval_ms(struct timeval t)
{
    return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3;
}

double claim_cpu_ms(void)
{
    struct rusage self, children;

    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    return timeval_ms(self.ru_utime) + timeval_ms(self.ru_stime) + timeval_ms(children.ru_utime) +
           timeval_ms(children.ru_stime);
}

int claim_check(int r, const char *what)
{
    if (r < 0) {
        fprintf(stderr, "%s: %s\n", what, hob_strerror(r));
        exit(1);
    }
    return r;
}

void claim_run(const struct hob_opts *opts, hob_fn fn, void *arg)
{
    claim_check(hob_run(opts, fn, arg), "run");
}

static int service_client(void *arg)
{
    int fd = (int)(intptr_t)arg;
    unsigned char delay;

    while (hob_read(fd, &delay, 1, HOB_FOREVER) == 1) {
        if (hob_sleep(delay * SERVICE_UNIT_MS * HOB_MS) < 0)
            break;
        if (hob_write(fd, &delay, 1, HOB_FOREVER) != 1)
            break;
    }
    hob_close(fd);
    return 0;
}

static int service_serve(void *listener)
{
    hob_group clients;
    int r = hob_group_open(&clients, NULL);

    while (r == 0) {
        int fd = hob_tcp_accept(*(int *)listener, HOB_FOREVER);
        r = fd < 0 ? fd : hob_go(&clients, service_client, (void *)(intptr_t)fd);
    }
    return hob_group_join(&clients, r);
}

struct service service_start(void)
{
    struct service s;
    int listener;

    claim_check(hob_addr_parse("127.0.0.1", 0, &s.addr), "address");
    listener = claim_check(hob_tcp_listen(&s.addr, 0), "listen");
    claim_check(hob_sock_addr(listener, &s.addr), "address");
    fflush(stdout);
    s.pid = fork();
    if (s.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(hob_run(HOB_OPTS(.loops = 1), service_serve, &listener) < 0);
    }
    claim_check(s.pid < 0 ? -errno : 0, "fork");
    hob_close(listener);
    return s;
}

void service_stop(struct service *s)
{
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
}

int service_dial(const struct service *s)
{
    return hob_tcp_dial(&s->addr, HOB_FOREVER);
}

int service_ask(int fd, unsigned char delay)
{
    ssize_t r = hob_write(fd, &delay, 1, HOB_FOREVER);

    if (r == 1)
        r = hob_read(fd, &delay, 1, HOB_FOREVER);
    return r < 0 ? (int)r : r == 1 ? 0 : -ECONNRESET;
}
