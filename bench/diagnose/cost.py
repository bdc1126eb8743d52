#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What hob diagnose costs the program it watches, and what it computes itself.

usage: cost.py --hob HOB --late LATE [--tier 1|2]... [--runs N] [--only NAME]...

Each program runs alone and under each tier, in turn; the figures are ratios of the medians.  What
`true` takes in the same way is taken off both: hob's own start, which the program does not see.
Details go to standard error, JSON rows to standard output.
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

WALL_MAX, WALL_MAX_WORST, RECORDER_MAX = 1, 3, 2  # percent
WORST = "switches"

PROGRAMS = {
    "true": ("/bin/true",),
    "asyncio": py("gather_50"),
    "threads": py("threads_io_8"),
    "compute": threads("cpu", 2, 240),
    "calls": shell("dd if=/dev/zero of=/dev/null bs=1 count=2000000 2>/dev/null"),
    "disk": threads("read", 1, 8000),
    "idle": threads("idle", 1000, 1500),
    WORST: threads("hand", 2, 150000),
}


class Small(World):
    """Of the tuning programs' world what these need."""

    def build(self):
        subprocess.run([os.environ.get("CC", "gcc"), "-O2", "-pthread", "-D_GNU_SOURCE", "-o",
                        f"{self.dir}/threads", f"{SRC}/programs/threads.c"], check=True)

    def database(self):
        pass


def measure(world, hob, name, tiers, runs):
    """{tier, or 0 for alone: [(wall, program's CPU)]}, {tier: [recorder's share of a core]}"""
    out, argv = f"{world.dir}/cost.json", fill(PROGRAMS[name], world.names)
    walls, shares = {n: [] for n in (0, *tiers)}, {n: [] for n in tiers}
    for i in range(runs + 1):
        for tier in walls:
            command = argv
            if tier:
                command = [hob, "diagnose", "--tier", str(tier), "--json", out, "-o", "/dev/null",
                           "--", *argv]
            run = process.run(command, env=world.env, cwd=world.dir, cores=world.program_cores)
            if run.timed_out or run.status != 0:
                raise SystemExit(f"cost.py: {name}: status {run.status}: {run.err}")
            if i == 0:
                continue  # caches
            walls[tier].append(run.wall)
            if tier:
                with open(out, encoding="utf-8") as f:
                    d = json.load(f)
                shares[tier].append(100 * d["recording"]["recorder_cpu"] / d["wall"])
    return walls, shares


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
    slower, worst, computed = ({tier: [] for tier in tiers} for _ in range(3))
    starts = {}
    try:
        for name in dict.fromkeys(["true", *(args.only or PROGRAMS)]):
            walls, shares = measure(world, args.hob, name, tiers, args.runs)
            times = {tier: statistics.median(walls[tier]) for tier in walls}
            if name == "true":
                starts = times
                say("true      " + ", ".join(f"T{tier} {1000 * t:.1f} ms"
                                             for tier, t in times.items()))
                continue
            for tier in tiers:
                alone = times[0] - starts[0]
                more = 100 * ((times[tier] - starts[tier]) / alone - 1)
                share = statistics.median(shares[tier])
                (worst if name == WORST else slower)[tier].append(more)
                computed[tier].append(share)
                say(f"{name:<9} T{tier} alone {alone:.3f} s ({min(walls[0]):.3f} to "
                    f"{max(walls[0]):.3f}), {more:+.1f} %, recorder {share:.2f} % of a core")
    finally:
        world.close()
    n_cores = len(world.program_cores)
    for tier in tiers:
        for bench, values, allowed in (("slower", slower, WALL_MAX),
                                       ("slower_worst", worst, WALL_MAX_WORST),
                                       ("recorder", computed, RECORDER_MAX)):
            if values[tier]:
                for r in row(f"diagnose_{bench}_{TIERS[tier]}", max(values[tier]), allowed,
                             args.runs, n_cores):
                    print(json.dumps(r))


if __name__ == "__main__":
    main()
