/* SPDX-License-Identifier: MIT
 *
 * look_util.h - a child that waits, a looker that looks at it, and connections to wait for
 */
#ifndef LOOK_UTIL_H
#define LOOK_UTIL_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hob/rt.h>

#include "diag/look.h"
#include "lib/t.h"

/* Newer architectures have one call of a kind, and glibc makes the others of it. */
#ifndef SYS_epoll_wait
#define SYS_epoll_wait SYS_epoll_pwait
#define SYS_poll       SYS_ppoll
#define SYS_select     SYS_pselect6
#endif

struct scene {
    struct recording rec;
    struct looker *looker;
    pid_t pid;
};

/* A child that runs wait(arg) and ends with this process. */
static void scene_open(struct scene *s, void (*wait)(void *), void *arg)
{
    *s = (struct scene){.pid = 0};
    rec_init(&s->rec);
    CHECK(looker_new(&s->rec, &s->looker) == 0);
    pid_t parent = getpid();
    s->pid = fork();
    CHECK(s->pid >= 0);
    if (s->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            wait(arg);
        _exit(1);
    }
}

static void scene_close(struct scene *s)
{
    int status;

    CHECK(kill(s->pid, SIGKILL) == 0);
    CHECK(waitpid(s->pid, &status, 0) == s->pid);
    CHECK(WIFSIGNALED(status)); /* it had been waiting to the end */
    looker_free(s->looker);
    rec_free(&s->rec);
}

/* Looks until the thread waits in one of two calls; the runner's time-out is the limit. */
static struct look scene_look(struct scene *s, int call, int or_call)
{
    struct look k = {.kind = REC_NO_KIND};

    while (look_at(s->looker, s->pid, s->pid, &k) != LOOK_WAITS ||
           (k.call != call && k.call != or_call))
        sched_yield();
    return k;
}

/* A Unix socket whose other end is this process. */
static __attribute__((unused)) void unix_open(const char *path, int *ret_client, int *ret_server)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    unlink(path);
    CHECK(bind(listener, (struct sockaddr *)&a, sizeof a) == 0 && listen(listener, 1) == 0);
    *ret_client = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(connect(*ret_client, (struct sockaddr *)&a, sizeof a) == 0);
    *ret_server = accept(listener, NULL, NULL);
    CHECK(*ret_server >= 0);
    close(listener);
    unlink(path);
}

/* n connections over loopback: clients[i] to servers[i]. */
struct links {
    int n, listener, port;
    int *clients, *servers;
};

static void links_open(struct links *k, int n)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;

    *k = (struct links){.n = n, .listener = socket(AF_INET, SOCK_STREAM, 0)};
    k->clients = calloc((size_t)n + 1, sizeof(int));
    k->servers = calloc((size_t)n + 1, sizeof(int));
    CHECK(k->clients && k->servers && k->listener >= 0);
    CHECK(bind(k->listener, (struct sockaddr *)&a, size) == 0);
    CHECK(listen(k->listener, 128) == 0);
    CHECK(getsockname(k->listener, (struct sockaddr *)&a, &size) == 0);
    k->port = ntohs(a.sin_port);
    for (int i = 0; i < n; i++) {
        k->clients[i] = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(k->clients[i] >= 0);
        CHECK(connect(k->clients[i], (struct sockaddr *)&a, size) == 0);
        k->servers[i] = accept(k->listener, NULL, NULL);
        CHECK(k->servers[i] >= 0);
    }
}

static void links_close(struct links *k)
{
    for (int i = 0; i < k->n; i++) {
        close(k->clients[i]);
        close(k->servers[i]);
    }
    close(k->listener);
    free(k->clients);
    free(k->servers);
}

static inline void link_ask(struct links *k, int i)
{
    CHECK(send(k->clients[i], "?", 1, 0) == 1);
}

/* The kernel's ages are in steps of a few ms: an answer must be seen to be later than its
 * question. */
static inline void link_answer(struct links *k, int i)
{
    struct tcp_info info;
    socklen_t n = sizeof info;
    char c;

    CHECK(recv(k->servers[i], &c, 1, 0) == 1);
    do {
        CHECK(getsockopt(k->clients[i], IPPROTO_TCP, TCP_INFO, &info, &n) == 0);
    } while (info.tcpi_last_data_sent < 12);
    CHECK(send(k->servers[i], "!", 1, 0) == 1);
    CHECK(recv(k->clients[i], &c, 1, 0) == 1);
}

#endif
