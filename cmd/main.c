/* SPDX-License-Identifier: MIT
 *
 * main.c - the hob tool: finds the command and runs it
 */
#include <stdio.h>
#include <string.h>

#include <hob/hob.h>

#include "cmd.h"

static const struct command {
    const char *name;
    command_fn *run; /* NULL: hob-net has it */
    const char *about;
} commands[] = {
    {"crawl", NULL, "follow links: fetch concurrently, parse in parallel, store durably"},
    {"diagnose", cmd_diagnose, "run a command, and say what it waits for and what would help"},
    {"fetch", NULL, "fetch URLs, many at once"},
    {"timeline", cmd_timeline, "draw a recording: who ran when, and what the others waited for"},
    {"top", cmd_top, "watch a running program's loops, pool and tasks"},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands, NAME_MAX_LEN = 24 };

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void put_help(FILE *to)
{
    fputs("usage: hob COMMAND [ARGUMENT]...\n"
          "   or: hob help [COMMAND]\n"
          "   or: hob --version\n\n",
          to);
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-10s  %s\n", commands[i].name, commands[i].about);
    fputs("\n'hob COMMAND -h' says more about one of them.\n", to);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters to insert, drop, change or swap with their neighbour to make one the other. */
static size_t distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b), d[NAME_MAX_LEN + 1][NAME_MAX_LEN + 1];

    if (na > NAME_MAX_LEN || nb > NAME_MAX_LEN)
        return NAME_MAX_LEN;
    for (size_t i = 0; i <= na; i++)
        for (size_t j = 0; j <= nb; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            d[i][j] = least(d[i - 1][j - 1] + (a[i - 1] != b[j - 1]),
                            least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[na][nb];
}

static int unknown(const char *name)
{
    const struct command *best = NULL;
    size_t best_distance = 3; /* further away it is no slip of the finger */

    for (size_t i = 0; i < N_COMMANDS; i++) {
        size_t far = distance(name, commands[i].name);
        if (far < best_distance) {
            best_distance = far;
            best = &commands[i];
        }
    }
    fprintf(stderr, "hob: unknown command '%s'", name);
    if (best)
        fprintf(stderr, "; did you mean '%s'?\n", best->name);
    else
        fputs(" ('hob -h' lists them)\n", stderr);
    return STATUS_USAGE;
}

static int start(const struct command *c, int argc, char *const argv[])
{
    return c->run ? c->run(argc - 1, argv + 1) : net_start(argv);
}

/* "hob help fetch" is "hob fetch -h". */
static int help(const char *name)
{
    char *const asked[] = {(char *)"hob", (char *)name, (char *)"-h", NULL};
    const struct command *c = name ? find(name) : NULL;

    if (c)
        return start(c, 3, asked);
    if (name)
        return unknown(name);
    put_help(stdout);
    return STATUS_DONE;
}

static int run(int argc, char *const argv[])
{
    const char *name = argc > 1 ? argv[1] : "";
    const struct command *c = find(name);

    if (c)
        return start(c, argc, argv);
    if (strcmp(name, "help") == 0)
        return help(argc > 2 ? argv[2] : NULL);
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0)
        return help(NULL);
    if (strcmp(name, "--version") == 0) {
        printf("hob %s\n", hob_version());
        return STATUS_DONE;
    }
    if (argc > 1)
        return unknown(name);
    put_help(stderr);
    return STATUS_USAGE;
}

int main(int argc, char *argv[])
{
    return tool_main(argc, argv, run);
}
