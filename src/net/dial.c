/* SPDX-License-Identifier: MIT
 *
 * dial.c - connect by name: the addresses of it in a race (RFC 8305)
 *
 * WHAT        A group with a fiber an attempt.  The caller starts one, waits until one has ended or
 *             its time is over, and starts the next; the first connection ends the race.
 *
 * HOW         caller   take what is known of the name; go; wait for `moved`, 250 ms; again
 *             attempt  hob_tcp_dial; leave the descriptor, or why there is none; set `moved`
 *             end      cancel the group, join it: no attempt is left, and none has a descriptor
 *
 *   The second family's addresses come into the race when the next attempt is due, behind those
 *   that were tried.
 *
 * INVARIANTS  (I1) one descriptor leaves the race; a connection that comes second is closed by its
 *                  attempt
 *             (I2) result or cancel: a connection that was made is returned, whatever was
 *                  cancelled meanwhile
 *             (I3) no address is tried twice
 *
 * THREADS     The attempts are on the caller's loop: nothing here needs a lock.
 */
#include <errno.h>
#include <string.h>

#include <hob/event.h>
#include <hob/group.h>
#include <hob/net.h>

#include "net/dns.h"
#include "net/io.h"
#include "net/lookup.h"
#include "net/order.h"

enum { ADDRS_MAX = 16 };
#define ATTEMPT_DELAY (250 * HOB_MS)

struct race;

struct attempt {
    struct race *race;
    hob_addr addr;
};

struct race {
    hob_group group;
    hob_event moved; /* an attempt has ended */
    hob_time until;
    struct lookup_hold hold;
    bool whole; /* all addresses are known */
    uint16_t port;
    int fd; /* the winner's; -1 */
    int rc; /* the first failure */
    unsigned n_live;
    size_t n, n_begun; /* of attempt */
    struct attempt attempt[ADDRS_MAX];
};

static int attempt_run(void *arg)
{
    struct attempt *a = arg;
    struct race *race = a->race;
    int fd = hob_tcp_dial(&a->addr, race->until);

    race->n_live--;
    if (fd >= 0 && race->fd >= 0)
        hob_close(fd); /* (I1) */
    else if (fd >= 0)
        race->fd = fd;
    else if (race->rc == 0)
        race->rc = fd;
    (void)!hob_event_set(&race->moved);
    return fd == -ECANCELED ? fd : 0;
}

static bool addr_known(const struct race *race, const hob_addr *a)
{
    for (size_t i = 0; i < race->n; i++) {
        const hob_addr *b = &race->attempt[i].addr;
        if (a->len == b->len && memcmp(&a->sa, &b->sa, a->len) == 0)
            return true;
    }
    return false;
}

/* Behind those that are there.  (I3) */
static void race_add(struct race *race, hob_addr *addr, size_t n)
{
    hob__addrs_set_port(addr, n, race->port);
    hob__addrs_interleave(addr, n);
    for (size_t i = 0; i < n && race->n < ADDRS_MAX; i++)
        if (!addr_known(race, &addr[i]))
            race->attempt[race->n++] = (struct attempt){.race = race, .addr = addr[i]};
}

/* More addresses, if there are; waits only while there is nothing else to wait for. */
static int race_look(struct race *race, struct fiber *f)
{
    bool idle = race->n_begun == race->n && race->n_live == 0;
    hob_addr addr[ADDRS_MAX];
    size_t n = 0;
    int r;

    if (race->whole)
        return 0;
    r = hob__lookup_take(f, &race->hold, idle ? race->until : 0, race->n == 0, ADDRS_MAX, addr, &n);
    if (r < 0 && !idle)
        return 0; /* not yet */
    if (r >= 0)
        race_add(race, addr, n);
    race->whole = r <= 0;
    return r < 0 && (race->n == 0 || r == -ECANCELED || r == -ETIMEDOUT) ? r : 0;
}

/* Until an attempt ends, or it is time for the next. */
static int race_wait(struct race *race)
{
    bool more = race->n_begun < race->n || !race->whole;
    hob_time next = more ? hob_in(ATTEMPT_DELAY) : race->until;
    int r = hob_event_wait(&race->moved, next < race->until ? next : race->until);

    if (r == 0)
        r = hob_event_clear(&race->moved);
    return r == -ETIMEDOUT && next < race->until ? 0 : r;
}

static int race_run(struct race *race, struct fiber *f)
{
    int r = 0;

    while (race->fd < 0 && (r = race_look(race, f)) == 0) {
        if (race->n_begun < race->n) {
            if ((r = hob_go(&race->group, attempt_run, &race->attempt[race->n_begun])) < 0)
                return r;
            race->n_begun++;
            race->n_live++;
        } else if (race->n_live == 0 && race->whole) {
            return race->rc;
        }
        if ((r = race_wait(race)) < 0)
            return r;
    }
    return r;
}

/* With addresses, or a hold on a name. */
static int race_dial(struct race *race, struct fiber *f)
{
    int r = hob_event_init(&race->moved, "dial");

    if (r == 0)
        r = hob_group_open(&race->group, HOB_GROUP_OPTS(.name = "dial"));
    if (r < 0)
        return r;
    r = race_run(race, f);
    if (race->fd >= 0)
        hob_group_cancel(&race->group, 0);
    r = hob_group_join(&race->group, r); /* an attempt without a stack is a cause of its own */
    return race->fd >= 0 ? race->fd : r; /* (I2) */
}

/* Without a loop: one after another. */
static int dial_each(struct race *race)
{
    int fd = -HOB_EDNS, first = 0;

    for (size_t i = 0; i < race->n; i++) {
        fd = hob_tcp_dial(&race->attempt[i].addr, race->until);
        if (fd >= 0 || fd == -ETIMEDOUT)
            break;
        first = first ? first : fd;
    }
    return fd < 0 && fd != -ETIMEDOUT && first ? first : fd;
}

static int dial_known(struct race *race, struct fiber *f, hob_addr *addr, size_t n)
{
    race->whole = true;
    race_add(race, addr, n);
    return f ? race_dial(race, f) : dial_each(race);
}

int hob_tcp_dial_name(const char *name, uint16_t port, hob_time until)
{
    struct race race = {.until = until, .port = port, .fd = -1};
    hob_addr addr[ADDRS_MAX];
    struct fiber *f;
    size_t n;
    int r = hob__io_begin(&f);

    if (r == 0 && until == 0)
        r = -ETIMEDOUT; /* a connection is never there at once */
    if (r < 0 || (r = hob__resolve_here(name, port, ADDRS_MAX, addr, &n)) < 0)
        return r;
    if (r > 0)
        return dial_known(&race, f, addr, n);
    r = f && hob__dns_by_ares() ? hob__lookup_begin(f, name, until, &race.hold) : -ENOSYS;
    if (r == -ENOSYS) {
        r = hob_resolve(name, port, ADDRS_MAX, until, addr, &n);
        return r < 0 ? r : dial_known(&race, f, addr, n);
    }
    if (r < 0)
        return r;
    r = race_dial(&race, f);
    hob__lookup_end(&race.hold);
    return r;
}
