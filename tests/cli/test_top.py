#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_top.py - hob top on a running program: the demo's server, asked from outside"""
import os
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
import unittest

import cli


PATIENT = '--timeout=%ds' % cli.WAIT_MOST  # who is asked may have to wait for a core


def look(env, *args):
    return subprocess.run([cli.HOB, 'top', *args], env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=2 * cli.WAIT_MOST)


class Server:
    """The demo site with HOB_TOP=1, its socket in a folder of its own."""

    def __init__(self, top='1'):
        self.top = top

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix='hob-top-')
        self.env = dict(os.environ, XDG_RUNTIME_DIR=self.folder.name, HOB_TOP=self.top)
        self.proc = subprocess.Popen([cli.SITE, '--port=0'], stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True, env=self.env)
        self.proc.stdout.readline()
        cli.at_rest(self.proc.pid)  # its main fiber waits for a connection now
        return self

    def __exit__(self, *unused):
        self.proc.send_signal(signal.SIGTERM)
        self.proc.communicate(timeout=cli.WAIT_MOST)
        self.folder.cleanup()

    def socket(self):
        return '%s/hob/%d.sock' % (self.folder.name, self.proc.pid)

    def look(self, *args):
        return look(self.env, PATIENT, *args)


def cpu_ns():
    """Time on CPU of this thread as hob top reads it."""
    with open('/proc/self/task/%d/schedstat' % threading.get_native_id()) as f:
        return int(f.read().split()[0])


def looks_at(*answers):
    """hob top at a thread of this process in the place of a program.

    The answers are lists of lines, or functions that make one.  Such a function is given when the
    answer two before it was made (time.monotonic_ns): what hob top compares an answer with, it
    asked for after that.
    """
    with tempfile.TemporaryDirectory(prefix='hob-top-') as folder, \
            socket.socket(socket.AF_UNIX) as listener:
        os.mkdir(folder + '/hob')
        listener.bind('%s/hob/%d.sock' % (folder, os.getpid()))
        listener.listen()
        listener.settimeout(cli.WAIT_MOST)
        made = [time.monotonic_ns()] * 2

        def serve():
            with listener.accept()[0] as client:
                client.settimeout(cli.WAIT_MOST)

                def tell(line):
                    client.sendall(line.encode() + b'\n')

                for answer in answers:
                    client.recv(1)
                    tell('hob 1 %d 4' % os.getpid())
                    lines = answer(made[-2]) if callable(answer) else answer
                    made.append(time.monotonic_ns())
                    for line in lines:
                        tell(line)
                    tell('end')
                client.recv(1)

        server = threading.Thread(target=serve)
        server.start()
        r = look(dict(os.environ, XDG_RUNTIME_DIR=folder), PATIENT, '-d', '50ms',
                 '-n', str(len(answers)), str(os.getpid()))
        server.join()
        return r


def loop_line(turns):
    return 'loop %d %d 0' % (threading.get_native_id(), turns)


def loop_that_ran(turns):
    """An answer whose loop was on CPU for longer than two looks are apart, however slow the
    machine."""
    def answer(since):
        enough = cpu_ns() + time.monotonic_ns() - since
        while cpu_ns() < enough:
            pass
        return [loop_line(turns)]
    return answer


