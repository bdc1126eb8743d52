/* SPDX-License-Identifier: MIT
 *
 * procfs.c - the texts of /proc that a recorder reads
 *
 * REJECTED    sscanf: it is ten times as slow as strtoull on these lines, which are read thousands
 *   of times a second, and has undefined results for a number that does not fit.
 */
#include "diag/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The next number, blanks before it skipped. */
static bool number_next(const char **at, int base, uint64_t *ret)
{
    const char *p = *at;
    char *end;

    while (*p == ' ' || *p == '\t')
        p++;
    if (*p == '\0' || *p == '\n')
        return false;
    unsigned long long v = strtoull(p, &end, base);
    if (end == p)
        return false;
    *at = end;
    *ret = v;
    return true;
}

/* NULL behind the last one. */
static const char *line_next(const char *line)
{
    const char *end = strchr(line, '\n');

    return end ? end + 1 : NULL;
}

/* The number behind a key at the start of a line. */
static bool number_of(const char *text, const char *key, int base, uint64_t *ret)
{
    size_t n = strlen(key);

    for (const char *line = text; line; line = line_next(line)) {
        if (strncmp(line, key, n) == 0) {
            const char *p = line + n;
            return number_next(&p, base, ret);
        }
    }
    return false;
}

int procfs_parse_call(const char *text, struct procfs_call *ret)
{
    struct procfs_call c = {.nr = -1};
    char *end;

    if (strncmp(text, "running", 7) == 0) {
        c.runs = true;
        *ret = c;
        return 0;
    }
    c.nr = strtol(text, &end, 10);
    if (end == text || c.nr < -1)
        return -EBADMSG;
    const char *at = end;
    uint64_t stack = 0;
    if (c.nr == -1) {
        c.dead = !number_next(&at, 16, &stack) || stack == 0;
    } else {
        for (size_t i = 0; i < 6; i++)
            if (!number_next(&at, 16, &c.arg[i]))
                return -EBADMSG;
    }
    *ret = c;
    return 0;
}

int procfs_parse_sched(const char *text, struct procfs_sched *ret)
{
    struct procfs_sched s;

    if (!number_next(&text, 10, &s.run) || !number_next(&text, 10, &s.delay) ||
        !number_next(&text, 10, &s.turns))
        return -EBADMSG;
    *ret = s;
    return 0;
}

/* Fields of stat, counted from 1 as proc(5) does. */
enum {
    STAT_PARENT = 4,
    STAT_MAJOR = 12,
    STAT_USER = 14,
    STAT_SYS,
    STAT_CUSER,
    STAT_CSYS,
    STAT_STARTED = 22,
    STAT_CORE = 39,
    STAT_LAST = STAT_CORE
};

int procfs_parse_stat(const char *text, struct procfs_stat *ret)
{
    /* The name may hold blanks and brackets: it ends at the last one. */
    const char *open = strchr(text, '('), *close = strrchr(text, ')');
    struct procfs_stat s = {.state = 0};
    uint64_t field[STAT_LAST + 1] = {0};

    if (!open || !close || close < open || close[1] != ' ' || close[2] == '\0')
        return -EBADMSG;
    size_t n = (size_t)(close - open - 1);
    if (n >= sizeof s.name)
        n = sizeof s.name - 1;
    memcpy(s.name, open + 1, n);
    s.state = close[2];
    const char *at = close + 3;
    for (int i = STAT_PARENT; i <= STAT_LAST; i++)
        if (!number_next(&at, 10, &field[i]))
            return -EBADMSG;
    s.parent = (int32_t)field[STAT_PARENT];
    s.core = (uint32_t)field[STAT_CORE];
    s.major = field[STAT_MAJOR];
    s.user = field[STAT_USER];
    s.sys = field[STAT_SYS];
    s.cuser = field[STAT_CUSER];
    s.csys = field[STAT_CSYS];
    s.started = field[STAT_STARTED];
    *ret = s;
    return 0;
}

int procfs_parse_status(const char *text, int32_t *ret_pid, int32_t *ret_parent)
{
    uint64_t pid, parent;

    if (!number_of(text, "Tgid:", 10, &pid) || !number_of(text, "PPid:", 10, &parent) || pid == 0 ||
        pid > INT32_MAX || parent > INT32_MAX)
        return -EBADMSG;
    *ret_pid = (int32_t)pid;
    *ret_parent = (int32_t)parent;
    return 0;
}

int procfs_parse_io(const char *text, uint64_t *ret_calls)
{
    uint64_t r, w;

    if (!number_of(text, "syscr:", 10, &r) || !number_of(text, "syscw:", 10, &w))
        return -EBADMSG;
    *ret_calls = r + w;
    return 0;
}

/* "tfd:        4 events:       19 data: ...  pos:0 ino:2f sdev:8" */
size_t procfs_parse_epoll(const char *text, struct procfs_member *ret, size_t max)
{
    size_t n = 0;

    for (const char *line = text; line; line = line_next(line)) {
        struct procfs_member m = {.fd = -1};
        uint64_t v;

        if (strncmp(line, "tfd:", 4) != 0)
            continue;
        const char *at = line + 4;
        if (!number_next(&at, 10, &v) || v > INT32_MAX)
            continue;
        m.fd = (int)v;
        size_t length = strcspn(at, "\n");
        const char *events = memmem(at, length, "events:", 7), *ino = memmem(at, length, "ino:", 4);
        if (events && (events += 7, number_next(&events, 16, &v)))
            m.events = (uint32_t)v;
        if (ino && (ino += 4, number_next(&ino, 16, &v)))
            m.ino = v;
        if (n < max)
            ret[n] = m;
        n++;
    }
    return n;
}

