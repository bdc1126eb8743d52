#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_top.py - hob top on a running program: the demo's server, asked from outside"""
import os
import signal
import stat
import subprocess
import tempfile
import unittest

import cli


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
        return self

    def __exit__(self, *unused):
        self.proc.send_signal(signal.SIGTERM)
        self.proc.communicate(timeout=cli.WAIT_MOST)
        self.folder.cleanup()

    def socket(self):
        return '%s/hob/%d.sock' % (self.folder.name, self.proc.pid)

    def look(self, *args):
        return subprocess.run([cli.HOB, 'top', *args], env=self.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=cli.WAIT_MOST)


class Top(cli.Case):
    def test_a_server_that_waits_for_a_connection(self):
        with Server() as s:
            r = s.look('-n', '1', str(s.proc.pid))
            self.assertEqual((r.returncode, r.stderr), (0, ''))
            self.assertIn('process %d, ' % s.proc.pid, r.stdout)
            self.assertRegex(r.stdout, r'(?m)^loop 0 ')
            self.assertRegex(r.stdout, r'(?m)^pool ')
            self.assertRegex(r.stdout, r'(?m)^fiber +main ')
            self.assertRegex(r.stdout, r'(?m)^ +1  waiting for a connection to accept$')

    def test_two_looks_have_rates(self):
        with Server() as s:
            r = s.look('-n', '2', '-d', '50ms', str(s.proc.pid))
            self.assertEqual(r.returncode, 0)
            self.assertRegex(r.stdout,
                             r'(?m)^loop 0 .* on CPU( in slices of \d+ us)?, \d+ turns/s$')

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
