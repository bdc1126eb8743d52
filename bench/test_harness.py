#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of the bench harness on programs of a few milliseconds; no peer is needed."""
import io
import json
import os
import shutil
import sys
import tempfile
import unittest
from dataclasses import replace

SRC = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, SRC)

import bench as front  # noqa: E402
from defs import BENCHES  # noqa: E402
from harness import machine, peersdir, process, report  # noqa: E402
from harness.build import Builder  # noqa: E402
from harness.model import Bench, Program, Subject, fill, metrics, printed  # noqa: E402
from harness.session import Outcome, Result, Session  # noqa: E402


def shell(name, script):
    return Subject(name, ("/bin/sh", "-c", script))


def a_bench(*subjects, **more):
    return Bench("b", "a bench", "ns/op", "lower", subjects, printed("b"), **more)


def an_outcome(name, *values, missing="", wanted=0):
    return Outcome(name, missing=missing, clean=list(values), wanted=wanted)


class Model(unittest.TestCase):
    def test_reads_metric_lines_and_nothing_else(self):
        self.assertEqual(metrics("b 4.5 ns/op\nhello there\npages 12 count\n"),
                         {"b": 4.5, "pages": 12.0})

    def test_ratio_says_how_many_times_better_hob_is(self):
        self.assertEqual(a_bench().ratio(hob=10, peer=50), 5)
        self.assertEqual(replace(a_bench(), better="higher").ratio(hob=10, peer=50), 0.2)

    def test_fills_every_word(self):
        self.assertEqual(fill(("{a}/x", "-{n}", "c"), {"a": "b", "n": 3}), ["b/x", "-3", "c"])


class Machine(unittest.TestCase):
    STAT = ("cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 100 20 30 999 5 6 7 8 0 0\n"
            "cpu3 1 2 3 4 5 6 7 8 0 0\nintr 1\n")

    def test_busy_is_process_time_of_the_cores_asked_for(self):
        load = machine.load_read({0}, self.STAT)
        self.assertAlmostEqual(load.busy * machine.TICK, 150)
        self.assertAlmostEqual(load.stolen * machine.TICK, 8)

    def test_own_time_is_no_disturbance(self):
        before, after = machine.Load(0, 0), machine.Load(1.0, 0)
        self.assertFalse(machine.disturbance(before, after, 0.99, 1.0, 1))

    def test_foreign_and_stolen_time_are_named(self):
        before, after = machine.Load(0, 0), machine.Load(1.0, 0.25)
        self.assertEqual(str(machine.disturbance(before, after, 0.5, 1.0, 1)),
                         "50 % other processes, 25 % taken by the hypervisor")

    def test_server_and_single_core_never_meet_if_there_are_two_cores(self):
        cores = machine.cores_choose({4, 6})
        self.assertEqual((cores.one, cores.rest, cores.server), ({6}, {6}, {4}))
        self.assertEqual(machine.cores_choose({2}).one, {2})
        self.assertEqual(machine.cores_choose({0, 2, 3}).two, {2, 3})


