/* SPDX-License-Identifier: MIT
 *
 * test_command.c - the file that a command's first word runs
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diag/command.h"
#include "diag_util.h"

static char folder[] = "/tmp/hob-command-XXXXXX";

static void file_make(const char *name, const char *text, mode_t mode)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *to = fopen(path, "we");
    CHECK(to != NULL);
    fputs(text, to);
    CHECK_INT(fclose(to), 0);
    CHECK_INT(chmod(path, mode), 0);
}

static void folder_make(void)
{
    char path[128];

    CHECK(mkdtemp(folder) != NULL);
    file_make("program", "\177ELF", 0755);
    file_make("script", "#!/bin/sh\n", 0755);
    file_make("plain", "\177ELF", 0644);
    snprintf(path, sizeof path, "%s/inner", folder);
    CHECK_INT(mkdir(path, 0755), 0);
    snprintf(path, sizeof path, "%s/link", folder);
    CHECK_INT(symlink("program", path), 0);
}

static void folder_remove(void)
{
    static const char *const names[] = {"program", "script", "plain", "link"};
    char path[128];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/inner", folder);
    rmdir(path);
    rmdir(folder);
}

/* What is found: "" or the name of a file in the folder. */
static void check_file(const char *name, const char *want)
{
    char whole[PATH_MAX] = "", path[PATH_MAX + 16] = "";
    struct buf found = {0};

    CHECK(realpath(folder, whole) != NULL);
    if (*want)
        snprintf(path, sizeof path, "%s/%s", whole, want);
    command_file(name, &found);
    CHECK_STR(found.p ? found.p : "", path);
    buf_free(&found);
}

TEST(a_file_is_found_as_exec_finds_it)
{
    char path[128];

    folder_make();
    snprintf(path, sizeof path, "/nonexistent:%s", folder);
    setenv("PATH", path, 1);
    check_file("program", "program");
    check_file("link", "program"); /* no link on the way */
    check_file("script", "");      /* its interpreter is what runs */
    check_file("plain", "");
    check_file("inner", "");
    check_file("none", "");
    check_file("", "");
    snprintf(path, sizeof path, "%s/link", folder);
    check_file(path, "program");
    setenv("PATH", "", 1); /* here */
    CHECK_INT(chdir(folder), 0);
    check_file("program", "program");
    check_file("./program", "program");
    CHECK_INT(chdir("/"), 0);
    folder_remove();
}

TEST(a_file_that_proc_told_stays)
{
    struct recording r;
    char path[128];

    folder_make();
    snprintf(path, sizeof path, "%s/program", folder);
    made_open(&r, 1);
    r.root = 10;
    made_thread(&r, 10, 10, 0, "");
    made_thread(&r, 11, 11, 10, ""); /* of a child it is not known what it ran */
    command_file_note(&r, path);
    CHECK(strstr(r.procs[0].exe, "/program") != NULL);
    CHECK_STR(r.procs[1].exe, "");
    rec_set_text(&r, &r.procs[0].exe, "/usr/bin/other");
    command_file_note(&r, path);
    CHECK_STR(r.procs[0].exe, "/usr/bin/other");
    rec_free(&r);
    folder_remove();
}

TEST(the_words_are_those_given_or_those_of_the_process)
{
    char first[] = "a", second[] = "b c";
    char *argv[] = {first, second, NULL};
    struct recording r;

    made_open(&r, 1);
    command_note(&r, argv, 0);
    CHECK_STR(r.command, "a b c");
    command_note(&r, NULL, getpid());
    CHECK(strstr(r.command, "command") != NULL);
    rec_free(&r);
}
