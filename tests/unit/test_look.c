/* SPDX-License-Identifier: MIT
 *
 * test_look.c - children that wait in every way, and what is seen of them
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hob/rt.h>

#include "look_util.h"

static void check_kind(void (*wait)(void *), void *arg, int call, int or_call, int kind)
{
    struct scene s;

    scene_open(&s, wait, arg);
    struct look k = scene_look(&s, call, or_call);
    CHECK_STR(rec_kind_word(k.kind), rec_kind_word((enum rec_kind)kind));
    CHECK_INT(k.in_flight, rec_kind_class((enum rec_kind)kind) == 0);
    scene_close(&s);
}

static void wait_pipe(void *arg)
{
    char c;

    (void)!read(((int *)arg)[0], &c, 1);
}

TEST(a_pipe)
{
    int ends[2];

    CHECK(pipe(ends) == 0);
    check_kind(wait_pipe, ends, SYS_read, -2, REC_PIPE);
    close(ends[0]);
    close(ends[1]);
}

static void wait_eventfd(void *arg)
{
    uint64_t v;

    (void)arg;
    (void)!read(eventfd(0, 0), &v, sizeof v);
}

TEST(an_eventfd_is_another_thread)
{
    check_kind(wait_eventfd, NULL, SYS_read, -2, REC_LOCK);
}

static void wait_futex(void *arg)
{
    uint32_t word = 0;
    struct timespec limit = {1000, 0};

    syscall(SYS_futex, &word, FUTEX_WAIT, 0, arg ? &limit : NULL, NULL, 0);
}

TEST(a_futex)
{
    check_kind(wait_futex, NULL, SYS_futex, -2, REC_LOCK);
}

TEST(a_futex_that_ends_by_its_limit_was_a_sleep)
{
    struct scene s;
    int any = 1;

    scene_open(&s, wait_futex, &any);
    struct look k = scene_look(&s, SYS_futex, -2);
    CHECK_INT(k.kind, REC_LOCK);
    CHECK(k.timeout > 0 && k.timeout <= 1000 * HOB_SEC);
    CHECK_INT(look_kind_ended(&k, 5 * HOB_MS), REC_LOCK);
    CHECK_INT(look_kind_ended(&k, k.timeout), REC_SLEEP);
    scene_close(&s);
}

static void wait_sleep(void *arg)
{
    struct timespec at = {1000, 0};

    (void)arg;
    clock_nanosleep(CLOCK_REALTIME, 0, &at, NULL); /* sleep: it is what is looked at */
}

TEST(a_sleep)
{
    check_kind(wait_sleep, NULL, SYS_nanosleep, SYS_clock_nanosleep, REC_SLEEP);
}

static void wait_child(void *arg)
{
    pid_t parent = getpid(), pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            wait_sleep(arg);
        _exit(0);
    }
    wait4(pid, NULL, 0, NULL);
}

TEST(a_child)
{
    check_kind(wait_child, NULL, SYS_wait4, SYS_waitid, REC_CHILD);
}

static void wait_signal(void *arg)
{
    (void)arg;
    pause();
}

TEST(a_signal)
{
    check_kind(wait_signal, NULL, 34, SYS_rt_sigsuspend, REC_SIGNAL);
}

static void wait_flock(void *arg)
{
    int fd = open(arg, O_RDWR);

    flock(fd, LOCK_EX);
}

TEST(a_lock_of_a_file)
{
    char path[] = "/tmp/test_look_XXXXXX";
    int fd = mkstemp(path);

    CHECK(fd >= 0);
    CHECK(flock(fd, LOCK_EX) == 0);
    check_kind(wait_flock, path, SYS_flock, -2, REC_LOCK);
    close(fd);
    unlink(path);
}

static void wait_terminal(void *arg)
{
    char c;

    (void)!read(open(arg, O_RDWR | O_NOCTTY), &c, 1);
}

TEST(a_terminal)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY);

    if (fd < 0)
        t_skip("no pseudo terminals");
    CHECK(grantpt(fd) == 0 && unlockpt(fd) == 0);
    check_kind(wait_terminal, ptsname(fd), SYS_read, -2, REC_TTY);
    close(fd);
}

static void wait_recv(void *arg)
{
    char c;

    (void)!recv(*(int *)arg, &c, 1, 0);
}

TEST(a_connection_is_named)
{
    struct links k;
    struct scene s;
    char want[64];

    links_open(&k, 1);
    link_ask(&k, 0);
    scene_open(&s, wait_recv, &k.clients[0]);
    struct look look = scene_look(&s, SYS_recvfrom, -2);
    snprintf(want, sizeof want, "tcp 127.0.0.1:%d", k.port);
    CHECK_INT(look.kind, REC_NET);
    CHECK_INT(look.in_flight, 1);
    CHECK_STR(s.rec.peers[look.peer].name, want);
    scene_close(&s);
    links_close(&k);
}

