#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_runner.py SAMPLE - the test runner reports each way a case can end as what it is"""
import subprocess
import sys
import unittest

SAMPLE = ''


def run(*args):
    """Exit code, standard output and standard error of the sample program."""
    r = subprocess.run([SAMPLE, *args], capture_output=True, text=True, timeout=240)
    return r.returncode, r.stdout, r.stderr


class Runner(unittest.TestCase):
    def one(self, name):
        """A case alone: its line of TAP, the comments after it, what it said."""
        code, out, err = run(name)
        lines = out.rstrip('\n').split('\n')
        self.assertEqual(lines[0], '1..1', out)
        return code, lines[1], '\n'.join(lines[2:]), err

    def fails(self, name):
        code, line, comment, err = self.one(name)
        self.assertEqual((code, line), (1, 'not ok 1 - ' + name))
        return comment + err

    def test_a_good_case(self):
        code, line, _, err = self.one('good')
        self.assertEqual((code, line), (0, 'ok 1 - good'))
        self.assertIn('what a case prints', err)

    def test_failed_checks(self):
        self.assertIn('t_sample.c:', self.fails('failed_condition'))
        self.assertIn('1 + 1 is 2, not 3', self.fails('failed_check_int'))
        self.assertIn('NULL is "(null)", not "a"', self.fails('failed_check_str'))

    def test_a_skip_with_its_reason(self):
        code, line, _, _ = self.one('skipped')
        self.assertEqual((code, line), (0, 'ok 1 - skipped # SKIP the moon is full'))

    def test_a_time_out(self):
        self.assertIn('timed_out: timed out', self.fails('timed_out'))

    def test_a_leaked_descriptor(self):
        said = self.fails('leaked_descriptor')
        self.assertIn('1 descriptors leaked', said)
        self.assertIn('/dev/null', said)

    def test_a_signal(self):
        self.assertIn('Aborted', self.fails('aborted'))

    def test_an_exit_code(self):
        self.fails('exit_code')

    def test_a_process_left_behind_does_not_hold_the_runner(self):
        self.fails('left_a_process')

    def test_the_others_go_on_after_a_failure(self):
        code, out, _ = run()
        names = run('--list')[1].split()
        self.assertEqual(code, 1)
        self.assertEqual(out.split('\n')[0], '1..%d' % len(names))
        for number, name in enumerate(names, 1):
            self.assertIn('ok %d - %s' % (number, name), out)

    def test_without_a_fork(self):
        code, out, err = run('--no-fork', 'failed_check_int')
        self.assertEqual(code, 1)
        self.assertIn('1 + 1 is 2, not 3', err)


if __name__ == '__main__':
    SAMPLE = sys.argv.pop(1)
    unittest.main()
