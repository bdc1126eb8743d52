/* SPDX-License-Identifier: MIT */
#include "lib/option.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/t.h"

static bool insecure, verbose;
static const char *data;
static struct option_list headers;
static int64_t concurrency = 50, size_max = 1 << 20, offset;
static hob_dur timeout = 15 * HOB_SEC;

static const struct option options[] = {
    OPTION_INT('j', "concurrency", &concurrency, 1, 100000, "N", "requests at once (50)"),
    OPTION_DURATION(0, "timeout", &timeout, HOB_MS, OPTION_NO_MAX, "TIME",
                    "for the whole request, connecting, sending and receiving, all redirects "
                    "included (15s)"),
    OPTION_LIST('H', "header", &headers, "LINE", "a header to send"),
    OPTION_STRING(0, "data-with-a-very-long-name", &data, "TEXT", "what to send"),
    OPTION_SIZE(0, "max-size", &size_max, 1, (int64_t)1 << 30, "SIZE", "of one answer (1MiB)"),
    OPTION_INT(0, "offset", &offset, -10, 10, "N", "where to start"),
    OPTION_FLAG('k', "insecure", &insecure, "accept any certificate"),
    OPTION_FLAG('v', "verbose", &verbose, "say more"),
    OPTION_END,
};
static const struct option_command command = {
    .name = "hob fetch",
    .usage = "hob fetch [OPTION]... [URL]...",
    .about = "Fetches URLs, many at once, and says how long each took and what one after another "
             "would have cost.",
    .options = options,
};

/* `line` split at spaces, as a shell would; returns what option_parse does. */
static int parse(const char *line, struct option_args *args, char *err, size_t cap)
{
    static char copy[256];
    char *argv[32] = {copy}, *rest = copy;
    struct buf text = {0};
    int argc = 1;

    snprintf(copy, sizeof copy, "%s", line);
    while (rest && *rest)
        argv[argc++] = strsep(&rest, " ");
    int r = option_parse(&command, argc, argv, args, &text);
    snprintf(err, cap, "%s", text.p ? text.p : "");
    buf_free(&text);
    return r;
}

TEST(options_and_operands_in_any_order)
{
    struct option_args args;
    char err[256];

    CHECK_INT(parse("a -j9 --timeout 250ms -H X:1 b --header=Y:=2 -kv - -- -j --x", &args, err,
                    sizeof err),
              0);
    CHECK_STR(err, "");
    CHECK_INT(concurrency, 9);
    CHECK_INT(timeout, 250 * HOB_MS);
    CHECK(insecure && verbose && data == NULL);
    CHECK_INT(headers.n, 2);
    CHECK_STR(headers.item[0], "X:1");
    CHECK_STR(headers.item[1], "Y:=2");
    CHECK_INT(args.n, 5);
    CHECK_STR(args.operand[0], "a");
    CHECK_STR(args.operand[1], "b");
    CHECK_STR(args.operand[2], "-");
    CHECK_STR(args.operand[3], "-j");
    CHECK_STR(args.operand[4], "--x");
    option_free(&command, &args);
    CHECK(headers.n == 0 && headers.item == NULL);
}

TEST(values_may_be_apart_or_attached)
{
    struct option_args args;
    char err[256];

    CHECK_INT(parse("-kj 7 --max-size=10MiB --data-with-a-very-long-name= --offset -3 -j 8", &args,
                    err, sizeof err),
              0);
    CHECK_INT(concurrency, 8);
    CHECK_INT(size_max, 10 << 20);
    CHECK_INT(offset, -3);
    CHECK_STR(data, "");
    CHECK(insecure && !verbose);
    CHECK_INT(args.n, 0);
    option_free(&command, &args);
}

