/* SPDX-License-Identifier: MIT
 *
 * bakery.c - a wake-up that is lost in one order of events among many
 *
 * A customer who finds no bread waits for the bell.  The first version loses a ring now and then,
 * and no run on a machine will show it; docs/simulation.md finds it.
 *
 *     bakery            a day
 *     bakery fixed      with no ring lost
 *     bakery cancel     and the shop closed at each moment at which anybody waits
 */
#include <hob/hob.h>
#include <stdio.h>
#include <string.h>

enum { LOAVES = 3 };

struct bakery {
    hob_event bell; /* rings when there is bread */
    int bread;
};

static int baker(void *arg)
{
    struct bakery *b = arg;
    int r = 0;

    for (int i = 0; i < LOAVES && r == 0; i++) {
        r = hob_sleep(10 * HOB_MS); /* in the oven */
        if (r == 0) {
            b->bread++;
            r = hob_event_set(&b->bell);
        }
    }
    return r;
}

/* The bug: while it says that it waits the bell may ring, and then it is silenced. */
static int wait_for_bread(struct bakery *b)
{
    int r = hob_sleep(HOB_MS); /* says "I wait", which takes a moment */

    if (r == 0)
        r = hob_event_clear(&b->bell);
    if (r == 0)
        r = hob_event_wait(&b->bell, HOB_FOREVER);
    return r;
}

/* Silenced first, then looked again: a ring after the look is not lost. */
static int wait_for_bread_fixed(struct bakery *b)
{
    int r = hob_event_clear(&b->bell);

    if (r == 0)
        r = hob_sleep(HOB_MS);
    if (r == 0 && b->bread == 0)
        r = hob_event_wait(&b->bell, HOB_FOREVER);
    return r;
}

static int (*wait_for)(struct bakery *b) = wait_for_bread;

static int customer(void *arg)
{
    struct bakery *b = arg;
    int r = 0;

    for (int i = 0; i < LOAVES && r == 0; i++) {
        hob_sometimes(b->bread == 0, "a customer finds no bread");
        while (r == 0 && b->bread == 0)
            r = wait_for(b);
        if (r == 0)
            b->bread--;
        hob_always(b->bread >= 0, "no loaf is sold twice");
    }
    return r;
}

static int day(void *arg)
{
    struct bakery *b = arg;
    hob_group g;
    int r = hob_event_init(&b->bell, "the bell");

    b->bread = 0;
    if (r == 0)
        r = hob_group_open(&g, HOB_GROUP_OPTS(.name = "shop"));
    if (r < 0)
        return r;
    r = hob_go(&g, customer, b);
    if (r == 0)
        r = hob_go(&g, baker, b);
    return hob_group_join(&g, r);
}

static int closed_early(void *bakery)
{
    int n = hob_torture_cancel(day, bakery);

    if (n > 0)
        printf("closed early at %d moments\n", n);
    return n < 0 ? n : 0;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    bool cancel = strcmp(how, "cancel") == 0;
    struct bakery b;
    int r;

    if (cancel || strcmp(how, "fixed") == 0)
        wait_for = wait_for_bread_fixed;
    r = hob_run(NULL, cancel ? closed_early : day, &b);
    if (r < 0)
        fprintf(stderr, "bakery: %s\n", hob_strerror(r));
    else if (!cancel)
        printf("%d loaves sold, %d left\n", LOAVES, b.bread);
    return r < 0;
}
