#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_gate.py - tools/test_all.py: what it counts, its last line, and that nothing hangs it"""
import contextlib
import io
import os
import sys
import tempfile
import time
import unittest
from unittest import mock

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tools'))
import test_all  # noqa: E402

TAP = '''1..4
ok 1 - one
ok 2 - two # SKIP no moon
not ok 3 - three
# three: timed out
ok 4 - four
'''


class Gate(unittest.TestCase):
    def setUp(self):
        self.tally = test_all.Tally()

    def ended(self, *args):
        """Exit code and lines of a run whose steps are played by this tally."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = test_all.end(self.tally, 7.2, *args)
        return code, out.getvalue().splitlines()

    def test_each_case_counts(self):
        self.assertEqual(test_all.count_tap(self.tally, 'gcc: prog', TAP), [2, 1, 1])
        self.assertEqual((self.tally.passed, self.tally.failed), (2, 1))
        self.assertEqual(self.tally.failures, ['gcc: prog: three'])
        self.assertEqual(self.tally.skipped, ['gcc: prog: two: no moon'])

    def test_the_last_line_is_plain(self):
        test_all.count_tap(self.tally, 'gcc: prog', TAP)
        code, lines = self.ended(False)
        self.assertEqual((code, lines[-1]), (1, '2 passed, 1 failed'))
        self.assertIn('1 skipped', lines[-2])

    def test_a_skip_is_a_failure_only_if_no_build_passed_it_and_all_is_asked_for(self):
        self.tally.skip('gcc: prog', 'case', 'why')
        self.tally.good('tsan: other', 'case')
        self.assertEqual(self.ended(False), (0, ['7 s, 1 skipped', '1 passed, 0 failed']))
        code, lines = self.ended(True)
        self.assertEqual((code, lines[-1]), (1, '1 passed, 1 failed'))
        self.assertIn('skipped everywhere: gcc: prog: case: why', '\n'.join(lines))

    def test_a_skip_that_another_build_ran_is_none(self):
        self.tally.skip('gcc: prog', 'case', 'why')
        self.tally.good('tsan: prog', 'case')
        self.assertEqual(self.ended(True)[0], 0)

    def test_a_command_that_hangs_is_ended_with_all_that_it_started(self):
        began = time.monotonic()
        code, out = test_all.output_of(['sh', '-c', 'echo begun; sleep 600 & sleep 600'], most=1)
        self.assertEqual((code, out), ('nothing within 1 s', 'begun\n'))
        self.assertLess(time.monotonic() - began, 300)

    def test_a_folder_that_is_not_the_arm_root_is_left_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            mine = os.path.join(folder, 'mine')
            with open(mine, 'w', encoding='utf-8'):
                pass
            code, out = test_all.output_of([os.path.join(ROOT, 'tools', 'aarch64_root.sh'), folder])
            self.assertEqual(code, 1)
            self.assertIn('not of this program', out)
            self.assertTrue(os.path.exists(mine))

    def test_a_process_left_behind_holds_nothing(self):
        code, out = test_all.output_of(['sh', '-c', 'sleep 600 & echo $!; exit 3'])
        self.addCleanup(os.kill, int(out), 9)
        self.assertEqual(code, 3)

    def test_a_suite_without_tests_is_a_failure(self):
        said = 0, 'No suitable tests defined.\n'
        with mock.patch.object(test_all, 'output_of', return_value=said), \
                mock.patch.object(test_all, 'build_dir', return_value='no-such-folder'), \
                contextlib.redirect_stdout(io.StringIO()):
            test_all.suite(self.tally, 'gcc-release', 'a suite', ['--suite', 'none'])
        self.assertEqual(self.tally.failures, ['a suite: has no tests'])

    def soaked(self, **played):
        with mock.patch.object(test_all, 'suite', **played), \
                contextlib.redirect_stdout(io.StringIO()), \
                test_all.beside(self.tally, soak=test_all.soak):
            pass

    def test_a_soak_that_breaks_off_is_a_failure(self):
        self.soaked(side_effect=ValueError('not JSON'))
        self.assertEqual(self.tally.failures, ['soak: ValueError: not JSON'])

    def test_a_soak_that_counts_nothing_is_a_failure(self):
        self.soaked()
        self.assertEqual(self.tally.failures, ['soak: nothing ran'])

    def test_an_end_waits_for_nothing_that_goes_on_beside(self):
        self.addCleanup(test_all.ENDING.clear)

        def steps(tally):
            for _ in range(2):  # the second is not begun
                tally.fail(str(test_all.output_of(['sleep', '3600'])[0]))
        with contextlib.redirect_stdout(io.StringIO()), self.assertRaises(KeyboardInterrupt), \
                test_all.beside(self.tally, lane=steps):
            while not test_all.RUNNING:
                pass
            raise KeyboardInterrupt
        self.assertEqual((test_all.RUNNING, self.tally.failed), (set(), 2))

    def test_what_goes_on_beside_counts_and_is_told_when_it_is_over(self):
        def steps(tally):
            with test_all.Step(tally, 'a step'):
                tally.good('there', 'case')

        out = io.StringIO()
        with contextlib.redirect_stdout(out), test_all.beside(self.tally, lane=steps):
            self.tally.good('here', 'case')
        self.assertEqual((self.tally.passed, self.tally.failed), (2, 0))
        self.assertIn('a step', out.getvalue())

    def test_all_that_is_long_is_left_to_check_all(self):
        asked = []
        with mock.patch.object(test_all, 'suite', lambda *args, **more: asked.append(args[3])), \
                mock.patch.object(test_all, 'build', return_value=True):
            test_all.quick(self.tally, True)
        for words in asked:
            for name in ('slow', 'fault', 'fault_every', 'soak'):
                self.assertIn(name, words)


if __name__ == '__main__':
    unittest.main()
