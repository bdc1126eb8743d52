/* SPDX-License-Identifier: MIT
 *
 * sim_env.c - what HOB_SIM says: a seed, a search over seeds, or a schedule's file
 *
 *     HOB_SIM=17    HOB_SIM=search:1000    HOB_SIM=search:1000:FILE    HOB_SIM=@FILE
 *     HOB_SIM=17,faults=10    HOB_SIM=search:1000,faults=10    HOB_SIM=search:1000,faults=10:FILE
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sched/rt.h"
#include "sched/search.h"

static struct schedule from_file; /* kept: the program's next hob_run is in it too */

/* A whole decimal number up to its end, a comma or a colon; *ret_rest is what is behind it. */
static int number_read(const char *text, uint64_t *ret, const char **ret_rest)
{
    char *end;

    if (*text < '0' || *text > '9')
        return -EINVAL;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    if (errno || (*end && *end != ':' && *end != ','))
        return -EINVAL;
    *ret_rest = end;
    return 0;
}

/* ",faults=P": so many of a thousand calls fail; nothing: none. */
static int faults_read(const char **rest)
{
    static const char word[] = ",faults=";
    uint64_t n = 0;

    if (**rest == ',' && (strncmp(*rest, word, sizeof word - 1) != 0 ||
                          number_read(*rest + sizeof word - 1, &n, rest) < 0 || n == 0 || n > 1000))
        return -EINVAL;
    hob__sim_steer.faults = (unsigned)n;
    return 0;
}

/* Read once: the program's next hob_run goes on where the last one was in it. */
static int file_use(const char *path, struct rt_config *c)
{
    int r;

    if (!from_file.of) {
        if ((r = hob__schedule_read(path, &from_file)) < 0)
            return r;
        hob__sim_steer.replay = &from_file;
        hob__sim_steer.strict = true;
    }
    c->sim = true;
    c->seed = from_file.seed;
    c->n_loops = from_file.loops;
    return 0;
}

int hob__search_env(struct rt_config *c)
{
    const char *text = getenv("HOB_SIM"), *rest;
    uint64_t n;

    if (!text || !*text)
        return 0;
    if (*text == '@')
        return file_use(text + 1, c);
    bool many = strncmp(text, "search:", 7) == 0;
    if (number_read(many ? text + 7 : text, &n, &rest) < 0 || faults_read(&rest) < 0)
        return -EINVAL;
    if (many ? n == 0 || (*rest && !rest[1]) : *rest != 0)
        return -EINVAL;
    c->sim = true;
    if (many) {
        c->search = n;
        c->search_path = *rest ? rest + 1 : NULL;
    } else {
        c->seed = n;
    }
    return 0;
}