class Top(cli.Case):
    def test_a_server_that_waits_for_a_connection(self):
        with Server() as s:
            r = s.look('-n', '1', str(s.proc.pid))
            self.assertEqual((r.returncode, r.stderr), (0, ''))
            self.assertIn('process %d, ' % s.proc.pid, r.stdout)
            self.assertRegex(r.stdout, r'(?m)^loop 0 ')
            self.assertRegex(r.stdout, r'(?m)^pool ')
            self.assertRegex(r.stdout, r'(?m)^fiber +main ')
            self.assertRegex(r.stdout, r'(?m)^  waiting for a connection to accept +1$')

    def test_two_looks_have_rates(self):
        with Server() as s:
            r = s.look('-n', '2', '-d', '50ms', str(s.proc.pid))
            self.assertEqual(r.returncode, 0)
            self.assertRegex(r.stdout,
                             r'(?m)^loop 0 .* on CPU( in slices of \d+ us)?, \d+ turns/s$')

    def test_a_loop_that_runs_and_makes_no_turn_is_held(self):
        for turns, held in ((7, True), (8, False)):
            r = looks_at(lambda *_: [loop_line(7)], lambda *_: [loop_line(7)], loop_that_ran(turns))
            self.assertEqual((r.returncode, r.stderr), (0, ''))
            last = r.stdout.rsplit('process ', 1)[1]
            self.assertRegex(last, r'(?m)^loop 0 +\d+ % on CPU, \d+ turns/s')
            self.assertEqual('HELD by one fiber' in last, held, r.stdout)

    def test_the_busiest_of_two_loops_has_more_than_its_share(self):
        tid = threading.get_native_id()
        r = looks_at(['loop %d 7 0 1000000 5' % tid, 'loop %d 7 0 0 0' % tid],
                     ['loop %d 8 0 4000000 5' % tid, 'loop %d 8 0 1000000 9' % tid])
        self.assertEqual((r.returncode, r.stderr), (0, ''))
        self.assertRegex(r.stdout, r'(?m)^balance  the busiest loop has 1\.50 times its share, '
                                   r'\d+ tasks/s taken over$')
        r = looks_at([loop_line(7)] * 2, [loop_line(8)] * 2)  # a program that does not say so
        self.assertNotIn('balance', r.stdout)

    def test_what_is_waited_for_fits_a_narrow_terminal(self):
        waits = 'waiting for the kernel to give an operation back'  # the longest there is
        r = looks_at(['loop 1 7 100000', 'task fiber 1 0 0 a-name-of-twenty-char',
                      'wait file 123 ' + waits])
        self.assertRegex(r.stdout, '(?m)^  %s +123$' % waits)
        self.assertLess(max(map(len, r.stdout.splitlines())), 80)

    def test_rows_of_one_name_are_added(self):
        r = looks_at(['task fiber 100 1 2 twin', 'wait chan 3 waiting for a message',
                      'task job 1 0 0 twin',
                      'task fiber 50 10 20 twin', 'wait chan 4 waiting for a message'])
        self.assertEqual((r.returncode, r.stderr), (0, ''))
        self.assertRegex(r.stdout, r'(?m)^fiber +twin +22 +11 +7 ')
        self.assertRegex(r.stdout, r'(?m)^  waiting for a message +7$')
        self.assertEqual(r.stdout.count('twin'), 2, r.stdout)

    def test_a_count_that_goes_back_is_no_rate(self):
        r = looks_at(['loop 1 9 0', 'pool 1 1 9 9', 'task fiber 9 0 0 one'],
                     ['loop 1 8 0', 'pool 1 1 8 8', 'task fiber 8 0 0 one'])
        self.assertEqual((r.returncode, r.stderr), (0, ''))
        self.assertRegex(r.stdout, r'(?m)^pool .*, 0 jobs/s$')
        self.assertRegex(r.stdout, r'(?m)^fiber +one .* 0/s$')

    def test_who_watches_second_is_told(self):
        with Server() as s, socket.socket(socket.AF_UNIX) as first:
            first.connect(s.socket())
            r = s.look('--timeout', '50ms', '-n', '1', str(s.proc.pid))
            self.assertEqual((r.returncode, r.stdout), (1, ''))
            self.one_line(r.stderr, 'process %d does not answer: somebody else watches it?' %
                          s.proc.pid)

    def test_only_its_owner_may_look(self):
        with Server() as s:
            self.assertEqual(stat.S_IMODE(os.stat(s.socket()).st_mode), 0o600)
            self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(s.socket())).st_mode), 0o700)

    def test_the_socket_goes_with_the_program(self):
        with Server() as s:
            path = s.socket()
            self.assertTrue(os.path.exists(path))
            s.proc.send_signal(signal.SIGTERM)
            s.proc.wait(cli.WAIT_MOST)
            self.assertFalse(os.path.exists(path))

    def test_who_did_not_ask_for_it_is_not_watched(self):
        with Server(top='0') as s:
            self.assertFalse(os.path.exists(s.socket()))
            r = s.look(str(s.proc.pid))
            self.assertEqual(r.returncode, 1)
            self.one_line(r.stderr, 'process %d does not answer' % s.proc.pid, 'HOB_TOP=1')

    def test_a_folder_that_others_may_write_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(folder + '/hob')
            os.chmod(folder + '/hob', 0o777)
            env = dict(os.environ, XDG_RUNTIME_DIR=folder, HOB_TOP='1')
            proc = subprocess.Popen([cli.SITE, '--port=0'], stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, text=True, env=env)
            proc.stdout.readline()
            cli.at_rest(proc.pid)
            proc.send_signal(signal.SIGTERM)
            _, err = proc.communicate(timeout=cli.WAIT_MOST)
            self.one_line(err, 'hob: HOB_TOP: ')
            self.assertEqual(os.listdir(folder + '/hob'), [])

    def test_command_lines(self):
        for args in ([], ['x'], ['1', '2'], ['-1'], ['0'], ['12x']):
            r = cli.hob('top', *args)
            self.assertEqual(r.status, 2, args)


if __name__ == '__main__':
    cli.main()
