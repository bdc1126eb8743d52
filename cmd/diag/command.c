/* SPDX-License-Identifier: MIT
 *
 * command.c - the command that is recorded: its words, and the file that they run
 *
 * HOW         A process's file is read from /proc while it lives.  One that is over sooner has
 * still been found by exec, along PATH, and the same can be done again.
 */
#include "diag/command.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diag/procfs.h"

/* The arguments of a program that runs, which lie in memory with a NUL behind each. */
static void words_read(pid_t pid, struct buf *text)
{
    char line[1024];
    int n = procfs_read(line, sizeof line, "/proc/%d/cmdline", pid);

    for (int i = 0; i + 1 < n; i++)
        if (line[i] == '\0')
            line[i] = ' ';
    if (n > 0)
        buf_puts(text, line);
}

void command_note(struct recording *rec, char *const *argv, pid_t pid)
{
    struct buf text = {0};

    for (char *const *a = argv; a && *a; a++)
        buf_printf(&text, "%s%s", a == argv ? "" : " ", *a);
    if (!argv)
        words_read(pid, &text);
    if (text.len > 0 && buf_error(&text) == 0)
        rec_set_text(rec, &rec->command, text.p);
    buf_free(&text);
}

static bool may_run(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* One that may be run and not read is none: its interpreter would have to read it. */
static bool is_script(const char *path)
{
    char first[2] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool is = fd >= 0 && read(fd, first, sizeof first) == sizeof first && first[0] == '#' &&
              first[1] == '!';

    if (fd >= 0)
        close(fd);
    return is;
}

static void file_put(const char *path, struct buf *to)
{
    char whole[PATH_MAX];

    if (may_run(path) && !is_script(path) && realpath(path, whole))
        buf_puts(to, whole);
}

void command_file(const char *name, struct buf *to)
{
    const char *path = getenv("PATH");
    struct buf at = {0};
    bool done = strchr(name, '/') || !*name;

    if (done)
        file_put(name, to);
    if (!path)
        path = "/bin:/usr/bin"; /* as exec has it */
    while (!done) {
        size_t n = strcspn(path, ":");

        buf_reset(&at);
        buf_printf(&at, "%.*s%s%s", (int)n, path, n ? "/" : "", name);
        if (buf_error(&at) == 0 && may_run(at.p)) {
            file_put(at.p, to);
            break;
        }
        done = path[n] == '\0';
        path += n + 1;
    }
    buf_free(&at);
}

void command_file_note(struct recording *rec, const char *name)
{
    struct buf file = {0};

    for (size_t i = 0; i < rec->n_procs; i++)
        if (rec->procs[i].pid == rec->root && !*rec->procs[i].exe) {
            buf_reset(&file);
            command_file(name, &file);
            if (file.len > 0 && buf_error(&file) == 0)
                rec_set_text(rec, &rec->procs[i].exe, file.p);
        }
    buf_free(&file);
}
