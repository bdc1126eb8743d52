/* SPDX-License-Identifier: MIT
 *
 * schedule.c - the choices of a simulation as a file
 *
 * WHAT        A text of few lines, for people too: who looks at a failing schedule that was made
 *             simple sees what has to happen for the failure.
 *
 *                 hob schedule 1
 *                 seed 17
 *                 loops 1
 *                 choices 244
 *                 41 stir 3
 *                 43 front 1
 *
 *   A line of a choice: its place among all, what was chosen, and the choice.  Those that are not
 *   there are 0.
 *
 * REJECTED    The choices as the generator's state and a mask: not to be read, and another
 *             generator would make the files void.
 */
#include "sched/schedule.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHOICES_MOST = 1 << 24 }; /* of a file: 64 MiB of memory */

#define CHOICE_WORD(name, text) text,
static const char *const choice_words[CHOICES] = {CHOICE_MAP(CHOICE_WORD)};
#undef CHOICE_WORD

uint32_t hob__schedule_weight(const struct schedule *s)
{
    uint32_t weight = 0;

    for (uint32_t i = 0; i < s->n; i++)
        weight += choice_value(s->of[i]) != 0;
    return weight;
}

void hob__schedule_trim(struct schedule *s)
{
    while (s->n > 0 && choice_value(s->of[s->n - 1]) == 0)
        s->n--;
}

int hob__schedule_copy(const struct schedule *s, struct schedule *ret)
{
    uint32_t *of = malloc((s->n + 1) * sizeof *of); /* one more: malloc of nothing may be NULL */

    if (!of)
        return -ENOMEM;
    if (s->n)
        memcpy(of, s->of, s->n * sizeof *of);
    *ret = *s;
    ret->of = of;
    ret->max = s->n;
    return 0;
}

void hob__schedule_free(struct schedule *s)
{
    free(s->of);
    *s = (struct schedule){0};
}

int hob__schedule_write(const struct schedule *s, const char *path)
{
    FILE *f = fopen(path, "we");
    bool bad;

    if (!f)
        return -errno;
    fprintf(f, "hob schedule 1\nseed %" PRIu64 "\nloops %" PRIu32 "\nchoices %" PRIu32 "\n",
            s->seed, s->loops, s->n);
    for (uint32_t i = 0; i < s->n; i++)
        if (choice_value(s->of[i]))
            fprintf(f, "%" PRIu32 " %s %" PRIu32 "\n", i, choice_words[choice_what(s->of[i])],
                    choice_value(s->of[i]));
    bad = ferror(f);
    if (fclose(f) != 0 || bad)
        return -EIO;
    return 0;
}

static int word_read(const char *word)
{
    for (int i = 0; i < CHOICES; i++)
        if (strcmp(word, choice_words[i]) == 0)
            return i;
    return -1;
}

static int choices_read(FILE *f, struct schedule *s)
{
    uint32_t at, k;
    char word[16];
    int n, what;

    while ((n = fscanf(f, "%" SCNu32 " %15s %" SCNu32, &at, word, &k)) == 3) {
        what = word_read(word);
        if (what < 0 || at >= s->n || k > choice_value(UINT32_MAX))
            return -EINVAL;
        s->of[at] = choice_pack((enum choice)what, k);
    }
    return n == EOF && !ferror(f) ? 0 : -EINVAL;
}

int hob__schedule_read(const char *path, struct schedule *ret)
{
    struct schedule s = {0};
    FILE *f = fopen(path, "re");
    int r = -EINVAL;

    if (!f)
        return -errno;
    if (fscanf(f, "hob schedule 1 seed %" SCNu64 " loops %" SCNu32 " choices %" SCNu32, &s.seed,
               &s.loops, &s.n) != 3 ||
        s.n > CHOICES_MOST)
        goto out;
    s.max = s.n;
    s.of = calloc(s.n + 1, sizeof *s.of);
    r = s.of ? choices_read(f, &s) : -ENOMEM;
    if (r < 0)
        free(s.of);
    else
        *ret = s;
out:
    fclose(f);
    return r;
}
