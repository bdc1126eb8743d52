#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""How often hob diagnose is right, and how well it predicts: the tuning programs, run and fixed.

usage: run.py --hob HOB --late LATE [--tier 1|2]... [--runs N] [--only NAME]... [--keep DIR]

Each program is run alone, and so is the program that follows the advice, in turn; then hob
diagnose runs it on each tier.  Details go to standard error, JSON rows to standard output.
Programs have two cores; the server, the database and this script have the others.
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
TRIES = 3  # of a run that something else disturbed
TIERS = {1: "exact", 2: "samples"}
WRONG_MAX = {1: 1, 2: 3}  # of 25
ERROR_MEDIAN_MAX, ERROR_P90_MAX, OUTSIDE_MAX = 12, 30, 15  # percent


def say(text):
    print(text, file=sys.stderr, flush=True)


class World:
    """The server, the database and the files that the programs use, and what they are built of."""

    def __init__(self, late, keep):
        self.dir = tempfile.mkdtemp(prefix="hob-diagnose-")
        os.chmod(self.dir, 0o755)
        usable = sorted(os.sched_getaffinity(0))
        self.program_cores = frozenset(usable[-2:])
        self.server_cores = frozenset(usable[:-2] or usable)
        self.have = {"python3"}
        self.started = []
        self.names = {"dir": self.dir, "out": self.dir, "programs": f"{SRC}/programs",
                      "python": find_program("/usr/bin/python3") or "python3"}
        self.env = {"LATE_DIR": self.dir, "LATE_DNS": NAME_SERVER, "PYTHONDONTWRITEBYTECODE": "1"}
        self.keep = keep
        try:
            self.build()
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

    def run(self, argv):
        """(seconds, whether something else had the cores, output), the quietest of some tries."""
        best = None
        for _ in range(TRIES):
            before = machine.load_read(self.program_cores)
            run = process.run(argv, env=self.env, cwd=self.dir, cores=self.program_cores)
            after = machine.load_read(self.program_cores)
            why = machine.disturbance(before, after, run.cpu, run.wall, len(self.program_cores))
            if run.timed_out or run.status != 0:
                raise SystemExit(f"run.py: {' '.join(argv)}: status {run.status}: {run.err}")
            if best is None or why < best[1]:
                best = (run.wall, why, run)
            if not why:
                break
        return best


def truth(world, case, runs):
    """Measured speed-up of the fixed program: the ratio of the medians of runs in turn."""
    times = {case.argv: [], case.fixed: []}
    cpu = {case.argv: [], case.fixed: []}
    for _ in range(runs):
        for argv in times:
            seconds, _, run = world.run(fill(argv, world.names))
            times[argv].append(seconds)
            cpu[argv].append(run.cpu)
    if world.keep:
        kept = {"before": times[case.argv], "after": times[case.fixed],
                "cpu_before": cpu[case.argv], "cpu_after": cpu[case.fixed]}
        with open(f"{world.keep}/{case.name}.json", "w", encoding="utf-8") as f:
            json.dump(kept, f)
    return statistics.median(times[case.argv]) / statistics.median(times[case.fixed])


def diagnosed(world, hob, case, tier):
    out = f"{world.dir}/diagnosis.json"
    argv = [hob, "diagnose", "--tier", str(tier), "--json", out, "-o", "/dev/null"]
    if world.keep:
        argv += ["--record", f"{world.keep}/{case.name}.t{tier}.rec"]
    world.run([*argv, "--", *fill(case.argv, world.names)])
    with open(out, encoding="utf-8") as f:
        return json.load(f)


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
        self.wrong, self.n, self.errors, self.inside = [], 0, [], []

    def add(self, case, d, real):
        v = d["verdict"]
        got, want = (v["bound"], v["advice"], v["mismatch"]), (case.bound, case.advice,
                                                              case.mismatch)
        self.n += 1
        if got != want:
            self.wrong.append(case.name)
        text = "/".join(str(x) for x in got)
        text += "" if got == want else "  WRONG, it is " + "/".join(str(x) for x in want)
        if real and not d["prediction"]["refused"]:
            p = asked(case, d["prediction"])
            self.errors.append(100 * abs(p["value"] / real - 1))
            self.inside.append(p["low"] <= real <= p["high"])
            text += (f"  predicted {p['value']:.2f} ({p['low']:.2f} to {p['high']:.2f}),"
                     f" measured {real:.2f}")
        elif real:
            text += f"  refused: {d['prediction']['refused']}"
        return text

    def rows(self, tier, n_cores):
        name = TIERS[tier]
        figures = [(f"diagnose_wrong_{name}", "programs", len(self.wrong), WRONG_MAX[tier])]
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


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--hob", required=True)
    ap.add_argument("--late", required=True)
    ap.add_argument("--tier", type=int, action="append", choices=sorted(TIERS))
    ap.add_argument("--runs", type=int, default=5, help="of each program alone")
    ap.add_argument("--only", action="append", metavar="NAME")
    ap.add_argument("--keep", metavar="DIR", help="keep the recordings there")
    args = ap.parse_args()
    hob, late = os.path.abspath(args.hob), os.path.abspath(args.late)
    keep = args.keep and os.path.abspath(args.keep)
    tiers = args.tier or sorted(TIERS)
    process.become_reaper()
    world = World(late, keep)
    scores = {tier: Score() for tier in tiers}
    try:
        for case in CASES:
            if args.only and case.name not in args.only:
                continue
            gone = [n for n in case.needs if n not in world.have]
            if gone:
                say(f"{case.name:<14} MISSING: no {', '.join(gone)}")
                for score in scores.values():
                    score.n += 1
                    score.wrong.append(case.name)
                continue
            real = truth(world, case, args.runs) if case.fixed and args.runs else 0
            for tier, score in scores.items():
                d = diagnosed(world, hob, case, tier)
                say(f"{case.name:<14} T{tier} {score.add(case, d, real)}")
    finally:
        world.close()
    for tier, score in scores.items():
        for row in score.rows(tier, len(world.program_cores)):
            print(json.dumps(row))


if __name__ == "__main__":
    main()
