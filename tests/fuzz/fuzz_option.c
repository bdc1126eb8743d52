/* SPDX-License-Identifier: MIT
 *
 * fuzz_option.c - words, NUL between them: as a command's own line, and as one that it runs
 */
#include <errno.h>
#include <string.h>

#include "diag/verify_knob.h"
#include "fuzz/fuzz.h"
#include "lib/option.h"

enum { WORDS = 16, KNOBS = 16 };

static void check_options(int argc, char **argv, bool runs_operands)
{
    bool flag = false;
    const char *string = NULL;
    struct option_list list = {0};
    int64_t number = 7, size = 7;
    hob_dur duration = 7;
    const struct option options[] = {
        OPTION_FLAG('f', "flag", &flag, "a flag"),
        OPTION_STRING('s', "string", &string, "TEXT", "a text"),
        OPTION_LIST('l', "list", &list, "TEXT", "texts"),
        OPTION_INT('i', "int", &number, -10, 10, "N", "a number"),
        OPTION_DURATION('d', "duration", &duration, HOB_MS, HOB_SEC, "TIME", "a time"),
        OPTION_SIZE(0, "size", &size, 0, 1 << 20, "SIZE", "a size"),
        OPTION_END,
    };
    const struct option_command command = {
        .name = "x", .usage = "x [OPTION]...", .options = options, .runs_operands = runs_operands};
    struct option_args args;
    struct buf err = {0};
    int r = option_parse(&command, argc, argv, &args, &err);

    FUZZ_CHECK(r == 0 || r == OPTION_HELP || r == -EINVAL);
    FUZZ_CHECK((r == -EINVAL) == (err.len > 0));
    if (r == 0) {
        FUZZ_CHECK(args.n + list.n < (size_t)argc && number >= -10 && number <= 10);
        FUZZ_CHECK(duration == 7 || (duration >= HOB_MS && duration <= HOB_SEC));
        FUZZ_CHECK(size >= 0 && size <= 1 << 20);
        option_free(&command, &args);
    }
    buf_free(&err);
}

static void check_knobs(char **argv, const char *text)
{
    struct knob_facts facts = {
        .argv = argv, .n_cores = 4, .at_once = 3, .helped = true, .marks = UINT32_MAX};
    struct knob knobs[KNOBS], one;
    size_t n = knobs_find(&facts, knobs, KNOBS);

    FUZZ_CHECK(n <= KNOBS);
    for (size_t i = 0; i < n; i++) {
        FUZZ_CHECK(knobs[i].now > 0 && strlen(knobs[i].name) < KNOB_NAME);
        if (knobs[i].kind == KNOB_ARGUMENT)
            FUZZ_CHECK(knobs[i].at + knobs[i].n <= strlen(argv[knobs[i].arg]));
    }
    if (knob_in_text(&facts, text, &one))
        FUZZ_CHECK(one.now <= KNOB_MOST && one.at + one.n <= strlen(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *argv[WORDS + 2] = {strdup("x")}, *text = malloc(n + 1);
    int argc = 1;

    FUZZ_CHECK(text != NULL && argv[0]);
    for (size_t i = 0; i < n; i++)
        text[i] = data[i] ? (char)data[i] : ' ';
    text[n] = '\0';
    while (n > 0 && argc <= WORDS)
        argv[argc++] = fuzz_part(&data, &n);
    check_options(argc, argv, false);
    check_options(argc, argv, true);
    check_knobs(argv, text);
    while (argc > 0)
        free(argv[--argc]);
    free(text);
    return 0;
}
