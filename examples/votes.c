/* SPDX-License-Identifier: MIT
 *
 * votes.c - a server and its clients, with two mistakes that a real network hardly ever shows
 *
 * Voters connect, send a line, and wait for thanks; every vote shall count, and none twice.
 * docs/simulation.md finds what is wrong.
 *
 *     votes           one read is one message: it is not
 *     votes lines     reads lines; a connection that breaks loses a vote
 *     votes fixed     asks again until there are thanks, and counts nobody twice
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <hob/hob.h>

enum { VOTERS = 5 };

static struct {
    bool lines, again;
    hob_addr at;
    hob_group hall; /* a fiber a connection */
    bool seen[VOTERS];
    int counted;
} poll;

static void count(const char *line)
{
    int voter;

    if (sscanf(line, "vote %d", &voter) != 1 || voter < 0 || voter >= VOTERS)
        return;
    if (poll.again && poll.seen[voter])
        return; /* the thanks for it were lost on their way */
    poll.seen[voter] = true;
    poll.counted++;
}

/* The first mistake: bytes come as they come, half a line or two. */
static void hear_reads(int fd)
{
    char line[64];
    ssize_t n;

    while ((n = hob_read(fd, line, sizeof line - 1, HOB_FOREVER)) > 0) {
        line[n] = '\0';
        count(line);
        if (hob_write(fd, "thanks\n", 7, HOB_FOREVER) != 7)
            return;
    }
}

static void hear_lines(int fd)
{
    const char *line;
    char copy[64];
    hob_reader *in;
    size_t n;

    if (hob_reader_new(fd, NULL, &in) < 0)
        return;
    while (hob_reader_read_line(in, HOB_FOREVER, &line, &n) == 1) {
        snprintf(copy, sizeof copy, "%.*s", (int)n, line);
        count(copy);
        if (hob_write(fd, "thanks\n", 7, HOB_FOREVER) != 7)
            break;
    }
    hob_reader_free(in);
}

static int hear(void *arg)
{
    int fd = (int)(intptr_t)arg;

    if (poll.lines)
        hear_lines(fd);
    else
        hear_reads(fd);
    hob_close(fd);
    return 0;
}

static int serve(void *arg)
{
    int listener = *(int *)arg, r = 0;

    while (r >= 0) {
        r = hob_tcp_accept(listener, HOB_FOREVER);
        if (r == -EMFILE || r == -ECONNABORTED)
            r = hob_sleep(10 * HOB_MS); /* it passes */
        else if (r >= 0)
            r = hob_go(&poll.hall, hear, (void *)(intptr_t)r);
    }
    return r;
}

/* 0: there were thanks. */
static int vote(int voter)
{
    char text[16];
    ssize_t r;
    int n = snprintf(text, sizeof text, "vote %d\n", voter);
    int fd = hob_tcp_dial(&poll.at, HOB_FOREVER);

    if (fd < 0)
        return fd;
    r = hob_write(fd, text, (size_t)n, HOB_FOREVER);
    r = r == n ? hob_read(fd, text, sizeof text, HOB_FOREVER) : -EIO;
    hob_close(fd);
    return r > 0 ? 0 : -EIO;
}

/* The second mistake: without `again` a voter whose connection breaks goes home. */
static int voter(void *arg)
{
    int id = (int)(intptr_t)arg, r = vote(id);

    while (r < 0 && poll.again && hob_sleep(10 * HOB_MS) == 0)
        r = vote(id);
    return 0;
}

static int vote_all(void)
{
    hob_group voters;
    int r = hob_group_open(&voters, HOB_GROUP_OPTS(.name = "voters"));

    for (intptr_t i = 0; i < VOTERS && r == 0; i++)
        r = hob_go(&voters, voter, (void *)i);
    return hob_group_join(&voters, r);
}

static int election(void *arg)
{
    int listener, r = hob_addr_parse("127.0.0.1", 0, &poll.at);

    (void)arg;
    if (r < 0 || (r = listener = hob_tcp_listen(&poll.at, 0)) < 0)
        return r;
    r = hob_sock_addr(listener, &poll.at);
    if (r == 0)
        r = hob_group_open(&poll.hall, HOB_GROUP_OPTS(.name = "hall"));
    if (r == 0) {
        r = hob_go(&poll.hall, serve, &listener);
        if (r == 0)
            r = vote_all();
        (void)!hob_group_join(&poll.hall, -ECANCELED); /* the polls are closed */
    }
    hob_close(listener);
    hob_always(r < 0 || poll.counted == VOTERS, "every vote counts, and once");
    return r;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    int r;

    poll.again = strcmp(how, "fixed") == 0;
    poll.lines = poll.again || strcmp(how, "lines") == 0;
    r = hob_run(NULL, election, NULL);
    if (r < 0)
        fprintf(stderr, "votes: %s\n", hob_strerror(r));
    else
        printf("%d of %d votes\n", poll.counted, VOTERS);
    return r < 0;
}
