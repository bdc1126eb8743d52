/* SPDX-License-Identifier: MIT */
#ifndef HOB_CMD_OPTION_H
#define HOB_CMD_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hob/base.h>

#include "lib/buf.h"

/*
 * The command line of a command, as a table
 * =========================================
 *
 *     struct option_list headers = {0};
 *     hob_dur timeout = 15 * HOB_SEC;
 *     int64_t concurrency = 50;
 *     const struct option options[] = {
 *         OPTION_INT('j', "concurrency", &concurrency, 1, 100000, "N", "requests at once (50)"),
 *         OPTION_DURATION(0, "timeout", &timeout, HOB_MS, OPTION_NO_MAX, "TIME",
 *                         "for a whole request (15s)"),
 *         OPTION_LIST('H', "header", &headers, "LINE", "a header to send"),
 *         OPTION_END,
 *     };
 *     const struct option_command command = {
 *         .name = "hob fetch", .usage = "hob fetch [OPTION]... [URL]...",
 *         .about = "Fetches URLs, many at once.", .options = options};
 *     struct option_args args;
 *     int status = option_start(&command, argc, argv, &args);
 *     if (status >= 0)
 *         return status;
 *
 * Options and operands may stand in any order; "--" ends the options.  -jN, -j N, --opt VALUE and
 * --opt=VALUE are the same, flags may be bundled (-kv), and -h or --help is there without a row.
 * A variable keeps what it was set to when its option is not given; the last one given counts.
 * A command that runs another one says so (runs_operands): the first operand ends the options, and
 * what follows belongs to the other command.
 */

enum option_kind {
    OPTION_IS_END,
    OPTION_IS_FLAG,
    OPTION_IS_STRING,
    OPTION_IS_LIST,
    OPTION_IS_INT,
    OPTION_IS_DURATION,
    OPTION_IS_SIZE,
};

struct option_list {
    const char **item; /* each points into argv */
    size_t n;
};

struct option {
    enum option_kind kind;
    char letter;       /* 0: only a long one */
    const char *name;  /* without its dashes */
    const char *value; /* what -h calls the value */
    const char *help;
    int64_t min, max;
    union {
        bool *flag;
        const char **string;
        struct option_list *list;
        int64_t *number; /* hob_dur too */
    } to;
};

#define OPTION_NO_MAX INT64_MAX

#define OPTION_FLAG(letter_, name_, to_, help_)                                                    \
    {                                                                                              \
        .kind = OPTION_IS_FLAG, .letter = letter_, .name = name_, .help = help_, .to.flag = to_    \
    }
#define OPTION_STRING(letter_, name_, to_, value_, help_)                                          \
    {                                                                                              \
        .kind = OPTION_IS_STRING, .letter = letter_, .name = name_, .value = value_,               \
        .help = help_, .to.string = to_                                                            \
    }
#define OPTION_LIST(letter_, name_, to_, value_, help_)                                            \
    {                                                                                              \
        .kind = OPTION_IS_LIST, .letter = letter_, .name = name_, .value = value_, .help = help_,  \
        .to.list = to_                                                                             \
    }
#define OPTION_NUMBER(kind_, letter_, name_, to_, min_, max_, value_, help_)                       \
    {                                                                                              \
        .kind = kind_, .letter = letter_, .name = name_, .value = value_, .help = help_,           \
        .min = min_, .max = max_, .to.number = to_                                                 \
    }
#define OPTION_INT(...)      OPTION_NUMBER(OPTION_IS_INT, __VA_ARGS__)
#define OPTION_DURATION(...) OPTION_NUMBER(OPTION_IS_DURATION, __VA_ARGS__)
#define OPTION_SIZE(...)     OPTION_NUMBER(OPTION_IS_SIZE, __VA_ARGS__)
#define OPTION_END                                                                                 \
    {                                                                                              \
        .kind = OPTION_IS_END                                                                      \
    }

struct option_command {
    const char *name;  /* "hob fetch": in front of every message */
    const char *usage; /* after "usage: "; a second form after "\n   or: " */
    const char *about; /* a paragraph for -h; NULL: none */
    const struct option *options;
    bool runs_operands;
};

struct option_args {
    const char **operand; /* each points into argv */
    size_t n;
};

/* option_parse's other answer: -h was given, print option_help and end with 0. */
enum { OPTION_HELP = 1, OPTION_STATUS_USAGE = 2 };

/**
 * option_parse - read a command line
 * @argv: as main has it; argv[0] is not looked at
 * @ret:  for option_free, as are the lists
 * @err:  takes the one line that says what is wrong, with no newline
 *
 * Return: 0, OPTION_HELP, -EINVAL, -ENOMEM.  Nothing needs freeing but after 0.
 */
int option_parse(const struct option_command *c, int argc, char *const argv[],
                 struct option_args *ret, struct buf *err);
void option_free(const struct option_command *c, struct option_args *args);

/** option_help - what -h prints */
void option_help(const struct option_command *c, struct buf *out);

/**
 * option_start - option_parse, and its answer printed
 *
 * Return: -1: go on; else the status to end with (0 after -h, OPTION_STATUS_USAGE).
 */
int option_start(const struct option_command *c, int argc, char *const argv[],
                 struct option_args *ret);

/** "250ms", "1.5s", "2m", "1h", "0": 0, or -EINVAL. */
int option_duration(const char *text, hob_dur *ret);
/** "4096", "10MiB", "1.5G" (powers of 1024), "10MB" (of 1000): 0, or -EINVAL. */
int option_size(const char *text, int64_t *ret);

#endif
