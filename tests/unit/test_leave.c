/* SPDX-License-Identifier: MIT */
#include "diag/leave.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/t.h"

/* Reads to the end, which comes when nobody has the other side any more. */
static void read_to_end(int fd)
{
    char byte;

    CHECK_INT(read(fd, &byte, 1), 0);
}

TEST(it_is_closed_by_a_child_that_ends)
{
    int pipes[2], status;

    CHECK(pipe2(pipes, O_CLOEXEC) == 0);
    leave_descriptor(pipes[1]);
    CHECK(fcntl(pipes[1], F_GETFD) < 0);
    read_to_end(pipes[0]);
    CHECK(wait(&status) > 0);
    CHECK_INT(status, 0);
    close(pipes[0]);
}

/* A connection whose close lingers until the other side has read, or is gone. */
static int lingering(int *ret_reader)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    char bytes[4096] = {0};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(bind(listener, (struct sockaddr *)&at, size) == 0);
    CHECK(listen(listener, 1) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&at, &size) == 0);
    CHECK(connect(fd, (struct sockaddr *)&at, size) == 0);
    *ret_reader = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(*ret_reader >= 0);
    close(listener);
    while (send(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        ;
    CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 3600}, sizeof(struct linger)) ==
          0);
    return fd;
}

TEST(neither_we_nor_who_reads_our_output_wait_for_a_close)
{
    int output[2], status, reader, fd = lingering(&reader);

    CHECK(pipe2(output, O_CLOEXEC) == 0);
    leave_descriptor(fd);
    close(output[1]);
    read_to_end(output[0]);
    CHECK_INT(waitpid(-1, &status, WNOHANG), 0); /* the child waits, still */
    close(reader);                               /* with data unread: it is reset */
    CHECK(wait(&status) > 0);
    CHECK_INT(status, 0);
    close(output[0]);
}

TEST(without_a_child_it_is_closed_all_the_same)
{
    struct rlimit was, none = {0};
    int pipes[2];

    CHECK(pipe2(pipes, O_CLOEXEC) == 0);
    CHECK(getrlimit(RLIMIT_NOFILE, &was) == 0);
    none.rlim_max = was.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0); /* no pipe to it, either */
    leave_descriptor(pipes[1]);
    CHECK(setrlimit(RLIMIT_NOFILE, &was) == 0);
    read_to_end(pipes[0]);
    close(pipes[0]);
}
