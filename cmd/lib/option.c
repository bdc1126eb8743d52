/* SPDX-License-Identifier: MIT
 *
 * option.c - the command line of a command, as a table
 *
 * REJECTED  getopt_long: it prints by itself, abbreviates ("--t" works until a second option
 *   begins so), knows no types, and its table cannot write the help.
 */
#include "lib/option.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELP_COLUMN = 28, HELP_WIDTH = 80 };

static const struct option help_option = {
    .kind = OPTION_IS_FLAG, .letter = 'h', .name = "help", .help = "this text"};

struct parser {
    const struct option_command *c;
    char *const *argv;
    int argc, at;             /* at: the argument after the one in hand */
    const struct option *opt; /* the one in hand, and how it was written */
    char written[64];
    bool help;
    struct option_args *args;
    struct buf *err;
};

/* Numbers with units. */

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit duration_units[] = {
    {"ns", HOB_NS}, {"us", HOB_US},   {"ms", HOB_MS},      {"s", HOB_SEC},
    {"m", HOB_MIN}, {"min", HOB_MIN}, {"h", 60 * HOB_MIN}, {NULL, 0},
};

static const struct unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"K", 1 << 10},
    {"KiB", 1 << 10},
    {"kB", 1000},
    {"KB", 1000},
    {"M", 1 << 20},
    {"MiB", 1 << 20},
    {"MB", 1000 * 1000},
    {"G", 1 << 30},
    {"GiB", 1 << 30},
    {"GB", 1000 * 1000 * 1000},
    {"T", (int64_t)1 << 40},
    {"TiB", (int64_t)1 << 40},
    {"TB", (int64_t)1000 * 1000 * 1000 * 1000},
    {NULL, 0},
};

/* Decimal digits, a point and more of them, a unit; exact, and rounded down. */
static int parse_scaled(const char *text, const struct unit *units, int64_t *ret)
{
    __int128 whole = 0, part = 0, scale = 1;
    const char *s = text;

    for (; *s >= '0' && *s <= '9'; s++) {
        whole = whole * 10 + (*s - '0');
        if (whole > INT64_MAX)
            return -EINVAL;
    }
    if (s == text)
        return -EINVAL;
    if (*s == '.') {
        const char *point = s++;
        for (; *s >= '0' && *s <= '9'; s++) {
            if (scale > 1000000000)
                continue; /* finer than any unit */
            part = part * 10 + (*s - '0');
            scale *= 10;
        }
        if (s == point + 1)
            return -EINVAL;
    }
    if (*s == '\0' && whole == 0 && part == 0) {
        *ret = 0; /* nothing is nothing in every unit */
        return 0;
    }
    while (units->name && strcmp(units->name, s) != 0)
        units++;
    if (!units->name)
        return -EINVAL;
    whole = whole * units->factor + part * units->factor / scale;
    if (whole > INT64_MAX)
        return -EINVAL;
    *ret = (int64_t)whole;
    return 0;
}

int option_duration(const char *text, hob_dur *ret)
{
    return parse_scaled(text, duration_units, ret);
}

int option_size(const char *text, int64_t *ret)
{
    return parse_scaled(text, size_units, ret);
}

static int parse_int(const char *text, int64_t *ret)
{
    char *end;

    if (!((*text >= '0' && *text <= '9') || (*text == '-' && text[1] >= '0' && text[1] <= '9')))
        return -EINVAL;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (*end || errno)
        return -EINVAL;
    *ret = n;
    return 0;
}

/* Messages. */

static int fail(struct parser *p, const char *what)
{
    buf_printf(p->err, "%s: %s", p->c->name, what);
    return -EINVAL;
}

static int fail_option(struct parser *p, const char *what)
{
    buf_printf(p->err, "%s: %s: %s", p->c->name, p->written, what);
    return -EINVAL;
}

static int fail_unknown(struct parser *p, const char *arg)
{
    buf_printf(p->err, "%s: unknown option %s ('%s -h' lists them)", p->c->name, arg, p->c->name);
    return -EINVAL;
}

