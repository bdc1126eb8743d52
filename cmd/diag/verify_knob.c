/* SPDX-License-Identifier: MIT
 *
 * verify_knob.c - what can be set from outside of a command
 *
 * HOW         Arguments: "-j4", "-j 4", "--jobs=4", "--jobs 4", "-threads 4", also within the text
 *   behind a shell's -c.  Only a number that the user gave is a knob: nothing is added to a command
 *   line.  The letters and words are those that tools share for "so many at once"; letters that
 *   mean other things elsewhere (-p 8080, -T 4) count only when so many threads were alive at once.
 *
 *   Variables: the runtime that reads one has its name in its file, stripped or not.  One that the
 *   command line itself sets (env GOMAXPROCS=1 x) is a number of the command line: set around the
 *   command it would not reach the program.
 *
 * REJECTED    A table from programs to their knobs: it is never whole, and wrong for the program of
 *   the same name.
 */
#include "diag/verify_knob.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KNOB_ENV_ROW(mark, name, value, workers, by_default) {name, value, workers, by_default},
static const struct {
    const char *name, *value;
    bool workers;
    uint32_t by_default;
} variables[] = {KNOB_ENV_MAP(KNOB_ENV_ROW)};
#undef KNOB_ENV_ROW

#define KNOB_ENV_MARK(mark, name, value, workers, by_default) mark,
static const char *const marks[] = {KNOB_ENV_MAP(KNOB_ENV_MARK)};
#undef KNOB_ENV_MARK

const char *const *knob_marks(void)
{
    return marks;
}

/* --- what the recording says ------------------------------------------------------------------ */

