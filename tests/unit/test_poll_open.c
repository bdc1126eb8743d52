/* SPDX-License-Identifier: MIT
 *
 * test_poll_open.c - which poller opens, where the kernel or a filter refuses parts of it, and
 *                    what a poller does when the kernel fails it later
 */
#include "poll_util.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* From here on the system call `nr` fails with `err` in this process. */
static void refuse(int nr, int err)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {.len = sizeof code / sizeof *code, .filter = code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
        t_skip("no seccomp filters here: %s", strerror(errno));
}

/* A pipe's and a socket's bytes, a wake and a timer: enough to tell a poller that works. */
static void poller_works(struct poller *p)
{
    int s[2], q[2];
    char in[8];

    pair_open(SOCK_STREAM, s);
    CHECK_INT(pipe2(q, O_CLOEXEC), 0);
    struct job r = job_io(POLL_RECV, s[0], in, 8), w = job_io(POLL_SEND, s[1], "ab", 2);
    struct job rq = job_io(POLL_RECV, q[0], in, 8), wq = job_io(POLL_SEND, q[1], "abc", 3);
    job_start(p, &r);
    job_start(p, &rq);
    turns(p);
    CHECK_INT(r.n_done + rq.n_done, 0);
    CHECK_INT(job_run(p, &w), 2);
    CHECK_INT(job_run(p, &wq), 3);
    while (!r.n_done || !rq.n_done)
        CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
    CHECK_INT(r.op.res, 2);
    CHECK_INT(rq.op.res, 3);
    char *big = calloc(1, 1 << 20);
    struct job part = job_io(POLL_SEND, q[1], big, 1 << 20); /* more than a pipe holds */
    int n = job_run(p, &part);
    CHECK(n >= 1);
    drain(q[0], (size_t)n);
    free(big);
    p->ops->wake(p);
    CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
    turns(p);
    hob_time until = hob__now() + HOB_MS;
    while (hob__now() < until) /* the end of a ring that was refused may interrupt it */
        CHECK_INT(p->ops->wait(p, until), 0);
    pair_close(s);
    pair_close(q);
}

static void default_is(const char *name)
{
    struct poller *p;

    unsetenv("HOB_POLL");
    CHECK_INT(hob__poll_open(&p), 0);
    CHECK_STR(p->ops->name, name);
    poller_works(p);
    p->ops->close(p);
}

static void forced(const char *value, int want, const char *name)
{
    struct poller *p = NULL;

    setenv("HOB_POLL", value, 1);
    CHECK_INT(hob__poll_open(&p), want);
    if (want < 0) {
        CHECK(p == NULL); /* untouched on failure */
        return;
    }
    CHECK_STR(p->ops->name, name);
    poller_works(p);
    p->ops->close(p);
}

TEST(the_choice_is_uring_unless_forced)
{
    struct poller *p = poller_uring(URING_BEST, 0, 0); /* skips where there is none */

    p->ops->close(p);
    default_is("uring");
    forced("uring", 0, "uring");
    forced("epoll", 0, "epoll");
    forced("", 0, "uring");
}

TEST(a_poller_of_another_name_is_einval)
{
    forced("bogus", -EINVAL, NULL);
    forced("sim", -EINVAL, NULL);
    forced("epoll ", -EINVAL, NULL);
}

static void without_uring(int nr, int err)
{
    refuse(nr, err);
    default_is("epoll");
    forced("epoll", 0, "epoll");
    forced("uring", -err, NULL);
}

TEST(uring_forbidden_falls_to_epoll)
{
    without_uring(SYS_io_uring_setup, EPERM);
}

TEST(uring_unknown_falls_to_epoll)
{
    without_uring(SYS_io_uring_setup, ENOSYS);
}

TEST(uring_without_memory_falls_to_epoll)
{
    without_uring(SYS_io_uring_setup, ENOMEM);
}

/* A filter older than io_uring_enter's siblings: a ring that opens but cannot be entered. */
TEST(a_ring_that_cannot_be_entered_falls_to_epoll)
{
    without_uring(SYS_io_uring_enter, EPERM);
}