static void put_amount(struct buf *b, enum option_kind kind, int64_t n)
{
    const struct unit *u = kind == OPTION_IS_DURATION ? duration_units : size_units, *best = NULL;

    if (kind != OPTION_IS_INT && n != 0)
        for (; u->name; u++)
            if (n % u->factor == 0 && (!best || u->factor > best->factor))
                best = u;
    buf_printf(b, "%lld%s", (long long)(best ? n / best->factor : n), best ? best->name : "");
}

static int fail_range(struct parser *p, const char *text)
{
    const struct option *o = p->opt;

    buf_printf(p->err, "%s: %s: %s is not ", p->c->name, p->written, text);
    if (o->max == OPTION_NO_MAX) {
        buf_puts(p->err, "at least ");
        put_amount(p->err, o->kind, o->min);
    } else {
        buf_puts(p->err, "between ");
        put_amount(p->err, o->kind, o->min);
        buf_puts(p->err, " and ");
        put_amount(p->err, o->kind, o->max);
    }
    return -EINVAL;
}

/* Values. */

static int take_number(struct parser *p, const char *text)
{
    static const char *const kinds[] = {
        [OPTION_IS_INT] = "a whole number",
        [OPTION_IS_DURATION] = "a duration (like 250ms, 15s)",
        [OPTION_IS_SIZE] = "a size (like 512K, 10MiB)",
    };
    const struct option *o = p->opt;
    int64_t n;

    int r = o->kind == OPTION_IS_INT        ? parse_int(text, &n)
            : o->kind == OPTION_IS_DURATION ? option_duration(text, &n)
                                            : option_size(text, &n);
    if (r < 0) {
        buf_printf(p->err, "%s: %s: '%s' is not %s", p->c->name, p->written, text, kinds[o->kind]);
        return r;
    }
    if (n < o->min || n > o->max)
        return fail_range(p, text);
    *o->to.number = n;
    return 0;
}

static int take_item(struct option_list *list, const char *text)
{
    const char **item = realloc(list->item, (list->n + 1) * sizeof *item);

    if (!item)
        return -ENOMEM;
    list->item = item;
    item[list->n++] = text;
    return 0;
}

/* `value` is what stood in the same argument, or NULL. */
static int take(struct parser *p, const char *value)
{
    const struct option *o = p->opt;

    if (o->kind == OPTION_IS_FLAG) {
        if (value)
            return fail_option(p, "takes no value");
        if (o == &help_option)
            p->help = true;
        else
            *o->to.flag = true;
        return 0;
    }
    if (!value && p->at == p->argc)
        return fail_option(p, "needs a value");
    if (!value)
        value = p->argv[p->at++];
    if (o->kind == OPTION_IS_STRING)
        *o->to.string = value;
    else if (o->kind == OPTION_IS_LIST)
        return take_item(o->to.list, value);
    else
        return take_number(p, value);
    return 0;
}

static const struct option *find_long(const struct option_command *c, const char *name, size_t n)
{
    for (const struct option *o = c->options; o->kind != OPTION_IS_END; o++)
        if (strlen(o->name) == n && memcmp(o->name, name, n) == 0)
            return o;
    return n == 4 && memcmp(name, "help", 4) == 0 ? &help_option : NULL;
}

static const struct option *find_short(const struct option_command *c, char letter)
{
    for (const struct option *o = c->options; o->kind != OPTION_IS_END; o++)
        if (o->letter == letter)
            return o;
    return letter == 'h' ? &help_option : NULL;
}

/* "--name" or "--name=value" */
static int read_long(struct parser *p, const char *arg)
{
    size_t n = strcspn(arg + 2, "=");

    p->opt = find_long(p->c, arg + 2, n);
    if (!p->opt)
        return fail_unknown(p, arg);
    snprintf(p->written, sizeof p->written, "--%s", p->opt->name);
    return take(p, arg[2 + n] == '=' ? arg + 3 + n : NULL);
}

