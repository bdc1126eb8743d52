/* SPDX-License-Identifier: MIT
 *
 * echo_load.c - the client of the bench "echo": what a server's reply costs the server
 *
 * usage: echo_load SERVER [ARGUMENT...]
 *
 * WHAT   Starts SERVER, which prints "port N" when it listens, on the last of the usable cores,
 *        and itself goes to the one before.  CONNS connections, one message of MSG bytes
 *        outstanding on each, for SECONDS after a warm-up; then the server is ended.
 *        Prints "echo US us/reply": user and system time of the server for each reply.
 *
 * Requests a second are no measure: the client does as much work in the kernel as the server, so
 * of the fast servers each waits for the client.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "row.h"

enum { CONNS = 1000, MSG = 64, EVENTS = 1024 };

static const double WARM = 0.3, SECONDS = 2.0;

static char msg[MSG];
static int got[65536]; /* bytes of the reply, by descriptor */

static void die(const char *what)
{
    fprintf(stderr, "echo_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* The last usable core but `from_end`, or the only one. */
static void pin(int from_end)
{
    cpu_set_t usable, one;

    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof usable, &usable) < 0)
        return;
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
        if (!CPU_ISSET(cpu, &usable) || (from_end-- > 0 && CPU_COUNT(&usable) > 1))
            continue;
        CPU_SET(cpu, &one);
        (void)sched_setaffinity(0, sizeof one, &one);
        return;
    }
}

/* Starts the server; returns its pid and the port it says. */
static pid_t server_start(char **argv, int *ret_port)
{
    int out[2];
    pid_t pid = -1;

    if (pipe(out) < 0 || (pid = fork()) < 0)
        die("fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pin(0);
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        execv(argv[0], argv);
        _exit(127);
    }
    close(out[1]);
    FILE *f = fdopen(out[0], "r");
    if (!f || fscanf(f, "port %d", ret_port) != 1)
        die("the server said no port");
    fclose(f);
    return pid;
}

static int conn_open(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || fd >= (int)(sizeof got / sizeof got[0]) ||
        connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* User and system time of a process so far, all its threads, in microseconds. */
static double cpu_us(pid_t pid)
{
    struct timespec t;
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
        die("the server's CPU clock");
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

/* Reads what came; a whole reply is answered by the next message.  Returns replies. */
static int turn(int fd)
{
    char buf[MSG];
    ssize_t n = read(fd, buf, sizeof buf - (size_t)got[fd]);

    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0 || memcmp(buf, msg, (size_t)n) != 0)
        die("the server closed, or sent something else");
    got[fd] += (int)n;
    if (got[fd] < MSG)
        return 0;
    got[fd] = 0;
    if (write(fd, msg, MSG) != MSG)
        die("write");
    return 1;
}

static void load(int ep, pid_t pid)
{
    struct epoll_event ev[EVENTS];
    double warm = row_now() + WARM, end = warm + SECONDS, cpu = 0, began = 0;
    uint64_t replies = 0;

    for (;;) {
        int n = epoll_wait(ep, ev, EVENTS, 1000);
        double now = row_now();

        if (!began && now >= warm) {
            began = now;
            cpu = cpu_us(pid);
            replies = 0;
        }
        if (began && now >= end)
            break;
        for (int i = 0; i < n; i++)
            replies += (uint64_t)turn(ev[i].data.fd);
    }
    if (!replies)
        die("no reply");
    printf("echo %.4f us/reply\n", (cpu_us(pid) - cpu) / (double)replies);
    printf("echo_rate %.0f replies/s\n", (double)replies / (row_now() - began));
}

int main(int argc, char **argv)
{
    int port, ep = epoll_create1(0);

    if (argc < 2 || ep < 0)
        return 2;
    pid_t pid = server_start(argv + 1, &port);
    pin(1);
    memset(msg, 'x', sizeof msg);
    for (int i = 0; i < CONNS; i++) {
        struct epoll_event e = {.events = EPOLLIN};

        e.data.fd = conn_open(port);
        epoll_ctl(ep, EPOLL_CTL_ADD, e.data.fd, &e);
        if (write(e.data.fd, msg, MSG) != MSG)
            die("write");
    }
    load(ep, pid);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    return 0;
}
