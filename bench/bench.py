#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""hob against its peers, side by side on this machine; bench/README.md has the whole of it.

usage: ./run bench [NAME...] [--json FILE] [--peers DIR] [--runs N] [--list]
"""
import argparse
import os
import signal
import sys

SRC = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, SRC)
sys.dont_write_bytecode = True

from defs import BENCHES  # noqa: E402
from harness import machine, peersdir, process, report  # noqa: E402
from harness.build import Builder, Missing  # noqa: E402
from harness.model import Program  # noqa: E402
from harness.session import Session  # noqa: E402

RUNS_MIN = 5


def arguments(argv):
    ap = argparse.ArgumentParser(
        prog="./run bench", description="run hob and its peers side by side and print ratios",
        epilog="exit status: 0 all targets passed, 1 a target missed, 2 it could not run")
    ap.add_argument("names", nargs="*", metavar="NAME", help="benches to run; all by default")
    ap.add_argument("--json", metavar="FILE", help="write the figures as JSON rows")
    ap.add_argument("--peers", metavar="DIR", help="also run executables named BENCH.SUBJECT")
    ap.add_argument("--runs", type=int, default=RUNS_MIN, metavar="N",
                    help=f"measured runs of each subject, at least {RUNS_MIN}")
    ap.add_argument("--list", action="store_true", help="list the benches and their subjects")
    args = ap.parse_args(argv)
    known = [b.name for b in BENCHES]
    for name in args.names:
        if name not in known:
            ap.error(f"no bench {name}; there are {', '.join(known)}")
    if args.runs < RUNS_MIN:
        ap.error(f"--runs is at least {RUNS_MIN}")
    if args.peers and not os.path.isdir(args.peers):
        ap.error(f"--peers: no folder {args.peers}")
    if args.json:
        try:
            open(args.json, "a", encoding="utf-8").close()  # an hour's figures need a place
        except OSError as e:
            ap.error(f"--json: {args.json}: {e.strerror}")
    return args


def listing():
    for bench in BENCHES:
        print(f"{bench.name:<12} {bench.what}")
        if bench.subjects:
            print(f"{'':<12} {', '.join(s.name for s in bench.subjects)}")
        for part in getattr(bench, "parts", ()):
            print(f"{'':<12} and {part.name}: {part.what}")


def stop(signum, frame):
    raise KeyboardInterrupt


def main(argv):
    args = arguments(argv)
    if args.list:
        listing()
        return 0
    for signum in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores SIGINT
        signal.signal(signum, stop)
    process.become_reaper()
    cores = machine.cores_choose()
    os.sched_setaffinity(0, cores.server)
    builder = Builder(SRC, os.path.dirname(SRC), cores.all)
    for name in peersdir.unknown(args.peers, BENCHES):
        print(f"--peers: {name} is named after no bench and was not run", file=sys.stderr)
    try:
        print("building hob's release", file=sys.stderr, flush=True)
        builder.release()
    except Missing as e:
        print(f"hob does not build: {e}", file=sys.stderr)
        return 2
    session = Session(builder, cores, args.runs)
    results = []
    for bench in BENCHES:
        if not args.names or bench.name in args.names:
            new = (session.program(bench) if isinstance(bench, Program)
                   else session.bench(peersdir.add(bench, args.peers)).all)
            results += new
            for result in new:
                print("\n".join(report.table(result)) + "\n", flush=True)
            if args.json:
                report.write_json(args.json, results)  # what is done survives a Ctrl-C
    if len(cores.all) == 1:
        print("one usable core: server and client shared it")
    passed, lines = report.summary(results)
    print("\n".join(lines))
    return 0 if passed else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("bench: stopped; everything it started has ended", file=sys.stderr)
        sys.exit(130)