/* "-j", "-j50", "-kv", "-kj50" */
static int read_short(struct parser *p, const char *arg)
{
    int r = 0;

    for (const char *s = arg + 1; *s && r == 0; s++) {
        snprintf(p->written, sizeof p->written, "-%c", *s);
        p->opt = find_short(p->c, *s);
        if (!p->opt)
            return fail_unknown(p, arg[2] ? arg : p->written);
        if (p->opt->kind != OPTION_IS_FLAG)
            return take(p, s[1] ? s + 1 : NULL);
        r = take(p, NULL);
    }
    return r;
}

static int read_all(struct parser *p)
{
    bool only_operands = false;
    int r = 0;

    while (r == 0 && !p->help && p->at < p->argc) {
        const char *arg = p->argv[p->at++];
        if (only_operands || arg[0] != '-' || arg[1] == '\0') {
            p->args->operand[p->args->n++] = arg;
            only_operands |= p->c->runs_operands;
        } else if (strcmp(arg, "--") == 0) {
            only_operands = true;
        } else {
            r = arg[1] == '-' ? read_long(p, arg) : read_short(p, arg);
        }
    }
    return r;
}

int option_parse(const struct option_command *c, int argc, char *const argv[],
                 struct option_args *ret, struct buf *err)
{
    struct option_args args = {.operand = calloc((size_t)argc + 1, sizeof *args.operand)};
    struct parser p = {.c = c, .argv = argv, .argc = argc, .at = 1, .args = &args, .err = err};

    if (!args.operand) {
        fail(&p, hob_strerror(ENOMEM));
        return -ENOMEM;
    }
    int r = read_all(&p);
    if (r == -ENOMEM)
        fail(&p, hob_strerror(ENOMEM));
    if (r == 0 && p.help)
        r = OPTION_HELP;
    if (r != 0)
        option_free(c, &args);
    else
        *ret = args;
    return r;
}

void option_free(const struct option_command *c, struct option_args *args)
{
    for (const struct option *o = c->options; o->kind != OPTION_IS_END; o++) {
        if (o->kind != OPTION_IS_LIST)
            continue;
        free(o->to.list->item);
        *o->to.list = (struct option_list){0};
    }
    free(args->operand);
    *args = (struct option_args){0};
}

/* Words of `text` from `column` on, further lines indented to `indent`; a newline at the end. */
static void put_wrapped(struct buf *b, const char *text, size_t column, size_t indent)
{
    bool first = true;

    while (*text) {
        size_t n = strcspn(text, " ");
        if (!first && column + 1 + n > HELP_WIDTH) {
            buf_printf(b, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!first) {
            buf_putc(b, ' ');
            column++;
        }
        buf_add(b, text, n);
        column += n;
        text += n + (text[n] == ' ');
        first = false;
    }
    buf_putc(b, '\n');
}

static void put_option(struct buf *b, const struct option *o)
{
    size_t start = b->len;

    if (o->letter)
        buf_printf(b, "  -%c, --%s", o->letter, o->name);
    else
        buf_printf(b, "      --%s", o->name);
    if (o->value)
        buf_printf(b, " %s", o->value);
    size_t n = b->len - start;
    if (n + 2 > HELP_COLUMN) {
        buf_putc(b, '\n');
        n = 0;
    }
    buf_printf(b, "%*s", (int)(HELP_COLUMN - n), "");
    put_wrapped(b, o->help, HELP_COLUMN, HELP_COLUMN);
}

void option_help(const struct option_command *c, struct buf *out)
{
    buf_printf(out, "usage: %s\n\n", c->usage);
    if (c->about) {
        put_wrapped(out, c->about, 0, 0);
        buf_putc(out, '\n');
    }
    for (const struct option *o = c->options; o->kind != OPTION_IS_END; o++)
        put_option(out, o);
    put_option(out, &help_option);
}

int option_start(const struct option_command *c, int argc, char *const argv[],
                 struct option_args *ret)
{
    struct buf text = {0};
    int r = option_parse(c, argc, argv, ret, &text), status = -1;

    if (r == OPTION_HELP) {
        option_help(c, &text);
        status = 0;
    } else if (r < 0) {
        buf_putc(&text, '\n');
        status = OPTION_STATUS_USAGE;
    }
    if (text.len > 0)
        fwrite(text.p, 1, text.len, r < 0 ? stderr : stdout);
    buf_free(&text);
    return status;
}