TEST(an_accepted_connection_is_a_server_without_work)
{
    struct links k;

    links_open(&k, 1);
    check_kind(wait_recv, &k.servers[0], SYS_recvfrom, -2, REC_ACCEPT);
    links_close(&k);
}

static void wait_accept(void *arg)
{
    accept(*(int *)arg, NULL, NULL);
}

TEST(accept_is_a_server_without_work)
{
    struct links k;

    links_open(&k, 0);
    check_kind(wait_accept, &k.listener, SYS_accept, SYS_accept4, REC_ACCEPT);
    links_close(&k);
}

static void wait_connect(void *arg)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons((uint16_t) * (int *)arg)};

    for (;;) /* until the backlog is full */
        connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&a, sizeof a);
}

TEST(a_connection_being_made_is_named_by_its_address)
{
    struct links k;
    struct scene s;
    char want[64];

    links_open(&k, 0);
    CHECK(listen(k.listener, 0) == 0);
    scene_open(&s, wait_connect, &k.port);
    struct look look = scene_look(&s, SYS_connect, -2);
    snprintf(want, sizeof want, "tcp 127.0.0.1:%d", k.port);
    CHECK_INT(look.kind, REC_NET);
    CHECK_INT(look.in_flight, 1);
    CHECK_STR(s.rec.peers[look.peer].name, want);
    scene_close(&s);
    links_close(&k);
}

static void check_unix(const char *file, int kind)
{
    char dir[] = "/tmp/test_look_XXXXXX", path[64], want[80];
    struct scene s;
    int client, server;

    CHECK(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/%s", dir, file);
    unix_open(path, &client, &server);
    rmdir(dir);
    scene_open(&s, wait_recv, &client);
    struct look look = scene_look(&s, SYS_recvfrom, -2);
    CHECK_STR(rec_kind_word(look.kind), rec_kind_word((enum rec_kind)kind));
    snprintf(want, sizeof want, "unix %s", path);
    CHECK_STR(s.rec.peers[look.peer].name, want);
    CHECK_INT(s.rec.peers[look.peer].pid, getpid());
    looker_finish(s.looker);
    CHECK(s.rec.peers[look.peer].peer_cpu >= 0);
    scene_close(&s);
    close(client);
    close(server);
}

TEST(a_unix_socket_and_who_is_behind_it)
{
    check_unix("other.sock", REC_IPC);
}

TEST(a_database_by_its_unix_socket)
{
    check_unix(".s.PGSQL.5432", REC_DB);
}

TEST(a_local_server_is_found_by_its_port)
{
    struct links k;
    struct scene s;

    links_open(&k, 1);
    link_ask(&k, 0);
    scene_open(&s, wait_recv, &k.clients[0]);
    struct look look = scene_look(&s, SYS_recvfrom, -2);
    /* The child has the listening socket too, so it is one of the two; or looking cost too much. */
    int32_t pid = s.rec.peers[look.peer].pid;
    CHECK(pid == 0 || pid == getpid() || pid == s.pid);
    scene_close(&s);
    links_close(&k);
}

/* A ring by hand: one operation that receives from the socket, and one wait for it. */
static void wait_ring(void *arg)
{
    struct io_uring_params p = {.flags = 0};
    int fd = (int)syscall(SYS_io_uring_setup, 4, &p);

    if (fd < 0)
        _exit(2);
    char *ring = mmap(NULL, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED,
                      fd, IORING_OFF_SQ_RING);
    struct io_uring_sqe *e = mmap(NULL, p.sq_entries * sizeof *e, PROT_READ | PROT_WRITE,
                                  MAP_SHARED, fd, IORING_OFF_SQES);
    static char byte;
    e[0].opcode = IORING_OP_RECV;
    e[0].fd = *(int *)arg;
    e[0].addr = (uintptr_t)&byte;
    e[0].len = 1;
    ((uint32_t *)(ring + p.sq_off.array))[0] = 0;
    __atomic_store_n((uint32_t *)(ring + p.sq_off.tail), 1, __ATOMIC_RELEASE);
    syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0);
}

TEST(a_ring_whose_operation_is_for_a_connection)
{
    struct io_uring_params p = {.flags = 0};
    struct links k;
    struct scene s;
    int fd = (int)syscall(SYS_io_uring_setup, 4, &p);

    if (fd < 0)
        t_skip("no io_uring here");
    close(fd);
    links_open(&k, 1);
    link_ask(&k, 0);
    scene_open(&s, wait_ring, &k.clients[0]);
    struct look look = scene_look(&s, SYS_io_uring_enter, -2);
    CHECK_STR(rec_kind_word(look.kind), "network");
    CHECK_INT(look.in_flight, 1);
    CHECK(s.rec.notes && strstr(s.rec.notes, "io_uring"));
    scene_close(&s);
    links_close(&k);
}

