/* SPDX-License-Identifier: MIT
 *
 * mirrors.c - ask several, take the first good answer, and clean up whatever happens
 *
 *     mirrors              three mirrors, one of them down, one slow
 *     mirrors 30ms         the same, but give up after that long
 *
 * The mirrors are naps, so that it runs anywhere; a real one would be a call of hob/http.h.
 */
#include <hob/hob.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct mirror {
    const char *name;
    hob_dur latency;
    int status; /* what it answers; negative: it is down */
};

/* A child's error is reported to the opener, and ends nobody else: the group is supervised. */
static int ask(struct mirror *m)
{
    int r = hob_sleep(m->latency);

    return r < 0 ? r : m->status;
}
HOB_CHILD(ask, struct mirror)

/* Runs behind a shield: it may wait although everything around it was cancelled. */
static int say_goodbye(void *what)
{
    int r = hob_sleep(HOB_MS);

    printf("goodbye to the %s\n", (const char *)what);
    return r;
}

static int fetch(void *arg)
{
    static char all[] = "mirrors";
    hob_dur limit = *(hob_dur *)arg;
    struct mirror mirror[] = {{"far", 200 * HOB_MS, 200},
                              {"broken", 10 * HOB_MS, -ECONNREFUSED},
                              {"near", 50 * HOB_MS, 200}};
    struct hob_group_report report;
    struct hob_done first;
    hob_group g;
    int r =
        hob_group_open(&g, HOB_GROUP_OPTS(.supervise = true, .collect = true,
                                          .until = limit ? hob_in(limit) : 0, .report = &report));

    if (r == 0)
        r = hob_group_defer(&g, say_goodbye, all);
    for (int i = 0; i < 3 && r == 0; i++)
        r = ask_go(&g, &mirror[i]);
    r = hob_group_join_first(&g, r, &first); /* cancels the others, and waits for their end */
    if (r == 0)
        printf("%s: %d\n", ((struct mirror *)first.arg)->name, first.rc);
    else
        printf("nobody: %s\n", hob_strerror(r));
    printf("%u answered, %u failed, %u cancelled\n", report.n_ok, report.n_failed,
           report.n_cancelled);
    return r;
}

int main(int argc, char **argv)
{
    hob_dur limit = argc > 1 ? atoi(argv[1]) * HOB_MS : 0;

    return hob_run(NULL, fetch, &limit) < 0;
}
