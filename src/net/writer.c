/* SPDX-License-Identifier: MIT
 *
 * writer.c - small pieces collected and written together
 *
 * WHAT        A block of memory of fixed size.  What fits is copied; when it is full it is written;
 *             a piece as large as the block is written from where it lies.
 *
 * INVARIANTS  (I1) bytes go out in the order in which they were taken: nothing is written past
 *                  what the block holds
 *             (I2) a byte is counted as taken once it is in the block or was written
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hob/buf.h>
#include <hob/net.h>

#include "base/assert.h"
#include "base/opts.h"
#include "sched/park.h"

enum { ROOM_DEFAULT = 16 * 1024 };

struct hob_writer {
    hob_write_fn write;
    void *arg;
    int fd;
    bool busy; /* a write is under way, from the block */
    size_t at, end, room;
    char buf[];
};

static ssize_t write_fd(void *arg, const void *buf, size_t n, hob_time until)
{
    return hob_write(((const hob_writer *)arg)->fd, buf, n, until);
}

int hob_writer_new(int fd, const struct hob_writer_opts *opts, hob_writer **ret)
{
    struct hob_writer_opts o;
    int r = hob__opts_copy(&o, sizeof o, opts);
    hob_writer *w;
    size_t room, size;

    if (r < 0)
        return r;
    room = o.bytes ? o.bytes : ROOM_DEFAULT;
    /* One more byte: vsnprintf ends its text with a NUL. */
    if (__builtin_add_overflow(room, sizeof *w + 1, &size) || !(w = malloc(size)))
        return -ENOMEM;
    *w = (hob_writer){.write = o.write ? o.write : write_fd, .fd = fd, .room = room};
    w->arg = o.write ? o.arg : w;
    *ret = w;
    return 0;
}

void hob_writer_free(hob_writer *w)
{
    free(w);
}

size_t hob_writer_pending(const hob_writer *w)
{
    return w->end - w->at;
}

static int writer_enter(const hob_writer *w)
{
    struct fiber *f = hob__self();

    if (w->busy)
        return HOB_MISUSE(-EBUSY, "a writer is used by two fibers at once");
    return f ? hob__check(f) : 0;
}

static ssize_t writer_call(hob_writer *w, const void *buf, size_t n, hob_time until)
{
    w->busy = true;
    ssize_t r = w->write(w->arg, buf, n, until);
    w->busy = false;
    HOB_ASSERT(r <= (ssize_t)n);
    return r == 0 ? -EIO : r; /* of more than no bytes: it would never end */
}

/* Until the block is empty. */
static int writer_drain(hob_writer *w, hob_time until)
{
    while (w->at < w->end) {
        ssize_t r = writer_call(w, w->buf + w->at, w->end - w->at, until);
        if (r < 0)
            return (int)r;
        w->at += (size_t)r;
    }
    w->at = w->end = 0;
    return 0;
}

/* One step: bytes taken, or a negative errno. */
static ssize_t writer_take(hob_writer *w, const char *buf, size_t n, hob_time until)
{
    if (w->end == w->room || (n >= w->room && w->end > 0)) {
        int r = writer_drain(w, until); /* (I1) */
        if (r < 0)
            return r;
    }
    if (n >= w->room)
        return writer_call(w, buf, n, until);
    size_t room = w->room - w->end, k = n < room ? n : room;
    memcpy(w->buf + w->end, buf, k);
    w->end += k;
    return (ssize_t)k;
}

ssize_t hob_writer_write(hob_writer *w, const void *buf, size_t n, hob_time until)
{
    size_t done = 0;
    ssize_t r = writer_enter(w);

    while (r >= 0 && done < n) {
        r = writer_take(w, (const char *)buf + done, n - done, until);
        if (r > 0)
            done += (size_t)r; /* (I2) */
    }
    return done > 0 ? (ssize_t)done : r;
}

int hob_writer_print(hob_writer *w, hob_time until, const char *format, ...)
{
    va_list args;
    int n, r = writer_enter(w);

    for (int i = 0; r == 0 && i < 2; i++) { /* where the rest of the block is too short: again */
        size_t room = w->room - w->end;
        va_start(args, format);
        n = vsnprintf(w->buf + w->end, room + 1, format, args);
        va_end(args);
        if (n < 0)
            return -EINVAL;
        if ((size_t)n > w->room)
            return -HOB_ETOOBIG;
        if ((size_t)n <= room) {
            w->end += (size_t)n;
            return n;
        }
        r = writer_drain(w, until);
    }
    return r;
}

int hob_writer_flush(hob_writer *w, hob_time until)
{
    int r = writer_enter(w);

    return r < 0 ? r : writer_drain(w, until);
}
