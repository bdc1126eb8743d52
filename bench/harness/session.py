# SPDX-License-Identifier: MIT
"""Run one bench: every subject once to warm up, then in turn, A B C A B C, until all have enough.

A run is clean if nothing else used its cores meanwhile.  Runs that were not are repeated, a
bounded number of times, before any figure is looked at.  Medians are over clean runs; a subject
that could not get enough of them is flagged and its figures come from all its runs.
"""
import json
import os
import shutil
import statistics
import sys
from dataclasses import dataclass, field

from . import machine, process
from .build import Missing
from .model import fill
from .server import Served

EXTRA_ROUNDS = 3


@dataclass
class Outcome:
    """What became of one subject in one bench."""
    subject: str
    missing: str = ""
    clean: list = field(default_factory=list)
    dirty: list = field(default_factory=list)
    worst: object = None  # the greatest Disturbance of the dirty runs
    wanted: int = 0

    @property
    def count(self):
        return 0 if self.missing else len(self.values)

    @property
    def low(self):
        return None if self.missing else min(self.values)

    @property
    def high(self):
        return None if self.missing else max(self.values)

    @property
    def values(self):
        return self.clean if len(self.clean) >= self.wanted else self.clean + self.dirty

    @property
    def disturbed(self):
        return not self.missing and len(self.clean) < self.wanted

    @property
    def median(self):
        return None if self.missing else statistics.median(self.values)


@dataclass
class RowOutcome:
    """The same, as a program of its own printed it."""
    subject: str
    median: float = None
    low: float = None
    high: float = None
    count: int = 0
    missing: str = ""
    disturbed: bool = False


@dataclass
class Result:
    bench: object
    outcomes: list
    ncores: int
    note: str = ""
    parts: list = field(default_factory=list)  # Results of bench.parts, subject for subject

    @property
    def all(self):
        return [self, *self.parts]

    def of(self, name):
        return next((o for o in self.outcomes if o.subject == name), None)