class Process(unittest.TestCase):
    def test_time_limit_ends_children_and_those_that_left_the_group(self):
        process.become_reaper()
        with tempfile.TemporaryDirectory() as d:
            script = f"setsid sh -c 'echo $$ >{d}/a; exec sleep 60' & " \
                     f"sh -c 'echo $$ >{d}/b; exec sleep 60' & sleep 60"
            run = process.run(["/bin/sh", "-c", script], timeout=3)
            self.assertTrue(run.timed_out)
            for name in "ab":
                with open(f"{d}/{name}", encoding="ascii") as f:
                    self.assertFalse(os.path.exists(f"/proc/{f.read().strip()}"))

    def test_cpu_time_of_children_counts(self):
        burn = "import time\nwhile time.process_time() < 0.2: pass"
        run = process.run([sys.executable, "-c",
                           f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"])
        self.assertGreaterEqual(run.cpu, 0.2)

    def test_a_server_of_ours_survives_other_runs(self):
        process.become_reaper()
        server = process.start(["/bin/sleep", "60"])
        try:
            process.run(["/bin/true"])
            self.assertIsNone(server.poll())
        finally:
            process.end(server)


class Sessions(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.dir)
        cores = machine.cores_choose()
        self.session = Session(Builder(SRC, self.dir, cores.all), cores, 2, io.StringIO())
        self.the_machine_is(machine.Disturbance(0.0, 0.0, 0.0))

    def the_machine_is(self, how):
        """Whatever it really is: how often a subject runs depends on that."""
        real = machine.disturbance
        self.addCleanup(setattr, machine, "disturbance", real)
        machine.disturbance = lambda *args: how

    def test_subjects_take_turns(self):
        log = f"{self.dir}/log"
        bench = a_bench(shell("hob", f"echo h >>{log}; echo b 1 ns/op"),
                        shell("go", f"echo g >>{log}; echo b 5 ns/op"))
        result = self.session.bench(bench)
        with open(log, encoding="ascii") as f:
            self.assertEqual(f.read().split()[:6], ["h", "g"] * 3)
        self.assertEqual(result.of("go").median, 5)

    def test_what_cannot_give_a_figure_is_missing_with_its_reason(self):
        bench = a_bench(shell("fails", "echo no space >&2; exit 3"), shell("mute", "true"),
                        Subject("absent", ("/nowhere/peer",)))
        reasons = {o.subject: o.missing for o in self.session.bench(bench).outcomes}
        self.assertEqual(reasons, {"fails": "exit status 3: no space",
                                   "mute": 'no line "b value unit" in its output',
                                   "absent": "no program /nowhere/peer"})

    def test_parts_are_figures_of_the_same_runs(self):
        log = f"{self.dir}/log"
        part = replace(a_bench(), name="c", value=printed("c"))
        bench = a_bench(shell("hob", f"echo h >>{log}; echo b 1 ns/op; echo c 7 ns/op"),
                        shell("go", "exit 3"), parts=(part,))
        whole, c = self.session.bench(bench).all
        with open(log, encoding="ascii") as f:
            self.assertEqual(len(f.read().split()), 1 + whole.of("hob").count)
        self.assertEqual((whole.of("hob").median, c.of("hob").median), (1, 7))
        self.assertEqual(c.of("go").missing, "exit status 3")

    def test_too_slow_is_missing(self):
        result = self.session.bench(a_bench(shell("slow", "sleep 60"), timeout=0.3))
        self.assertEqual(result.of("slow").missing, "not done in 0.3 s")

    def test_a_wrong_number_of_pages_is_no_result(self):
        bench = a_bench(shell("short", "echo pages 9 count; echo b 1 ns/op"), expect_pages=10)
        self.assertEqual(self.session.bench(bench).of("short").missing, "9 pages instead of 10")

    def test_disturbed_runs_are_repeated_and_then_flagged(self):
        self.the_machine_is(machine.Disturbance(0.5, 0.5, 0.0))
        result = self.session.bench(a_bench(shell("hob", "echo b 1 ns/op")))
        self.assertTrue(result.of("hob").disturbed)
        self.assertEqual(len(result.of("hob").values), 5)
        self.assertIn("only 0 of 2 runs", "\n".join(report.table(result)))


    def test_rows_of_a_program_become_results(self):
        self.session.builder.ninja = lambda target: None
        script = ("echo '{\"bench\": \"w\", \"subject\": \"untuned\", \"unit\": \"us\", \"median\": 10,"
                  " \"min\": 9, \"max\": 11, \"n\": 5, \"n_cores\": 4}'; echo a remark; exit 1")
        rows = Program("p", "what", "t", ("/bin/sh", "-c", script), {"w": {"untuned": 5}, "x": {}})
        w, x = self.session.program(rows)
        self.assertEqual((w.bench.name, w.bench.better, w.of("untuned").low), ("w", "lower", 9))
        self.assertEqual(report.verdict(w, "untuned", 5), (False, "MISSED: hob is missing"))
        self.assertEqual(x.of("hob").missing, "the program printed no row for it")

    def test_a_program_that_prints_nothing_misses_its_targets(self):
        self.session.builder.ninja = lambda target: None
        result, = self.session.program(Program("p", "what", "t", ("/bin/false",),
                                               {"w": {"untuned": 5}}))
        self.assertEqual(report.summary([result])[0], False)


class Targets(unittest.TestCase):
    def verdict(self, hob, peer):
        result = Result(a_bench(targets={"go": 5}), [hob, peer], 1)
        return report.verdict(result, "go", 5)

    def test_passes_at_the_ratio_and_not_below(self):
        self.assertTrue(self.verdict(an_outcome("hob", 10), an_outcome("go", 50))[0])
        self.assertFalse(self.verdict(an_outcome("hob", 10), an_outcome("go", 49))[0])

    def test_missing_either_side_counts_as_missed(self):
        gone = an_outcome("go", missing="no program go")
        self.assertEqual(self.verdict(an_outcome("hob", 1), gone), (False, "MISSED: go is missing"))
        hob = an_outcome("hob", missing="no program")
        self.assertEqual(self.verdict(hob, an_outcome("go", 9)), (False, "MISSED: hob is missing"))
        nobody = an_outcome("tokio", 1)
        self.assertEqual(self.verdict(an_outcome("hob", 1), nobody)[1], "MISSED: go is missing")

    def test_rows_carry_the_agreed_keys(self):
        result = Result(a_bench(), [an_outcome("hob", 3, 1, 2), an_outcome("go", missing="x")], 1)
        hob, go = json.loads(json.dumps(report.rows([result])))
        self.assertEqual({**hob, "disturbed": None},
                         {"bench": "b", "subject": "hob", "unit": "ns/op", "median": 2, "min": 1,
                          "max": 3, "n": 3, "n_cores": 1, "disturbed": None})
        self.assertEqual((go["median"], go["n"]), (None, 0))

    def test_every_target_names_a_subject(self):
        for bench in BENCHES:
            if isinstance(bench, Program):
                continue
            names = [s.name for s in bench.subjects]
            self.assertEqual(len(set(names)), len(names), bench.name)
            self.assertIn("hob", names)
            self.assertLessEqual(set(bench.targets), set(names), bench.name)


class PeersFolder(unittest.TestCase):
    def test_executables_named_after_a_bench_are_subjects(self):
        with tempfile.TemporaryDirectory() as d:
            for name, mode in (("b.photon", 0o755), ("b.notes", 0o644), ("typo.go", 0o755)):
                with open(f"{d}/{name}", "w", encoding="ascii") as f:
                    f.write("#!/bin/sh\n")
                os.chmod(f"{d}/{name}", mode)
            bench = peersdir.add(a_bench(argv_in_dir=("{list}",)), d)
            self.assertEqual([(s.name, s.argv) for s in bench.subjects],
                             [("photon", (f"{d}/b.photon", "{list}"))])
            self.assertEqual(peersdir.unknown(d, [bench]), ["typo.go"])


class Front(unittest.TestCase):
    def test_a_bad_argument_is_refused_before_anything_runs(self):
        for argv in (["nosuchbench"], ["--runs", "4"], ["--peers", "/nowhere"],
                     ["--json", "/nowhere/x.json"]):
            with self.assertRaises(SystemExit) as stopped:
                err, sys.stderr = sys.stderr, io.StringIO()
                try:
                    front.arguments(argv)
                finally:
                    sys.stderr = err
            self.assertEqual(stopped.exception.code, 2)


if __name__ == "__main__":
    unittest.main()
