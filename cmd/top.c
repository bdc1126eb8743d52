/* SPDX-License-Identifier: MIT
 *
 * top.c - hob top: the loops, the pool and the tasks of a running program, by what they wait for
 *
 * WHAT        Asks the socket of a program that was started with HOB_TOP=1 (src/sync/top.c says in
 *             which form it answers) and draws each answer over the one before.
 *
 * HOW         A loop's state comes from two answers and from the kernel: its thread's time on CPU
 *             between them, and whether its turns went on.  A loop whose thread ran and whose
 *             turns did not is held by one fiber.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <hob/rt.h>

#include "cmd.h"
#include "lib/buf.h"
#include "lib/option.h"
#include "lib/out.h"

enum { LOOPS_MOST = 64, TASKS_MOST = 256, WAITS_MOST = 64 };

struct loop_seen {
    int tid;
    uint64_t turns;
    int64_t on_cpu; /* ns; -1: not readable */
    int64_t slice;  /* ns, granted by the kernel; 0: none, or the program is older */
    int64_t busy;   /* ns its fibers ran; -1: the program is older */
    uint64_t taken; /* tasks from other loops */
};

struct wait_seen {
    char text[64];
    long n;
};

struct task_seen {
    char kind[8], name[64];
    uint64_t ended;
    long ready, running, parked;
    struct wait_seen wait[WAITS_MOST];
    unsigned n_waits;
};

struct seen {
    hob_time at;
    int pid;
    unsigned cores, workers, asleep;
    uint64_t jobs, pieces;
    struct loop_seen loop[LOOPS_MOST];
    struct task_seen task[TASKS_MOST];
    unsigned n_loops, n_tasks;
    struct task_seen *last; /* whose waits come next; NULL: there was no room for it */
};

static volatile sig_atomic_t ended;

static void on_signal(int sig)
{
    (void)sig;
    ended = 1;
}

static void wait_for_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal};

    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
}

/* --- what is said ----------------------------------------------------------------------------- */

/* Time on CPU of a thread, from its first number in schedstat. */
static int64_t thread_cpu(int pid, int tid)
{
    char path[64];
    int64_t ns = -1;

    snprintf(path, sizeof path, "/proc/%d/task/%d/schedstat", pid, tid);
    FILE *in = fopen(path, "re");
    if (in && fscanf(in, "%" SCNd64, &ns) != 1)
        ns = -1;
    if (in)
        fclose(in);
    return ns;
}

/* Two threads that name a task first at once have a row each: rows of one name are added. */
static void task_add(struct seen *s, const struct task_seen *t)
{
    struct task_seen *to = s->task, *end = s->task + s->n_tasks;

    while (to < end && (strcmp(to->name, t->name) != 0 || strcmp(to->kind, t->kind) != 0))
        to++;
    s->last = to < s->task + TASKS_MOST ? to : NULL;
    if (!s->last)
        return;
    if (to == end) {
        s->task[s->n_tasks++] = *t;
        return;
    }
    to->ended += t->ended;
    to->ready += t->ready;
    to->running += t->running;
}

static void wait_add(struct task_seen *t, const struct wait_seen *w)
{
    unsigned i = 0;

    t->parked += w->n;
    while (i < t->n_waits && strcmp(t->wait[i].text, w->text) != 0)
        i++;
    if (i < t->n_waits)
        t->wait[i].n += w->n;
    else if (i < WAITS_MOST)
        t->wait[t->n_waits++] = *w;
}

/* False: not a line of the form this program knows. */
static bool line_read(struct seen *s, const char *line)
{
    struct loop_seen l = {.busy = -1};
    struct task_seen t = {0};
    struct wait_seen w = {0};

    if (sscanf(line, "loop %d %" SCNu64 " %" SCNd64 " %" SCNd64 " %" SCNu64, &l.tid, &l.turns,
               &l.slice, &l.busy, &l.taken) >= 2 &&
        s->n_loops < LOOPS_MOST) {
        l.on_cpu = thread_cpu(s->pid, l.tid);
        s->loop[s->n_loops++] = l;
        return true;
    }
    if (sscanf(line, "pool %u %u %" SCNu64 " %" SCNu64, &s->workers, &s->asleep, &s->jobs,
               &s->pieces) == 4)
        return true;
    if (sscanf(line, "task %7s %" SCNu64 " %ld %ld %63[^\n]", t.kind, &t.ended, &t.ready,
               &t.running, t.name) == 5) {
        task_add(s, &t);
        return true;
    }
    if (sscanf(line, "wait %*31s %ld %63[^\n]", &w.n, w.text) == 2 && s->last) {
        wait_add(s->last, &w);
        return true;
    }
    return false;
}

