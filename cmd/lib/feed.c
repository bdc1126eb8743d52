/* SPDX-License-Identifier: MIT
 *
 * feed.c - a JSON Lines file that counts as far as its owner has said so
 *
 * HOW         |<---- counted: before the mark ---->|<-- written -->|<-- gathered (memory) -->|
 *             0                               mark.offset      f->offset
 *
 *   A regular file is written at an offset of ours, never appended to: what lies after the mark
 *   is overwritten or cut off.  The lock is flock's, on the file itself, so that two crawls with
 *   a database each cannot share a feed either.
 *
 * INVARIANTS  (I1) mark.offset <= offset
 *             (I2) the mark lies at the end of a row
 *
 * REJECTED    Renaming a finished file into place: a crawl of a week shows nothing until its end.
 *   Knowing the file by its inode alone: a copy or a backup would be refused, and a file
 *   rewritten in place accepted.  The last bytes tell both; the inode decides only for a file
 *   without a counted byte.
 */
#include "lib/feed.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/siphash.h"

enum { FEED_TAIL = 4096 };

struct feed {
    int fd;
    bool file;  /* a regular file; else a stream */
    bool owned; /* fd is ours to close */
    char *path;
    char *buf;
    size_t len, cap;
    int64_t size_found, offset;
    struct feed_mark mark;
};

static int say(char *err, size_t size, int code, const char *path, const char *what)
{
    snprintf(err, size, "%s: %s", path, what ? what : strerror(-code));
    return code;
}

/* A new file's name must survive a power cut as the rows in it do. */
static void sync_folder_of(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');

    if (!slash || (size_t)(slash - path) + 2 > sizeof(dir))
        return;
    memcpy(dir, path, (size_t)(slash - path) + 1);
    dir[slash - path + 1] = 0;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd); /* some file systems refuse it; then there is nothing more to do */
        close(fd);
    }
}

static int feed_open_path(struct feed *f, const char *path, char *err, size_t err_size)
{
    struct stat sb;
    bool stream = stat(path, &sb) == 0 && !S_ISREG(sb.st_mode);

    f->fd = open(path, (stream ? O_WRONLY : O_RDWR | O_CREAT) | O_CLOEXEC | O_NOCTTY, 0644);
    if (f->fd < 0 || fstat(f->fd, &sb) < 0)
        return say(err, err_size, -errno, path, NULL);
    f->owned = true;
    f->file = S_ISREG(sb.st_mode);
    f->path = realpath(path, NULL);
    if (!f->path)
        return say(err, err_size, -errno, path, NULL);
    if (!f->file)
        return 0;
    if (flock(f->fd, LOCK_EX | LOCK_NB) < 0)
        return say(err, err_size, errno == EWOULDBLOCK ? -EBUSY : -errno, path,
                   errno == EWOULDBLOCK ? "another process is writing it" : NULL);
    f->size_found = sb.st_size;
    f->mark.dev = sb.st_dev;
    f->mark.ino = sb.st_ino;
    if (sb.st_size == 0)
        sync_folder_of(f->path);
    return 0;
}

int feed_open(const char *path, char *err, size_t err_size, struct feed **ret)
{
    struct feed *f = calloc(1, sizeof(*f));
    int r = 0;

    if (!f)
        return say(err, err_size, -ENOMEM, path, NULL);
    f->fd = -1;
    if (strcmp(path, "-") == 0) {
        f->fd = STDOUT_FILENO;
        f->path = strdup(path);
        if (!f->path)
            r = say(err, err_size, -ENOMEM, path, NULL);
    } else {
        r = feed_open_path(f, path, err, err_size);
    }
    if (r < 0) {
        feed_close(f);
        return r;
    }
    *ret = f;
    return 0;
}

void feed_close(struct feed *f)
{
    if (!f)
        return;
    if (f->owned)
        close(f->fd);
    free(f->path);
    free(f->buf);
    free(f);
}

const char *feed_path(const struct feed *f)
{
    return f->path;
}

bool feed_is_file(const struct feed *f)
{
    return f->file;
}

int64_t feed_size(const struct feed *f)
{
    return f->size_found;
}

