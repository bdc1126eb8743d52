/* SPDX-License-Identifier: MIT
 *
 * explore_claim.c - the claim of a select (sync/claim.h) through every schedule
 *
 * WHAT    take    three loops let an arm of one select happen: one does
 *         pair    two selects meet in two channels on two loops, each with the other as `mine`,
 *                 and a third loop wants one of them: both go together, or one goes alone
 *         ring    three selects meet in a ring on three loops: nobody waits for ever
 *         held    an accept holds the claim and gives it back or keeps it, while others want it
 *
 * HOW     A spin on a held claim waits for it to change: a holder that never lets go, or two that
 *         wait for each other, are a deadlock, which the explorer finds.
 *
 *   `explore_claim planted` holds the first of a pair in no order, and must fail.
 */
#include "explore.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct claim;
static void spin(struct claim *c);

#define claim_relax(c, n) spin(c)

#include "../../src/sync/claim.h"

static bool not_held(void *arg)
{
    struct claim *c = arg;

    return c->state != CLAIM_HELD;
}

static void spin(struct claim *c)
{
    explore_wait(not_held, c);
}

enum { SELECTS = 3 };

static struct claim claims[SELECTS];
static unsigned n_taken[SELECTS], n_pairs, n_alone;
static bool planted;

static void reset(void)
{
    for (int i = 0; i < SELECTS; i++)
        claim_init(&claims[i], true);
    memset(n_taken, 0, sizeof n_taken);
    n_pairs = n_alone = 0;
}

/* (I1) of claim.h */
static void took(int i)
{
    if (n_taken[i]++ > 0)
        explore_fail("select %d was taken twice", i);
}

static void take_0(void)
{
    if (claim_take(&claims[0])) {
        took(0);
        n_alone++;
    }
}

static void take_1(void)
{
    if (claim_take(&claims[1])) {
        took(1);
        n_alone++;
    }
}

/* What claim_pair does, its two claims in the order in which they came. */
static enum claim_pair pair_unordered(struct claim *mine, struct claim *other)
{
    if (!claim_hold(mine))
        return CLAIM_MINE_GONE;
    bool both = claim_take(other);
    claim_end(mine, both);
    return both ? CLAIM_BOTH : CLAIM_OTHER_GONE;
}

static void pair(int mine, int other)
{
    switch ((planted ? pair_unordered : claim_pair)(&claims[mine], &claims[other])) {
    case CLAIM_BOTH:
        took(mine);
        took(other);
        n_pairs++;
        break;
    case CLAIM_MINE_GONE:
        if (claims[mine].state != CLAIM_TAKEN)
            explore_fail("select %d is said to be gone", mine);
        break;
    case CLAIM_OTHER_GONE:
        if (claims[other].state != CLAIM_TAKEN)
            explore_fail("select %d is said to be gone", other);
    }
}

static void pair_01(void)
{
    pair(0, 1);
}

static void pair_10(void)
{
    pair(1, 0);
}

static void pair_12(void)
{
    pair(1, 2);
}

static void pair_20(void)
{
    pair(2, 0);
}

static void accept_nothing(void)
{
    if (!claim_hold(&claims[0]))
        return;
    explore_step();
    claim_end(&claims[0], false);
}

static void accept_one(void)
{
    if (!claim_hold(&claims[0]))
        return;
    explore_step();
    took(0);
    n_alone++;
    claim_end(&claims[0], true);
}

/* (I2): who was taken went in a pair or alone, and nobody is left held. */
static void check(void)
{
    unsigned n = 0;

    for (int i = 0; i < SELECTS; i++) {
        n += n_taken[i];
        if (claims[i].state == CLAIM_HELD || (claims[i].state == CLAIM_TAKEN) != n_taken[i])
            explore_fail("select %d: state %u, taken %u times", i, claims[i].state, n_taken[i]);
    }
    if (n != 2 * n_pairs + n_alone)
        explore_fail("%u taken, %u pairs and %u alone", n, n_pairs, n_alone);
}

/* Whoever came first, somebody got it. */
static void check_one(void)
{
    check();
    if (!n_taken[0])
        explore_fail("nobody took it");
}

int main(int argc, char **argv)
{
    struct explore_case cases[] = {
        {"take", reset, {take_0, take_0, take_0}, check_one, 6},
        {"pair", reset, {pair_01, pair_10, take_1}, check, 6},
        {"ring", reset, {pair_01, pair_12, pair_20}, check, 6},
        {"held", reset, {accept_nothing, take_0, pair_01}, check_one, 6},
        {"kept", reset, {accept_one, accept_nothing, take_0}, check_one, 6},
    };

    planted = argc > 1 && strcmp(argv[1], "planted") == 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        printf("%s: %lu schedules\n", cases[i].name, explore(&cases[i]));
    return 0;
}