static int by_time(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

uint32_t knob_at_once(const struct recording *rec)
{
    int64_t *ends = calloc(2 * rec->n_threads + 1, sizeof *ends);
    size_t n = 0;
    int32_t now = 0, most = 0;

    for (size_t i = 0; ends && i < rec->n_threads; i++) {
        const struct rec_thread *t = &rec->threads[i];

        if (t->is_task)
            continue;
        ends[n++] = t->born * 2 + 1; /* one that begins where another ends is not beside it */
        if (t->died != INT64_MAX)
            ends[n++] = t->died * 2;
    }
    if (ends)
        qsort(ends, n, sizeof *ends, by_time);
    for (size_t i = 0; i < n; i++) {
        now += ends[i] & 1 ? 1 : -1;
        most = now > most ? now : most;
    }
    free(ends);
    return (uint32_t)most;
}

/* --- numbers in a command line ---------------------------------------------------------------- */

/* Does anything but a blank end a word in a shell's text? */
static bool ends_word(char c)
{
    return c == '\0' || isspace((unsigned char)c) || strchr(";|&)'\"<>`", c);
}

/* The number at s that a word's end follows: its digits, 0 if it is none. */
static size_t number_at(const char *s, uint32_t *ret)
{
    size_t n = strspn(s, "0123456789");
    unsigned long value = n > 0 && n < 6 ? strtoul(s, NULL, 10) : KNOB_MOST + 1;

    if (value > KNOB_MOST || !ends_word(s[n]))
        return 0;
    *ret = (uint32_t)value;
    return n;
}

/* How an option is written, and how sure it is that it says how many at once. */
enum certainty { NOT_AT_ALL, IF_SO_MANY, IF_MANY, SURELY };

static enum certainty letter_says(char letter)
{
    switch (letter) {
    case 'j':
        return SURELY;
    case 'P':
    case 'T':
        return IF_MANY;
    case 'p':
        return IF_SO_MANY;
    default:
        return NOT_AT_ALL;
    }
}

static enum certainty word_says(const char *word, size_t n)
{
    static const char *const words[] = {
        "jobs",        "threads",     "thread",         "max-procs",   "max-jobs",
        "parallel",    "parallelism", "workers",        "max-workers", "num-workers",
        "processes",   "procs",       "nproc",          "num-threads", "thread-count",
        "concurrency", "concurrent",  "max-concurrent", "max-threads", "numprocesses"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == n && memcmp(words[i], word, n) == 0)
            return SURELY;
    return NOT_AT_ALL;
}

/* An option in a text, up to its number or the blank before it: its length, 0: none is here. */
static size_t option_at(const char *s, enum certainty *ret)
{
    size_t dashes = strspn(s, "-"), n = 0;

    *ret = NOT_AT_ALL;
    if (dashes < 1 || dashes > 2)
        return 0;
    while (isalpha((unsigned char)s[dashes + n]) || (n > 0 && s[dashes + n] == '-'))
        n++;
    if (n == 0)
        return 0;
    *ret = n == 1 && dashes == 1 ? letter_says(s[dashes]) : word_says(s + dashes, n);
    return dashes + n;
}

/* The number that belongs to the option of that length at s: "4", "=4" or, in one text, " 4";
 * where it begins, 0: it has none. */
static size_t value_at(const char *s, size_t len)
{
    bool is_long = s[1] == '-' || len > 2;

    if (s[len] == '=' && is_long)
        return len + 1;
    if (isdigit((unsigned char)s[len]) && !is_long)
        return len;
    return s[len] == ' ' ? len + strspn(s + len, " ") : 0;
}

static bool believed(enum certainty says, uint32_t level, const struct knob_facts *facts)
{
    switch (says) {
    case NOT_AT_ALL:
        return false;
    case IF_SO_MANY:
        return level > 1 && facts->at_once >= level;
    case IF_MANY:
        return level <= 1 || facts->at_once > 1;
    case SURELY:
        break;
    }
    return true;
}

static void knob_put(const struct knob_facts *facts, const char *name, size_t n, uint32_t level,
                     struct knob *ret)
{
    *ret = (struct knob){.kind = KNOB_ARGUMENT, .workers = true, .set = true, .now = level};
    if (level == 0) /* "0" is "all of them" wherever it is allowed */
        ret->now = facts->n_cores;
    memcpy(ret->name, name, n < KNOB_NAME ? n : KNOB_NAME - 1);
}

/* An option and its number at s, which is in argv[arg] or reaches from its end into the next one;
 * wanted: only the one of that name, which is believed then. */
static bool take(const struct knob_facts *facts, size_t arg, const char *s, const char *wanted,
                 struct knob *ret)
{
    char *const *argv = facts->argv;
    enum certainty says;
    uint32_t level = 0;
    size_t len = option_at(s, &says), at, n;

    if (len == 0 || (wanted && (strlen(wanted) != len || memcmp(wanted, s, len) != 0)))
        return false;
    bool next = s[len] == '\0' && argv[arg + 1];
    at = next ? 0 : value_at(s, len);
    if (!next && at == 0)
        return false;
    n = number_at(next ? argv[arg + 1] : s + at, &level);
    if (n == 0 || !(wanted || believed(says, level, facts)))
        return false;
    knob_put(facts, s, len, level, ret);
    ret->arg = next ? arg + 1 : arg;
    ret->at = next ? 0 : (size_t)(s + at - argv[arg]);
    ret->n = n;
    return true;
}

/* Is this argument text for a shell: what follows "-c" and the like? */
static bool is_script(char *const *argv, size_t arg)
{
    const char *before = arg > 0 ? argv[arg - 1] : "";
    size_t n = strlen(before);

    return n >= 2 && n <= 4 && before[0] == '-' && before[n - 1] == 'c' && strchr(argv[arg], ' ');
}

static bool argument_find(const struct knob_facts *facts, const char *wanted, struct knob *ret)
{
    for (size_t i = 1; facts->argv[0] && facts->argv[i]; i++) {
        const char *text = facts->argv[i];

        if (take(facts, i, text, wanted, ret))
            return true;
        if (is_script(facts->argv, i))
            for (const char *s = text; *s; s++)
                if (s > text && ends_word(s[-1]) && take(facts, i, s, wanted, ret))
                    return true;
    }
    return false;
}

/* A variable and its level, set by the word at s of argv[arg]. */
static bool take_setting(const struct knob_facts *facts, size_t arg, const char *s,
                         const char *name, const char *pattern, struct knob *ret)
{
    size_t len = strlen(name), before = strcspn(pattern, "%"), n;
    uint32_t level = 0;

    if (strncmp(s, name, len) != 0 || s[len] != '=' || strncmp(s + len + 1, pattern, before) != 0 ||
        strcmp(pattern + before, "%") != 0)
        return false;
    n = number_at(s + len + 1 + before, &level);
    if (n == 0)
        return false;
    knob_put(facts, name, len, level, ret);
    memcpy(ret->text, pattern, strnlen(pattern, KNOB_TEXT - 1));
    ret->arg = arg;
    ret->at = (size_t)(s + len + 1 + before - facts->argv[arg]);
    ret->n = n;
    return true;
}

/* Any of those that are known. */
static bool take_known(const struct knob_facts *facts, size_t arg, const char *s, struct knob *ret)
{
    for (size_t i = 0; i < KNOB_N_ENV; i++)
        if (take_setting(facts, arg, s, variables[i].name, variables[i].value, ret)) {
            ret->workers = variables[i].workers;
            return true;
        }
    return false;
}

/* What the command line sets: that variable, or with NULL the first that is known. */
static bool setting_find(const struct knob_facts *facts, const char *name, const char *pattern,
                         struct knob *ret)
{
    for (size_t i = 1; facts->argv[0] && facts->argv[i]; i++) {
        const char *text = facts->argv[i];
        bool script = is_script(facts->argv, i);

        for (const char *s = text; *s && (s == text || script); s++)
            if ((s == text || ends_word(s[-1])) &&
                (name ? take_setting(facts, i, s, name, pattern, ret)
                      : take_known(facts, i, s, ret)))
                return true;
    }
    return false;
}

bool knob_in_text(const struct knob_facts *facts, const char *command, struct knob *ret)
{
    char *argv[] = {(char *)command, NULL};
    struct knob_facts text = *facts;

    text.argv = argv;
    for (int settings = 0; settings < 2; settings++)
        for (const char *s = command; *s; s++)
            if (s > command && ends_word(s[-1]) &&
                (settings ? take_known(&text, 0, s, ret) : take(&text, 0, s, NULL, ret)))
                return true;
    return false;
}

/* --- variables -------------------------------------------------------------------------------- */

/* The level that a variable has: its value with a number where the pattern has its '%'; 0: none. */
static uint32_t level_of(const char *value, const char *pattern)
{
    size_t before = strcspn(pattern, "%"), n;
    char *end;

    if (!value || strncmp(value, pattern, before) != 0 || !isdigit((unsigned char)value[before]))
        return 0;
    unsigned long level = strtoul(value + before, &end, 10);
    n = pattern[before] ? before + 1 : before;
    return strcmp(end, pattern + n) == 0 && level <= KNOB_MOST ? (uint32_t)level : 0;
}

static void variable_put(const struct knob_facts *facts, const char *name, const char *value,
                         bool workers, uint32_t by_default, struct knob *ret)
{
    uint32_t level = level_of(getenv(name), value);

    *ret = (struct knob){.kind = KNOB_ENV, .workers = workers};
    memcpy(ret->name, name, strnlen(name, KNOB_NAME - 1));
    memcpy(ret->text, value, strnlen(value, KNOB_TEXT - 1));
    ret->set = level > 0;
    ret->now = ret->set ? level : by_default ? by_default : facts->n_cores;
}

static bool variable_find(const struct knob_facts *facts, struct knob *ret)
{
    bool found = false;

    for (size_t i = 0; i < KNOB_N_ENV; i++) {
        struct knob k;

        if (!(facts->marks >> i & 1))
            continue;
        variable_put(facts, variables[i].name, variables[i].value, variables[i].workers,
                     variables[i].by_default, &k);
        if (!k.set && (found || !facts->helped))
            continue; /* of several the one that is in use; of none, none */
        *ret = k;
        found = true;
        if (k.set)
            break;
    }
    return found;
}

/* --- all of them ------------------------------------------------------------------------------ */

static void cores_put(const struct knob_facts *facts, struct knob *ret)
{
    *ret = (struct knob){.kind = KNOB_CORES, .name = "cores", .now = facts->n_cores};
}

size_t knobs_find(const struct knob_facts *facts, struct knob *ret, size_t max)
{
    size_t n = 0;

    if (n < max && argument_find(facts, NULL, &ret[n]))
        n++;
    if (n < max && (setting_find(facts, NULL, NULL, &ret[n]) || variable_find(facts, &ret[n])))
        n++;
    if (n < max && facts->n_cores > 1)
        cores_put(facts, &ret[n++]);
    return n;
}

static bool is_variable(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(isalpha((unsigned char)s[i]) || s[i] == '_' ||
              (i > 0 && isdigit((unsigned char)s[i]))))
            return false;
    return n > 0 && n < KNOB_NAME;
}

