/* SPDX-License-Identifier: MIT
 *
 * reader.c - bytes taken in large pieces, given out as lines, records and counts
 *
 * WHAT        One block of memory that holds what was read and not given out.
 *
 * HOW         | given out |  held          |  room        |     at, end, room: offsets
 *             0           at               end            room
 *
 *   Before a read the held bytes move to the front; the block doubles only when they fill it, and
 *   a search that found nothing needs more.  A search looks at no byte twice within a call, but
 *   for a delimiter's length less one where two reads meet.
 *
 * INVARIANTS  (I1) at <= end <= room <= most
 *             (I2) a call that fails has given out nothing: only success moves `at`
 *             (I3) while a read is under way the block stays where it is
 *             (I4) with .ahead what the block holds came before what the intake holds
 *
 * REJECTED    realloc in place of malloc and memcpy: it copies what was given out too.
 *             Remembering between calls how far a search came: only a time-out in the middle of a
 *               line gains, and another delimiter would have to forget it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <hob/buf.h>
#include <hob/net.h>

#include "base/assert.h"
#include "base/opts.h"
#include "net/intake.h"
#include "sched/park.h"

enum { ROOM_FIRST = 4096, ROOM_MOST = 64 * 1024 };

struct hob_reader {
    hob_read_fn read;
    void *arg;
    int fd;
    bool busy;             /* a read is under way (I3) */
    struct intake *intake; /* .ahead; NULL: not asked for */
    char *buf;             /* NULL before the first read */
    size_t at, end, room, most;
};

static ssize_t read_fd(void *arg, void *buf, size_t n, hob_time until)
{
    return hob_read(((const hob_reader *)arg)->fd, buf, n, until);
}

static ssize_t read_ahead(void *arg, void *buf, size_t n, hob_time until)
{
    return hob__intake_read(((const hob_reader *)arg)->intake, buf, n, until);
}

int hob_reader_new(int fd, const struct hob_reader_opts *opts, hob_reader **ret)
{
    struct hob_reader_opts o;
    int rc = hob__opts_copy(&o, sizeof o, opts);
    hob_reader *r;

    if (rc < 0)
        return rc;
    if (!(r = calloc(1, sizeof *r)))
        return -ENOMEM;
    r->read = o.read ? o.read : read_fd;
    r->arg = o.read ? o.arg : r;
    r->fd = fd;
    r->most = o.bytes_max ? o.bytes_max : ROOM_MOST;
    if (o.ahead && !o.read) {
        if ((rc = hob__intake_new(fd, &r->intake)) < 0) {
            free(r);
            return rc;
        }
        r->read = read_ahead;
    }
    *ret = r;
    return 0;
}

void hob_reader_free(hob_reader *r)
{
    if (!r)
        return;
    if (r->intake)
        hob__intake_free(r->intake);
    free(r->buf);
    free(r);
}

size_t hob_reader_pending(const hob_reader *r)
{
    return r->end - r->at + (r->intake ? hob__intake_pending(r->intake) : 0);
}

int hob_reader_stop(hob_reader *r)
{
    if (r->busy)
        return HOB_MISUSE(-EBUSY, "a reader is stopped while it reads");
    return r->intake ? hob__intake_stop(r->intake) : 0;
}

/* Like every call that may park: the cancel is seen although there may be no need to wait. */
static int reader_enter(const hob_reader *r)
{
    struct fiber *f = hob__self();

    if (r->busy)
        return HOB_MISUSE(-EBUSY, "a reader is used by two fibers at once");
    return f ? hob__check(f) : 0;
}

static ssize_t reader_call(hob_reader *r, void *buf, size_t n, hob_time until)
{
    r->busy = true;
    ssize_t got = r->read(r->arg, buf, n, until);
    r->busy = false;
    HOB_ASSERT(got <= (ssize_t)n);
    return got;
}

