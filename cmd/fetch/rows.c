/* SPDX-License-Identifier: MIT
 *
 * rows.c - where rows go: whole, in the order they end
 *
 * HOW  A fiber with a row adds it to what is pending; if no other fiber is writing, it writes
 *   until nothing is pending.  So rows never mix, and there is no writer fiber that a cancel could
 *   end before its rows are out: a write that a cancel cut short is finished by a call that blocks.
 *   A regular file gets a plain write(2): rows into the page cache are one call of a few
 *   microseconds, and to park for it would be more.  The writer first lets the other ready fibers
 *   run, so that pages which ended in one turn of the loop cost one call.
 *
 * INVARIANTS  (W1) pending holds whole rows only
 *             (W2) with nobody writing, nothing is pending
 */
#include "fetch/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int rows_open(const char *path, struct rows *ret)
{
    bool standard = strcmp(path, "-") == 0;
    struct stat st;
    int fd = standard ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    if (fd < 0)
        return -errno;
    *ret = (struct rows){.fd = fd, .name = standard ? "standard output" : path};
    ret->regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    return 0;
}

void rows_close(struct rows *w)
{
    if (w->fd != STDOUT_FILENO)
        hob_close(w->fd);
    hob_chan_free(w->room);
    buf_free(&w->pending);
}

/* The rest of what a cancel interrupted; a descriptor others made non-blocking is waited for. */
static ssize_t write_blocking(int fd, const char *p, size_t n)
{
    size_t done = 0;

    while (done < n) {
        ssize_t r = write(fd, p + done, n - done);
        if (r >= 0)
            done += (size_t)r;
        else if (errno == EAGAIN)
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        else if (errno != EINTR)
            return done > 0 ? (ssize_t)done : -errno;
    }
    return (ssize_t)n;
}

/* Half a row at the end of a file that is full: take it away, if it is still the end. */
static void cut_half(int fd, const char *written, size_t n)
{
    const char *newline = memrchr(written, '\n', n);
    off_t half = (off_t)(newline ? n - (size_t)(newline + 1 - written) : n);
    off_t at = lseek(fd, 0, SEEK_CUR);
    struct stat st;

    if (half > 0 && at >= half && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == at &&
        ftruncate(fd, at - half) == 0)
        lseek(fd, at - half, SEEK_SET);
}

static int write_all(const struct rows *w, const char *p, size_t n)
{
    ssize_t r = 0;
    size_t done = 0;

    while (r >= 0 && done < n) {
        r = w->regular ? -ECANCELED : hob_write(w->fd, p + done, n - done, HOB_FOREVER);
        if (r == -ECANCELED)
            r = write_blocking(w->fd, p + done, n - done);
        if (r > 0)
            done += (size_t)r;
    }
    if (r < 0)
        cut_half(w->fd, p, done);
    return r < 0 ? (int)r : 0;
}

/* Everything pending, and what other fibers add while this one waits. */
static void write_pending(struct rows *w)
{
    struct buf now = {0};

    w->writing = true;
    if (w->regular)
        (void)hob_yield(); /* cancelled: then it is written now */
    while (w->error == 0 && w->pending.len > 0) {
        struct buf empty = now;
        now = w->pending;
        w->pending = empty;
        w->error = write_all(w, now.p, now.len);
        buf_reset(&now);
    }
    w->writing = false; /* (W2) */
    buf_free(&now);
    for (; w->n_waiting > 0; w->n_waiting--)
        if (hob_chan_send(w->room, &(char){0}, 0) < 0)
            break; /* cancelled: then those who wait are too */
    w->n_waiting = 0;
}

/* A cancel ends the wait: the row is in hand, and the fiber that writes will write it. */
static int wait_for_room(struct rows *w)
{
    char token;

    if (!w->room && hob_chan_new(sizeof token, NULL, &w->room) < 0)
        return -ENOMEM;
    w->n_waiting++;
    int r = hob_chan_recv(w->room, HOB_FOREVER, &token);
    return r == -ECANCELED ? 0 : r;
}

int rows_put(struct rows *w, const struct buf *row)
{
    int r = buf_error(row);

    if (r < 0 || w->error < 0)
        return r < 0 ? r : w->error;
    buf_add(&w->pending, row->p, row->len); /* (W1) */
    if ((r = buf_error(&w->pending)) < 0)
        return w->error = r;
    if (!w->writing)
        write_pending(w);
    else if (w->pending.len > ROWS_PENDING && (r = wait_for_room(w)) < 0)
        return r;
    return w->error;
}