TEST(a_mistake_is_one_clear_line)
{
    static const struct {
        const char *line, *err;
    } cases[] = {
        {"--timeout abc", "--timeout: 'abc' is not a duration (like 250ms, 15s)"},
        {"--timeout 5", "--timeout: '5' is not a duration (like 250ms, 15s)"},
        {"--timeout=1us", "--timeout: 1us is not at least 1ms"},
        {"-jx", "-j: 'x' is not a whole number"},
        {"-j 1.5", "-j: '1.5' is not a whole number"},
        {"-j 99999999999999999999", "-j: '99999999999999999999' is not a whole number"},
        {"--concurrency 0", "--concurrency: 0 is not between 1 and 100000"},
        {"--max-size 2GiB", "--max-size: 2GiB is not between 1 and 1G"},
        {"--max-size 1X", "--max-size: '1X' is not a size (like 512K, 10MiB)"},
        {"--offset 11", "--offset: 11 is not between -10 and 10"},
        {"--insecure=yes", "--insecure: takes no value"},
        {"--timeout", "--timeout: needs a value"},
        {"a -kj", "-j: needs a value"},
        {"--tim 5s", "unknown option --tim ('hob fetch -h' lists them)"},
        {"--tim=5s", "unknown option --tim=5s ('hob fetch -h' lists them)"},
        {"-x", "unknown option -x ('hob fetch -h' lists them)"},
        {"-kx", "unknown option -kx ('hob fetch -h' lists them)"},
        {"---", "unknown option --- ('hob fetch -h' lists them)"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct option_args args;
        char err[256];
        CHECK_INT(parse(cases[i].line, &args, err, sizeof err), -EINVAL);
        CHECK(strncmp(err, "hob fetch: ", 11) == 0);
        CHECK_STR(err + 11, cases[i].err);
    }
    /* What a list had taken before the mistake is given back. */
    struct option_args args;
    char err[256];
    CHECK_INT(parse("-H a -H b -j x", &args, err, sizeof err), -EINVAL);
    CHECK(headers.item == NULL);
}

TEST(help_is_written_from_the_table)
{
    static const char want[] =
        "usage: hob fetch [OPTION]... [URL]...\n"
        "\n"
        "Fetches URLs, many at once, and says how long each took and what one after\n"
        "another would have cost.\n"
        "\n"
        "  -j, --concurrency N       requests at once (50)\n"
        "      --timeout TIME        for the whole request, connecting, sending and\n"
        "                            receiving, all redirects included (15s)\n"
        "  -H, --header LINE         a header to send\n"
        "      --data-with-a-very-long-name TEXT\n"
        "                            what to send\n"
        "      --max-size SIZE       of one answer (1MiB)\n"
        "      --offset N            where to start\n"
        "  -k, --insecure            accept any certificate\n"
        "  -v, --verbose             say more\n"
        "  -h, --help                this text\n";
    struct option_args args;
    struct buf text = {0};
    char err[256];

    option_help(&command, &text);
    CHECK_STR(text.p, want);
    buf_free(&text);
    CHECK_INT(parse("-H x -h --nonsense", &args, err, sizeof err), OPTION_HELP);
    CHECK_INT(parse("x --help", &args, err, sizeof err), OPTION_HELP);
    CHECK(headers.item == NULL);
}

TEST(start_gives_the_status_to_end_with)
{
    char name[] = "hob", unknown[] = "--bad", ask[] = "-h", operand[] = "a";
    char *bad[] = {name, unknown}, *help[] = {name, ask}, *good[] = {name, operand};
    struct option_args args;

    CHECK_INT(option_start(&command, 2, bad, &args), 2);
    CHECK_INT(option_start(&command, 2, help, &args), 0);
    CHECK_INT(option_start(&command, 2, good, &args), -1);
    CHECK_INT(args.n, 1);
    option_free(&command, &args);
}

TEST(durations_and_sizes_are_exact)
{
    static const struct {
        const char *text;
        int64_t want; /* -1: not one */
    } durations[] =
        {
            {"0", 0},
            {"0s", 0},
            {"250ms", 250 * HOB_MS},
            {"1.5s", 1500 * HOB_MS},
            {"2m", 2 * HOB_MIN},
            {"2min", 2 * HOB_MIN},
            {"1h", 60 * HOB_MIN},
            {"0.1s", 100 * HOB_MS},
            {"0.0000000001s", 0},
            {"1.99999999999999999999999999999999999999999999999999s", 1999999999},
            {"9223372036s", 9223372036 * HOB_SEC},
            {"9223372037s", -1},
            {"99999999999999999999999h", -1},
            {"", -1},
            {"s", -1},
            {"1", -1},
            {"1.s", -1},
            {".5s", -1},
            {"-1s", -1},
            {"1 s", -1},
            {"1S", -1},
            {"1ss", -1},
        },
      sizes[] = {
          {"0", 0},          {"7", 7},
          {"7B", 7},         {"1K", 1024},
          {"1KiB", 1024},    {"1kB", 1000},
          {"1.5M", 3 << 19}, {"10MB", 10000000},
          {"1G", 1 << 30},   {"8388607T", 8388607LL << 40},
          {"8388608T", -1},  {"1k", -1},
          {"1 K", -1},       {"K", -1},
          {"1.5", 1},
      };

    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        int64_t got = -2;
        int r = option_duration(durations[i].text, &got);
        CHECK_INT(r, durations[i].want < 0 ? -EINVAL : 0);
        CHECK_INT(got, durations[i].want < 0 ? -2 : durations[i].want);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t got = -2;
        int r = option_size(sizes[i].text, &got);
        CHECK_INT(r, sizes[i].want < 0 ? -EINVAL : 0);
        CHECK_INT(got, sizes[i].want < 0 ? -2 : sizes[i].want);
    }
}

TEST(options_end_at_the_command_to_run)
{
    bool flag = false;
    const char *text = NULL;
    const struct option few[] = {
        OPTION_FLAG('k', "keep", &flag, "keep it"),
        OPTION_STRING('o', "output", &text, "FILE", "where to"),
        OPTION_END,
    };
    const struct option_command runs = {
        .name = "hob run", .usage = "hob run CMD", .options = few, .runs_operands = true};
    const char *const argv[] = {"run", "-o", "x", "cc", "-k", "-o", "--", "-h", NULL};
    const char *const dashes[] = {"run", "--", "-k", "-h", NULL};
    struct option_args args;
    struct buf err = {0};

    CHECK_INT(option_parse(&runs, 8, (char *const *)argv, &args, &err), 0);
    CHECK_INT(args.n, 5);
    CHECK_STR(args.operand[0], "cc");
    CHECK_STR(args.operand[3], "--");
    CHECK_STR(args.operand[4], "-h");
    CHECK(!args.operand[5]); /* as exec wants it */
    CHECK(!flag);
    CHECK_STR(text, "x");
    option_free(&runs, &args);
    CHECK_INT(option_parse(&runs, 4, (char *const *)dashes, &args, &err), 0);
    CHECK_INT(args.n, 2);
    CHECK_STR(args.operand[0], "-k");
    CHECK(!flag);
    option_free(&runs, &args);
    buf_free(&err);
}