TEST(a_ring_without_register_works_if_it_is_of_the_best_kind)
{
    struct poller *p = poller_uring(URING_BEST, 0, 0);

    p->ops->close(p);
    refuse(SYS_io_uring_register, EPERM);
    default_is("uring");
    /* Without the probe nothing tells what an older kernel can. */
    CHECK_INT(hob__poll_uring_open(&(struct uring_opts){.setup = 0}, &p), -ENOSYS);
}

TEST(unknown_ring_flags_are_einval)
{
    struct poller *any = poller_uring(0, 0, 0), *p = NULL;

    CHECK_INT(hob__poll_uring_open(&(struct uring_opts){.setup = 1u << 30}, &p), -EINVAL);
    CHECK(p == NULL);
    any->ops->close(any);
}

TEST(epoll_works_without_epoll_pwait2)
{
    struct poller *p = poller_epoll();

    refuse(SYS_epoll_pwait2, ENOSYS);
    poller_works(p);
    for (int i = 0; i < 20; i++) {
        hob_time until = hob__now() + 300 * HOB_US;
        CHECK_INT(p->ops->wait(p, until), 0);
        CHECK(hob__now() >= until);
    }
    p->ops->close(p);
}

TEST(epoll_works_without_rwf_nowait)
{
    refuse(SYS_preadv2, EOPNOTSUPP);
    refuse(SYS_pwritev2, ENOSYS);
    forced("epoll", 0, "epoll");
}

TEST(uring_works_without_rwf_nowait)
{
    struct poller *p = poller_uring(URING_BEST, 0, 0);

    refuse(SYS_preadv2, ENOSYS);
    refuse(SYS_pwritev2, EOPNOTSUPP);
    poller_works(p);
    p->ops->close(p);
}

TEST(open_without_descriptors_fails_and_leaks_none)
{
    struct rlimit old, lim;
    struct poller *p = NULL;
    struct poller *uring = poller_uring(URING_BEST, 0, 0); /* skips where there is none */

    uring->ops->close(uring);
    int low = dup(2);
    close(low);
    getrlimit(RLIMIT_NOFILE, &old);
    for (int room = 0; room < 2; room++) {
        lim = old;
        lim.rlim_cur = (rlim_t)(low + room);
        CHECK_INT(setrlimit(RLIMIT_NOFILE, &lim), 0);
        CHECK_INT(hob__poll_epoll.open(&p), -EMFILE);
        CHECK_INT(hob__poll_uring.open(&p), -EMFILE);
        CHECK(p == NULL);
    }
    setrlimit(RLIMIT_NOFILE, &old);
    default_is("uring");
}

TEST(accept_reports_that_descriptors_are_used_up)
{
    struct poller *all[2] = {poller_epoll(), poller_uring(URING_BEST, 0, 0)};
    struct sockaddr_in a;
    struct rlimit old, lim;
    int l = listener(8, &a), c = tcp_socket();

    (void)connect(c, (struct sockaddr *)&a, sizeof a);
    getrlimit(RLIMIT_NOFILE, &old);
    int low = dup(2);
    close(low);
    for (int i = 0; i < 2; i++) {
        struct job j = job_of(POLL_ACCEPT, l);
        lim = old;
        lim.rlim_cur = (rlim_t)low;
        CHECK_INT(setrlimit(RLIMIT_NOFILE, &lim), 0);
        CHECK_INT(job_run(all[i], &j), -EMFILE);
        setrlimit(RLIMIT_NOFILE, &old);
        if (i == 1) {
            int fd = job_run(all[i], &j); /* lifted, it goes on */
            CHECK(fd >= 0);
            close(fd);
        }
    }
    for (int i = 0; i < 2; i++)
        all[i]->ops->close(all[i]);
    close(c);
    close(l);
}

/* ---- an io_uring_enter that fails ---- */

static unsigned n_enters;
static int storm; /* the error of every other call; 0: none */

static int enter_stormy(unsigned fd, unsigned n, unsigned min, unsigned flags, sigset_t *arg,
                        size_t size)
{
    if (storm && ++n_enters % 2)
        return storm;
    return io_uring_enter2(fd, n, min, flags, arg, size);
}

