/* SPDX-License-Identifier: MIT
 *
 * accept.c - what a connection costs its server: accepted when asked for, or ahead
 *
 * usage: bench_accept [SLICES]   HOB_POLL chooses the poller
 *
 * WHAT   For TCP and Unix sockets, and for one connection at a time and 64: slices of 2000 in turn
 *        by hob_tcp_accept (hob_unix_accept) and by a hob_listener.  The CPU time of the server's
 *        thread for one that is accepted and closed; medians, and the median of the ratios of
 *        neighbours.  A process of its own dials.
 */
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hob/unix.h>

#include "bench.h"

enum { SLICES_MOST = 400, CONNECTIONS = 2000, BATCH_MOST = 64 };

static int n_slices = 40;

static double cpu_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- the client ---- */

/* From one of many addresses: ports of closed connections are not free at once. */
static void from_somewhere(int fd)
{
    static uint32_t n;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + n++ % 200)};
    int one = 1;

    (void)setsockopt(fd, IPPROTO_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */, &one, sizeof one);
    (void)bind(fd, (struct sockaddr *)&a, sizeof a);
}

static void dials_for_ever(const hob_addr *to, int batch)
{
    int fd[BATCH_MOST];
    char c;

    for (;;) {
        for (int i = 0; i < batch; i++) {
            fd[i] = socket(to->sa.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
            if (to->sa.any.sa_family == AF_INET)
                from_somewhere(fd[i]);
            if (connect(fd[i], &to->sa.any, to->len) < 0)
                _exit(1);
        }
        for (int i = 0; i < batch; i++) {
            (void)!read(fd[i], &c, 1); /* until it was accepted, and closed */
            close(fd[i]);
        }
    }
}

static pid_t client(const hob_addr *to, int batch)
{
    pid_t parent = getpid(), pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            dials_for_ever(to, batch);
        _exit(1);
    }
    return pid;
}

/* ---- the server ---- */

struct subject {
    const char *name;
    hob_addr at;
    int fd, batch;
};

/* CPU time for a connection, or a negative errno. */
static double slice(const struct subject *s, hob_listener *l)
{
    double begin = cpu_now();
    bool tcp = s->at.sa.any.sa_family == AF_INET;

    for (int i = 0; i < CONNECTIONS; i++) {
        hob_time until = hob_in(10 * HOB_SEC);
        int fd = l     ? hob_listener_accept(l, until)
                 : tcp ? hob_tcp_accept(s->fd, until)
                       : hob_unix_accept(s->fd, until);
        if (fd < 0)
            return fd;
        hob_close(fd);
    }
    return (cpu_now() - begin) / CONNECTIONS;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *v)
{
    qsort(v, (size_t)n_slices, sizeof *v, by_size);
    return v[n_slices / 2];
}

static int measure(void *arg)
{
    static double asked[SLICES_MOST], ahead[SLICES_MOST], ratio[SLICES_MOST];
    const struct subject *s = arg;

    for (int i = 0; i < n_slices; i++) {
        hob_listener *l;
        int r = hob_listener_open(s->fd, NULL, &l);
        if (r < 0)
            return r;
        asked[i] = slice(s, NULL);
        ahead[i] = slice(s, l);
        r = hob_listener_stop(l);
        hob_listener_close(l);
        if (asked[i] < 0 || ahead[i] < 0 || r < 0)
            return asked[i] < 0 ? (int)asked[i] : ahead[i] < 0 ? (int)ahead[i] : r;
        ratio[i] = ahead[i] / asked[i];
    }
    printf("%s.%d.asked %.0f ns\n", s->name, s->batch, median(asked));
    printf("%s.%d.ahead %.0f ns\n", s->name, s->batch, median(ahead));
    printf("%s.%d.ratio %.3f\n", s->name, s->batch, median(ratio));
    return 0;
}

static int subject_run(bool tcp, int batch)
{
    struct subject s = {.name = tcp ? "tcp" : "unix", .batch = batch};
    int r = tcp ? hob_addr_parse("127.0.0.1", 0, &s.at) : hob_unix_addr("@hob-bench-accept", &s.at);

    if (r < 0)
        return r;
    s.fd = tcp ? hob_tcp_listen(&s.at, 1024) : hob_unix_listen("@hob-bench-accept", NULL);
    if (s.fd < 0 || (r = hob_sock_addr(s.fd, &s.at)) < 0)
        return s.fd < 0 ? s.fd : r;
    pid_t pid = client(&s.at, batch);
    r = hob_run(HOB_OPTS(.loops = 1), measure, &s);
    hob_close(s.fd);
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    return r;
}

int main(int argc, char **argv)
{
    int r = 0;

    if (argc > 1)
        n_slices = atoi(argv[1]);
    if (n_slices < 1 || n_slices > SLICES_MOST)
        return 2;
    for (int i = 0; i < 4 && r == 0; i++)
        r = subject_run(i < 2, i % 2 ? BATCH_MOST : 1);
    return bench_exit("accept", r);
}
