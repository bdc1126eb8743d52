/* SPDX-License-Identifier: MIT
 *
 * torture_io.h - a scene like those of torture_scenes.h: datagrams, descriptors in messages, pipes,
 * splices, directories, readers and writers
 */
#ifndef TORTURE_IO_H
#define TORTURE_IO_H

#include <hob/hob.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/t.h"

struct io_scene {
    int dgram[2], stream[2], pipe[2], file;
    char dir[32], path[64];
};

/* A datagram that brings a descriptor, and one that does not. */
static int io_receives(void *arg)
{
    struct io_scene *s = arg;
    int fds[2];
    size_t n = 0;
    char c[4];
    ssize_t r = hob_unix_recv_fds(s->dgram[0], c, sizeof c, 2, HOB_FOREVER, fds, &n);

    for (size_t i = 0; i < n; i++)
        hob_close(fds[i]);
    CHECK(r < 0 || n == 1);
    if (r >= 0)
        r = hob_dgram_recv(s->dgram[0], c, sizeof c, HOB_FOREVER, NULL, NULL);
    return r < 0 ? (int)r : 0;
}

static int io_sends(void *arg)
{
    struct io_scene *s = arg;
    ssize_t r = hob_yield();

    if (r == 0)
        r = hob_unix_send_fds(s->dgram[1], "fd", 2, &s->file, 1, HOB_FOREVER);
    if (r >= 0)
        r = hob_dgram_send(s->dgram[1], "", 0, NULL, HOB_FOREVER);
    return r < 0 ? (int)r : 0;
}

/* file -> pipe -> socket; the reader of lines at its end. */
static int io_first(void *arg)
{
    struct io_scene *s = arg;
    ssize_t r = hob_fd_splice(s->file, 0, s->pipe[1], -1, SIZE_MAX, HOB_FOREVER);

    hob_close(s->pipe[1]);
    s->pipe[1] = -1;
    return r < 0 ? (int)r : 0;
}

static int io_second(void *arg)
{
    struct io_scene *s = arg;
    ssize_t r = hob_fd_splice(s->pipe[0], -1, s->stream[1], -1, SIZE_MAX, HOB_FOREVER);

    hob_close(s->stream[1]);
    s->stream[1] = -1;
    return r < 0 ? (int)r : 0;
}

static int io_lines(void *arg)
{
    struct io_scene *s = arg;
    hob_reader *in;
    const char *p;
    size_t n;
    int r = hob_reader_new(s->stream[0], HOB_READER_OPTS(.ahead = true), &in), lines = 0;

    if (r < 0)
        return r;
    while ((r = hob_reader_read_line(in, HOB_FOREVER, &p, &n)) == 1)
        lines++;
    CHECK(lines <= 600);
    int stopped = hob_reader_stop(in); /* whatever is cancelled */
    CHECK(stopped == 0 || stopped == -ENOMEM);
    hob_reader_free(in);
    return r;
}

static ssize_t io_file_write(void *arg, const void *buf, size_t n, hob_time until)
{
    off_t *at = (off_t *)arg;
    ssize_t r = hob_file_write((int)at[1], buf, n, at[0], until);

    at[0] += r > 0 ? r : 0;
    return r;
}

/* Lines enough for a reader's block to grow. */
static int io_fill(struct io_scene *s)
{
    off_t at[2] = {0, s->file};
    hob_writer *out;
    int r =
        hob_writer_new(-1, HOB_WRITER_OPTS(.write = io_file_write, .arg = at, .bytes = 1000), &out);

    if (r < 0)
        return r;
    for (int i = 0; i < 600 && r >= 0; i++)
        r = hob_writer_print(out, HOB_FOREVER, "%*d\n", i == 300 ? 900 : 10, i);
    if (r >= 0)
        r = hob_writer_flush(out, HOB_FOREVER);
    hob_writer_free(out);
    return r;
}

static int io_names(struct io_scene *s)
{
    struct stat st;
    hob_dir_entry e;
    hob_dir *d;
    int r = hob_dir_open(s->dir, HOB_FOREVER, &d), n = 0;

    if (r < 0)
        return r;
    while ((r = hob_dir_read(d, HOB_FOREVER, &e)) == 1)
        n++;
    hob_dir_close(d);
    CHECK(r < 0 || n == 1);
    return r < 0 ? r : hob_file_stat(s->path, HOB_FOREVER, &st);
}

static int io_together(struct io_scene *s)
{
    static const hob_fn fns[] = {io_receives, io_sends, io_first, io_second, io_lines};
    hob_group g;
    int r = hob_group_open(&g, NULL);

    for (size_t i = 0; i < sizeof fns / sizeof fns[0] && r == 0; i++)
        r = hob_go(&g, fns[i], s);
    return hob_group_join(&g, r);
}

static int scene_io(void *arg)
{
    struct io_scene s = {.dir = "/tmp/hob-torture-io-XXXXXX", .file = -1};
    int r;

    (void)arg;
    CHECK(mkdtemp(s.dir) != NULL);
    snprintf(s.path, sizeof s.path, "%s/f", s.dir);
    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s.dgram), 0);
    CHECK_INT(hob_unix_pair(s.stream), 0);
    CHECK_INT(hob_pipe_open(HOB_PIPE_OPTS(.bytes = 4096), s.pipe), 0);
    r = s.file = hob_file_open(s.path, O_CREAT | O_RDWR, 0600, HOB_FOREVER);
    if (r >= 0)
        r = io_fill(&s);
    if (r >= 0)
        r = io_names(&s);
    if (r >= 0)
        r = io_together(&s);
    for (int i = 0; i < 2; i++) {
        hob_close(s.dgram[i]);
        hob_close(s.stream[i]);
        hob_close(s.pipe[i]);
    }
    hob_close(s.file);
    unlink(s.path);
    rmdir(s.dir);
    return r < 0 ? r : 0;
}

#endif
