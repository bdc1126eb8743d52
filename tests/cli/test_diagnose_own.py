#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_diagnose_own.py HOB SITE - hob diagnose of programs that use hob: their own trace tells

own_faults (in OWN_FAULTS) has a program for each mistake; its waits are timers, and its computing
is measured in CPU time, so what is wrong with each does not depend on the machine.
"""
import os
import signal
import subprocess
import sys
import unittest

import cli

FAULTS = os.environ['OWN_FAULTS']
PYTHON = os.path.realpath(sys.executable)
STARVED = 0.2  # part of the time in which it could have run and had no core
RUNS = 8       # beside programs that had the cores, before it is no test any more
NO_PERF = '''
import ctypes, os, struct, sys
REFUSE, ALLOW, NUMBER = 0x00050000 | 1, 0x7fff0000, 298  # EPERM; perf_event_open
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, NUMBER), (0x06, 0, 0, REFUSE), (0x06, 0, 0, ALLOW)]
code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *s) for s in steps))
program = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', len(steps), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0
os.execv(sys.argv[1], sys.argv[1:])
'''


def with_cores(case, run, others_most=float('inf')):
    """What a run tells during which other programs left it the cores, and had no more than that
    part of them: one sample after the other comes late where they have, and the program's own
    shares do not tell."""
    for _ in range(RUNS):
        told = run()
        if (told['shares'].get('no_core', 0) < STARVED and
                told['foreign_load'] <= others_most * told['cores_usable']):
            return told
    case.skipTest('other programs had the cores, in each of %d runs' % RUNS)


class Own(cli.Case):
    def setUp(self):
        super().setUp()
        self.temp = self.path('tmp')
        os.mkdir(self.temp)
        # ThreadSanitizer has a program that ends wait a second for more races: not its own time
        tsan = os.environ.get('TSAN_OPTIONS', '') + ':atexit_sleep_ms=0'
        self.env = {**os.environ, 'TMPDIR': self.temp, 'TSAN_OPTIONS': tsan}
        for name in ('HOB_TRACE', 'HOB_TOP', 'HOB_ADVISE', 'HOB_CORES'):
            self.env.pop(name, None)

    def nothing_left(self):
        self.assertEqual(os.listdir(self.temp), [])

    def told(self):
        return cli.rows_of(self.read('v.json'))[0]

    def diagnose(self, *command, options=(), status=0, **env):
        r = cli.hob('diagnose', '-o', self.path('report'), '--json', self.path('v.json'), *options,
                    '--', *command, env={**self.env, **env})
        self.assertEqual((r.status, r.err), (status, ''))
        self.nothing_left()
        return self.told()

    def is_tier_0(self, told):
        self.assertEqual(told['recording']['tier'], 'T0', told['recording']['notes'])
        self.assertIn('T0: exact, from the program\'s own trace',
                      ' '.join(self.read('report').split()))


class Faults(Own):
    def fault(self, name, bound, advice, mismatch, call, **env):
        """The verdict, and which of hob's calls it names."""
        told = with_cores(self, lambda: self.diagnose(FAULTS, name, **env))
        self.is_tier_0(told)
        v = told['verdict']
        context = self.read('report')
        self.assertEqual(v['mismatch'], mismatch, context)
        self.assertIn(v['bound'], bound.split(), context)
        self.assertIn(v['advice'], advice.split(), context)
        self.assertIn(call, v['code'] or '', context)
        return told

    def test_many_at_once_is_right(self):
        told = self.fault('at-once', 'io', 'ok-concurrent', None, '')
        self.assertEqual(told['own']['io_by'], 'fetch')
        self.assertAlmostEqual(told['in_flight_max'], 40, delta=0.5)

    def test_one_after_the_other(self):
        told = self.fault('one-by-one', 'io', 'concurrency', None, 'max_live')
        self.assertEqual(told['own']['io_by'], 'reader')
        self.assertAlmostEqual(told['in_flight_max'], 1, delta=0.01)

    def test_computing_on_a_loop(self):
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest('one core: the work of its one loop has nowhere else to go')
        told = self.fault('loop-computes', 'cpu mixed', 'parallelism both', 'loop-blocked',
                          'hob_offload')
        own = told['own']
        self.assertEqual(own['held_by'], 'parse')
        self.assertGreaterEqual(own['held_longest'], 0.02)
        self.assertEqual(own['blocked'], 0)

    def test_a_blocking_call_on_a_loop(self):
        told = self.fault('loop-blocks', 'io', 'concurrency', 'loop-blocked', 'hob_block')
        self.assertEqual(told['own']['blocked_by'], 'query')
        self.assertGreaterEqual(told['own']['blocked'], 0.4)  # 25 times 20 ms, less what starts it

    def test_jobs_that_wait(self):
        self.fault('jobs-block', 'io', 'concurrency', 'pool-io', 'hob_go')

    def test_jobs_that_share_a_lock(self):
        self.fault('convoy', 'cpu', 'lock', 'lock', 'lock', HOB_CORES='4')

    def test_a_mutex_held_while_waiting(self):
        told = self.fault('held-mutex', 'io', 'lock', 'lock', 'hob_mutex_lock')
        self.assertIn('in line for', ' '.join(self.read('report').split()))
        self.assertAlmostEqual(told['in_flight_max'], 1, delta=0.01)

    def test_a_channel_without_room(self):
        self.fault('narrow-channel', 'io', 'concurrency', 'channel', '.slots')

    def test_a_lane_that_is_never_idle(self):
        told = self.fault('full-lane', 'io', 'batch', 'lane', 'HOB_LANE')
        self.assertGreaterEqual(told['own']['lane_calls'], 2)

    def test_computing_that_nobody_waits_for(self):
        told = self.fault('one-fiber-computes', 'cpu', 'parallelism ok-parallel', None, '')
        self.assertEqual(told['own']['held'], 0)
        self.assertEqual(told['own']['cpu_by'], 'main')

    def test_a_trace_is_used_up_to_where_the_program_was_killed(self):
        told = self.diagnose(FAULTS, 'killed', status=-signal.SIGKILL)
        self.is_tier_0(told)
        self.assertAlmostEqual(told['in_flight_max'], 40, delta=0.5)

    def test_on_samples_as_well(self):
        def run():
            r = subprocess.run([PYTHON, '-c', NO_PERF, cli.HOB, 'diagnose', '-o',
                                self.path('report'), '--json', self.path('v.json'), FAULTS,
                                'loop-blocks'], env=self.env, capture_output=True, text=True,
                               timeout=cli.WAIT_MOST)
            self.assertEqual(r.returncode, 0, r.stderr)
            return self.told()
        told = with_cores(self, run, others_most=0.5)
        self.is_tier_0(told)
        self.assertIn('not tier 1', told['recording']['notes'])
        self.assertEqual(told['verdict']['mismatch'], 'loop-blocked', self.read('report'))
        self.nothing_left()


