#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Is the number of operations in flight right, from 1 connection to 10,000?

usage: flight.py --hob HOB --late LATE [--tier 1|2]... [--only LANGUAGE]... [--count N]...

The server knows how many requests waited in it, on average while there was one; hob diagnose says
what it saw from outside.  Details go to standard error, JSON rows to standard output.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import urllib.request

SRC = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(SRC))
sys.dont_write_bytecode = True

from harness import process  # noqa: E402
from harness.model import fill, find_program  # noqa: E402
from run import TIERS, World, say  # noqa: E402

ERROR_MAX = 5  # percent
# Of pages: ms, and how many one after the other.  The server must have no trouble with them.
COUNTS = {1: (100, 10), 10: (100, 10), 100: (100, 20), 1000: (1000, 4), 10000: (6000, 2)}
CLIENTS = {
    "python": ("{python}", "{programs}/hold.py"),
    "node": ("node", "{programs}/hold.js"),
    "go": ("{out}/go_hold",),
    "c": ("{out}/hold",),
}


class Clients(World):
    """Of the tuning programs' world what these need."""

    def build(self):
        for name in ("hold", "threads"):  # threads: World tells the cores' speed by it
            subprocess.run([os.environ.get("CC", "gcc"), "-O2", "-pthread", "-D_GNU_SOURCE", "-o",
                            f"{self.dir}/{name}", f"{SRC}/programs/{name}.c"], check=True)
        self.have |= {"c", "python"}
        if find_program("node"):
            self.have.add("node")
        env = {**os.environ, "GOCACHE": f"{self.dir}/go-cache", "GOPATH": f"{self.dir}/go",
               "GO111MODULE": "off"}
        if find_program("go") and subprocess.run(
                ["go", "build", "-o", f"{self.dir}/go_hold", f"{SRC}/programs/go_hold/main.go"],
                env=env, check=False).returncode == 0:
            self.have.add("go")

    def files(self):
        pass

    def database(self):
        pass

    def count(self):
        url = f"http://127.0.0.1:{self.env['LATE_PORT']}/count"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return float(answer.read())


def error_of(world, hob, name, n, tier):
    ms, pages = COUNTS[n]
    out = f"{world.dir}/flight.json"
    world.count()  # begins anew
    run = process.run([hob, "diagnose", "--tier", str(tier), "--json", out, "-o", "/dev/null",
                       "--", *fill(CLIENTS[name], world.names), str(n), str(ms), str(pages)],
                      env=world.env, cwd=world.dir, cores=world.program_cores)
    if run.timed_out or run.status != 0:
        raise SystemExit(f"flight.py: {name} {n}: status {run.status}: {run.err[-500:]}")
    truth = world.count()
    with open(out, encoding="utf-8") as f:
        d = json.load(f)
    error = 100 * (d["in_flight"] / truth - 1)
    say(f"{name:<7} {n:>5} T{tier} truth {truth:8.1f} seen {d['in_flight']:8.1f} {error:+6.1f} %  "
        f"recorder {100 * d['recording']['recorder_cpu'] / d['wall']:.2f} % of {d['wall']:.2f} s")
    return abs(error)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--hob", required=True)
    ap.add_argument("--late", required=True)
    ap.add_argument("--tier", type=int, action="append", choices=sorted(TIERS))
    ap.add_argument("--only", action="append", metavar="LANGUAGE", choices=CLIENTS)
    ap.add_argument("--count", type=int, action="append", choices=COUNTS)
    args = ap.parse_args()
    args.hob, args.late = os.path.abspath(args.hob), os.path.abspath(args.late)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < 2 * max(COUNTS):
        say(f"flight.py: only {hard} descriptors a process are allowed here")
    process.become_reaper()
    world = Clients(args.late)
    errors = {tier: [] for tier in args.tier or sorted(TIERS)}
    try:
        for name in args.only or CLIENTS:
            if name not in world.have:
                say(f"{name:<7} MISSING")
                continue
            for n in args.count or COUNTS:
                for tier, found in errors.items():
                    found.append(error_of(world, args.hob, name, n, tier))
    finally:
        world.close()
    for tier, found in errors.items():
        for subject, value in (("hob", max(found, default=100)), ("allowed", ERROR_MAX)):
            print(json.dumps({"bench": f"diagnose_flight_{TIERS[tier]}", "subject": subject,
                              "unit": "percent", "median": value, "min": value, "max": value,
                              "n": len(found), "n_cores": len(world.program_cores)}))


if __name__ == "__main__":
    main()
