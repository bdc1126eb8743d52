/* SPDX-License-Identifier: MIT
 *
 * lines.c - lines of a file, a pipe or a terminal, read by a fiber as they come
 */
#include "lib/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <hob/net.h>

enum { LINES_PIECE = 32768 };

int lines_open(const char *path, struct lines *ret)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    *ret = (struct lines){.fd = fd, .name = standard ? "standard input" : path};
    return 0;
}

void lines_close(struct lines *l)
{
    if (l->fd != STDIN_FILENO)
        hob_close(l->fd);
    buf_free(&l->in);
}

/* More bytes behind those not given out, which move to the front. */
static int lines_read(struct lines *l)
{
    size_t left = l->in.len - l->at;
    char *to;

    if (l->at > 0)
        memmove(l->in.p, l->in.p + l->at, left);
    l->in.len = left;
    l->at = 0;
    to = buf_room(&l->in, LINES_PIECE);
    if (!to)
        return -ENOMEM;
    ssize_t n = hob_read(l->fd, to, LINES_PIECE, HOB_FOREVER);
    if (n < 0)
        return (int)n;
    l->in.len += (size_t)n;
    l->ended = n == 0;
    return 0;
}

/* The next line as it stands, or the beginning of one that is too long; 1, 0 at the end, or
 * negative. */
static int line_take(struct lines *l, char **ret, size_t *ret_n)
{
    int r;

    for (;;) {
        size_t have = l->in.len - l->at;
        char *from = have > 0 ? l->in.p + l->at : NULL;
        char *end = have > 0 ? memchr(from, '\n', have) : NULL;
        size_t n = end ? (size_t)(end - from) : have;
        if (end || l->ended || n > LINES_LONGEST) {
            bool rest = l->skipping;
            if (n == 0 && !end)
                return 0;
            l->at += n + (end != NULL);
            l->skipping = !end;
            if (rest)
                continue;
            l->number++;
            *ret = from;
            *ret_n = n;
            return 1;
        }
        if ((r = lines_read(l)) < 0)
            return r;
    }
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

int lines_next(struct lines *l, const char **ret)
{
    char *s;
    size_t n;
    int r;

    while ((r = line_take(l, &s, &n)) > 0) {
        if (l->number == 1 && n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0) {
            s += 3; /* a byte order mark */
            n -= 3;
        }
        for (; n > 0 && is_space(*s); s++)
            n--;
        while (n > 0 && is_space(s[n - 1]))
            n--;
        if (n == 0 || *s == '#')
            continue;
        r = n > LINES_LONGEST ? -EMSGSIZE : memchr(s, '\0', n) ? -EINVAL : 1;
        s[n < LINES_LONGEST ? n : LINES_LONGEST] = '\0'; /* over the newline, or buf's room */
        *ret = s;
        return r;
    }
    return r;
}