/* The hash of the bytes that end at `offset`; of nothing, 0. */
static int feed_tail(const struct feed *f, int64_t offset, uint64_t *ret)
{
    static const struct sip_key fixed; /* tells files apart; guards against nobody */
    char tail[FEED_TAIL];
    size_t len = offset < FEED_TAIL ? (size_t)offset : FEED_TAIL, got = 0;
    uint64_t h[2] = {0, 0};

    while (got < len) {
        ssize_t n = pread(f->fd, tail + got, len - got, offset - (int64_t)(len - got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        got += (size_t)n;
    }
    if (len)
        sip128(&fixed, tail, len, h);
    *ret = h[0];
    return 0;
}

bool feed_matches(const struct feed *f, const struct feed_mark *m)
{
    uint64_t tail;

    if (!f->file || m->offset < 0 || f->size_found < m->offset)
        return false;
    if (m->offset == 0)
        return f->size_found == 0 || (f->mark.dev == m->dev && f->mark.ino == m->ino);
    return feed_tail(f, m->offset, &tail) == 0 && tail == m->tail;
}

int feed_resume(struct feed *f, const struct feed_mark *m)
{
    if (f->size_found > m->offset && ftruncate(f->fd, m->offset) < 0)
        return -errno;
    f->mark.offset = f->offset = m->offset;
    f->mark.tail = m->tail;
    return 0;
}

void feed_rewind(struct feed *f)
{
    f->len = 0;
    if (f->file && f->offset > f->mark.offset && ftruncate(f->fd, f->mark.offset) == 0)
        f->offset = f->mark.offset;
}

static int feed_reserve(struct feed *f, size_t more)
{
    size_t cap = f->cap ? f->cap : 4096;

    if (f->cap - f->len >= more)
        return 0;
    while (cap - f->len < more)
        cap *= 2;
    char *buf = realloc(f->buf, cap);
    if (!buf)
        return -ENOMEM;
    f->buf = buf;
    f->cap = cap;
    return 0;
}

static void put(struct feed *f, const char *text)
{
    size_t len = strlen(text);

    memcpy(f->buf + f->len, text, len);
    f->len += len;
}

/* Length of the UTF-8 character at `s`; 0 if it is not one (overlong, surrogate, cut short). */
static unsigned utf8_len(const unsigned char *s)
{
    unsigned n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    unsigned char low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;

    if (n <= 1)
        return n;
    if (s[0] > 0xf4 || s[1] < low || s[1] > high)
        return 0;
    for (unsigned i = 2; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

/* Room for six bytes each of the text's and two quotes was reserved. */
static void put_string(struct feed *f, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    put(f, "\"");
    while (*s) {
        unsigned n = utf8_len(s);
        if (n == 0) {
            put(f, "\xef\xbf\xbd"); /* U+FFFD: a row is UTF-8 whatever a server sent */
            n = 1;
        } else if (*s == '"' || *s == '\\') {
            char quoted[3] = {'\\', (char)*s, 0};
            put(f, quoted);
        } else if (*s < 0x20 || *s == 0x7f) {
            char code[8];
            snprintf(code, sizeof(code), "\\u%04x", *s);
            put(f, code);
        } else {
            memcpy(f->buf + f->len, s, n);
            f->len += n;
        }
        s += n;
    }
    put(f, "\"");
}

int feed_row(struct feed *f, const struct feed_row *row)
{
    const char *final_url = row->final_url ? row->final_url : row->url;
    const char *fields = row->fields ? row->fields : "{}";
    char numbers[160], status[16] = "null";
    size_t room =
        6 * (strlen(row->url) + strlen(final_url) + (row->error ? strlen(row->error) : 0)) +
        strlen(fields) + sizeof(numbers) + 128;

    int r = feed_reserve(f, room);
    if (r < 0)
        return r;
    if (row->status)
        snprintf(status, sizeof(status), "%d", row->status);
    snprintf(numbers, sizeof(numbers),
             ",\"status\":%s,\"bytes\":%lld,\"seconds\":%.6f,\"depth\":%u,\"attempts\":%u", status,
             (long long)row->bytes, row->seconds, row->depth, row->attempts);
    put(f, "{\"url\":");
    put_string(f, row->url);
    put(f, ",\"final_url\":");
    put_string(f, final_url);
    put(f, numbers);
    put(f, ",\"error\":");
    if (row->error)
        put_string(f, row->error);
    else
        put(f, "null");
    put(f, ",\"fields\":");
    put(f, fields);
    put(f, "}\n");
    return 0;
}

size_t feed_pending(const struct feed *f)
{
    return f->len;
}

/* After a failed write: 0 to try again. */
static int feed_wait(const struct feed *f, ssize_t n)
{
    struct pollfd p = {.fd = f->fd, .events = POLLOUT};

    if (n == 0)
        return -EIO;
    if (errno == EAGAIN) /* a terminal or pipe somebody made non-blocking */
        return poll(&p, 1, -1) < 0 && errno != EINTR ? -errno : 0;
    return errno == EINTR ? 0 : -errno;
}

int feed_flush(struct feed *f)
{
    size_t done = 0;
    int r = 0;

    while (done < f->len && r == 0) {
        ssize_t n = f->file ? pwrite(f->fd, f->buf + done, f->len - done, f->offset)
                            : write(f->fd, f->buf + done, f->len - done);
        if (n > 0) {
            done += (size_t)n;
            f->offset += n;
        } else {
            r = feed_wait(f, n);
        }
    }
    if (done < f->len)
        memmove(f->buf, f->buf + done, f->len - done);
    f->len -= done;
    return r;
}

int feed_sync(struct feed *f, bool durable, struct feed_mark *ret)
{
    if (f->file) {
        uint64_t tail;

        if (durable && fdatasync(f->fd) < 0)
            return -errno;
        int r = feed_tail(f, f->offset, &tail);
        if (r < 0)
            return r;
        f->mark.tail = tail;
    }
    f->mark.offset = f->offset;
    *ret = f->mark;
    return 0;
}
