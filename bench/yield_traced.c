/* SPDX-License-Identifier: MIT
 *
 * yield_traced.c - what it costs two yielding fibers to be recorded, or summed up for advice
 *
 * WHAT        Rows of trace_yield and advise_yield: ns a switch, watched ("hob") and not ("off").
 *
 * HOW         A shared machine is slower by a fifth in one minute than in the next, and the cost
 *   looked for is a twentieth.  So the ways take turns of a tenth of a second, each in a process of
 *   its own, and medians are of sixty turns.  The recording goes to a real file: writing it is part
 *   of the price.
 */
#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hob/fiber.h>
#include <hob/group.h>

#include "bench.h"
#include "row.h"

enum { FIBERS = 2, YIELDS = 4 * 1000 * 1000, TURNS = 60 };
enum way { OFF, TRACE, ADVISE, N_WAYS };

static int yielder(void *arg)
{
    int r = 0;

    for (int i = 0; i < YIELDS && r == 0; i++)
        r = hob_yield();
    return r;
}

static int run(void *arg)
{
    hob_group g;
    hob_time begin = bench_begin();
    int r = hob_group_open(&g, NULL);

    for (int i = 0; i < FIBERS && r == 0; i++)
        r = hob_go(&g, yielder, NULL);
    r = hob_group_join(&g, r);
    if (r == 0)
        bench_end("yield", begin, (size_t)FIBERS * YIELDS, "ns/switch");
    return r;
}

/* One turn in a process of its own: 0 and its figure, or a negative errno. */
static int turn(const char *self, enum way way, const char *file, double *ret)
{
    char record[128], *env[] = {way == TRACE    ? record
                                : way == ADVISE ? (char *)"HOB_ADVISE=1"
                                                : NULL,
                                NULL};
    char *argv[] = {(char *)self, (char *)"turn", NULL};
    char said[128] = "";
    posix_spawn_file_actions_t act;
    int ends[2], status = -1, r;
    pid_t pid;

    snprintf(record, sizeof record, "HOB_TRACE=%s", file);
    if (pipe(ends) < 0)
        return -errno;
    posix_spawn_file_actions_init(&act);
    posix_spawn_file_actions_adddup2(&act, ends[1], 1);
    posix_spawn_file_actions_addclose(&act, ends[0]);
    posix_spawn_file_actions_addopen(&act, 2, "/dev/null", 1, 0);
    r = posix_spawn(&pid, self, &act, NULL, argv, env);
    posix_spawn_file_actions_destroy(&act);
    close(ends[1]);
    if (r == 0) {
        ssize_t n = read(ends[0], said, sizeof said - 1);
        if (waitpid(pid, &status, 0) < 0 || status != 0 || n <= 0 ||
            sscanf(said, "yield %lf", ret) != 1)
            r = EIO;
    }
    close(ends[0]);
    return -r;
}

static int turns(const char *self, const char *file)
{
    struct row off = {.bench = "trace_yield", .subject = "off", .unit = "ns/switch"};
    struct row trace = {.bench = "trace_yield", .subject = "hob", .unit = "ns/switch"};
    struct row advise = {.bench = "advise_yield", .subject = "hob", .unit = "ns/switch"};
    struct row *const rows[] = {[OFF] = &off, [TRACE] = &trace, [ADVISE] = &advise};
    double figure = 0;

    for (int i = -1; i < TURNS; i++) /* the first warms up */
        for (int way = OFF; way < N_WAYS; way++) {
            int r = turn(self, (enum way)way, file, &figure);
            if (r < 0)
                return r;
            if (i >= 0)
                row_add(rows[way], figure);
        }
    row_print(&trace, 1);
    row_print(&off, 1);
    row_print(&advise, 1);
    off.bench = "advise_yield";
    row_print(&off, 1);
    return 0;
}

int main(int argc, char **argv)
{
    char file[] = "/tmp/yield_traced_XXXXXX", self[4096];

    if (argc > 1)
        return bench_exit("yield", hob_run(HOB_OPTS(.loops = 1), run, NULL));
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    int fd = mkstemp(file);
    if (n < 0 || fd < 0)
        return bench_exit("yield_traced", -errno);
    self[n] = '\0';
    close(fd);
    int r = turns(self, file);
    unlink(file);
    return bench_exit("yield_traced", r);
}