/* Why there is no next line: the program has ended, or says nothing within our patience. */
static int silence(FILE *from)
{
    if (!ferror(from))
        return -EPIPE;
    return errno == EAGAIN ? -ETIMEDOUT : errno == EINTR ? -EINTR : -EPIPE;
}

/* One question and its answer.  -EPIPE: the program has ended; -ETIMEDOUT, -EINTR, -EBADMSG. */
static int ask(FILE *to, struct seen *ret)
{
    char line[512];

    *ret = (struct seen){.at = hob_now()};
    if (send(fileno(to), "?", 1, MSG_NOSIGNAL) != 1)
        return -EPIPE;
    if (!fgets(line, sizeof line, to))
        return silence(to);
    if (sscanf(line, "hob 1 %d %u", &ret->pid, &ret->cores) != 2)
        return -EBADMSG;
    while (fgets(line, sizeof line, to)) {
        if (strcmp(line, "end\n") == 0)
            return 0;
        (void)line_read(ret, line); /* a newer program may say more */
    }
    return silence(to);
}

/* A program answers one at a time, and others wait unseen: nothing here waits for longer. */
static int socket_open(const char *path, hob_dur most)
{
    const struct timeval patience = {.tv_sec = most / HOB_SEC, .tv_usec = most % HOB_SEC / HOB_US};
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    if (strlen(path) >= sizeof at.sun_path) {
        close(fd);
        return -ENAMETOOLONG;
    }
    strcpy(at.sun_path, path);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience); /* connects as well */
    if (connect(fd, (struct sockaddr *)&at, sizeof at) < 0) {
        int r = -errno;

        close(fd);
        return r;
    }
    return fd;
}

/* The program's own owner names the directory: root may look at anybody's.  -EAGAIN: others wait.
 */
static int program_open(int64_t pid, hob_dur most)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char path[300], proc[32];
    struct stat st;
    int fd = -ENOENT;

    if (runtime && *runtime == '/') {
        snprintf(path, sizeof path, "%s/hob/%" PRId64 ".sock", runtime, pid);
        fd = socket_open(path, most);
    }
    snprintf(proc, sizeof proc, "/proc/%" PRId64, pid);
    if (fd == -EAGAIN)
        return fd;
    if (fd < 0 && stat(proc, &st) < 0)
        return -ESRCH;
    if (fd < 0) {
        snprintf(path, sizeof path, "/tmp/hob-%u/%" PRId64 ".sock", (unsigned)st.st_uid, pid);
        fd = socket_open(path, most);
    }
    if (fd < 0 && fd != -EAGAIN) {
        snprintf(path, sizeof path, "/run/user/%u/hob/%" PRId64 ".sock", (unsigned)st.st_uid, pid);
        fd = socket_open(path, most);
    }
    return fd;
}

/* --- what is drawn ---------------------------------------------------------------------------- */

static double rate(uint64_t now, uint64_t before, hob_dur wall)
{
    return now > before ? (double)(now - before) * HOB_SEC / (double)wall : 0;
}

static void draw_loops(struct buf *b, const struct seen *s, const struct seen *before)
{
    int64_t wall = s->at - before->at;

    for (unsigned i = 0; i < s->n_loops; i++) {
        const struct loop_seen *l = &s->loop[i], *o = &before->loop[i];

        buf_printf(b, "loop %-3u", i);
        if (before->pid == 0 || i >= before->n_loops || wall <= 0 || l->on_cpu < 0 ||
            o->on_cpu < 0) {
            buf_puts(b, "   -\n");
            continue;
        }
        double busy = (double)(l->on_cpu - o->on_cpu) / (double)wall;
        buf_printf(b, " %3.0f %% on CPU", busy * 100);
        if (l->slice > 0)
            buf_printf(b, " in slices of %.0f us", (double)l->slice / HOB_US);
        buf_printf(b, ", %.0f turns/s", rate(l->turns, o->turns, wall));
        buf_putc(b, '\n');
        if (l->turns == o->turns && busy > 0.5)
            buf_puts(b, "          HELD by one fiber: it computes; use hob_offload\n");
    }
}

