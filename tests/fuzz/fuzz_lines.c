/* SPDX-License-Identifier: MIT
 *
 * fuzz_lines.c - a list of lines, read by a fiber: what is given says something, and all is read
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <hob/hob.h>

#include "fuzz/fuzz.h"
#include "lib/lines.h"

struct text {
    const uint8_t *data;
    size_t n;
};

static int reads(void *arg)
{
    const struct text *t = arg;
    int fd = memfd_create("lines", MFD_CLOEXEC), r;
    char path[64];
    const char *line;
    struct lines l;
    size_t last = 0, n_lines = 1;

    FUZZ_CHECK(fd >= 0 && write(fd, t->data, t->n) == (ssize_t)t->n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    FUZZ_CHECK(lines_open(path, &l) == 0);
    for (size_t i = 0; i < t->n; i++)
        n_lines += t->data[i] == '\n';
    while ((r = lines_next(&l, &line)) != 0) {
        FUZZ_CHECK(r == 1 || r == -EMSGSIZE || r == -EINVAL);
        FUZZ_CHECK(l.number > last && l.number <= n_lines);
        FUZZ_CHECK(strlen(line) <= LINES_LONGEST);
        if (r == 1)
            FUZZ_CHECK(line[0] && line[0] != '#' && line[0] != ' ' && !strchr(line, '\n'));
        last = l.number;
    }
    lines_close(&l);
    close(fd);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct text t = {data, n};

    FUZZ_CHECK(hob_run(NULL, reads, &t) == 0);
    return 0;
}
