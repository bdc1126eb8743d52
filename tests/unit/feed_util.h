/* SPDX-License-Identifier: MIT
 *
 * feed_util.h - for tests of bytes that are taken ahead: streams to recognise, an older kernel
 */
#ifndef FEED_UTIL_H
#define FEED_UTIL_H

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "lib/t.h"

/* Bytes [at, at + n) of a stream whose every byte says where it belongs. */
static inline char *stream(char *to, size_t at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (char)((at + i) * 131 >> 3);
    return to;
}

static inline void check_stream(const char *got, size_t at, size_t n)
{
    static char want[128 * 1024];

    CHECK(n <= sizeof want);
    CHECK(memcmp(got, stream(want, at, n), n) == 0);
}

/* From here on io_uring_register has no rings of buffers, as before Linux 5.19. */
static inline void buffers_are_refused(void)
{
    enum { REGISTER_PBUF_RING = 22 };
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_register, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        /* With the bit of a registered ring's descriptor, or without. */
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x7fffffff),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, REGISTER_PBUF_RING, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
    };
    struct sock_fprog prog = {.len = sizeof code / sizeof *code, .filter = code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
        t_skip("no seccomp filter can be installed here: %s", strerror(errno));
}

#endif
