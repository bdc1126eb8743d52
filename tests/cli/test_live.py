#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_live.py HOB SITE - hob diagnose --live on terminals of several kinds, and without one

Nothing here depends on how many pictures come.
"""
import os
import re
import signal
import subprocess
import termios
import unittest

import cli
from screen import COLOURS, Terminal, plain


class Live(cli.Case):
    def target(self):
        """A process that waits until its input ends, and the other end of that."""
        p = subprocess.Popen(['cat'], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self.addCleanup(p.wait)
        self.addCleanup(p.stdin.close)
        return p

    def attached(self, *args, **more):
        p = self.target()
        return p, Terminal(self, ['diagnose', '--live', '--every', '30ms', *args, '-p', str(p.pid)],
                           **more)


class Attached(Live):
    def test_the_whole_screen_until_q(self):
        p, t = self.attached()
        t.sees(re.escape('\x1b[?1049h'))
        page = plain(t.picture(lambda lines: 'cat' in plain(lines)))
        for part in ('hob diagnose --live', 'q detaches', 'LAST ', 'SINCE 0 s', 'cores  ',
                     'where the time went', 'foreign load', 'threads ', str(p.pid)):
            self.assertIn(part, page)
        t.types('q')
        t.sees(re.escape('\x1b[?1049l'))
        rest, status = t.ended()
        self.assertEqual(status, 0)
        self.assertIn('VERDICT', rest)
        self.assertIsNone(p.poll())
        self.assertEqual(termios.tcgetattr(t.there), t.was)

    def test_ctrl_c_ends_it_as_without_a_view(self):
        p, t = self.attached()
        t.picture()
        t.types('\x03')
        rest, status = t.ended()
        self.assertEqual(status, 0)
        self.assertIn('VERDICT', rest)
        self.assertIsNone(p.poll())
        self.assertEqual(termios.tcgetattr(t.there), t.was)

    def test_it_ends_with_the_program(self):
        p, t = self.attached()
        t.picture()
        p.stdin.close()
        rest, status = t.ended()
        self.assertEqual(status, 0)
        self.assertIn('\x1b[?1049l', rest)
        self.assertIn('VERDICT', rest.partition('\x1b[?1049l')[2])

    def test_it_fits_the_terminal_when_that_changes(self):
        _, t = self.attached()
        t.picture()
        for rows, columns in ((12, 50), (40, 132), (3, 20), (1, 1), (24, 80)):
            t.resize(rows, columns)

            def fits(lines, rows=rows, columns=columns):
                return (len(lines) == rows and max(lines) == rows and
                        max(len(COLOURS.sub('', s)) for s in lines.values()) <= columns)
            lines = t.picture(fits)  # a picture of the old size may still be on its way
            self.assertEqual(sorted(lines), list(range(1, rows + 1)))
        self.assertIn('where the time went', plain(lines))

    def test_a_tall_terminal_shows_the_timeline(self):
        _, t = self.attached(rows=60)
        t.picture(lambda lines: re.search(r'(?m)^ cat  +▕', plain(lines)))

    def test_no_colours(self):
        _, t = self.attached(env={'NO_COLOR': '1'})
        page = '\n'.join(t.picture().values())
        self.assertNotIn('\x1b', page)
        _, t = self.attached()
        self.assertIn('\x1b[1m', '\n'.join(t.picture().values()))

    def test_ascii(self):
        _, t = self.attached(env={'LC_ALL': 'C'})
        page = plain(t.picture())
        self.assertTrue(page.isascii(), page)

    def test_samples_do(self):
        _, t = self.attached('--tier', '2')
        page = plain(t.picture(lambda lines: 'cat' in plain(lines)))
        self.assertIn('samples of /proc', page)


class Shared(Live):
    """The terminal is the command's too."""

    def test_output_goes_on_above_the_view(self):
        t = Terminal(self, ['diagnose', '--live', '--every', '30ms', 'sh', '-c',
                            'echo up; read a; echo "got $a"; exit 7'], rows=24)
        t.sees('up')
        t.sees(re.escape('\x1b7\x1b[1;12r\x1b8\x1b[12A'))  # rows 13 to 24 are the view's
        lines = t.picture(lambda lines: 'LAST' in plain(lines))
        self.assertEqual(sorted(lines), list(range(13, 25)))
        t.types('q\n')
        t.sees('got q')  # the command's keys are its own
        rest, status = t.ended()
        self.assertEqual(status, 7)
        before, _, after = rest.partition('\x1b7\x1b[r\x1b[13;1H\x1b[J\x1b8')
        self.assertNotIn('VERDICT', before)
        self.assertIn('VERDICT', after)
        self.assertEqual(termios.tcgetattr(t.there), t.was)

    def test_every_picture_leaves_the_cursor_where_it_was(self):
        t = Terminal(self, ['diagnose', '--live', '--every', '30ms', 'sh', '-c', 'read a'], rows=24)
        for _ in range(3):
            t.sees(re.escape('\x18\x1b7\x1b[0m\x1b[1;12r'))
            t.sees(re.escape('\x1b8'))
        t.types('\n')
        self.assertEqual(t.ended()[1], 0)

    def test_q_ends_the_view_where_the_command_reads_something_else(self):
        r, w = os.pipe()
        t = Terminal(self, ['diagnose', '--live', '--every', '30ms', 'cat'], stdin=r)
        os.close(r)
        lines = t.picture(lambda lines: 'LAST' in plain(lines))
        self.assertIn('q ends the view', plain(lines))
        t.types('q')
        t.sees(re.escape('\x1b[r'))
        self.assertEqual(termios.tcgetattr(t.there), t.was)
        os.write(w, b'and it goes on\n')
        t.sees('and it goes on')
        os.close(w)
        rest, status = t.ended()
        self.assertEqual(status, 0)
        self.assertIn('VERDICT', rest)
        self.assertNotIn('\x18', rest)

    def test_ctrl_c_ends_the_command(self):
        t = Terminal(self, ['diagnose', '--live', '--every', '30ms', 'sh', '-c', 'echo up; read a'])
        t.sees('up')
        t.picture()
        t.types('\x03')
        rest, status = t.ended()
        self.assertEqual(status, -signal.SIGINT)
        self.assertIn('VERDICT', rest)

    def test_it_moves_when_the_terminal_changes(self):
        t = Terminal(self, ['diagnose', '--live', '--every', '30ms', 'sh', '-c', 'read a'], rows=24)
        t.picture()
        t.resize(40, 60)
        t.sees(re.escape('\x1b[13;1H\x1b[J'))  # what was the view's
        t.sees(re.escape('\x1b[1;20r'))
        lines = t.picture(lambda lines: max(lines) == 40)
        self.assertEqual(sorted(lines), list(range(21, 41)))
        t.types('\n')
        self.assertEqual(t.ended()[1], 0)

    def test_a_terminal_too_small_to_share_is_left_alone(self):
        t = Terminal(self, ['diagnose', '--live', '--every', '30ms', 'sh', '-c', 'sleep 0.2; echo out'], rows=7)
        rest, status = t.ended()
        self.assertEqual(status, 0)
        self.assertNotIn('\x1b', rest.partition('VERDICT')[0].replace('\x1b[1m', ''))

    def test_a_command_that_cannot_run(self):
        t = Terminal(self, ['diagnose', '--live', 'no-such-command-here'])
        rest, status = t.ended()
        self.assertEqual(status, 127)
        self.assertNotIn('\x1b', rest)


