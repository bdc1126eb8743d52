/* SPDX-License-Identifier: MIT
 *
 * one_thread.c - one thread with 50 to 200 connections against 50 threads or processes
 *
 * 4,000 requests to a service that answers after 5 ms.  The client's code is the same everywhere:
 * from a fiber a hob call parks, from a plain thread it blocks.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "claim.h"

enum { DELAY = 1, REQUESTS = 4000, WORKERS = 50, WORKERS_MAX = 200 };

struct client {
    struct service *service;
    int requests;
};

static int client(void *arg)
{
    struct client *c = arg;
    int fd = service_dial(c->service), r = fd < 0 ? fd : 0;

    for (int i = 0; r == 0 && i < c->requests; i++)
        r = service_ask(fd, DELAY);
    hob_close(fd);
    return r;
}

struct load {
    struct client client;
    int workers;
};

static int on_fibers(void *arg)
{
    struct load *l = arg;
    hob_group g;
    int r = hob_group_open(&g, NULL);

    for (int i = 0; r == 0 && i < l->workers; i++)
        r = hob_go(&g, client, &l->client);
    return hob_group_join(&g, r);
}

static void by_fibers(struct load *l)
{
    claim_run(NULL, on_fibers, l);
}

static void *thread_run(void *arg)
{
    claim_check(client(arg), "client");
    return NULL;
}

static void by_threads(struct load *l)
{
    pthread_t thread[WORKERS_MAX];

    for (int i = 0; i < l->workers; i++)
        claim_check(-pthread_create(&thread[i], NULL, thread_run, &l->client), "thread");
    for (int i = 0; i < l->workers; i++)
        pthread_join(thread[i], NULL);
}

static void by_processes(struct load *l)
{
    int pid[WORKERS_MAX], status;

    for (int i = 0; i < l->workers; i++) {
        pid[i] = fork();
        claim_check(pid[i] < 0 ? -errno : 0, "fork");
        if (pid[i] == 0)
            _exit(client(&l->client) < 0);
    }
    for (int i = 0; i < l->workers; i++) {
        waitpid(pid[i], &status, 0);
        claim_check(status == 0 ? 0 : -ECHILD, "process");
    }
}

static void line(const char *what, void (*by)(struct load *), struct service *s, int workers)
{
    struct load l = {{s, REQUESTS / workers}, workers};
    double cpu = claim_cpu_ms(), ms;
    hob_time begin = hob_now();

    by(&l);
    ms = claim_ms(begin);
    printf("%3d %-24s %6.0f requests/s, %5.1f ms of CPU for each 1,000\n", workers, what,
           REQUESTS / ms * 1e3, (claim_cpu_ms() - cpu) / REQUESTS * 1e3);
    fflush(stdout);
}

int main(void)
{
    struct service s = service_start();

    line("processes", by_processes, &s, WORKERS);
    line("threads", by_threads, &s, WORKERS);
    line("connections, one thread", by_fibers, &s, WORKERS);
    line("connections, one thread", by_fibers, &s, WORKERS_MAX);
    service_stop(&s);
    return 0;
}
