/* SPDX-License-Identifier: MIT
 *
 * live_screen.c - a terminal, or its lower half, for a picture that is drawn again and again
 *
 * HOW         A picture is one write: the kernel does not mix it with what another process writes
 *   to the same terminal.  In the shared form it begins with "save cursor" and ends with "restore
 *   cursor", so that the command's output goes on where it was; the scroll region is set anew each
 *   time, because a command may have reset it.  Each begins and ends with CAN, which ends
 *   an escape sequence that was cut short and is nothing else to a terminal.
 *
 *   Keys are read from the terminal only where that takes them from nobody: without a command, or
 *   when its standard input is something else.
 *
 * REJECTED    The other screen for a command's terminal: its output would be gone at the end, and
 *   drawn over meanwhile.  A pseudo-terminal for the command: it would not be untouched.
 */
#include "diag/live_screen.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "diag/draw_term.h"

enum { SHARED_LEAST = 8, SHARED_MOST = 20, PATIENCE_MS = 500 };

void live_screen_init(struct live_screen *s, int fd, bool whole)
{
    *s = (struct live_screen){.on = fd, .whole = whole, .fd = -1, .keys = -1};
}

/* All of it, or after a while what could be written. */
static void put_all(struct live_screen *s, const struct buf *b)
{
    struct pollfd p = {.fd = s->fd, .events = POLLOUT};

    for (size_t at = 0; buf_error(b) == 0 && at < b->len;) {
        ssize_t n = write(s->fd, b->p + at, b->len - at);

        if (n > 0)
            at += (size_t)n;
        else if (n == 0 || (errno != EAGAIN && errno != EINTR) || poll(&p, 1, PATIENCE_MS) <= 0)
            return;
    }
}

/* --- its size --------------------------------------------------------------------------------- */

static uint32_t top_of(const struct live_screen *s)
{
    uint32_t view = s->rows / 2 < SHARED_MOST ? s->rows / 2 : SHARED_MOST;

    return s->whole ? 0 : s->rows - view;
}

static bool size_read(const struct live_screen *s, uint32_t *ret_rows, uint32_t *ret_columns)
{
    struct winsize size = {0};

    if (ioctl(s->fd, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0) {
        size.ws_row = 24;
        size.ws_col = 80;
    }
    bool same = size.ws_row == *ret_rows && size.ws_col == *ret_columns;
    *ret_rows = size.ws_row;
    *ret_columns = size.ws_col;
    return !same;
}

static void erase_from(struct buf *b, uint32_t row)
{
    buf_printf(b, "\033[%u;1H\033[J", row + 1);
}

/* As many blank lines as the view has, so that the cursor can go up to above it. */
static void share(const struct live_screen *s, struct buf *b)
{
    uint32_t view = s->rows - s->top;

    for (uint32_t i = 0; i < view; i++)
        buf_putc(b, '\n');
    buf_printf(b, "\0337\033[1;%ur\0338\033[%uA", s->top, view);
}

static void begin(struct live_screen *s)
{
    struct buf b = {0};

    s->top = top_of(s);
    if (s->whole)
        buf_puts(&b, "\033[?1049h\033[?25l");
    else
        share(s, &b);
    put_all(s, &b);
    buf_free(&b);
}

/* The terminal has already moved lines about by its own rules; what is ours there goes. */
static void resize(struct live_screen *s)
{
    uint32_t old = s->top;
    struct buf b = {0};

    s->top = top_of(s);
    if (!s->whole) {
        buf_puts(&b, "\0337\033[r");
        erase_from(&b, old < s->top ? old : s->top);
        buf_puts(&b, "\0338");
        share(s, &b);
    }
    put_all(s, &b);
    buf_free(&b);
}

/* --- whose turn it is ------------------------------------------------------------------------- */

static bool in_background(const struct live_screen *s)
{
    pid_t group = tcgetpgrp(s->fd);

    return group >= 0 && group != getpgrp();
}

static void keys_take(struct live_screen *s)
{
    if (tcgetpgrp(s->fd) != getpgrp() || (!s->whole && isatty(STDIN_FILENO)) ||
        tcgetattr(s->fd, &s->was) < 0)
        return;
    s->is = s->was;
    s->is.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    s->is.c_cc[VMIN] = 1;
    s->is.c_cc[VTIME] = 0;
    if (tcsetattr(s->fd, TCSANOW, &s->is) == 0)
        s->keys = s->fd;
    s->set = s->keys >= 0;
}

/* Somebody else who set the terminal's modes meanwhile has a reason to. */
static bool modes_ours(const struct live_screen *s)
{
    struct termios now;

    return s->set && tcgetattr(s->fd, &now) == 0 && now.c_lflag == s->is.c_lflag &&
           tcgetpgrp(s->fd) == getpgrp();
}

int live_screen_take(struct live_screen *s)
{
    char path[32];

    if (s->fd < 0) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", s->on);
        s->fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }
    if (s->fd < 0 || in_background(s))
        return -EAGAIN;
    bool changed = size_read(s, &s->rows, &s->columns);
    if (!s->whole && s->rows < SHARED_LEAST) {
        live_screen_leave(s);
        return -ENOSPC;
    }
    if (!s->taken) {
        keys_take(s);
        begin(s);
    } else if (changed) {
        resize(s);
    }
    s->taken = true;
    return 0;
}

