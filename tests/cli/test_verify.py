#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_verify.py HOB SITE - hob diagnose --verify runs the command again as it says, and no more

Which times come out is the machine's affair; here it is what each run was given, that nothing else
changed, and what is said when it cannot be done.
"""
import os
import re
import signal
import unittest

import cli

CORES = len(os.sched_getaffinity(0))


class Verify(cli.Case):
    SAYS = '''
        cores=$(sed -n 's/Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)
        echo "$* ${HOB_TEST_N-unset} $cores" >> "$LOG"
        '''

    def setUp(self):
        super().setUp()
        self.log = self.path('log')
        self.json = self.path('v.json')

    def script(self, text):
        """A shell script that first notes what it was given, then does this."""
        return self.write('script', '#!/bin/sh\n' + self.SAYS + text)

    def verify(self, *command, options=(), **more):
        """The command, which is a script of ours: (what hob came to, its report)."""
        report = self.path('report')
        env = {**os.environ, 'LOG': self.log, **more.pop('env', {})}
        r = cli.hob('diagnose', '-o', report, '--json', self.json, '--verify', *options, '--',
                    'sh', *command, env=env, **more)
        return r, ' '.join(self.read(report).split()) if os.path.exists(report) else ''

    def runs(self):
        """What each run noted, the recorded one first."""
        return [line.split() for line in self.read(self.log).splitlines()]

    def verified(self):
        return cli.rows_of(self.read(self.json))[0]['verify']

    def levels(self):
        """{knob: {level: [state of each of its runs]}} as the JSON has it."""
        return {k['knob']: {row['level']: [s['state'] for s in row['runs']] for row in k['levels']}
                for k in self.verified()['knobs']}


class Knobs(Verify):
    def test_a_number_of_the_command_line_is_varied_and_nothing_else(self):
        for form in ('--jobs %s', '--jobs=%s', '-j%s', '-j %s', '-threads %s'):
            if os.path.exists(self.log):
                os.unlink(self.log)
            words = (form % 2).split()
            r, report = self.verify(self.script(''), '-x', '7', *words, 'end')
            self.assertEqual((r.status, r.out), (0, ''))
            rest = re.compile('-x 7 ' + form % r'(\d+)' + r' end unset \S+$')
            seen = [rest.match(' '.join(run)) for run in self.runs()]
            self.assertTrue(all(seen), self.runs())
            numbers = [int(m[1]) for m in seen]
            self.assertEqual(numbers[:2], [2, 2])  # recorded, and as given
            name = form.split('%')[0].rstrip(' =')
            self.assertEqual(set(numbers), set(self.levels()[name]))
            self.assertGreaterEqual(len(set(numbers)), 3)
            self.assertIn(name + ' seconds', report)

    def test_a_number_in_a_shells_text(self):
        text = self.script('')
        r, _ = self.verify('-c', 'true; sh %s -j 2; true' % text)
        self.assertEqual(r.status, 0)
        numbers = [int(run[1]) for run in self.runs()]
        self.assertEqual(set(numbers), set(self.levels()['-j']))

    def test_a_variable_that_is_asked_for(self):
        r, report = self.verify(self.script(''), options=['--knob', 'HOB_TEST_N'],
                                env={'HOB_TEST_N': '2'})
        self.assertEqual(r.status, 0)
        numbers = [int(run[0]) for run in self.runs()]
        self.assertEqual(numbers[:2], [2, 2])
        self.assertEqual(list(self.levels()), ['HOB_TEST_N'])
        self.assertEqual(set(numbers), set(self.levels()['HOB_TEST_N']))
        self.assertIn('HOB_TEST_N seconds', report)

    def test_a_variable_that_the_command_sets(self):
        """Set around the command it would not reach the program."""
        text = self.script('')
        r, report = self.verify('-c', 'HOB_TEST_N=2 sh %s' % text,
                                options=['--knob', 'HOB_TEST_N'], env={'HOB_TEST_N': '5'})
        self.assertEqual(r.status, 0)
        numbers = [int(run[0]) for run in self.runs()]
        self.assertEqual(numbers[:2], [2, 2])
        self.assertEqual(set(numbers), set(self.levels()['HOB_TEST_N']))
        self.assertGreaterEqual(len(set(numbers)), 3)
        self.assertIn('HOB_TEST_N seconds', report)

    def test_a_variable_with_more_in_it(self):
        self.verify(self.script(''), options=['--knob', 'HOB_TEST_N=n%end'],
                    env={'HOB_TEST_N': 'n3end'})
        values = [run[0] for run in self.runs()]
        self.assertEqual(values[:2], ['n3end', 'n3end'])
        self.assertEqual(set(values), {'n%dend' % n for n in self.levels()['HOB_TEST_N']})
        self.assertGreaterEqual(len(set(values)), 3)

    @unittest.skipIf(CORES < 2, 'one core is all there is')
    def test_cores(self):
        r, report = self.verify(self.script(''), options=['--knob', 'cores'])
        if len(os.sched_getaffinity(0)) != CORES:
            self.skipTest('somebody changed the cores of this test meanwhile')
        self.assertEqual(r.status, 0)

        def count(text):
            ends = [part.split('-') for part in text.split(',')]
            return sum(int(e[-1]) - int(e[0]) + 1 for e in ends)
        counts = [count(run[-1]) for run in self.runs()]
        self.assertEqual(counts[0], CORES)
        self.assertIn(1, counts)
        if self.verified()['knobs'][0]['now'] == CORES:  # no quota below the number of cores
            self.assertEqual(set(counts), set(self.levels()['cores']))

    def test_no_more_runs_than_asked_for(self):
        for n in (2, 3, 20):
            if os.path.exists(self.log):
                os.unlink(self.log)
            self.verify(self.script(''), '--jobs', '2', options=['--runs', str(n), '--knob',
                                                                 '--jobs'])
            self.assertLessEqual(len(self.runs()), n + 1)
            self.assertEqual(self.verified()['runs'], len(self.runs()) - 1)


class Untouched(Verify):
    def test_output_is_the_first_runs(self):
        r, _ = self.verify(self.script('echo out; echo err >&2'), '-j', '2')
        self.assertEqual((r.status, r.out), (0, 'out\n'))
        self.assertEqual(r.err.count('err\n'), 1)
        self.assertIn('runs it again', r.err)
        self.assertGreater(len(self.runs()), 3)

    def test_status_is_the_first_runs(self):
        r, _ = self.verify(self.script('exit 7'), '-j', '2')
        self.assertEqual(r.status, 7)
        for states in self.levels()['-j'].values():
            self.assertNotIn('failed', states)  # it ends as the first did

    def test_a_run_that_fails_is_told_and_not_counted(self):
        r, report = self.verify(self.script('[ "$2" != 1 ] || exit 3'), '-j', '2')
        self.assertEqual(r.status, 0)
        self.assertEqual(set(self.levels()['-j'][1]), {'failed'})
        self.assertRegex(report, r'\d failed: exit status 3')
        for row in self.verified()['knobs'][0]['levels']:
            if row['level'] == 1:
                self.assertIsNone(row['measured'])
                self.assertEqual(row['runs'][0]['exit_status'], 3 << 8)

    def test_one_that_a_signal_ended_is_not_run_again(self):
        r, report = self.verify(self.script('kill -9 $$'), '-j', '2')
        self.assertEqual(r.status, -signal.SIGKILL)
        self.assertEqual(len(self.runs()), 1)
        self.assertIn('run again: no. the command did not run to its end', report)
        self.assertIn('did not run', self.verified()['refused'])


class Input(Verify):
    def test_a_file_is_read_again_from_where_it_was(self):
        with open(self.write('in', 'first\nsecond\n'), 'rb', buffering=0) as f:
            f.seek(6)
            self.verify(self.script('cat >> "$LOG"'), '-j', '2', stdin=f)
            self.assertEqual(f.tell(), 13)  # where the first run left it
        lines = self.read(self.log).splitlines()
        self.assertEqual(lines[1::2], ['second'] * (self.verified()['runs'] + 1))

    def test_a_pipe_is_refused_before_anything_runs(self):
        r, _ = self.verify(self.script(''), stdin='text')
        self.assertEqual((r.status, r.out), (2, ''))
        self.one_line(r.err, 'hob diagnose: --verify: ', 'standard input is a pipe')
        self.assertFalse(os.path.exists(self.log))

    def test_without_any(self):
        report = self.path('report')
        r = cli.hob('diagnose', '-o', report, '--verify', '--', 'sh', self.script(''), '-j', '2',
                    env={**os.environ, 'LOG': self.log}, preexec_fn=lambda: os.close(0))
        self.assertEqual(r.status, 0)
        self.assertGreater(len(self.runs()), 3)


class Interrupted(Verify):
    # The run with -j 1 comes behind the one as given; it never ends by itself.
    STAYS = '[ "$2" != 1 ] || { %s echo here >> "$LOG"; while :; do sleep 600 & wait; done; }'

    def start(self, trap):
        p = cli.hob_start('diagnose', '-o', self.path('report'), '--json', self.json, '--verify',
                          '--', 'sh', self.script(self.STAYS % trap), '-j', '2',
                          env={**os.environ, 'LOG': self.log}, start_new_session=True)

        def end():
            try:
                os.killpg(p.pid, signal.SIGKILL)  # what a case that failed has left
            except ProcessLookupError:
                pass
            p.wait()
            p.stdout.close()
            p.stderr.close()
        self.addCleanup(end)
        cli.until('the run that stays', lambda: os.path.exists(self.log) and
                  'here\n' in self.read(self.log))
        return p

    def check(self, p, sig):
        self.assertEqual(p.wait(cli.WAIT_MOST), -sig)
        self.assertIn('interrupted', self.read('report'))
        v = self.verified()
        self.assertTrue(v['interrupted'])
        levels = self.levels()['-j']
        self.assertEqual(len(levels[2]), 1)
        self.assertEqual(levels[1], [])  # was cut: that is no time

    def test_ctrl_c_ends_it_with_what_there_is(self):
        for sig in (signal.SIGINT, signal.SIGTERM):
            p = self.start('')
            os.kill(p.pid, sig)  # to hob alone: it is passed on
            self.check(p, sig)
            os.unlink(self.log)

    def test_a_second_one_ends_what_ignores_the_first(self):
        p = self.start('trap "echo got >> \\"$LOG\\"" INT;')
        os.kill(p.pid, signal.SIGINT)
        cli.until('the first is passed on', lambda: 'got\n' in self.read(self.log))
        self.assertIsNone(p.poll())
        os.kill(p.pid, signal.SIGINT)
        self.check(p, signal.SIGINT)


class Mistakes(Verify):
    def test_they_are_told_before_anything_runs(self):
        run = ['sh', self.script(''), '-j', '2']
        for args, said in (
                (['--knob', '-j', '--', *run], '--knob and --runs are for --verify'),
                (['--runs', '4', '--', *run], '--knob and --runs are for --verify'),
                (['--verify', '--follow', '--', *run], '--verify goes with neither'),
                (['--verify', '--repeat', '3', '--', *run], '--verify goes with neither'),
                (['--verify', '-p', '1'], '--verify goes with neither'),
                (['--verify', '--knob', '-k', '--', *run], 'has no -k with a number'),
                (['--verify', '--knob', 'A B', '--', *run], "'A B' is neither cores"),
                (['--verify', '--knob', 'A=3', '--', *run], "'A=3' is neither cores"),
                (['--verify', '--knob', 'HOB_TEST_N', '--', *run], 'HOB_TEST_N has no number now'),
                (['--verify', *['--knob', 'cores'] * 5, '--', *run], 'no more than 4 knobs')):
            r = cli.hob('diagnose', *args, env={**os.environ, 'LOG': self.log})
            self.assertEqual((r.status, r.out), (2, ''), args)
            self.one_line(r.err, 'hob diagnose: ', said)
            self.assertFalse(os.path.exists(self.log))


if __name__ == '__main__':
    cli.main()
