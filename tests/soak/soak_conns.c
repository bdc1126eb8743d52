/* SPDX-License-Identifier: MIT
 *
 * soak_conns.c - a million connections opened and closed, 50,000 at once: nothing is left of them
 *
 * HOW     Pairs of processes, each a program on hob with one loop: a server, and a client whose
 *         every connection is a fiber.  As few pairs as the limit of descriptors allows: one, where
 *         it is above 50,000.  This process says when:
 *
 *             servers listen; clients dial all theirs, send a byte and get it back;
 *             once all of all pairs are open, the servers' books are read;
 *             clients close, servers see the end of each and close too; all say what they hold
 *
 *         which is a round.  The first is small and fills what is kept for reuse.  After the last,
 *         RSS and descriptors must be where they were after it.
 *
 *   A connection is known by its two addresses and ports, and for a minute nobody may have the same
 *   again.  So each round listens on loopback addresses of its own.
 *
 * HOW MUCH  HOB_SOAK_CONNS and HOB_SOAK_AT_ONCE change the million and the 50,000.
 */
#include "soak_util.h"

#include <hob/hob.h>

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum {
    ADDRESSES = 8, /* of a server, in one round */
    DIALS = 256,   /* at once, so that no queue of a listener is ever full */
    FEW = 64,      /* connections of a pair in the first round */
    PAIRS_MAX = 100,
    ROUNDS_MAX = 250,
    SPARE_FDS = 100,
    /* What may be kept: free stacks and tables that grew, and not by the connection. */
    KEPT_MOST = 8 << 20,
    GROWN_MOST = 2 << 20, /* from the first large round to the last */
};

static const long all_usual = SANITIZED ? 4000 : 1000000, at_once_usual = SANITIZED ? 1000 : 50000;

/* What the processes of a pair and this one share. */
struct pair {
    hob_addr addr[ADDRESSES];
    int n, round; /* connections of this round */
    _Atomic(int) live;
    _Atomic(long) opened, closed; /* by the server's books */
    struct held held[2][3]; /* of the server and the client, after the first, second, last round */
};

enum { SERVER, CLIENT };

/* One of the processes. */
struct side {
    struct pair *pair;
    int number; /* of the pair */
    int which;  /* SERVER or CLIENT */
    int ctl;    /* to the process that says when; there, to this one */
    pid_t pid;
};

/* --- a word to and from the other process ------------------------------------------------- */

static void say(int fd, char word)
{
    CHECK_INT(hob_write(fd, &word, 1, HOB_FOREVER), 1);
}

/* The next word; 0: there will be none. */
static char hear(int fd)
{
    char word = 0;
    ssize_t n = hob_read(fd, &word, 1, HOB_FOREVER);

    CHECK(n >= 0);
    return n ? word : 0;
}

/* --- the server --------------------------------------------------------------------------- */

struct server {
    struct pair *pair;
    hob_group conns;
    hob_event all_gone;
    int ended;
};

struct conn {
    struct server *server;
    int fd;
};

static int serve(void *arg)
{
    struct conn c = *(struct conn *)arg;
    struct pair *pair = c.server->pair;
    char byte;

    free(arg);
    pair->live++;
    pair->opened++;
    for (;;) {
        ssize_t n = hob_read(c.fd, &byte, 1, HOB_FOREVER);
        CHECK(n >= 0);
        if (n == 0)
            break;
        CHECK_INT(hob_write(c.fd, &byte, 1, HOB_FOREVER), 1);
    }
    hob_close(c.fd);
    pair->live--;
    pair->closed++;
    if (++c.server->ended == pair->n)
        CHECK_INT(hob_event_set(&c.server->all_gone), 0);
    return 0;
}

struct door {
    struct server *server;
    int fd;
};

static int accepts(void *arg)
{
    struct door *d = arg;

    for (;;) {
        int fd = hob_tcp_accept(d->fd, HOB_FOREVER);
        if (fd == -ECANCELED)
            return 0;
        CHECK(fd >= 0);
        struct conn *c = malloc(sizeof *c);
        CHECK(c);
        *c = (struct conn){d->server, fd};
        CHECK_INT(hob_go(&d->server->conns, serve, c), 0);
    }
}