/* Room for at least one more byte: 0; -ENOMEM, -HOB_ETOOBIG. */
static int reader_room(hob_reader *r)
{
    size_t held = r->end - r->at, want;
    char *buf;

    if (held < r->room) {
        if (held > 0 && r->at > 0)
            memmove(r->buf, r->buf + r->at, held);
        r->at = 0;
        r->end = held;
        return 0;
    }
    if (r->room == r->most)
        return -HOB_ETOOBIG;
    want = r->room == 0 ? ROOM_FIRST : r->room <= r->most / 2 ? 2 * r->room : r->most;
    want = want < r->most ? want : r->most;
    if (!(buf = malloc(want)))
        return -ENOMEM;
    if (held > 0)
        memcpy(buf, r->buf + r->at, held);
    free(r->buf);
    r->buf = buf;
    r->at = 0;
    r->end = held;
    r->room = want; /* (I1) */
    return 0;
}

/* Takes more: bytes, 0 at the end, or a negative errno. */
static ssize_t reader_fill(hob_reader *r, hob_time until)
{
    ssize_t n = reader_room(r);

    if (n == 0 && (n = reader_call(r, r->buf + r->end, r->room - r->end, until)) > 0)
        r->end += (size_t)n;
    return n;
}

static size_t reader_give(hob_reader *r, void *buf, size_t n)
{
    size_t held = r->end - r->at, k = n < held ? n : held;

    if (k > 0)
        memcpy(buf, r->buf + r->at, k);
    r->at += k;
    return k;
}

ssize_t hob_reader_read(hob_reader *r, void *buf, size_t n, hob_time until)
{
    ssize_t rc = reader_enter(r);

    if (rc < 0 || n == 0)
        return rc;
    /* As large as a piece of ours, or from where pieces are held: not by way of it. */
    if (r->at == r->end && (n >= ROOM_FIRST || r->intake))
        return reader_call(r, buf, n, until);
    if (r->at == r->end && (rc = reader_fill(r, until)) <= 0)
        return rc;
    return (ssize_t)reader_give(r, buf, n);
}

ssize_t hob_reader_read_exact(hob_reader *r, void *buf, size_t n, hob_time until)
{
    size_t done = 0;
    ssize_t rc = 0;

    do {
        rc = hob_reader_read(r, (char *)buf + done, n - done, until);
        if (rc > 0)
            done += (size_t)rc;
    } while (rc > 0 && done < n);
    return done > 0 ? (ssize_t)done : rc;
}

int hob_reader_read_until(hob_reader *r, const void *delim, size_t delim_n, hob_time until,
                          const char **ret, size_t *ret_n)
{
    size_t looked = 0; /* of the held bytes, those at which no delimiter begins */
    ssize_t rc = reader_enter(r);

    if (delim_n == 0)
        return -EINVAL;
    while (rc >= 0) {
        size_t held = r->end - r->at;
        const char *from = held > 0 ? r->buf + r->at : NULL;
        const char *hit =
            held > looked ? memmem(from + looked, held - looked, delim, delim_n) : NULL;
        if (hit) {
            *ret = from;
            *ret_n = (size_t)(hit - from);
            r->at += *ret_n + delim_n; /* (I2) */
            return 1;
        }
        looked = held >= delim_n ? held - delim_n + 1 : 0;
        if ((rc = reader_fill(r, until)) == 0)
            return held > 0 ? -ENODATA : 0;
    }
    return (int)rc;
}

int hob_reader_read_line(hob_reader *r, hob_time until, const char **ret, size_t *ret_n)
{
    const char *line;
    size_t n;
    int rc = hob_reader_read_until(r, "\n", 1, until, &line, &n);

    if (rc == -ENODATA) { /* the last one */
        line = r->buf + r->at;
        n = r->end - r->at;
        r->at = r->end;
        rc = 1;
    } else if (rc == 1 && n > 0 && line[n - 1] == '\r') {
        n--;
    }
    if (rc == 1) {
        *ret = line;
        *ret_n = n;
    }
    return rc;
}