void live_screen_leave(struct live_screen *s)
{
    struct buf b = {0};

    if (!s->taken)
        return;
    if (modes_ours(s))
        tcsetattr(s->fd, TCSANOW, &s->was); /* not DRAIN: output may be stopped for ever */
    s->keys = -1;
    s->set = false;
    if (s->whole) {
        buf_puts(&b, "\030\033[?25h\033[?1049l");
    } else {
        buf_puts(&b, "\030\0337\033[r");
        erase_from(&b, s->top);
        buf_puts(&b, "\0338");
    }
    put_all(s, &b);
    buf_free(&b);
    s->taken = false;
}

void live_screen_fini(struct live_screen *s)
{
    live_screen_leave(s);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

/* --- pictures and keys ------------------------------------------------------------------------ */

uint32_t live_screen_rows(const struct live_screen *s)
{
    return s->rows - s->top;
}

static void put_lines(const struct live_screen *s, const char *text, struct buf *b)
{
    uint32_t row = s->top;

    for (const char *line = text; *line && row < s->rows; row++) {
        size_t n = strcspn(line, "\n");

        buf_printf(b, "\033[%u;1H", row + 1);
        draw_term_cut(b, line, n, s->columns);
        buf_puts(b, "\033[K");
        line += n + (line[n] == '\n');
    }
    for (; row < s->rows; row++)
        buf_printf(b, "\033[%u;1H\033[K", row + 1);
}

void live_screen_show(struct live_screen *s, const char *text)
{
    struct pollfd p = {.fd = s->fd, .events = POLLOUT};
    struct buf b = {0};

    if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT))
        return; /* stopped by Ctrl-S, or slow: the next one then */
    if (s->whole)
        buf_puts(&b, "\030");
    else
        buf_printf(&b, "\030\0337\033[0m\033[1;%ur", s->top);
    put_lines(s, text, &b);
    if (!s->whole)
        buf_puts(&b, "\0338");
    buf_puts(&b, "\030");
    if (buf_error(&b) == 0 && write(s->fd, b.p, b.len) < 0 && errno != EAGAIN)
        s->keys = -1; /* it is gone */
    buf_free(&b);
}

bool live_screen_key(struct live_screen *s, char *ret)
{
    ssize_t n = s->keys >= 0 && modes_ours(s) ? read(s->keys, ret, 1) : 0;

    if (n == 1)
        return true;
    if (n == 0 || errno != EAGAIN)
        s->keys = -1; /* hung up, or somebody else's now */
    return false;
}