class Session:
    def __init__(self, builder, cores, runs, log=sys.stderr):
        self.builder, self.cores, self.runs, self.log = builder, cores, runs, log

    def say(self, text):
        print(text, file=self.log, flush=True)

    def program(self, program):
        """Results from the rows of a program that does its own timing."""
        cores = self.cores.all
        try:
            self.builder.ninja(program.target)
            self.say(f"{program.name}: running")
            before = machine.load_read(cores)
            run = process.run(fill(program.argv, self.builder.names), cores=cores,
                              timeout=program.timeout)
            after = machine.load_read(cores)
            if run.timed_out:
                raise Missing(f"not done in {program.timeout:g} s")
            try:
                rows = [json.loads(line) for line in run.out.splitlines() if line[:1] == "{"]
            except ValueError as e:
                raise Missing(f"its rows are not JSON: {e}") from None
            if not rows:
                raise Missing(f"exit status {run.status} and no row")
        except (Missing, OSError) as e:
            self.say(f"{program.name}: MISSING: {e}")
            return [Result(program.bench(name, ""), [RowOutcome("hob", missing=str(e))], 0)
                    for name in program.targets or [program.name]]
        why = machine.disturbance(before, after, run.cpu, run.wall, len(cores))
        return self.results_of_rows(program, rows, why)

    @staticmethod
    def results_of_rows(program, rows, why):
        results = {}
        for row in rows:
            result = results.setdefault(row["bench"], Result(
                program.bench(row["bench"], row["unit"]), [], row["n_cores"],
                f"while it ran: {why}" if why else ""))
            result.outcomes.append(RowOutcome(row["subject"], row["median"], row["min"],
                                              row["max"], row["n"], disturbed=bool(why)))
        for name in program.targets.keys() - results.keys():
            gone = RowOutcome("hob", missing="the program printed no row for it")
            results[name] = Result(program.bench(name, ""), [gone], 0)
        return list(results.values())

    def bench(self, bench):
        """Run it; a missing server makes every subject missing, loudly."""
        cores = getattr(self.cores, bench.cores)
        result, *parts = [
            Result(b, [Outcome(s.name, wanted=self.runs) for s in bench.subjects], len(cores))
            for b in (bench, *bench.parts)]
        result.parts = parts
        try:
            if bench.site:
                self.say(f"{bench.name}: generating {bench.site.pages} pages")
                with Served(bench.site, self.builder.src, self.cores) as served:
                    if not served.in_memory:
                        result.note = "the site is on disk, not in memory: figures vary"
                    self.rounds(result, cores, served)
            else:
                self.rounds(result, cores, None)
        except Missing as e:
            for outcome in result.outcomes:
                outcome.missing = outcome.missing or str(e)
        for part in parts:
            part.note = result.note
            for outcome, whole in zip(part.outcomes, result.outcomes):
                outcome.missing, outcome.worst = whole.missing, whole.worst
        return result

    def rounds(self, result, cores, served):
        bench = result.bench
        names = {**self.builder.names, **(served.names if served else {}), "ncores": len(cores)}
        for subject, outcome in zip(bench.subjects, result.outcomes):
            try:
                self.builder.check(subject, names)
                self.once(bench, subject, names, cores, served)
                self.say(f"{bench.name}: {subject.name} is ready")
            except Missing as e:
                outcome.missing = str(e)
                self.say(f"{bench.name}: {subject.name} is MISSING: {e}")
        for n in range(self.runs + EXTRA_ROUNDS):
            due = [(s, o) for s, o in zip(bench.subjects, result.outcomes)
                   if not o.missing and (n < self.runs or o.disturbed)]
            for subject, outcome in due:
                self.measure(result, subject, outcome, names, cores, served)

    def measure(self, result, subject, outcome, names, cores, served):
        try:
            values, why = self.once(result.bench, subject, names, cores, served)
        except Missing as e:
            outcome.missing = f"failed in a later run: {e}"
            self.say(f"{result.bench.name}: {subject.name} {outcome.missing}")
            return
        for r, value in zip(result.all, values):
            of = r.of(subject.name)
            (of.dirty if why else of.clean).append(value)
            self.say(f"{r.bench.name}: {subject.name} {value:.5g} {r.bench.unit}"
                     + (f"  ({why})" if why else ""))
        if why:
            outcome.worst = max(outcome.worst or why, why)

    def once(self, bench, subject, names, cores, served):
        """One run: (values, what disturbed it); a run without a right result is Missing.

        The values are the bench's own and its parts'.
        """
        server_before = served.cpu() if served else 0.0
        tmp = names.get("tmp")
        if tmp:
            os.mkdir(tmp)
        try:
            before = machine.load_read(cores)
            run = process.run(fill(subject.argv, names), env=subject.env, cwd=tmp,
                              cores=cores,
                              timeout=bench.timeout)
            after = machine.load_read(cores)
            if run.timed_out:
                raise Missing(f"not done in {bench.timeout:g} s")
            if run.status != 0:
                words = run.err.strip().splitlines()
                raise Missing(f"exit status {run.status}" + (f": {words[-1]}" if words else ""))
            pages = subject.count(run.out, tmp) if bench.expect_pages else 0
        except OSError as e:
            raise Missing(str(e)) from None
        finally:
            if tmp:
                shutil.rmtree(tmp, ignore_errors=True)
        if pages != bench.expect_pages:
            raise Missing(f"{pages} pages instead of {bench.expect_pages}")
        try:
            values = [b.value(run, pages) for b in (bench, *bench.parts)]
        except (ValueError, ZeroDivisionError) as e:
            raise Missing(str(e)) from None
        own = run.cpu
        if served and cores & self.cores.server:
            own += served.cpu() - server_before
        return values, machine.disturbance(before, after, own, run.wall, len(cores))