static void server_round(struct side *side)
{
    struct server s = {.pair = side->pair};
    struct door door[ADDRESSES];
    hob_group doors;
    char text[HOB_ADDR_TEXT_MAX];

    CHECK_INT(hob_event_init(&s.all_gone, "all gone"), 0);
    CHECK_INT(hob_group_open(&s.conns, HOB_GROUP_OPTS(.name = "connections")), 0);
    CHECK_INT(hob_group_open(&doors, HOB_GROUP_OPTS(.name = "doors")), 0);
    for (int i = 0; i < ADDRESSES; i++) {
        snprintf(text, sizeof text, "127.%d.%d.%d", 10 + side->number, side->pair->round, 1 + i);
        CHECK_INT(hob_addr_parse(text, 0, &s.pair->addr[i]), 0);
        door[i] = (struct door){&s, hob_tcp_listen(&s.pair->addr[i], SOMAXCONN)};
        CHECK(door[i].fd >= 0);
        CHECK_INT(hob_sock_addr(door[i].fd, &s.pair->addr[i]), 0);
        CHECK_INT(hob_go(&doors, accepts, &door[i]), 0);
    }
    say(side->ctl, 'l');
    CHECK_INT(hob_event_wait(&s.all_gone, HOB_FOREVER), 0);
    hob_group_cancel(&doors, 0);
    CHECK_INT(hob_group_join(&doors, 0), 0);
    CHECK_INT(hob_group_join(&s.conns, 0), 0);
    for (int i = 0; i < ADDRESSES; i++)
        hob_close(door[i].fd);
}

/* --- the client --------------------------------------------------------------------------- */

struct client {
    struct pair *pair;
    hob_sem dials;
    hob_event all_open, may_close;
    int open;
};

struct dialled {
    struct client *client;
    int i;
};

static int dials(void *arg)
{
    struct dialled d = *(struct dialled *)arg;
    struct client *c = d.client;
    char byte = (char)d.i, back = (char)~byte;

    free(arg);
    CHECK_INT(hob_sem_acquire(&c->dials, 1, HOB_FOREVER), 0);
    int fd = hob_tcp_dial(&c->pair->addr[d.i % ADDRESSES], HOB_FOREVER);
    if (fd < 0)
        t_fail(__FILE__, __LINE__, "connection %d: %s", d.i, hob_strerror(fd));
    CHECK_INT(hob_write(fd, &byte, 1, HOB_FOREVER), 1);
    CHECK_INT(hob_read(fd, &back, 1, HOB_FOREVER), 1);
    CHECK_INT(back, byte);
    CHECK_INT(hob_sem_release(&c->dials, 1), 0);
    if (++c->open == c->pair->n)
        CHECK_INT(hob_event_set(&c->all_open), 0);
    CHECK_INT(hob_event_wait(&c->may_close, HOB_FOREVER), 0);
    hob_close(fd);
    return 0;
}

static void client_round(struct side *side)
{
    struct client c = {.pair = side->pair};
    hob_group g;

    CHECK_INT(hob_sem_init(&c.dials, DIALS, "dials"), 0);
    CHECK_INT(hob_event_init(&c.all_open, "all open"), 0);
    CHECK_INT(hob_event_init(&c.may_close, "may close"), 0);
    CHECK_INT(hob_group_open(&g, NULL), 0);
    for (int i = 0; i < side->pair->n; i++) {
        struct dialled *d = malloc(sizeof *d);
        CHECK(d);
        *d = (struct dialled){&c, i};
        CHECK_INT(hob_go(&g, dials, d), 0);
    }
    CHECK_INT(hob_event_wait(&c.all_open, HOB_FOREVER), 0);
    say(side->ctl, 'o');
    CHECK_INT(hear(side->ctl), 'c');
    CHECK_INT(hob_event_set(&c.may_close), 0);
    CHECK_INT(hob_group_join(&g, 0), 0);
}

/* --- rounds ------------------------------------------------------------------------------- */

/* What is held when the loop has rested: memory of stacks goes back before it sleeps. */
static struct held held_at_rest(void)
{
    struct held before, h = soak_held();

    do {
        before = h;
        CHECK_INT(hob_sleep(10 * HOB_MS), 0);
        h = soak_held();
    } while (h.rss < before.rss);
    return h;
}

/* The first fiber of either process: a round at a word, until there are no more. */
static int rounds(void *arg)
{
    struct side *side = arg;

    for (int i = 0; hear(side->ctl) == 'r'; i++) {
        if (side->which == SERVER)
            server_round(side);
        else
            client_round(side);
        side->pair->held[side->which][i < 2 ? i : 2] = held_at_rest();
        say(side->ctl, 'd');
    }
    return 0;
}

/* A process that runs fn(arg) on hob and ends with what it came to.  It keeps `keep` of the
 * descriptors from `first` on, and no other. */