/* The kernel may take fewer than it was offered; then it does not wait either. */
static int enter_stingy(unsigned fd, unsigned n, unsigned min, unsigned flags, sigset_t *arg,
                        size_t size)
{
    return io_uring_enter2(fd, n > 1 ? 1 : n, n > 1 ? 0 : min, flags, arg, size);
}

static void uring_survives(int (*enter)(unsigned, unsigned, unsigned, unsigned, sigset_t *, size_t),
                           int err)
{
    struct uring_opts opts = {.setup = URING_BEST, .sq_entries = 4, .enter = enter};
    struct poller *p = poller_uring(URING_BEST, 0, 0);
    enum { N = 200 };
    static struct job j[N];
    int fd = eventfd(0, EFD_CLOEXEC);

    p->ops->close(p);
    CHECK_INT(hob__poll_uring_open(&opts, &p), 0);
    storm = err;
    for (int i = 0; i < N; i++) {
        j[i] = job_ready(fd, EPOLLIN);
        job_start(p, &j[i]);
    }
    turns(p);
    for (int i = 0; i < N; i += 2)
        p->ops->cancel(p, &j[i].op);
    CHECK_INT(eventfd_write(fd, 1), 0);
    for (int i = 0; i < N; i++) {
        while (!j[i].n_done)
            CHECK_INT(p->ops->wait(p, HOB_FOREVER), 0);
        CHECK(j[i].op.res == EPOLLIN || (i % 2 == 0 && j[i].op.res == -ECANCELED));
    }
    turns(p);
    for (int i = 0; i < N; i++)
        CHECK_INT(j[i].n_done, 1);
    p->ops->close(p);
    close(fd);
}

TEST(uring_survives_interrupts)
{
    uring_survives(enter_stormy, -EINTR);
}

TEST(uring_survives_a_full_completion_queue)
{
    uring_survives(enter_stormy, -EBUSY);
}

TEST(uring_survives_a_kernel_short_of_memory)
{
    uring_survives(enter_stormy, -EAGAIN);
}

TEST(uring_survives_partial_submissions)
{
    uring_survives(enter_stingy, 0);
}

TEST(uring_does_not_sleep_on_what_the_kernel_has_not_taken)
{
    struct uring_opts opts = {.setup = URING_BEST, .sq_entries = 4, .enter = enter_stormy};
    struct poller *p = poller_uring(URING_BEST, 0, 0);
    int fd = eventfd(0, EFD_CLOEXEC);
    struct job never[4], now;

    p->ops->close(p);
    CHECK_INT(hob__poll_uring_open(&opts, &p), 0);
    for (int i = 0; i < 4; i++) {
        never[i] = job_ready(fd, EPOLLIN);
        job_start(p, &never[i]);
    }
    now = job_ready(fd, EPOLLOUT); /* no place for it in the submission queue */
    job_start(p, &now);
    storm = -EAGAIN;
    n_enters = 0;
    CHECK_INT(job_end(p, &now), EPOLLOUT);
    for (int i = 0; i < 4; i++) {
        p->ops->cancel(p, &never[i].op);
        CHECK_INT(job_end(p, &never[i]), -ECANCELED);
    }
    p->ops->close(p);
    close(fd);
}

TEST(a_broken_ring_is_reported_by_wait)
{
    struct uring_opts opts = {.setup = URING_BEST, .enter = enter_stormy};
    struct poller *p = poller_uring(URING_BEST, 0, 0);
    struct job j = job_ready(2, EPOLLOUT);

    p->ops->close(p);
    CHECK_INT(hob__poll_uring_open(&opts, &p), 0);
    job_start(p, &j);
    storm = -EBADFD;
    n_enters = 0;
    CHECK_INT(p->ops->wait(p, HOB_FOREVER), -EBADFD);
    storm = 0;
    CHECK_INT(j.n_done, 0); /* and nothing was lost by it */
    CHECK_INT(job_end(p, &j), EPOLLOUT);
    p->ops->close(p);
}