static void wait_epoll_of(void *arg)
{
    struct epoll_event e = {.events = EPOLLIN};
    int fd = epoll_create1(0);

    epoll_ctl(fd, EPOLL_CTL_ADD, *(int *)arg, &e);
    epoll_wait(fd, &e, 1, -1);
}

TEST(a_loop_with_a_pipe_to_its_child_waits_for_the_child)
{
    struct scene s;
    int ends[2];

    CHECK(pipe(ends) == 0);
    scene_open(&s, wait_epoll_of, &ends[0]);
    CHECK_STR(rec_kind_word(scene_look(&s, SYS_epoll_wait, SYS_epoll_pwait).kind), "idle");
    uint32_t child = rec_proc_of(&s.rec, 1);
    s.rec.procs[child].parent = s.pid;
    CHECK_STR(rec_kind_word(scene_look(&s, SYS_epoll_wait, SYS_epoll_pwait).kind), "child");
    scene_close(&s);
    close(ends[0]);
    close(ends[1]);
}

/* Writes from a page that nobody will ever fill: the write waits as if the disk were slow. */
struct stuck_write {
    const char *path;
    int flags;
};

static void wait_write(void *arg)
{
    const struct stuck_write *w = arg;
    struct uffdio_api api = {.api = UFFD_API};
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *at = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register range = {.range = {(uintptr_t)at, page},
                                    .mode = UFFDIO_REGISTER_MODE_MISSING};
    int faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    int fd = open(w->path, O_WRONLY | O_CREAT | w->flags, 0600);

    if (faults >= 0 && ioctl(faults, UFFDIO_API, &api) == 0 &&
        ioctl(faults, UFFDIO_REGISTER, &range) == 0)
        (void)!write(fd, at, 1);
}

static void check_write(int flags, int kind)
{
    char path[] = "/tmp/test-look-write.XXXXXX";
    struct stuck_write w = {path, flags};
    int fd = mkstemp(path);
    struct scene s;

    CHECK(fd >= 0);
    scene_open(&s, wait_write, &w);
    struct look k = scene_look(&s, SYS_write, SYS_write);
    CHECK_STR(rec_kind_word(k.kind), rec_kind_word(kind));
    CHECK_STR(s.rec.peers[k.peer].name, path);
    CHECK_INT(k.in_flight, 1);
    scene_close(&s);
    close(fd);
    unlink(path);
}

TEST(a_write_that_ends_when_it_is_safe_is_a_sync)
{
    int faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

    if (faults < 0)
        t_skip("userfaultfd: %s", strerror(errno));
    close(faults);
    check_write(0, REC_DISK);
    check_write(O_DSYNC, REC_FSYNC);
    check_write(O_SYNC, REC_FSYNC);
}

TEST(what_has_ended_and_what_never_was)
{
    struct recording rec;
    struct looker *l;
    struct look k;
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    CHECK(waitpid(pid, NULL, 0) == pid);
    rec_init(&rec);
    CHECK(looker_new(&rec, &l) == 0);
    CHECK_INT(look_at(l, pid, pid, &k), -ESRCH);
    CHECK_INT(look_at(l, 0x7ffffff0, 0x7ffffff0, &k), -ESRCH);
    looker_free(l);
    rec_free(&rec);
}

static void wait_as_nobody(void *arg)
{
    if (setresuid(65534, 65534, 65534) == 0)
        wait_sleep(arg);
}

static void look_as_stranger(void *arg)
{
    struct scene *other = arg;
    struct look k = {.kind = REC_NO_KIND};

    if (setresuid(65533, 65533, 65533) != 0)
        _exit(3);
    while (look_at(other->looker, other->pid, other->pid, &k) != LOOK_WAITS)
        sched_yield();
    bool opaque = other->rec.n_procs == 1 && other->rec.procs[0].opaque && other->rec.notes;
    _exit(opaque && k.kind == REC_UNKNOWN && k.in_flight == 0 ? 0 : 1);
}

TEST(another_users_process_is_opaque)
{
    struct scene other;
    int status;

    if (geteuid() != 0)
        t_skip("needs root to become two users");
    scene_open(&other, wait_as_nobody, NULL);
    scene_look(&other, SYS_nanosleep, SYS_clock_nanosleep);
    looker_free(other.looker);
    rec_free(&other.rec);
    rec_init(&other.rec);
    CHECK(looker_new(&other.rec, &other.looker) == 0);
    pid_t pid = fork();
    if (pid == 0)
        look_as_stranger(&other);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    scene_close(&other);
}