static pid_t start(hob_fn fn, void *arg, int first, int keep)
{
    pid_t parent = getpid(), pid = fork();

    CHECK(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    for (int fd = first; fd < keep; fd++)
        close(fd);
    exit(-hob_run(NULL, fn, arg));
}

static int end_of(pid_t pid)
{
    int status;

    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void sides_start(struct side *side, int n_pairs, struct pair *pairs)
{
    int first = dup(STDERR_FILENO);

    close(first);
    for (int i = 0; i < n_pairs * 2; i++) {
        int ends[2];
        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        side[i] = (struct side){&pairs[i / 2], i / 2, i % 2 ? CLIENT : SERVER, ends[1], 0};
        side[i].pid = start(rounds, &side[i], first, ends[1]);
        close(ends[1]);
        side[i].ctl = ends[0];
    }
}

/* A word to all of a kind, and the answer of each: then all have got there. */
static void tell(struct side *side, int n_pairs, int which, char word)
{
    for (int i = which; i < n_pairs * 2; i += 2)
        CHECK(write(side[i].ctl, &word, 1) == 1);
}

static void await(struct side *side, int n_pairs, int which, char want)
{
    for (int i = which; i < n_pairs * 2; i += 2) {
        char word = 0;
        if (read(side[i].ctl, &word, 1) != 1 || word != want)
            t_fail(__FILE__, __LINE__, "%s %d ended, or said '%c' and not '%c'",
                   which == SERVER ? "server" : "client", i / 2, word ? word : '-', want);
    }
}

static void one_round(struct side *side, int n_pairs, int round, long at_once)
{
    long live = 0;

    for (int i = 0; i < n_pairs; i++) {
        side[2 * i].pair->round = round;
        side[2 * i].pair->n = (int)(at_once / n_pairs + (i < at_once % n_pairs));
    }
    tell(side, n_pairs, SERVER, 'r');
    await(side, n_pairs, SERVER, 'l');
    tell(side, n_pairs, CLIENT, 'r');
    await(side, n_pairs, CLIENT, 'o');
    for (int i = 0; i < n_pairs; i++)
        live += side[2 * i].pair->live;
    CHECK_INT(live, at_once);
    tell(side, n_pairs, CLIENT, 'c');
    await(side, n_pairs, CLIENT, 'd');
    await(side, n_pairs, SERVER, 'd');
    for (int i = 0; i < n_pairs; i++)
        CHECK_INT(side[2 * i].pair->live, 0);
}

static void check_held(const char *who, int number, const struct held held[3])
{
    long kept = held[2].rss - held[0].rss, grown = held[2].rss - held[1].rss;

    fprintf(stderr, "%s %d: RSS %.1f MB, %.1f after the first large round, %.1f at the end\n", who,
            number, (double)held[0].rss / 1e6, (double)held[1].rss / 1e6,
            (double)held[2].rss / 1e6);
    CHECK_INT(held[2].fds, held[0].fds);
    CHECK_INT(held[2].threads, held[0].threads);
    CHECK(SANITIZED || kept <= KEPT_MOST);
    CHECK(SANITIZED || grown <= GROWN_MOST);
}

static void a_million(const char *poll)
{
    static struct side side[2 * PAIRS_MAX];
    long all = soak_number("HOB_SOAK_CONNS", all_usual),
         at_once = soak_number("HOB_SOAK_AT_ONCE", at_once_usual),
         room = soak_descriptors() - SPARE_FDS, opened = 0, closed = 0;
    int n_pairs = (int)((at_once + room - 1) / room), large = (int)((all + at_once - 1) / at_once);
    struct pair *pairs = mmap(NULL, PAIRS_MAX * sizeof *pairs, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    t_timeout(600);
    setenv("HOB_POLL", poll, 1);
    CHECK(pairs != MAP_FAILED);
    CHECK(large >= 2 && large < ROUNDS_MAX);
    if (n_pairs > PAIRS_MAX)
        t_skip("%ld descriptors a process are too few for %ld connections", room, at_once);
    fprintf(stderr, "%s: %d rounds of %ld connections, %d pairs of processes\n", poll, large,
            at_once, n_pairs);
    sides_start(side, n_pairs, pairs);
    one_round(side, n_pairs, 0, FEW * n_pairs);
    for (int i = 1; i <= large; i++)
        one_round(side, n_pairs, i, at_once);
    for (int i = 0; i < n_pairs * 2; i++) {
        close(side[i].ctl);
        CHECK_INT(end_of(side[i].pid), 0);
        check_held(side[i].which == SERVER ? "server" : "client", side[i].number,
                   pairs[i / 2].held[side[i].which]);
    }
    for (int i = 0; i < n_pairs; i++) {
        opened += pairs[i].opened;
        closed += pairs[i].closed;
    }
    CHECK_INT(opened, at_once * large + FEW * n_pairs);
    CHECK_INT(closed, opened);
    munmap(pairs, PAIRS_MAX * sizeof *pairs);
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

TEST(a_million_connections_leave_nothing_on_uring)
{
    setenv("HOB_POLL", "uring", 1);
    int r = -end_of(start(nothing, NULL, 0, 0));
    if (r == -ENOSYS || r == -EPERM)
        t_skip("no io_uring here: %s", hob_strerror(r));
    a_million("uring");
}

TEST(a_million_connections_leave_nothing_on_epoll)
{
    a_million("epoll");
}
