/* SPDX-License-Identifier: MIT
 *
 * test_procfs.c - the texts of /proc, as kernels write them and as none would
 */
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "diag/calls.h"
#include "diag/procfs.h"
#include "lib/t.h"

TEST(a_call_and_its_arguments)
{
    struct procfs_call c;

    CHECK_INT(procfs_parse_call("0 0x3 0x7ffd5 0x2000 0x0 0x22 0x0 0x7ffd4b8 0x7f3b1\n", &c), 0);
    CHECK(!c.runs && !c.dead);
    CHECK_INT(c.nr, 0);
    CHECK_INT(c.arg[0], 3);
    CHECK_INT(c.arg[4], 0x22);
}

TEST(a_call_that_is_none)
{
    struct procfs_call c;

    CHECK_INT(procfs_parse_call("running\n", &c), 0);
    CHECK(c.runs);
    CHECK_INT(procfs_parse_call("-1 0x7ffd4b8 0x7f3b1\n", &c), 0);
    CHECK(!c.runs && !c.dead && c.nr == -1);
    CHECK_INT(procfs_parse_call("-1 0x0 0x0\n", &c), 0);
    CHECK(c.dead);
    CHECK_INT(procfs_parse_call("", &c), -EBADMSG);
    CHECK_INT(procfs_parse_call("7 0x1 0x2", &c), -EBADMSG);
}

TEST(schedstat)
{
    struct procfs_sched s;

    CHECK_INT(procfs_parse_sched("123456789 42 7\n", &s), 0);
    CHECK(s.run == 123456789 && s.delay == 42 && s.turns == 7);
    CHECK_INT(procfs_parse_sched("123456789 42\n", &s), -EBADMSG);
}

TEST(a_name_with_brackets_in_stat)
{
    struct procfs_stat s;
    const char *text = "7 (a) R (b) S 3 7 7 0 -1 4194560 100 0 5 0 11 12 13 14 20 0 1 0 998 1 2 "
                       "3 4 5 6 7 8 9 10 11 12 13 14 15 17 2 0 0 0 0 0\n";

    CHECK_INT(procfs_parse_stat(text, &s), 0);
    CHECK_STR(s.name, "a) R (b");
    CHECK_INT(s.state, 'S');
    CHECK_INT(s.parent, 3);
    CHECK_INT(s.major, 5);
    CHECK(s.user == 11 && s.sys == 12 && s.cuser == 13 && s.csys == 14);
    CHECK_INT(s.started, 998);
    CHECK_INT(s.core, 2);
}

TEST(own_stat_and_schedstat_are_read)
{
    char text[1024];
    struct procfs_stat s;
    struct procfs_sched d;

    CHECK(procfs_read(text, sizeof text, "/proc/%d/stat", getpid()) > 0);
    CHECK_INT(procfs_parse_stat(text, &s), 0);
    CHECK_INT(s.parent, getppid());
    CHECK_INT(s.state, 'R');
    CHECK(procfs_read(text, sizeof text, "/proc/%d/schedstat", getpid()) > 0);
    CHECK_INT(procfs_parse_sched(text, &d), 0);
}

TEST(members_of_an_epoll_set)
{
    const char *text =
        "pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t1057\n"
        "tfd:        5 events:       19 data:                5  pos:0 ino:2f sdev:8\n"
        "tfd:        7 events: 80000019 data: ffffffff00000007  pos:0\n"
        "tfd:       -1 events: 0\n";
    struct procfs_member m[2];

    CHECK_INT(procfs_parse_epoll(text, m, 2), 2);
    CHECK(m[0].fd == 5 && m[0].events == 0x19 && m[0].ino == 0x2f);
    CHECK(m[1].fd == 7 && m[1].events == 0x80000019 && m[1].ino == 0);
    CHECK_INT(procfs_parse_epoll(text, m, 1), 2);
}

TEST(a_ring)
{
    const char *text = "SqMask:\t0x7f\nSqHead:\t90\nSqTail:\t90\nCachedSqHead:\t100\n"
                       "CqMask:\t0xff\nCqHead:\t80\nCqTail:\t85\nCachedCqTail:\t88\nSQEs:\t0\n"
                       "UserFiles:\t0\nUserBufs:\t0\nPollList:\n  op=27, task_works=0\n"
                       "  op=13, task_works=0\nCqOverflowList:\n";
    struct procfs_ring r;

    CHECK_INT(procfs_parse_ring(text, &r), 0);
    CHECK_INT(r.submitted, 100);
    CHECK_INT(r.completed, 88);
    CHECK_INT(r.unread, 8);
    CHECK_INT(r.polls, 2);
    CHECK_INT(procfs_parse_ring("SqHead:\t90\n", &r), -EBADMSG);
}

TEST(ports_listened_on)
{
    const char *text =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n"
        "   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0  0 77 "
        "1\n"
        "   1: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0:0\n"
        "   2: 0100007F:0051 0100007F:8000 01 00000000:00000000 00:00000000 00000000     0\n";
    struct procfs_listener ports[4];
    bool more;

    CHECK_INT(procfs_parse_listen(text, ports, 4, &more), 2);
    CHECK(ports[0].port == 5432 && ports[0].ino == 77 && ports[1].port == 80 && !more);
    CHECK_INT(procfs_parse_listen(text, ports, 1, &more), 1);
}

