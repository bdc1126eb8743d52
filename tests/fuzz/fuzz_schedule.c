/* SPDX-License-Identifier: MIT
 *
 * fuzz_schedule.c - a schedule's file: what is read is written, and read again as the same
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "sched/schedule.h"

enum { CHOICES_MOST = 1 << 16 }; /* more are right, and slow */

static int file_make(char path[64])
{
    int fd = memfd_create("schedule", MFD_CLOEXEC);

    FUZZ_CHECK(fd >= 0);
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static void check(const struct schedule *s)
{
    struct schedule again, copy;
    char path[64];
    int fd = file_make(path);

    FUZZ_CHECK(hob__schedule_write(s, path) == 0);
    FUZZ_CHECK(hob__schedule_read(path, &again) == 0);
    FUZZ_CHECK(again.seed == s->seed && again.loops == s->loops && again.n == s->n);
    FUZZ_CHECK(hob__schedule_weight(&again) == hob__schedule_weight(s));
    for (uint32_t i = 0; i < s->n; i++)
        FUZZ_CHECK(choice_value(again.of[i]) == choice_value(s->of[i]));
    FUZZ_CHECK(hob__schedule_copy(s, &copy) == 0);
    hob__schedule_trim(&copy);
    FUZZ_CHECK(hob__schedule_weight(&copy) == hob__schedule_weight(s));
    hob__schedule_free(&copy);
    hob__schedule_free(&again);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct schedule s;
    char path[64];
    int fd = file_make(path);

    FUZZ_CHECK(write(fd, data, n) == (ssize_t)n);
    if (hob__schedule_read(path, &s) == 0) {
        if (s.n <= CHOICES_MOST)
            check(&s);
        hob__schedule_free(&s);
    }
    close(fd);
    return 0;
}
