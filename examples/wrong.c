/* SPDX-License-Identifier: MIT
 *
 * wrong.c - a kitchen in which things go wrong, one way a word: for docs/debugging.md
 *
 *     wrong wait        the waiter reads orders from standard input, the cook waits for one:
 *                       nothing is wrong, but what does it do?  HOB_DUMP=SIGUSR1, gdb
 *     wrong deadlock    cook and waiter each wait for the other to speak first
 *     wrong hold        the cook computes on the loop, and nobody else gets a turn: HOB_WATCHDOG=50
 *     wrong overflow    the cook's recipe refers to itself
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <hob/hob.h>

static hob_chan *orders, *dishes;

static int cook(void *unused)
{
    int order, r;

    hob_fiber_name("cook");
    while ((r = hob_chan_recv(orders, HOB_FOREVER, &order)) == 0)
        if ((r = hob_chan_send(dishes, &order, HOB_FOREVER)) < 0)
            break;
    return r == -EPIPE ? 0 : r;
}

static int waiter(void *unused)
{
    char line[64];
    ssize_t n;
    int dish, r = 0;

    hob_fiber_name("waiter");
    puts("open");
    fflush(stdout);
    while (r == 0 && (n = hob_read(0, line, sizeof line, HOB_FOREVER)) > 0) {
        int order = (int)n;
        if ((r = hob_chan_send(orders, &order, HOB_FOREVER)) == 0)
            r = hob_chan_recv(dishes, HOB_FOREVER, &dish);
    }
    hob_chan_close(orders);
    return r;
}

/* Takes an order when the first dish is there: that is never. */
static int shy_waiter(void *unused)
{
    int dish, order = 1;

    hob_fiber_name("shy waiter");
    int r = hob_chan_recv(dishes, HOB_FOREVER, &dish);
    return r < 0 ? r : hob_chan_send(orders, &order, HOB_FOREVER);
}

/* Half a second without a call that parks.  hob_offload would have been right. */
static int slow_cook(void *unused)
{
    hob_fiber_name("slow cook");
    for (hob_time end = hob_in(HOB_SEC / 2); hob_now() < end;)
        continue;
    return 0;
}

/* As many portions as there are in a pot, which is what the next one says. */
static __attribute__((noinline)) int recipe(volatile char *above)
{
    volatile char bowl[256];

    bowl[0] = *above;
    return *above ? recipe(bowl) + bowl[0] : 0;
}

static int endless_cook(void *unused)
{
    char pot = 'x';

    hob_fiber_name("endless cook");
    return recipe(&pot);
}

static int kitchen(void *fns)
{
    hob_fn *fn = fns;
    hob_group g;
    int r = hob_chan_new(sizeof(int), HOB_CHAN_OPTS(.name = "orders"), &orders);

    if (r == 0)
        r = hob_chan_new(sizeof(int), HOB_CHAN_OPTS(.name = "dishes"), &dishes);
    if (r == 0)
        r = hob_group_open(&g, HOB_GROUP_OPTS(.name = "kitchen"));
    if (r < 0)
        return r;
    for (int i = 0; i < 2 && fn[i] && r == 0; i++)
        r = hob_go(&g, fn[i], NULL);
    r = hob_group_join(&g, r);
    hob_chan_free(orders);
    hob_chan_free(dishes);
    return r;
}

int main(int argc, char **argv)
{
    static struct {
        const char *word;
        hob_fn fn[2];
    } ways[] = {{"wait", {cook, waiter}},
                {"deadlock", {cook, shy_waiter}},
                {"hold", {slow_cook}},
                {"overflow", {endless_cook}}};

    for (size_t i = 0; argc == 2 && i < sizeof ways / sizeof ways[0]; i++) {
        if (strcmp(argv[1], ways[i].word) != 0)
            continue;
        int r = hob_run(NULL, kitchen, ways[i].fn);
        if (r < 0)
            fprintf(stderr, "wrong: %s\n", hob_strerror(r));
        return r < 0;
    }
    fputs("usage: wrong wait|deadlock|hold|overflow\n", stderr);
    return 2;
}