class Files(Own):
    def test_what_does_not_use_hob_has_an_empty_place(self):
        told = self.diagnose('sh', '-c', 'case $HOB_TRACE in -/*/%p) exit 7; esac', status=7)
        self.assertNotEqual(told['recording']['tier'], 'T0')
        self.assertIsNone(told['own'])

    def test_a_tier_that_is_asked_for_is_not_joined(self):
        told = self.diagnose('sh', '-c', 'exit ${HOB_TRACE:+9}; exit 0', options=['--tier', '2'])
        self.assertEqual(told['recording']['tier'], 'T2')

    def test_without_a_place_there_is_no_trace_and_no_complaint(self):
        told = self.diagnose(FAULTS, 'one-by-one', TMPDIR=self.path('no/such'))
        self.assertNotEqual(told['recording']['tier'], 'T0')

    def test_the_users_own_file_is_read_and_left(self):
        for name in ('trace', 'trace-%p'):
            told = self.diagnose(FAULTS, 'one-by-one', HOB_TRACE=self.path(name))
            self.is_tier_0(told)
        left = [n for n in os.listdir(self.folder) if n.startswith('trace')]
        self.assertEqual(len(left), 2, left)
        told = self.diagnose('true', HOB_TRACE=self.path('trace'))
        self.assertIn("not tier 0: HOB_TRACE's file is not of this run",
                      told['recording']['notes'])

    def test_each_process_has_its_own(self):
        told = self.diagnose('sh', '-c', '%s one-by-one & %s one-by-one; wait' % (FAULTS, FAULTS))
        self.is_tier_0(told)
        self.assertEqual(told['own']['processes'], 2)
        self.assertEqual(told['own']['loops'], 2)
        self.assertRegex(told['recording']['notes'], r'2 of \d+ processes recorded themselves')

    def test_runs_add_up(self):
        told = self.diagnose(FAULTS, 'one-by-one', options=['--repeat', '2'])
        self.is_tier_0(told)
        self.assertEqual(told['own']['processes'], 2)

    def test_a_recording_keeps_what_the_trace_said(self):
        rec = self.path('r.rec')
        self.diagnose(FAULTS, 'loop-blocks', options=['--record', rec])
        r = cli.hob('diagnose', '--compare', rec, rec)
        self.assertEqual((r.status, r.err), (0, ''))
        self.assertEqual(r.out.count('loop-blocked'), 2, r.out)

    def test_simulated_time_is_another_clock(self):
        hello = os.path.join(os.path.dirname(FAULTS), '../../examples/hello')
        told = self.diagnose(hello, HOB_SIM='1')
        self.assertNotEqual(told['recording']['tier'], 'T0')
        self.assertIn('HOB_SIM', told['recording']['notes'])

    def test_nothing_is_left_after_an_interrupt(self):
        p = cli.hob_start('diagnose', '-o', self.path('report'), '--json', self.path('v.json'),
                          FAULTS, 'endless', env=self.env,
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        self.addCleanup(p.stdout.close)
        self.addCleanup(p.stderr.close)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        self.assertEqual(p.stdout.readline(), b'up\n')
        p.send_signal(signal.SIGINT)
        self.assertEqual(p.wait(cli.WAIT_MOST), -signal.SIGINT)
        self.nothing_left()


    def test_what_a_killed_recorder_left_is_removed_by_the_next(self):
        p = cli.hob_start('diagnose', '-o', self.path('report'), 'sh', '-c', 'echo up; read a',
                          stdin=subprocess.PIPE, env=self.env)
        self.addCleanup(p.stdin.close)
        self.addCleanup(p.stdout.close)
        self.addCleanup(p.stderr.close)
        self.assertEqual(p.stdout.readline(), b'up\n')
        self.assertEqual(len(os.listdir(self.temp)), 1)
        os.mkdir(os.path.join(self.temp, 'hob-diagnose-%d.theirs' % os.getpid()))  # it lives
        p.kill()
        p.wait(cli.WAIT_MOST)
        cli.hob('diagnose', '-o', self.path('report'), 'true', env=self.env)
        self.assertEqual(os.listdir(self.temp), ['hob-diagnose-%d.theirs' % os.getpid()])


class Attached(Own):
    def start(self, **env):
        p = subprocess.Popen([FAULTS, 'endless'], env={**self.env, **env}, stdout=subprocess.PIPE,
                             cwd=self.folder)
        self.addCleanup(p.stdout.close)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        self.assertEqual(p.stdout.readline(), b'up\n')
        return p

    def attach(self, p):
        r = cli.hob('diagnose', '-o', self.path('report'), '--json', self.path('v.json'), '-p',
                    str(p.pid), '--for', '500ms', env=self.env)
        self.assertEqual((r.status, r.err), (0, ''))
        self.nothing_left()
        return self.told()

    def test_one_that_records_itself_is_read(self):
        for name in (self.path('trace'), 'trace-%p'):
            told = self.attach(self.start(HOB_TRACE=name))
            self.is_tier_0(told)
            self.assertEqual(told['own']['io_by'], 'fetch', self.read('report'))

    def test_one_that_does_not_is_seen_from_outside(self):
        told = self.attach(self.start(HOB_TOP='1'))
        self.assertNotEqual(told['recording']['tier'], 'T0')
        self.assertIn('not tier 0: it uses hob', told['recording']['notes'])


if __name__ == '__main__':
    cli.main()