int knob_named(const struct knob_facts *facts, const char *what, struct knob *ret, struct buf *err)
{
    size_t n = strcspn(what, "=");
    const char *value = what[n] ? what + n + 1 : "%";
    char name[KNOB_NAME] = "";

    if (strcmp(what, "cores") == 0) {
        cores_put(facts, ret);
        return 0;
    }
    if (*what == '-') {
        if (argument_find(facts, what, ret))
            return 0;
        buf_printf(err, "the command line has no %s with a number", what);
        return -EINVAL;
    }
    if (!is_variable(what, n) || !strchr(value, '%') || strlen(value) >= KNOB_TEXT) {
        buf_printf(err,
                   "'%s' is neither cores, nor an option, nor a variable (NAME or NAME=..%%..)",
                   what);
        return -EINVAL;
    }
    memcpy(name, what, n);
    for (size_t i = 0; i < KNOB_N_ENV; i++)
        if (!what[n] && strcmp(variables[i].name, name) == 0) {
            if (setting_find(facts, name, variables[i].value, ret))
                ret->workers = variables[i].workers;
            else
                variable_put(facts, name, variables[i].value, variables[i].workers,
                             variables[i].by_default, ret);
            return 0;
        }
    if (setting_find(facts, name, value, ret))
        return 0;
    variable_put(facts, name, value, true, 0, ret);
    if (!ret->set)
        buf_printf(err, "%s has no number now: set it to what the program takes without it", name);
    return ret->set ? 0 : -EINVAL;
}

