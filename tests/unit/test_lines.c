/* SPDX-License-Identifier: MIT */
#include "lib/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <hob/hob.h>

#include "lib/t.h"

/* Everything a file's lines come to, one after another: "1:first|3:second|". */
struct reading {
    const char *text;
    size_t n;
    struct buf got;
    int r;
};

static int read_all(void *arg)
{
    struct reading *rd = arg;
    char path[] = "/tmp/test_lines_XXXXXX";
    struct lines l;
    const char *line;
    int fd = mkstemp(path);

    CHECK(fd >= 0 && write(fd, rd->text, rd->n) == (ssize_t)rd->n);
    close(fd);
    CHECK_INT(lines_open(path, &l), 0);
    unlink(path);
    while ((rd->r = lines_next(&l, &line)) != 0 && rd->r != -EISDIR) {
        buf_printf(&rd->got, "%zu:", l.number);
        if (rd->r < 0)
            buf_printf(&rd->got, "%s %zu|", rd->r == -EMSGSIZE ? "long" : "nul", strlen(line));
        else
            buf_printf(&rd->got, "%s|", line);
    }
    CHECK_INT(lines_next(&l, &line), 0); /* the end stays the end */
    lines_close(&l);
    return 0;
}

static void check_text(const char *text, size_t n, const char *want)
{
    struct reading rd = {.text = text, .n = n};

    CHECK_INT(hob_run(NULL, read_all, &rd), 0);
    CHECK_STR(rd.got.len ? rd.got.p : "", want);
    buf_free(&rd.got);
}

TEST(lines_are_counted_trimmed_and_passed_over_when_they_say_nothing)
{
    static const char text[] = "\xef\xbb\xbf  a b \r\n\n\t\n#c\n #d\n\xef\xbb\xbf\nlast";

    check_text(text, sizeof text - 1, "1:a b|6:\xef\xbb\xbf|7:last|");
    check_text("", 0, "");
    check_text("\n\n", 2, "");
    check_text("x\n", 2, "1:x|");
    check_text("x", 1, "1:x|");
    check_text("a\0b\nc\n", 6, "1:nul 1|2:c|");
}

TEST(a_line_that_is_too_long_is_told_once_and_the_next_is_whole)
{
    static const size_t lengths[] = {LINES_LONGEST, LINES_LONGEST + 1, 32768, 32769, 100000,
                                     3000000};

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (int ended = 0; ended < 2; ended++) {
            struct buf text = {0};
            buf_puts(&text, "a\n");
            char *to = buf_room(&text, lengths[i]);
            CHECK(to);
            memset(to, 'x', lengths[i]);
            text.len += lengths[i];
            buf_puts(&text, ended ? "" : "\nb\n");
            if (i == 0) { /* just short enough: told by its length */
                struct buf want = {0};
                buf_puts(&want, "1:a|2:");
                buf_add(&want, text.p + 2, LINES_LONGEST);
                buf_puts(&want, ended ? "|" : "|3:b|");
                check_text(text.p, text.len, want.p);
                buf_free(&want);
            } else {
                check_text(text.p, text.len, ended ? "1:a|2:long 16384|" : "1:a|2:long 16384|3:b|");
            }
            buf_free(&text);
        }
    }
}

static int write_slowly(void *arg)
{
    static const char text[] = "one\ntwo\nthree";
    int fd = *(int *)arg;

    for (size_t i = 0; i < sizeof text - 1; i++) {
        CHECK_INT(hob_write(fd, text + i, 1, HOB_FOREVER), 1);
        CHECK_INT(hob_yield(), 0);
    }
    hob_close(fd);
    return 0;
}

static int read_pipe(void *unused)
{
    static const char *const want[] = {"one", "two", "three"};
    struct lines l;
    const char *line;
    char path[32];
    int fds[2];
    hob_group g;

    (void)unused;
    CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fds[0]);
    CHECK_INT(lines_open(path, &l), 0);
    close(fds[0]);
    CHECK_INT(hob_group_open(&g, NULL), 0);
    CHECK_INT(hob_go(&g, write_slowly, &fds[1]), 0);
    for (size_t i = 0; i < 3; i++) {
        CHECK_INT(lines_next(&l, &line), 1);
        CHECK_STR(line, want[i]);
    }
    CHECK_INT(lines_next(&l, &line), 0);
    lines_close(&l);
    return hob_group_join(&g, 0);
}

TEST(a_pipe_is_read_as_it_is_written_while_other_fibers_run)
{
    CHECK_INT(hob_run(NULL, read_pipe, NULL), 0);
}

static int read_folder(void *unused)
{
    struct lines l;
    const char *line;

    (void)unused;
    CHECK_INT(lines_open("/tmp", &l), 0);
    CHECK_INT(lines_next(&l, &line), -EISDIR);
    lines_close(&l);
    CHECK_INT(lines_open("/nonexistent/x", &l), -ENOENT);
    return 0;
}

TEST(what_cannot_be_read_says_why)
{
    CHECK_INT(hob_run(NULL, read_folder, NULL), 0);
}