int procfs_parse_ring(const char *text, struct procfs_ring *ret)
{
    uint64_t sq_head, cq_head, cq_tail, v;
    struct procfs_ring ring = {.polls = 0};

    /* The cached ones are the kernel's own: the others are what it last told the program. */
    if (!number_of(text, "SqHead:", 10, &sq_head) || !number_of(text, "CqHead:", 10, &cq_head) ||
        !number_of(text, "CqTail:", 10, &cq_tail))
        return -EBADMSG;
    if (number_of(text, "CachedSqHead:", 10, &v))
        sq_head = v;
    if (number_of(text, "CachedCqTail:", 10, &v))
        cq_tail = v;
    ring.submitted = (uint32_t)sq_head;
    ring.completed = (uint32_t)cq_tail;
    ring.unread = (uint32_t)cq_tail - (uint32_t)cq_head;
    const char *polls = strstr(text, "PollList:\n");
    for (polls = polls ? strchr(polls, '\n') : NULL; polls; polls = strchr(polls + 1, '\n')) {
        const char *at = polls + 1 + strspn(polls + 1, " \t");
        if (strncmp(at, "op=", 3) != 0)
            break;
        ring.polls++;
    }
    *ret = ring;
    return 0;
}

int procfs_parse_flags(const char *text, uint32_t *ret)
{
    uint64_t flags;

    if (!number_of(text, "flags:", 8, &flags) || flags > UINT32_MAX)
        return -EBADMSG;
    *ret = (uint32_t)flags;
    return 0;
}

int procfs_parse_pidfd(const char *text, int32_t *ret)
{
    for (const char *line = text; line; line = line_next(line)) {
        if (strncmp(line, "Pid:", 4) == 0) {
            char *end;
            long v = strtol(line + 4, &end, 10);
            if (end == line + 4 || v < -1 || v > INT32_MAX)
                return -EBADMSG;
            *ret = (int32_t)v;
            return 0;
        }
    }
    return -EBADMSG;
}

static const char *words_skip(const char *at, int n)
{
    for (; n > 0; n--) {
        at += strspn(at, " ");
        at += strcspn(at, " \n");
    }
    return at;
}

/* "   0: 0100007F:1538 00000000:0000 0A tx:rx tr:when retrnsmt uid timeout inode ..." */
static bool listen_row(const char *line, const char *end, struct procfs_listener *ret,
                       uint64_t *ret_state)
{
    const char *at = memchr(line, ':', (size_t)(end - line));
    uint64_t port;

    if (!at || strspn(line, " 0123456789") != (size_t)(at - line))
        return false; /* the heading */
    at = memchr(at + 1, ':', (size_t)(end - at - 1));
    if (!at || (at++, !number_next(&at, 16, &port)))
        return false;
    at = words_skip(at, 1);
    if (!number_next(&at, 16, ret_state))
        return false;
    at = words_skip(at, 5);
    ret->port = (uint16_t)port;
    if (!number_next(&at, 10, &ret->ino))
        ret->ino = 0;
    return true;
}

size_t procfs_parse_listen(const char *text, struct procfs_listener *ret, size_t max, bool *more)
{
    size_t n = 0;
    const char *end;

    *more = true;
    for (const char *line = text; (end = strchr(line, '\n')); line = end + 1) {
        struct procfs_listener one;
        uint64_t state;

        if (!listen_row(line, end, &one, &state))
            continue;
        if (state != 0x0a) {
            *more = false;
            break;
        }
        if (n < max)
            ret[n++] = one;
    }
    return n;
}

int32_t procfs_next_pid(const char **text)
{
    uint64_t v;

    if (!number_next(text, 10, &v) || v == 0 || v > INT32_MAX)
        return 0;
    return (int32_t)v;
}

static int path_print(char *path, size_t n, const char *format, va_list args)
{
    int length = vsnprintf(path, n, format, args);

    return length < 0 || (size_t)length >= n ? -ENAMETOOLONG : 0;
}

int procfs_read(char *buf, size_t n, const char *format, ...)
{
    char path[96];
    va_list args;

    va_start(args, format);
    int r = path_print(path, sizeof path, format, args);
    va_end(args);
    if (r < 0)
        return r;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t got = read(fd, buf, n - 1);
    r = got < 0 ? -errno : (int)got;
    close(fd);
    if (r >= 0)
        buf[r] = '\0';
    return r;
}

int procfs_link(char *buf, size_t n, const char *format, ...)
{
    char path[96];
    va_list args;

    va_start(args, format);
    int r = path_print(path, sizeof path, format, args);
    va_end(args);
    if (r < 0)
        return r;
    ssize_t got = readlink(path, buf, n - 1);
    if (got < 0)
        return -errno;
    buf[got] = '\0';
    return (int)got;
}
