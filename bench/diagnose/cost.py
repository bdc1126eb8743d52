#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What hob diagnose costs the program it watches, and what it computes itself.

usage: cost.py --hob HOB --late LATE [--tier 1|2]... [--runs N] [--only NAME]...

Each program runs alone and under each tier, in turn; the figures are ratios of the medians.  There
are three of them, since hob starts before the program and reports after it:

own      the program's own time, from its fork to its end: what the program loses
slower   what the user waits for, less what `true` takes in the same way: so the report counts as
         far as it takes longer than that on `true`
whole    what the user waits for, hob's start and report and all

Details go to standard error, JSON rows to standard output: of the program that switches most only
the long run has rows of its own.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

SRC = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(SRC))
sys.dont_write_bytecode = True

from cases import py, shell, threads  # noqa: E402
from harness import process  # noqa: E402
from harness.model import fill  # noqa: E402
from run import TIERS, World, say  # noqa: E402

# Two threads that hand a byte to and fro on one core.  Of so many switches records are taken in
# turns, close together at first, for the sake of short programs, and then once in 8 s: what such a
# program loses in its first second and a half, most of it, is told apart from what it goes on
# losing, which 15 s show.
WORST, WORST_SHORT = "switches", "switches_short"
ALLOWED = {"own": 1, "own_worst": 3, "slower": 1, "slower_worst": 3, "whole": 1, "recorder": 2}

TRUE = ("/bin/true",)
PROGRAMS = {
    "asyncio": py("gather_50"),
    "threads": py("threads_io_8"),
    "compute": threads("cpu", 2, 240),
    "calls": shell("dd if=/dev/zero of=/dev/null bs=1 count=2000000 2>/dev/null"),
    "disk": threads("read", 1, 8000),
    "idle": threads("idle", 1000, 1500),
    WORST_SHORT: threads("hand", 2, 280000),
    WORST: threads("hand", 2, 2100000),
}


class Small(World):
    """Of the tuning programs' world what these need."""

    def build(self):
        for name in ("stopwatch", "threads"):
            subprocess.run([os.environ.get("CC", "gcc"), "-O2", "-pthread", "-D_GNU_SOURCE", "-o",
                            f"{self.dir}/{name}", f"{SRC}/programs/{name}.c"], check=True)

    def database(self):
        pass


class Times:
    """Of one program's runs, alone or under one tier; all but `share` in seconds."""

    def __init__(self):
        self.whole, self.own, self.cpu, self.share = [], [], [], []

    def median(self, what):
        return statistics.median(getattr(self, what))


def measure(world, hob, name, tiers, runs):
    """{tier, or 0 for alone: Times}; share: of a core, in percent, is the recorder's"""
    out, watch = f"{world.dir}/cost.json", f"{world.dir}/stopwatch.txt"
    argv = [f"{world.dir}/stopwatch", watch, *fill(PROGRAMS.get(name, TRUE), world.names)]
    times = {n: Times() for n in (0, *tiers)}
    for i in range(runs + 1):
        for tier, kept in times.items():
            command = argv
            if tier:
                command = [hob, "diagnose", "--tier", str(tier), "--json", out, "-o", "/dev/null",
                           "--", *argv]
            run = process.run(command, env=world.env, cwd=world.dir, cores=world.program_cores)
            if run.timed_out or run.status != 0:
                raise SystemExit(f"cost.py: {name}: status {run.status}: {run.err}")
            if i == 0:
                continue  # caches
            with open(watch, encoding="ascii") as f:
                own, cpu = map(float, f.read().split())
            kept.whole.append(run.wall)
            kept.own.append(own)
            kept.cpu.append(cpu)
            if tier:
                with open(out, encoding="utf-8") as f:
                    d = json.load(f)
                kept.share.append(100 * d["recording"]["recorder_cpu"] / d["wall"])
    return times


def more(new, old):
    return 100 * (new / old - 1)


def row(bench, value, allowed, n, n_cores):
    for subject, figure in (("hob", value), ("allowed", allowed)):
        yield {"bench": bench, "subject": subject, "unit": "percent", "median": figure,
               "min": figure, "max": figure, "n": n, "n_cores": n_cores}


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--hob", required=True)
    ap.add_argument("--late", required=True)
    ap.add_argument("--tier", type=int, action="append", choices=sorted(TIERS))
    ap.add_argument("--runs", type=int, default=7)
    ap.add_argument("--only", action="append", metavar="NAME", choices=PROGRAMS)
    args = ap.parse_args()
    args.hob, args.late = os.path.abspath(args.hob), os.path.abspath(args.late)
    tiers = args.tier or sorted(TIERS)
    process.become_reaper()
    world = Small(args.late)
    figures = {(bench, tier): [] for bench in ALLOWED for tier in tiers}
    try:
        of_true = measure(world, args.hob, "true", tiers, args.runs)
        for tier, t in of_true.items():
            around = t.median("whole") - t.median("own")
            say(f"true      {f'T{tier}' if tier else 'alone'} {1000 * t.median('whole'):.1f} ms, "
                f"{1000 * around:.1f} of them before its begin and after its end")
        for name in args.only or PROGRAMS:
            times = measure(world, args.hob, name, tiers, args.runs)
            alone = times[0]
            suffix = {WORST: "_worst", WORST_SHORT: "_short"}.get(name, "")  # the last: no row
            say(f"{name:<9} alone {alone.median('own'):.3f} s ({min(alone.own):.3f} to "
                f"{max(alone.own):.3f}), CPU {alone.median('cpu'):.3f} s")
            for tier in tiers:
                t = times[tier]
                found = {
                    "own" + suffix: more(t.median("own"), alone.median("own")),
                    "slower" + suffix:
                        more(t.median("whole") - of_true[tier].median("whole"),
                             alone.median("whole") - of_true[0].median("whole")),
                    "whole" + suffix: more(t.median("whole"), alone.median("whole")),
                    "recorder": t.median("share"),
                }
                for bench, value in found.items():
                    if (bench, tier) in figures:
                        figures[bench, tier].append(value)
                own, slower, whole, share = found.values()
                say(f"{name:<9} T{tier} own {own:+.1f} % (CPU "
                    f"{more(t.median('cpu'), alone.median('cpu')):+.1f} %), slower {slower:+.1f} %, "
                    f"whole {whole:+.1f} %, recorder {share:.2f} % of a core")
    finally:
        world.close()
    for (bench, tier), values in figures.items():
        if values:
            for r in row(f"diagnose_{bench}_{TIERS[tier]}", max(values), ALLOWED[bench], args.runs,
                         len(world.program_cores)):
                print(json.dumps(r))


if __name__ == "__main__":
    main()
