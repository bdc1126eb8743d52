#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""How often hob diagnose is right, and how well it predicts: the tuning programs, run and fixed.

usage: run.py --hob HOB --late LATE [--tier 1|2]... [--runs N] [--only NAME]... [--keep DIR]
       run.py --judge JUDGE --keep DIR [--tier 1|2]... [--only NAME]...

Each program is run alone, and so is the program that follows the advice, in turn; then hob
diagnose runs it on each tier.  Details go to standard error, JSON rows to standard output.
Programs have two cores; the server, the database and this script have the others.

--keep (or HOB_DIAGNOSE_KEEP) keeps times, verdicts and recordings; what is there is not run again,
so that a run which was ended goes on where it was.  --judge runs nothing: JUDGE says what to make
of those recordings today.
"""
import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

SRC = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(SRC))
sys.dont_write_bytecode = True

from cases import CASES  # noqa: E402
from harness import machine, process  # noqa: E402
from harness.model import fill, find_program  # noqa: E402
from harness.server import free_port  # noqa: E402

NAME_SERVER = "127.0.0.153"
NOBODY = 65534
PROGRAM_CORES = 2
TRIES = 3  # of a run that something else disturbed
SLOW_MAX = 0.15  # that the cores compute slower than they did
TIERS = {1: "exact", 2: "samples"}
WRONG_MAX = {1: 1, 2: 3}  # of 25
SLOWER_MIN = 0.95  # a measured gain below it: the advice made the program slower
ERROR_MEDIAN_MAX, ERROR_P90_MAX, OUTSIDE_MAX = 12, 30, 15  # percent


def say(text):
    print(text, file=sys.stderr, flush=True)


class World:
    """The server, the database and the files that the programs use, and what they are built of."""

    def __init__(self, late):
        self.dir = tempfile.mkdtemp(prefix="hob-diagnose-")
        os.chmod(self.dir, 0o755)
        usable = sorted(os.sched_getaffinity(0))
        self.program_cores = frozenset(usable[-PROGRAM_CORES:])
        self.server_cores = frozenset(usable[:-PROGRAM_CORES] or usable)
        self.have = {"python3"}
        self.started = []
        self.names = {"dir": self.dir, "out": self.dir, "programs": f"{SRC}/programs",
                      "python": find_program("/usr/bin/python3") or "python3"}
        self.env = {"LATE_DIR": self.dir, "LATE_DNS": NAME_SERVER, "PYTHONDONTWRITEBYTECODE": "1"}
        self.spun = math.inf
        try:
            self.build()
            self.spun = min(self.spin() for _ in range(20))
            self.files()
            self.serve(late)
            self.database()
        except BaseException:
            self.close()
            raise

    def close(self):
        for proc in reversed(self.started):
            proc.terminate()
            try:
                proc.wait(10)
            except subprocess.TimeoutExpired:
                pass
            process.end(proc)
        shutil.rmtree(self.dir, ignore_errors=True)

    def build(self):
        subprocess.run([os.environ.get("CC", "gcc"), "-O2", "-pthread", "-D_GNU_SOURCE", "-o",
                        f"{self.dir}/threads", f"{SRC}/programs/threads.c"], check=True)
        go = find_program("go")
        env = {**os.environ, "GOCACHE": f"{self.dir}/go-cache", "GOPATH": f"{self.dir}/go",
               "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}
        for name in ("go_io", "go_cpu"):
            if go and subprocess.run([go, "build", "-o", f"{self.dir}/{name}",
                                      f"{SRC}/programs/{name}/main.go"], env=env,
                                     check=False).returncode == 0:
                self.have.add("go")
        if find_program("node"):
            self.have.add("node")

    def files(self):
        with open(f"{self.dir}/big", "wb") as f:
            for _ in range(64):
                f.write(os.urandom(4 << 20))
        with open(f"{self.dir}/text", "w", encoding="ascii") as f:
            f.writelines(f"{i}\n" for i in range(1500000))
        with open(f"{self.dir}/part", "w", encoding="ascii") as f:
            f.write(os.urandom(1500000).hex())
        for n in (8, 40):
            with open(f"{self.dir}/{n}.sql", "w", encoding="ascii") as f:
                f.write("select pg_sleep(0.02);\n" * n)
        os.sync()

    def serve(self, late):
        for extra in (["-d", NAME_SERVER], []):
            proc = process.start([late, *extra], cores=self.server_cores, out=subprocess.PIPE)
            line = proc.stdout.readline().split()
            if line[:1] == [b"port"]:
                self.started.append(proc)
                self.env["LATE_PORT"] = line[1].decode()
                if extra:
                    self.have.add("dns")
                return
            process.end(proc)
        raise SystemExit("run.py: the server does not start")

    def database(self):
        psql, bin_dir = find_program("psql"), self.postgres_bin()
        if not psql or not bin_dir:
            return
        data, port = f"{self.dir}/pg", free_port()
        os.mkdir(data)
        who = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            os.chown(data, NOBODY, NOBODY)
            who = ["setpriv", f"--reuid={NOBODY}", "--clear-groups"]
        made = subprocess.run([*who, f"{bin_dir}/initdb", "-D", data, "-U", "postgres", "-A",
                               "trust"], stdout=subprocess.DEVNULL, check=False)
        if made.returncode != 0:
            return
        self.started.append(process.start(
            [*who, f"{bin_dir}/postgres", "-D", data, "-p", str(port), "-k", data],
            cores=self.server_cores))
        self.names.update(psql=psql, pgport=port)
        for _ in range(100):
            ready = subprocess.run([psql, "-h", "127.0.0.1", "-p", str(port), "-U", "postgres",
                                    "-c", "select 1"], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, check=False)
            if ready.returncode == 0:
                self.have.add("psql")
                return
            time.sleep(0.1)

    @staticmethod
    def postgres_bin():
        parent = "/usr/lib/postgresql"
        versions = sorted(os.listdir(parent)) if os.path.isdir(parent) else []
        return f"{parent}/{versions[-1]}/bin" if versions else None

    def spin(self):
        """CPU seconds of a fixed piece of computing on each core at once: a neighbour on the same
        chip shows in nothing else, and can double it."""
        n = len(self.program_cores)
        return process.run([f"{self.dir}/threads", "cpu", str(n), str(6 * n)],
                           cores=self.program_cores).cpu

    def run(self, argv):
        """(seconds, the part of the cores that something else had, output) of the quietest of some
        tries; a core that computes slower than it can counts as had."""
        best, spun = None, self.spin()
        for _ in range(TRIES):
            before = machine.load_read(self.program_cores)
            run = process.run(argv, env=self.env, cwd=self.dir, cores=self.program_cores)
            after = machine.load_read(self.program_cores)
            why = machine.disturbance(before, after, run.cpu, run.wall, len(self.program_cores))
            if run.timed_out or run.status != 0:
                raise SystemExit(f"run.py: {' '.join(argv)}: status {run.status}: {run.err}")
            slow, spun = max(spun, now := self.spin()), now
            self.spun = min(self.spun, slow)
            had = why.total + max(0, 1 - self.spun / slow - SLOW_MAX)
            if best is None or had < best[1]:
                best = (run.wall, had, run)
            if not had:
                break
        return best


class Results:
    """What was measured, kept in a folder if there is one."""

    def __init__(self, folder, judge):
        self.folder, self.judge = folder, judge

    def path(self, name):
        return f"{self.folder}/{name}" if self.folder else None

    def has(self, case, tiers):
        names = [f"{case.name}.t{tier}.{'rec' if self.judge else 'json'}" for tier in tiers]
        names += [f"{case.name}.json"] if case.fixed else []
        return bool(self.folder) and all(os.path.exists(self.path(name)) for name in names)

    def once(self, name, take):
        """What the file says; without it, what `take` comes to, written there whole or not at all."""
        path = self.path(name)
        if path and os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                return json.load(f)
        value = take()
        if path:
            with open(f"{path}.new", "w", encoding="utf-8") as f:
                json.dump(value, f)
            os.rename(f"{path}.new", path)
        return value

    def truth(self, world, case, runs):
        return self.once(f"{case.name}.json", lambda: times_of(world, case, runs))

    def diagnosed(self, world, hob, case, tier):
        record = self.path(f"{case.name}.t{tier}.rec")
        if self.judge:
            out = subprocess.run([self.judge, record], stdout=subprocess.PIPE, check=True).stdout
            return json.loads(out)
        return self.once(f"{case.name}.t{tier}.json",
                         lambda: diagnosis_of(world, hob, case, tier, record))


def times_of(world, case, runs):
    """Seconds, and CPU seconds, of the program and of the fixed one, run in turn."""
    kept = {"before": [], "after": [], "cpu_before": [], "cpu_after": []}
    for _ in range(runs):
        for which, argv in (("before", case.argv), ("after", case.fixed)):
            seconds, _, run = world.run(fill(argv, world.names))
            kept[which].append(seconds)
            kept[f"cpu_{which}"].append(run.cpu)
    return kept


def diagnosis_of(world, hob, case, tier, record):
    out = f"{world.dir}/diagnosis.json"
    argv = [hob, "diagnose", "--tier", str(tier), "--json", out, "-o", "/dev/null"]
    if record:
        argv += ["--record", record]
    world.run([*argv, "--", *fill(case.argv, world.names)])
    with open(out, encoding="utf-8") as f:
        return json.load(f)


def gain_of(times):
    return statistics.median(times["before"]) / statistics.median(times["after"])


def asked(case, prediction):
    """The prediction for what the fixed program does: so many operations at once, on so many cores."""
    if case.advice == "batch":
        return prediction
    if case.advice == "both":
        table, key, value = prediction["both"]["at"], "in_flight", case.in_flight
    elif case.in_flight:
        table, key, value = prediction["concurrency"]["at"], "in_flight", case.in_flight
    else:
        table, key, value = prediction["parallelism"]["at"], "cores", case.cores
    return next((p for p in table if p[key] == value), prediction)


class Score:
    def __init__(self):
        self.wrong, self.slower, self.n, self.errors, self.inside = [], [], 0, [], []

    def add(self, case, d, real):
        v = d["verdict"]
        got, want = (v["bound"], v["advice"], v["mismatch"]), (case.bound, case.advice,
                                                              case.mismatch)
        self.n += 1
        if got != want:
            self.wrong.append(case.name)
        text = "/".join(str(x) for x in got)
        text += "" if got == want else "  WRONG, it is " + "/".join(str(x) for x in want)
        if 0 < real < SLOWER_MIN:
            self.slower.append(case.name)
        if real and not d["prediction"]["refused"]:
            p = asked(case, d["prediction"])
            self.errors.append(100 * abs(p["value"] / real - 1))
            self.inside.append(p["low"] <= real <= p["high"])
            text += (f"  predicted {p['value']:.2f} ({p['low']:.2f} to {p['high']:.2f}),"
                     f" measured {real:.2f}, {100 * (p['value'] / real - 1):+.0f} %"
                     f"{'' if self.inside[-1] else ', outside'}")
        elif real:
            text += f"  refused: {d['prediction']['refused']}"
        return text

    def rows(self, tier, n_cores):
        name = TIERS[tier]
        figures = [(f"diagnose_wrong_{name}", "programs", len(self.wrong), WRONG_MAX[tier]),
                   (f"diagnose_slower_{name}", "programs", len(self.slower), 0)]
        if self.errors:
            ranked = sorted(self.errors)
            p90 = ranked[min(len(ranked) - 1, math.ceil(.9 * len(ranked)) - 1)]
            outside = 100 * self.inside.count(False) / len(self.inside)
            figures += [
                (f"diagnose_error_{name}", "percent", statistics.median(ranked), ERROR_MEDIAN_MAX),
                (f"diagnose_error_p90_{name}", "percent", p90, ERROR_P90_MAX),
                (f"diagnose_outside_{name}", "percent", outside, OUTSIDE_MAX)]
        for bench, unit, value, most in figures:
            for subject, figure in (("hob", value), ("allowed", most)):
                yield {"bench": bench, "subject": subject, "unit": unit, "median": figure,
                       "min": figure, "max": figure, "n": self.n, "n_cores": n_cores}


def arguments():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--hob")
    ap.add_argument("--late")
    ap.add_argument("--judge")
    ap.add_argument("--tier", type=int, action="append", choices=sorted(TIERS))
    ap.add_argument("--runs", type=int, default=5, help="of each program alone")
    ap.add_argument("--only", action="append", metavar="NAME")
    ap.add_argument("--keep", metavar="DIR", default=os.environ.get("HOB_DIAGNOSE_KEEP"),
                    help="keep everything there, and go on from what is there")
    args = ap.parse_args()
    if args.judge and not args.keep or not args.judge and not (args.hob and args.late):
        ap.error("--hob and --late, or --judge and --keep")
    for name in ("hob", "late", "judge", "keep"):
        setattr(args, name, getattr(args, name) and os.path.abspath(getattr(args, name)))
    if args.keep:
        os.makedirs(args.keep, exist_ok=True)
    return args


def score_case(case, world, args, results, scores):
    gone = [n for n in case.needs if world and n not in world.have]
    known = results.has(case, scores)
    if not known and (gone or not world):
        say(f"{case.name:<14} MISSING: no {', '.join(gone or ['recording'])}")
        for score in scores.values():
            score.n += 1
            score.wrong.append(case.name)
        return
    real = gain_of(results.truth(world, case, args.runs)) if case.fixed and args.runs else 0
    for tier, score in scores.items():
        d = results.diagnosed(world, args.hob, case, tier)
        say(f"{case.name:<14} T{tier} {score.add(case, d, real)}")


def main():
    args = arguments()
    results = Results(args.keep, args.judge)
    scores = {tier: Score() for tier in args.tier or sorted(TIERS)}
    cases = [c for c in CASES if not args.only or c.name in args.only]
    process.become_reaper()
    world = None
    if not args.judge and not all(results.has(c, scores) for c in cases):
        world = World(args.late)
    try:
        for case in cases:
            score_case(case, world, args, results, scores)
    finally:
        if world:
            world.close()
    for tier, score in scores.items():
        for row in score.rows(tier, PROGRAM_CORES):
            print(json.dumps(row))


if __name__ == "__main__":
    main()
