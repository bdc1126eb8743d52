#!/usr/bin/env python3
"""Breaks one numbered invariant at a time and sees that what watches over it notices.

usage: planted.py SOURCE_ROOT LIBRARY CC...

The pool's, the door's and the claim's are for the explorers of interleavings here, the fibers' and the
selects' for their unit tests.
"""
import collections
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

# What is broken, where; who watches, with which arguments; what is compiled for it.
Watch = collections.namedtuple('Watch', 'folder program args sources more env', defaults=[{}])
POOL = Watch('src/pool', 'explore_pool', [], ['tests/model/explore.c', 'tests/model/explore_pool.c'], [])
DOOR = Watch('src/sched', 'explore_door', [], ['tests/model/explore.c', 'tests/model/explore_door.c'], [])
FIBER = Watch('src/sched', 'test_fiber', ['a_switch'],
              ['src/sched/fiber.c', 'tests/unit/test_fiber.c', 'tests/lib/t.c'],
              ['-Wl,--wrap=' + name for name in ('malloc', 'calloc', 'realloc', 'clock_gettime')])
CLAIM = Watch('src/sync', 'explore_claim', [],
              ['tests/model/explore.c', 'tests/model/explore_claim.c'], [])


def selects(test, more=()):
    """The library's part of a select, and a unit test of it."""
    return Watch('src/sync', test, [],
                 [f'src/sync/{name}.c' for name in ('chan', 'event', 'group', 'select', 'select_away',
                                                    'select_fd')] +
                 [f'tests/unit/{test}.c', 'tests/lib/t.c'], list(more))


SELECT = selects('test_sync_select', ['-Wl,--wrap=' + name for name in ('malloc', 'calloc', 'realloc')])
AWAY = selects('test_select_away')._replace(args=['selects_that_meet'])
SELECT_FD = selects('test_select_fd')

# watch, invariant, file, what is there, what is put in its place
PLANTS = [
    (POOL, "D1", "deque.h", "if (!atomic_compare_exchange_strong(&d->top, &top, top + 1)) /* (D1) */",
     "if ((*&d->top = top + 1, false))"),
    (POOL, "D3", "deque.h", "if (bottom - atomic_load(&d->top) >= DEQUE_SLOTS)",
     "if (bottom - atomic_load(&d->top) > DEQUE_SLOTS)"),
    (POOL, "I2", "idle.h", "idle_sleep(i); /* (I2): its token is given or about to be */", ";"),
    (POOL, "I3 look once more", "worker.c", "if (work_visible()) {", "if (false) {"),
    (POOL, "I3 wake the next", "worker.c",
     "if (idle_search_end(&hob__pool.idle) && work_visible())",
     "if (idle_search_end(&hob__pool.idle) && false)"),
    (POOL, "Q1", "inject.h", "if (n)\n        atomic_fetch_sub", "atomic_fetch_sub"),
    (POOL, "P1", "worker.c", "if (!found && stop)", "if (false)"),
    (POOL, "W2", "worker.c", "deque_steal(&thief->deque, &j->state, JOB_DONE)",
     "deque_steal(&thief->deque, NULL, 0)"),
    (POOL, "W4", "worker.c", "if (atomic_exchange(&j->state, JOB_DONE) == JOB_PARKED)",
     "if (atomic_exchange(&j->state, JOB_DONE) == JOB_DONE)"),
    (DOOR, "I1 the barrier", "door.h", "barrier_heavy();", ";"),
    (DOOR, "I2 the sender", "door.h",
     "return door_step(d, open + DOOR_KNOCKED, DOOR_SENT); /* (I2) */",
     "return door_step(d, open + DOOR_KNOCKED, DOOR_SENT) || true;"),
    (DOOR, "I2 the join", "door.h", "DOOR_KNOCKED && door_step(d, state, DOOR_SHUT)) /* (I2) */",
     "DOOR_KNOCKED)"),
    (DOOR, "I3", "door.h", "!door_step(d, open, DOOR_KNOCKED)) /* (I3) */",
     "(atomic_store(&d->state, open + DOOR_KNOCKED), false))"),
    (CLAIM, "I1", "claim.h",
     "if (atomic_compare_exchange_strong_explicit(&c->state, &seen, to, memory_order_acq_rel,",
     "if (atomic_load(&c->state) == CLAIM_OPEN && atomic_exchange(&c->state, to) < 9 &&"
     " atomic_compare_exchange_strong_explicit(&c->state, &to, to, memory_order_acq_rel,"),
    (CLAIM, "I2", "claim.h", "claim_end(first, both); /* (I2) */", "claim_end(first, true);"),
    (CLAIM, "I3", "claim.h", "(uintptr_t)mine < (uintptr_t)other; /* (I3) */", "true;"),
    (CLAIM, "I4", "claim.h", "claim_end(first, both); /* (I2) */",
     "if (both)\n        claim_end(first, true);"),
    (AWAY._replace(args=['a_cancel_comes']), "I1 a cancel does not claim", "select.c",
     "    if (!claim_take(&s->claim))\n        return false;", "    (void)claim_take(&s->claim);"),
    (AWAY, "I1 what is taken is matched again", "chan.c",
     "return claim_take(&waiter_arm(w)->sel->claim) ? CLAIM_BOTH : CLAIM_OTHER_GONE;",
     "return claim_take(&waiter_arm(w)->sel->claim) ? CLAIM_BOTH : CLAIM_BOTH;"),
    (SELECT._replace(args=['each_kind_of_arm_wakes']), "I2 losers stay", "select.c", "a->kind->leave(a); /* (I2) */", ";"),
    (AWAY, "I2 losers stay elsewhere", "select_away.c",
     "        a->kind->leave(a);\n        hob__away_done(a);", "        hob__away_done(a);"),
    (AWAY, "I3 not waited for", "select.c", "while (s->n_out > 0) {", "while (false) {"),
    (AWAY, "I4 woken twice", "select.c", "s->waits_for = SEL_NOTHING; /* (I4) */", ";"),
    (AWAY._replace(args=['a_cancel_comes']), "I5 no look before a park", "select.c",
     "if (f->scope->cancelled && sel_give_up(s, -ECANCELED)) {", "if (false) {"),
    (AWAY._replace(args=['what_is_away']), "I6 fair", "select.c", "(away_first && sel_look(s));", "false;"),
    (AWAY._replace(args=['what_is_away']), "I6 ordered", "select.c", "s->may_wait && sel_look(s); /* (I6)", "false; /* (I6)"),
    (AWAY, "away I1", "select_away.c", "if (!a->done) {", "if (true) {"),
    (AWAY._replace(args=['what_is_away']), "away I2", "select_away.c", "    away_answered(a);\n    if (a->won)", "    if (a->won)"),
    (AWAY, "away I3", "select_away.c", "    away_send(a, m, cancel_back);",
     "    away_send(a, m, cancel_back);\n    a->sel = NULL;"),
    (AWAY, "chan I6 one of two", "chan.c",
     "return claim_pair(&me->sel->claim, &waiter_arm(w)->sel->claim);",
     "return claim_take(&waiter_arm(w)->sel->claim) ? CLAIM_BOTH : CLAIM_OTHER_GONE;"),
    (AWAY, "chan: meets itself", "chan.c",
     "if (me && waiter_is_arm(w) && waiter_arm(w)->sel == me->sel)", "if (false)"),
    (SELECT._replace(args=['each_kind'], env={'HOB_SIM': '1'}), "event I1", "event.c", "        arms_admit(e);", "        ;"),
    (SELECT, "no shuffle", "select.c", "    if (!ordered)\n        sel_shuffle(s);", "    ;"),
    (SELECT_FD, "fd I1", "select_fd.c", "a->sel->n_out++; /* (I1) */", ";"),
    (SELECT_FD._replace(args=['listeners']), "fd I2 accepted before it is known who won", "select_fd.c",
     "        .kind = POLL_READY,\n        .done", "        .kind = pub->kind == HOB_ARM_ACCEPT ? POLL_ACCEPT : POLL_READY,\n        .done"),
    (SELECT_FD._replace(args=['listeners']), "fd I2 not given back", "select_fd.c",
     "claim_end(&a->sel->claim, r != POLL_TRY_WAIT);", "claim_end(&a->sel->claim, true);"),
    (FIBER, "I1 on a switch", "fiber.c", "l->current = to; /* (I1) */\n    san_leave(from_san",
     "san_leave(from_san"),
    (FIBER, "I1 at an end", "fiber.c", "l->current = to; /* (I1) */\n    san_leave(&f->san",
     "san_leave(&f->san"),
    (FIBER, "I4 the clock", "fiber.c", "san_leave(from_san, to_san, false);",
     "(void)hob__now();\n    san_leave(from_san, to_san, false);"),
    (FIBER, "I4 memory", "fiber.c", "san_leave(from_san, to_san, false);",
     "(void)hob__task_refill(l);\n    san_leave(from_san, to_san, false);"),
]