/* How much longer the busiest loop's fibers ran than they would if all had the same. */
static void draw_balance(struct buf *b, const struct seen *s, const struct seen *before)
{
    int64_t wall = s->at - before->at, sum = 0, most = 0;
    uint64_t taken = 0, taken_before = 0;

    if (before->pid == 0 || s->n_loops < 2 || before->n_loops != s->n_loops || wall <= 0)
        return;
    for (unsigned i = 0; i < s->n_loops; i++) {
        int64_t busy = s->loop[i].busy - before->loop[i].busy;

        if (s->loop[i].busy < 0 || before->loop[i].busy < 0)
            return;
        sum += busy;
        most = busy > most ? busy : most;
        taken += s->loop[i].taken;
        taken_before += before->loop[i].taken;
    }
    buf_printf(b, "balance  the busiest loop has %.2f times its share, %.0f tasks/s taken over\n",
               sum > 0 ? (double)most * s->n_loops / (double)sum : 1.0,
               rate(taken, taken_before, wall));
}

static int task_order(const void *a, const void *b)
{
    const struct task_seen *x = a, *y = b;
    long nx = x->ready + x->running + x->parked, ny = y->ready + y->running + y->parked;

    return nx != ny ? (nx < ny) - (nx > ny) : strcmp(x->name, y->name);
}

static uint64_t ended_before(const struct seen *before, const struct task_seen *t)
{
    for (unsigned i = 0; i < before->n_tasks; i++)
        if (strcmp(before->task[i].name, t->name) == 0 &&
            strcmp(before->task[i].kind, t->kind) == 0)
            return before->task[i].ended;
    return 0;
}

static void draw_task(struct buf *b, const struct seen *before, const struct task_seen *t,
                      hob_dur wall)
{
    buf_printf(b, "%-6s %-20.20s %8ld %8ld %8ld", t->kind, t->name, t->running, t->ready,
               t->parked);
    if (before->pid && wall > 0)
        buf_printf(b, " %10.0f/s\n", rate(t->ended, ended_before(before, t), wall));
    else
        buf_printf(b, " %12s\n", "-");
    for (unsigned i = 0; i < t->n_waits; i++)
        buf_printf(b, "  %-43s %8ld\n", t->wait[i].text, t->wait[i].n);
}

static void draw(struct buf *b, struct seen *s, const struct seen *before)
{
    hob_dur wall = s->at - before->at;

    buf_printf(b, "hob top: process %d, %u cores\n\n", s->pid, s->cores);
    draw_loops(b, s, before);
    draw_balance(b, s, before);
    buf_printf(b, "pool     %u threads, %u asleep", s->workers, s->asleep);
    if (before->pid && wall > 0)
        buf_printf(b, ", %.0f jobs/s",
                   rate(s->jobs + s->pieces, before->jobs + before->pieces, wall));
    buf_printf(b, "\n\n%-6s %-20s %8s %8s %8s %12s\n", "", "name", "running", "ready", "waiting",
               "ended");
    qsort(s->task, s->n_tasks, sizeof *s->task, task_order);
    for (unsigned i = 0; i < s->n_tasks; i++)
        if (s->task[i].ended || s->task[i].ready || s->task[i].running || s->task[i].parked)
            draw_task(b, before, &s->task[i], wall);
}

/* On a terminal each picture takes the place of the one before and ends where the window does. */
static void show(const struct buf *b, bool terminal)
{
    struct winsize size = {0};
    const char *p = b->p, *end;
    unsigned rows = 0;

    if (!terminal) {
        fputs(b->p, stdout);
        fputc('\n', stdout);
        fflush(stdout);
        return;
    }
    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    fputs("\033[H", stdout);
    for (; (end = strchr(p, '\n')) && (size.ws_row == 0 || ++rows < size.ws_row); p = end + 1) {
        int n = (int)(end - p);

        printf("%.*s\033[K\n", size.ws_col && n > size.ws_col ? size.ws_col : n, p);
    }
    fputs("\033[J", stdout);
    fflush(stdout);
}

/* Single keys, unseen; *ret_old is what it was.  False: standard input is no terminal. */
static bool keys_take(struct termios *ret_old)
{
    struct termios keys;

    if (tcgetattr(STDIN_FILENO, ret_old) < 0)
        return false;
    keys = *ret_old;
    keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    return tcsetattr(STDIN_FILENO, TCSADRAIN, &keys) == 0;
}