/* --- setting one ------------------------------------------------------------------------------ */

char *knob_argument(const struct knob *k, char *const *argv, uint32_t level)
{
    const char *was = argv[k->arg];
    struct buf b = {0};

    buf_add(&b, was, k->at);
    buf_printf(&b, "%u%s", level, was + k->at + k->n);
    return buf_take(&b);
}

char *knob_value(const struct knob *k, uint32_t level)
{
    const char *was = getenv(k->name), *mark = strchr(k->text, '%');
    struct buf b = {0};

    if (was && *was && k->text[0] == '-') /* options: the last one counts */
        buf_printf(&b, "%s ", was);
    if (mark)
        buf_printf(&b, "%.*s%u%s", (int)(mark - k->text), k->text, level, mark + 1);
    return buf_take(&b);
}

void knob_setting(const struct knob *k, uint32_t level, struct buf *to)
{
    if (k->kind == KNOB_CORES)
        buf_printf(to, "%u core%s", level, level == 1 ? "" : "s");
    else if (k->kind == KNOB_ARGUMENT && *k->text)
        buf_printf(to, "%s=%.*s%u", k->name, (int)strcspn(k->text, "%"), k->text, level);
    else if (k->kind == KNOB_ARGUMENT)
        buf_printf(to, "%s%s%u", k->name, k->name[1] == '-' ? "=" : " ", level);
    else if (k->text[0] == '-')
        buf_printf(to, "%.*s%u", (int)strcspn(k->text, "%"), k->text, level);
    else
        buf_printf(to, "%s=%u", k->name, level);
}