def build(root, library, cc, watch, folder):
    """Compiles the watcher in `folder`, whose broken sources come before the real ones."""
    program = folder / watch.program
    subprocess.run(
        [*cc, "-std=gnu17", "-O1", "-w", "-D_GNU_SOURCE", f"-I{folder}/src", f"-I{folder}/tests",
         f"-I{root}/src", f"-I{root}/include", *(str(folder / s) for s in watch.sources),
         library, *watch.more, *libraries(), "-pthread", "-o", str(program)], check=True)
    return program


def libraries():
    """What the static library needs."""
    return subprocess.run(["pkg-config", "--libs", "libcares", "libcurl", "liburing"],
                          stdout=subprocess.PIPE, text=True, check=True).stdout.split()


def said(run):
    """The line that tells most."""
    lines = run.stdout.splitlines() or ["status %d" % run.returncode]
    if 'decisions' in run.stdout:
        return lines[-2]
    return next((line for line in lines if line.startswith('not ok')), lines[-1])


def noticed(root, library, cc, plant):
    """What the watcher says of it; None: nothing."""
    watch, name, file, old, new = plant
    with tempfile.TemporaryDirectory() as tmp:
        folder = pathlib.Path(tmp)
        for part in {watch.folder, 'tests/model', 'tests/lib', 'tests/unit'}:
            shutil.copytree(f"{root}/{part}", folder / part)
        path = folder / watch.folder / file
        text = path.read_text(encoding="utf-8")
        if text.count(old) != 1:
            print(f"{name}: {file} has this {text.count(old)} times, not once: {old}")
            return None
        path.write_text(text.replace(old, new), encoding="utf-8")
        run = subprocess.run([build(root, library, cc, watch, folder), *watch.args], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, timeout=600, check=False,
                             env={**os.environ, **watch.env})
        return said(run) if run.returncode else None


def main(root, library, *cc):
    missed = 0
    for plant in PLANTS:
        what = noticed(root, library, cc, plant)
        missed += what is None
        print(f"{plant[0].program} {plant[1]}: {what or 'not noticed'}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