TEST(process_descriptors_and_children)
{
    int32_t pid;
    const char *list = "12 345 \n";

    CHECK_INT(procfs_parse_pidfd("pos:\t0\nPid:\t77\nNSpid:\t77\n", &pid), 0);
    CHECK_INT(pid, 77);
    CHECK_INT(procfs_parse_pidfd("Pid:\t-1\n", &pid), 0);
    CHECK_INT(pid, -1);
    CHECK_INT(procfs_parse_pidfd("pos:\t0\n", &pid), -EBADMSG);
    CHECK_INT(procfs_next_pid(&list), 12);
    CHECK_INT(procfs_next_pid(&list), 345);
    CHECK_INT(procfs_next_pid(&list), 0);
}

TEST(flags_of_a_descriptor_are_octal)
{
    uint32_t flags;

    CHECK_INT(procfs_parse_flags("pos:\t0\nflags:\t0110001\nmnt_id:\t30\n", &flags), 0);
    CHECK_INT(flags, 0110001);
    CHECK_INT(procfs_parse_flags("pos:\t0\nmnt_id:\t30\n", &flags), -EBADMSG);
    CHECK_INT(procfs_parse_flags("flags:\t7777777777777\n", &flags), -EBADMSG);
}

TEST(reads_and_writes_are_added)
{
    uint64_t calls;

    CHECK_INT(procfs_parse_io("rchar: 1\nwchar: 2\nsyscr: 30\nsyscw: 4\n", &calls), 0);
    CHECK_INT(calls, 34);
    CHECK_INT(procfs_parse_io("rchar: 1\n", &calls), -EBADMSG);
}

static struct call call_with(long nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
    struct procfs_call c = {.nr = nr, .arg = {a0, a1, a2, a3}};

    return call_of(&c);
}

TEST(calls_are_sorted_by_number_and_arguments)
{
    CHECK_INT(call_with(SYS_fdatasync, 9, 0, 0, 0).how, CALL_FSYNC);
    CHECK_INT(call_with(SYS_fdatasync, 9, 0, 0, 0).fd, 9);
    CHECK_INT(call_with(SYS_sync, 9, 0, 0, 0).fd, -1);
    CHECK_INT(call_with(SYS_sendfile, 4, 5, 0, 0).to, 4);
    CHECK_INT(call_with(SYS_sendfile, 4, 5, 0, 0).fd, 5);
    CHECK_INT(call_with(SYS_splice, 4, 0, 6, 0).to, 6);
    CHECK_INT(call_with(SYS_fcntl, 4, 7, 0, 0).how, CALL_FLOCK);
    CHECK_INT(call_with(SYS_fcntl, 4, 3, 0, 0).how, CALL_FD);
    CHECK_INT(call_with(SYS_read, 4, 0, 0, 0).how, CALL_FD);
    CHECK_INT(call_with(SYS_write, 4, 0, 0, 0).how, CALL_WRITE);
    CHECK_INT(call_with(SYS_write, 4, 0, 0, 0).fd, 4);
    CHECK_INT(call_with(-1, 0, 0, 0, 0).how, CALL_FAULT);
    CHECK_INT(call_with(9999, 0, 0, 0, 0).how, CALL_OTHER);
}

TEST(a_write_may_ask_to_be_safe)
{
    struct procfs_call c = {.nr = SYS_pwritev2, .arg = {4, 0, 1, 0, 0, RWF_DSYNC}};

    CHECK(call_of(&c).safe);
    c.arg[5] = RWF_SYNC;
    CHECK(call_of(&c).safe);
    c.arg[5] = RWF_APPEND;
    CHECK(!call_of(&c).safe);
    c.nr = SYS_pwritev; /* it has no flags: what is there is of an earlier call */
    c.arg[5] = RWF_DSYNC;
    CHECK(!call_of(&c).safe);
}

TEST(limits_are_known_for_what_they_are)
{
    CHECK_INT(call_with(SYS_epoll_pwait, 3, 0, 0, 0xffffffff).limit_how, CALL_MS);
    CHECK_INT(call_with(441, 3, 0, 0, 0).limit_how, CALL_NO_LIMIT);
    CHECK_INT(call_with(441, 3, 0, 0, 0x7fff0000).limit_how, CALL_SPEC);
    CHECK_INT(call_with(SYS_futex, 1, 128, 0, 0x7fff0000).limit_how, CALL_SPEC);
    CHECK_INT(call_with(SYS_futex, 1, 137, 0, 0x7fff0000).limit_how, CALL_MONOTONIC);
    CHECK_INT(call_with(SYS_futex, 1, 393, 0, 0x7fff0000).limit_how, CALL_REALTIME);
    CHECK_INT(call_with(SYS_clock_nanosleep, 1, 0, 0x7fff0000, 0).limit_how, CALL_SPEC);
    CHECK_INT(call_with(SYS_clock_nanosleep, 1, 1, 0x7fff0000, 0).limit_how, CALL_MONOTONIC);
}

TEST(kernel_functions_name_a_wait)
{
    CHECK_INT(call_of_wchan("futex_do_wait"), CALL_FUTEX);
    CHECK_INT(call_of_wchan("ep_poll"), CALL_EPOLL);
    CHECK_INT(call_of_wchan("0"), CALL_OTHER);
}
