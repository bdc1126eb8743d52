#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What hob diagnose costs the program it watches, and what it computes itself.

usage: cost.py --hob HOB --late LATE [--how exact|wakes|samples]... [--runs N] [--only NAME]...

Each program runs alone and in each way that hob diagnose can see it, in turn: by exact switches (tier
1, without the right to hear who wakes whom), with wakes (tier 1+, which only root has), by samples
(tier 2).  The figures are ratios of the medians.  There are three of them, since hob starts before
the program and reports after it:

own      the program's own time, from its fork to its end: what the program loses
slower   what the user waits for, less what `true` takes in the same way: so the report counts as
         far as it takes longer than that on `true`
whole    what the user waits for, hob's start and report and all

Details go to standard error, JSON rows to standard output.  The programs that switch most have rows of
their own.
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
from run import World, say  # noqa: E402

# Two threads that hand a byte to and fro on one core.  Of so many switches a few are recorded at the
# begin, and then once in 8 s, with a second each in which the kernel looks for events that are no
# more.  So what a program of a second and a half loses is told apart from what 15 s show.  The third
# computes between its switches: 20,000 a second, each 50 us.
WORST, WORST_SHORT, SOME = "switches", "switches_short", "switches_some"
SUFFIX = {WORST: "_worst", WORST_SHORT: "_short", SOME: "_some"}
ALLOWED = {"own": 1, "own_worst": 3, "own_short": 3, "own_some": 1,
           "slower": 1, "slower_worst": 3, "slower_short": 3, "slower_some": 1,
           "whole": 1, "recorder": 2}
NO_WAKES = ("setpriv", "--bounding-set", "-perfmon,-sys_admin", "--inh-caps",
            "-perfmon,-sys_admin")
HOWS = {"exact": ("1", NO_WAKES if os.geteuid() == 0 else ()), "samples": ("2", ())}
if os.geteuid() == 0:
    HOWS["wakes"] = ("1", ())

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
    SOME: threads("turns", 2, 20000),
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
    """Of one program's runs, alone or seen in one way; all but `share` in seconds."""

    def __init__(self):
        self.whole, self.own, self.cpu, self.share = [], [], [], []

    def median(self, what):
        return statistics.median(getattr(self, what))


def measure(world, hob, name, hows, runs):
    """{how, or "alone": Times}; share: of a core, in percent, is the recorder's"""
    out, watch = f"{world.dir}/cost.json", f"{world.dir}/stopwatch.txt"
    argv = [f"{world.dir}/stopwatch", watch, *fill(PROGRAMS.get(name, TRUE), world.names)]
    times = {how: Times() for how in ("alone", *hows)}
    for i in range(runs + 1):
        for how, kept in times.items():
            command = argv
            if how in HOWS:
                tier, before = HOWS[how]
                command = [*before, hob, "diagnose", "--tier", tier, "--json", out, "-o", "/dev/null",
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
            if how in HOWS:
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
    ap.add_argument("--how", action="append", choices=HOWS)
    ap.add_argument("--runs", type=int, default=7)
    ap.add_argument("--only", action="append", metavar="NAME", choices=PROGRAMS)
    args = ap.parse_args()
    args.hob, args.late = os.path.abspath(args.hob), os.path.abspath(args.late)
    hows = args.how or list(HOWS)
    process.become_reaper()
    world = Small(args.late)
    figures = {(bench, how): [] for bench in ALLOWED for how in hows}
    try:
        of_true = measure(world, args.hob, "true", hows, args.runs)
        for how, t in of_true.items():
            around = t.median("whole") - t.median("own")
            say(f"true      {how} {1000 * t.median('whole'):.1f} ms, "
                f"{1000 * around:.1f} of them before its begin and after its end")
        for name in args.only or PROGRAMS:
            times = measure(world, args.hob, name, hows, args.runs)
            alone = times["alone"]
            suffix = SUFFIX.get(name, "")
            say(f"{name:<9} alone {alone.median('own'):.3f} s ({min(alone.own):.3f} to "
                f"{max(alone.own):.3f}), CPU {alone.median('cpu'):.3f} s")
            for how in hows:
                t = times[how]
                found = {
                    "own" + suffix: more(t.median("own"), alone.median("own")),
                    "slower" + suffix:
                        more(t.median("whole") - of_true[how].median("whole"),
                             alone.median("whole") - of_true["alone"].median("whole")),
                    "whole" + suffix: more(t.median("whole"), alone.median("whole")),
                    "recorder": t.median("share"),
                }
                for bench, value in found.items():
                    if (bench, how) in figures:
                        figures[bench, how].append(value)
                own, slower, whole, share = found.values()
                say(f"{name:<9} {how} own {own:+.1f} % (CPU "
                    f"{more(t.median('cpu'), alone.median('cpu')):+.1f} %), slower {slower:+.1f} %, "
                    f"whole {whole:+.1f} %, recorder {share:.2f} % of a core")
    finally:
        world.close()
    for (bench, how), values in figures.items():
        if values:
            for r in row(f"diagnose_{bench}_{how}", max(values), ALLOWED[bench], args.runs,
                         len(world.program_cores)):
                print(json.dumps(r))


if __name__ == "__main__":
    main()
