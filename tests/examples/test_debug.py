#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_debug.py BUILD/examples - what docs/debugging.md shows of `wrong`, seen from outside"""
import os
import re
import resource
import signal
import subprocess
import sys
import unittest

WAIT_MOST = 240
WRONG = ''
PLACE = r'[\w.+-]+\+0x[0-9a-f]+'


def start(way, **env):
    return subprocess.Popen([WRONG, way], env={**os.environ, **env}, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))


def sanitizer(its_name):
    with open(WRONG, 'rb') as f:
        return its_name.encode() in f.read()


def run(way, **env):
    """(exit status, standard error)"""
    with start(way, **env) as p:
        try:
            _, err = p.communicate(timeout=WAIT_MOST)
        finally:
            p.kill()
        return p.returncode, err


class Wrong(unittest.TestCase):
    def deadlock(self, **env):
        if sanitizer('__tsan_init') and 'HOB_SIM' not in env:
            self.skipTest('ThreadSanitizer has threads of its own, which might go on')
        status, err = run('deadlock', **env)
        self.assertEqual(status, 1)
        self.assertIn("hob: deadlock: nothing can run any more; the first fiber's scope is cancelled\n",
                      err)
        for line in (r' main: waiting for a group to end \(kitchen, 2 alive\) for [\d.]+ s; group main; ',
                     r' cook: waiting for a value from a channel \(orders\) for .*; group main/kitchen; ',
                     r' shy waiter: waiting for a value from a channel \(dishes\) for '):
            self.assertRegex(err, line)
        self.assertTrue(err.endswith('wrong: Resource deadlock avoided\n'), err)

    def test_a_deadlock(self):
        self.deadlock()
        self.deadlock(HOB_POLL='epoll')

    def test_a_deadlock_simulated(self):
        self.deadlock(HOB_SIM='1')

    def test_a_deadlock_with_several_loops(self):
        self.deadlock(HOB_LOOPS='3')

    def test_a_held_loop(self):
        status, err = run('hold', HOB_WATCHDOG='50')
        self.assertEqual(status, 0)
        self.assertRegex(err, r'^hob: loop 0 held for \d+ ms by fiber slow cook; group main/kitchen; '
                              r'runs %s, started at %s\n    at ' % (PLACE, PLACE))

    def test_without_a_watchdog_nothing_is_said(self):
        self.assertEqual(run('hold'), (0, ''))

    def test_a_signal_dumps(self):
        with start('wait', HOB_DUMP='SIGUSR1') as p:
            try:
                self.assertEqual(p.stdout.readline(), 'open\n')
                p.send_signal(signal.SIGUSR1)
                lines = [p.stderr.readline() for _ in range(5)]
                out, err = p.communicate(timeout=WAIT_MOST)  # its input ends
            finally:
                p.kill()
        self.assertRegex(lines[0], '^hob: 3 fibers on 1 loop')
        self.assertRegex(lines[1], r'^loop 0: thread \d+, turn \d+, 3 fibers')
        self.assertEqual(sorted(re.search(r'0x\w+ ([\w ]+):', line).group(1) for line in lines[2:]),
                         ['cook', 'main', 'waiter'])
        self.assertEqual((p.returncode, out, err), (0, '', ''))

    def test_an_overflow(self):
        if sanitizer('__asan_init') or sanitizer('__tsan_init'):
            self.skipTest('the sanitizer says so first')
        status, err = run('overflow')
        self.assertIn('hob: stack overflow: fiber endless cook, stack of ', err)
        self.assertLess(status, 0)


if __name__ == '__main__':
    WRONG = os.path.join(os.path.abspath(sys.argv.pop(1)), 'wrong')
    for name in ('HOB_POLL', 'HOB_SIM', 'HOB_LOOPS', 'HOB_WATCHDOG', 'HOB_DUMP'):
        os.environ.pop(name, None)
    unittest.main()
