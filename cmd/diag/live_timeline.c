/* SPDX-License-Identifier: MIT
 *
 * live_timeline.c - the timeline on a terminal, with keys and its size followed
 *
 * HOW         One loop: signals (a signalfd) and keys.  Whatever comes, the picture is drawn anew
 *   from the recording, which stays as it is; it takes milliseconds.
 */
#include "diag/live_timeline.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "diag/draw.h"
#include "diag/live_screen.h"

enum { CORES_MOST = 8, BESIDE = 8 }; /* lines that are no lanes: title, curves, axis, legend */

enum { NAME_LEAST = 6, NAME_MOST = 24 };

#define RANGE_LEAST HOB_US

struct show {
    const struct recording *rec;
    const struct draw_term_how *how;
    struct live_screen screen;
    int64_t from, to, end;
    int n_key; /* characters of an escape sequence so far */
    bool over;
};

/* "255 ms to 935 ms"; where three digits would not tell them apart "680.0012 ms + 1.00 us". */
static void put_range(const struct show *s, struct buf *b)
{
    int64_t length = s->to - s->from;

    if (length < s->to / 100) {
        draw_tick(b, s->from, draw_step(length, 10), s->to);
        buf_puts(b, " + ");
        draw_time(b, length);
    } else {
        draw_time(b, s->from);
        buf_puts(b, " to ");
        draw_time(b, s->to);
    }
    buf_puts(b, " of ");
    draw_time(b, s->end);
}

/* What the keys do stands there first: the name has what is left. */
static void put_title(const struct show *s, struct buf *b)
{
    const char *keys = "   arrows pan, + - zoom, 0 all, q ends";
    struct buf range = {0};
    uint32_t columns = s->screen.columns;

    put_range(s, &range);
    if (1 + range.len + strlen(keys) > columns)
        keys = "   q ends";
    size_t used = 1 + range.len + strlen(keys);
    buf_putc(b, ' ');
    if (used + 2 + NAME_LEAST <= columns) {
        size_t room = columns - used - 2;

        draw_term_name(b, s->how->title ? s->how->title : "",
                       (uint32_t)(room < NAME_MOST ? room : NAME_MOST), s->how->ascii);
        buf_puts(b, "  ");
    }
    buf_add(b, range.p, range.len);
    buf_puts(b, keys);
    buf_putc(b, '\n');
    b->failed |= range.failed;
    buf_free(&range);
}

static int show_draw(struct show *s)
{
    struct draw_term_how how = {0};
    struct buf b = {0};
    int r = live_screen_take(&s->screen);

    if (r < 0)
        return r == -EAGAIN && s->screen.fd >= 0 ? 0 : r; /* in the background: later */
    uint32_t rows = live_screen_rows(&s->screen);
    draw_term_detect(STDOUT_FILENO, &how);
    how.width = s->screen.columns;
    how.ascii |= s->how->ascii;
    how.from = s->from;
    how.from_zero = true;
    how.to = s->to;
    how.max_cores = rows / 3 < 1 ? 1 : rows / 3 > CORES_MOST ? CORES_MOST : rows / 3;
    how.max_lanes = rows > how.max_cores + BESIDE ? rows - how.max_cores - BESIDE : 1;
    if (s->how->max_lanes && s->how->max_lanes < how.max_lanes)
        how.max_lanes = s->how->max_lanes;
    put_title(s, &b);
    r = draw_term(s->rec, &how, &b);
    if (r == 0)
        live_screen_show(&s->screen, b.p);
    buf_free(&b);
    return r;
}

/* --- keys ------------------------------------------------------------------------------------- */

/* The same length elsewhere, or another around the same middle; inside of the recording. */
static void show_go(struct show *s, int64_t from, int64_t length)
{
    if (length > s->end)
        length = s->end;
    if (length < RANGE_LEAST)
        length = s->end < RANGE_LEAST ? s->end : RANGE_LEAST;
    if (from > s->end - length)
        from = s->end - length;
    s->from = from < 0 ? 0 : from;
    s->to = s->from + length;
}

static void on_key(struct show *s, char key)
{
    int64_t length = s->to - s->from;

    switch (key) {
    case 'q':
    case 'Q':
        s->over = true;
        break;
    case '+':
    case '=':
        show_go(s, s->from + length / 4, length / 2);
        break;
    case '-':
        show_go(s, s->from - length / 2, length < s->end ? length * 2 : length);
        break;
    case '0':
        show_go(s, 0, s->end);
        break;
    case 'h':
        show_go(s, s->from - length / 4, length);
        break;
    case 'l':
        show_go(s, s->from + length / 4, length);
        break;
    default:
        break;
    }
}

/* Arrows and Home are three characters, ESC [ C or ESC O C. */
static void key_read(struct show *s, char c)
{
    static const char sequences[] = "DhClH0"; /* left, right, Home */

    if (c == '\x1b') {
        s->n_key = 1;
    } else if (s->n_key == 1 && (c == '[' || c == 'O')) {
        s->n_key = 2;
    } else if (s->n_key == 2) {
        const char *at = strchr(sequences, c);

        s->n_key = 0;
        if (at && (at - sequences) % 2 == 0)
            on_key(s, at[1]);
    } else {
        s->n_key = 0;
        on_key(s, c);
    }
}

/* --- signals ---------------------------------------------------------------------------------- */

static void on_signal(struct show *s, uint32_t sig)
{
    if (sig == SIGTSTP) {
        live_screen_leave(&s->screen);
        raise(SIGSTOP); /* until somebody continues the job */
    } else if (sig != SIGWINCH && sig != SIGCONT) {
        s->over = true;
    }
}

static int show_loop(struct show *s, int signals)
{
    int r = show_draw(s);

    while (r == 0 && !s->over) {
        struct pollfd p[] = {{.fd = signals, .events = POLLIN},
                             {.fd = s->screen.keys, .events = POLLIN}};
        struct signalfd_siginfo si;
        char key;

        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return -errno;
        while (read(signals, &si, sizeof si) == sizeof si)
            on_signal(s, si.ssi_signo);
        while (s->screen.keys >= 0 && live_screen_key(&s->screen, &key))
            key_read(s, key);
        if (!s->over)
            r = show_draw(s);
    }
    return r;
}

int live_timeline(const struct recording *rec, const struct draw_term_how *how)
{
    static const int heard[] = {SIGWINCH, SIGTSTP, SIGCONT, SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct show s = {.rec = rec, .how = how, .end = rec->wall > 0 ? rec->wall : 1};
    sigset_t set, was;
    int r = 0;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof heard / sizeof *heard; i++)
        sigaddset(&set, heard[i]);
    sigprocmask(SIG_BLOCK, &set, &was);
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0)
        r = -errno;
    s.to = s.end;
    live_screen_init(&s.screen, STDOUT_FILENO, true);
    if (r == 0)
        r = show_loop(&s, signals);
    live_screen_fini(&s.screen);
    if (signals >= 0)
        close(signals);
    sigprocmask(SIG_SETMASK, &was, NULL);
    return r;
}
