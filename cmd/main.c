/* SPDX-License-Identifier: MIT
 *
 * main.c - the tool: a table of commands
 */
#include <stdio.h>
#include <string.h>

#include <hob/base.h>

#include "cmd.h"
#include "lib/option.h"

static const struct command {
    const char *name, *about;
    int (*run)(int argc, char *const argv[]);
} commands[] = {
    {"crawl", "follow links: fetch concurrently, parse in parallel, store durably", cmd_crawl},
};

enum { N_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const struct command *command_find(const char *name)
{
    for (int i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void print_usage(FILE *to)
{
    fprintf(to, "usage: hob COMMAND [ARGUMENT]...\n"
                "   or: hob help COMMAND\n"
                "   or: hob --version\n\n");
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].about);
    fprintf(to, "\nhob COMMAND -h says more about one.\n");
}

static int unknown(const char *name)
{
    fprintf(stderr, "hob: '%s' is no command; hob -h lists them\n", name);
    return OPTION_STATUS_USAGE;
}

static int help(int argc, char *const argv[])
{
    char *const ask[] = {(char *)"hob", (char *)"-h", NULL};
    const struct command *c;

    if (argc < 2) {
        print_usage(stdout);
        return 0;
    }
    c = command_find(argv[1]);
    return c ? c->run(2, ask) : unknown(argv[1]);
}

int main(int argc, char *argv[])
{
    const char *name = argc > 1 ? argv[1] : NULL;
    const struct command *c;

    if (!name) {
        print_usage(stderr);
        return OPTION_STATUS_USAGE;
    }
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0)
        return help(1, argv);
    if (strcmp(name, "--version") == 0) {
        printf("hob %s\n", hob_version());
        return 0;
    }
    if (strcmp(name, "help") == 0)
        return help(argc - 1, argv + 1);
    c = command_find(name);
    return c ? c->run(argc - 1, argv + 1) : unknown(name);
}
