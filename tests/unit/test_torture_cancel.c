/* SPDX-License-Identifier: MIT
 *
 * test_torture_cancel.c - every suspension point of a program is cancelled once
 *
 * A scene runs in a group that is cancelled at its n-th suspension, for n = 1, 2, ... until it
 * ends before it comes to that.  Each run must end (its waits are of hours), its books be right,
 * and nothing be left open.
 */
#include "torture_ends.h"
#include "torture_io.h"
#include "torture_scenes.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/t_leak.h"
#include "net/dns.h"
#include "sched/park.h"

static hob_group victim;
static _Atomic(int) suspensions, cancel_at;
static char now_running[128];

static void at_suspension(void)
{
    if (++suspensions == cancel_at)
        hob_group_cancel(&victim, -ESTALE);
}

static void too_slow(int sig)
{
    (void)sig;
    (void)!write(STDERR_FILENO, now_running, strlen(now_running));
    _exit(1);
}

static int tortured(void *arg)
{
    hob_fn scene = *(hob_fn *)arg;
    int r = hob_group_open(&victim, HOB_GROUP_OPTS(.name = "victim"));

    hob__leave_watch(at_suspension);
    if (r == 0)
        r = hob_go(&victim, scene, NULL);
    r = hob_group_join(&victim, r);
    hob__leave_watch(NULL);
    return r;
}

static int open_fds(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");

    CHECK(d != NULL);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* Returns how many suspensions were cancelled. */
static int torture(const char *name, hob_fn scene, const char *poll, const char *loops,
                   const char *sim)
{
    setenv("HOB_POLL", poll, 1);
    setenv("HOB_LOOPS", loops, 1);
    setenv("HOB_SIM", sim, 1);
    cancel_at = 0;
    int r = hob_run(NULL, tortured, &scene), fds = open_fds(), n;
    if (!*sim && (r == -ENOSYS || r == -EPERM))
        return 0; /* no io_uring here: test_poll says so */
    CHECK_INT(r, 0);
    for (n = 1;; n++) {
        snprintf(now_running, sizeof now_running,
                 "%s, cancelled at %d, did not end: HOB_POLL=%s HOB_LOOPS=%s HOB_SIM=%s\n", name, n,
                 poll, loops, sim);
        suspensions = 0;
        cancel_at = n;
        t_timeout(20);
        r = hob_run(NULL, tortured, &scene);
        if (suspensions < n) {
            CHECK_INT(r, 0);
            break;
        }
        if (r != -ESTALE && r != 0)
            t_fail(__FILE__, __LINE__, "%d: %s", r, now_running);
        if (open_fds() != fds || __lsan_do_recoverable_leak_check())
            t_fail(__FILE__, __LINE__, "left something: %s", now_running);
    }
    return n;
}

static void torture_all(const char *name, hob_fn scene, bool simulable)
{
    static const char *const polls[] = {"epoll", "uring"}, *const loops[] = {"1", "2"};
    int n = 0, many = 0;

    signal(SIGALRM, too_slow);
    for (int i = 0; i < 4; i++) {
        int here = torture(name, scene, polls[i / 2], loops[i % 2], "");
        n += here;
        many += here > 0 ? 10 : 0; /* 0: there is no io_uring */
    }
    for (int seed = 0; simulable && seed < t_seeds(20); seed++) {
        char text[16];
        snprintf(text, sizeof text, "%d", seed);
        n += torture(name, scene, "", seed % 2 ? "3" : "1", text);
    }
    CHECK(n > many);
}

#define TORTURE(name, simulable)                                                                   \
    TEST(name##_are_cancelled_everywhere)                                                          \
    {                                                                                              \
        torture_all(#name, scene_##name, simulable);                                               \
    }

static void fake_lookup(const char *name, struct dns_answer *ret)
{
    (void)name;
    ret->rc = hob_addr_parse("127.0.0.1", 0, &ret->addr[0]);
    ret->n = 1;
}

TORTURE(groups, true)
TORTURE(ends, true)
TORTURE(circle, true)
TORTURE(channels, true)
TORTURE(selects, true)
TORTURE(locks, true)
TORTURE(bridges, true)
TORTURE(flow, true)
TORTURE(processes, false)

TEST(names_are_cancelled_everywhere)
{
    struct dns_server server;

    setenv("CARES_HOSTS", "/dev/null", 1);
    dns_server_start(&server, torture_zone);
    torture_all("names", scene_names, false);
    dns_server_stop(&server);
}

TORTURE(io, false)

TEST(network_is_cancelled_everywhere)
{
    hob__dns_lookup = fake_lookup;
    torture_all("network", scene_network, false);
    while (hob__dns_running() > 0)
        sched_yield();
}