class Lines(Live):
    def test_a_line_a_time(self):
        p = self.target()
        hob = cli.hob_start('diagnose', '--live', '--every', '20ms', '-p', str(p.pid), text=True)
        self.addCleanup(hob.stdout.close)
        self.addCleanup(hob.stderr.close)
        names = hob.stderr.readline().split()
        self.assertEqual(names[:3], ['seconds', 'last', 'cores'])
        at = 0.0
        for _ in range(3):
            row = hob.stderr.readline().split()
            self.assertEqual(len(row), len(names), row)
            self.assertGreaterEqual(float(row[0]), at)
            at = float(row[0])
        hob.send_signal(signal.SIGINT)
        rest = hob.stderr.read()
        self.assertEqual(hob.wait(cli.WAIT_MOST), 0)
        self.assertIn('VERDICT', rest)
        self.assertNotIn('\x1b', rest)

    def test_a_command_and_its_output(self):
        hob = cli.hob_start('diagnose', '--live', '--every', '20ms', 'sh', '-c',
                            'read a; echo "$a"; exit 4', stdin=subprocess.PIPE, text=True)
        for stream in (hob.stdin, hob.stdout, hob.stderr):
            self.addCleanup(stream.close)
        self.addCleanup(hob.wait)
        self.addCleanup(hob.kill)
        self.assertRegex(hob.stderr.readline(), r'^ +seconds ')
        self.assertRegex(hob.stderr.readline(), r'^ +\d+\.\d +\d+\.\d ')
        hob.stdin.write('x\n')  # not before there was a line
        hob.stdin.flush()
        self.assertIn('VERDICT', hob.stderr.read())
        self.assertEqual(hob.stdout.read(), 'x\n')
        self.assertEqual(hob.wait(cli.WAIT_MOST), 4)

    def test_nobody_reads_them(self):
        r, w = os.pipe()
        os.close(r)
        p = cli.hob_start('diagnose', '--live', '--every', '20ms', '-o', self.path('report'), 'sh',
                          '-c', 'sleep 0.2; exit 4', stderr=w)
        os.close(w)
        p.stdout.close()
        self.assertEqual(p.wait(cli.WAIT_MOST), 4)
        self.assertIn('VERDICT', self.read('report'))


if __name__ == '__main__':
    cli.main()