/* False: Ctrl-C, or q. */
static bool pause_for(hob_dur d, bool keys)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    char c;

    int n = poll(&in, keys ? 1 : 0, (int)(d / HOB_MS));
    return !ended && !(n == 1 && read(STDIN_FILENO, &c, 1) == 1 && c == 'q');
}

static void say_silent(int64_t pid)
{
    fprintf(stderr, "hob top: process %" PRId64 " does not answer: somebody else watches it?\n",
            pid);
}

static int watch(FILE *to, int64_t pid, hob_dur delay, int64_t count)
{
    struct seen *s = calloc(2, sizeof *s);
    struct buf b = {0};
    bool terminal = out_is_terminal(STDOUT_FILENO) && count != 1;
    struct termios old;
    bool keys = terminal && keys_take(&old);
    int r = s ? 0 : -ENOMEM;

    if (r == 0 && terminal)
        fputs("\033[?1049h\033[?25l", stdout); /* the other screen, no cursor */
    for (int64_t i = 0; r == 0 && !ended; i++) {
        struct seen *now = &s[i % 2];

        if ((r = ask(to, now)) < 0)
            break;
        buf_reset(&b);
        draw(&b, now, &s[(i + 1) % 2]);
        if ((r = buf_error(&b)) < 0)
            break;
        show(&b, terminal);
        if ((count && i + 1 == count) || !pause_for(delay, keys))
            break;
    }
    if (s && terminal)
        fputs("\033[?25h\033[?1049l", stdout);
    if (keys)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &old);
    buf_free(&b);
    free(s);
    if (r == -EPIPE) {
        fprintf(stderr, "hob top: process %" PRId64 " has ended\n", pid);
        return STATUS_DONE;
    }
    if (r == -EINTR)
        return STATUS_DONE;
    if (r == -ETIMEDOUT)
        say_silent(pid);
    else if (r < 0)
        fprintf(stderr, "hob top: process %" PRId64 ": %s\n", pid, hob_strerror(r));
    return r < 0 ? STATUS_FAILED : STATUS_DONE;
}

/* What is asked for, once the command line is read. */
static int top_go(const struct option_args *args, hob_dur delay, hob_dur timeout, int64_t count)
{
    char *rest;
    int64_t pid = args->n == 1 ? strtoll(args->operand[0], &rest, 10) : 0;

    if (args->n != 1 || pid <= 0 || *rest) {
        fprintf(stderr, "hob top: wants the number of one process%s%s\n", args->n ? ", not " : "",
                args->n ? args->operand[0] : "");
        return STATUS_USAGE;
    }
    int fd = program_open(pid, timeout);
    FILE *to = fd < 0 ? NULL : fdopen(fd, "r");
    if (fd == -EAGAIN) {
        say_silent(pid);
        return STATUS_FAILED;
    }
    if (!to) {
        fprintf(stderr, "hob top: process %" PRId64 " %s\n", pid,
                fd == -ESRCH ? "does not exist"
                             : "does not answer: it must have been started with HOB_TOP=1");
        return STATUS_FAILED;
    }
    wait_for_signals();
    int status = watch(to, pid, delay, count);
    fclose(to);
    return status;
}

int cmd_top(int argc, char *const argv[])
{
    hob_dur delay = HOB_SEC, timeout = 3 * HOB_SEC;
    int64_t count = 0;
    const struct option options[] = {
        OPTION_DURATION('d', "delay", &delay, 50 * HOB_MS, HOB_SEC * 3600, "TIME",
                        "between two looks (1s)"),
        OPTION_INT('n', "count", &count, 0, INT32_MAX, "N", "looks; 0 goes on (0)"),
        OPTION_DURATION(0, "timeout", &timeout, HOB_MS, HOB_SEC * 3600, "TIME",
                        "for an answer (3s)"),
        OPTION_END,
    };
    const struct option_command command = {
        .name = "hob top",
        .usage = "hob top [OPTION]... PID",
        .about = "Shows what the loops, the pool and the tasks of a running program do, by what "
                 "they wait for.  The program must have been started with HOB_TOP=1.  q ends.",
        .options = options};
    struct option_args args;
    int status = option_start(&command, argc, argv, &args);

    if (status >= 0)
        return status;
    status = top_go(&args, delay, timeout, count);
    option_free(&command, &args);
    return status;
}
