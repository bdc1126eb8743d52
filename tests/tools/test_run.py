#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_run.py - ./run finds what is missing, installs it when it may, and says so when it may not

The machine is played by small programs that come first in PATH: dpkg-query, apt-get, sudo, id.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Run(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = folder.name
        self.bin, self.log = os.path.join(folder.name, 'bin'), os.path.join(folder.name, 'log')
        os.mkdir(self.bin)
        # git only looks installed once apt-get has installed it; so a run ends without a build.
        self.program('dpkg-query', '[ "$3" = git ] || echo installed')
        self.program('sudo', 'exit 1')
        self.program('clang-format-14', 'exit 0')

    def program(self, name, script):
        path = os.path.join(self.bin, name)
        with open(path, 'w', encoding='utf-8') as f:
            f.write('#!/bin/bash\nlog=%s\n%s\n' % (self.log, script))
        os.chmod(path, 0o755)

    def user(self, uid):
        self.program('id', 'echo %d' % uid)

    def run_it(self, *args, cwd='/'):
        env = dict(os.environ, PATH=self.bin + ':' + os.environ['PATH'], HOME=self.home)
        r = subprocess.run([os.path.join(ROOT, 'run'), *args], capture_output=True, text=True,
                           env=env, cwd=cwd, stdin=subprocess.DEVNULL)
        return r.returncode, r.stdout, r.stderr

    def logged(self):
        with open(self.log, encoding='utf-8') as f:
            return f.read()

    def test_help_from_anywhere(self):
        code, out, _ = self.run_it('help')
        self.assertEqual(code, 0)
        for command in ('build', 'test', 'bench', 'check-all', 'fmt', 'demo', 'install'):
            self.assertIn('\n  %s' % command, out)

    def test_an_unknown_command(self):
        code, out, err = self.run_it('dance')
        self.assertEqual((code, out), (2, ''))
        self.assertIn('usage:', err)

    def test_help_of_a_command_needs_no_packages(self):
        self.user(0)
        self.program('dpkg-query', 'exit 1')
        self.program('apt-get', 'echo "$*" >>"$log"')
        for args in (['install', '--help'], ['demo', '-h'], ['test', '--help']):
            code, out, err = self.run_it(*args)
            self.assertEqual((code, err), (0, ''))
            self.assertIn('\n  install [--prefix P]', out)
        code, out, err = self.run_it('bench', '--help')
        self.assertEqual((code, err), (0, ''))
        self.assertIn('--peers DIR', out)
        code, out, err = self.run_it('bench', '--list')
        self.assertEqual((code, err), (0, ''))
        self.assertIn('\npingpong ', out)
        self.assertFalse(os.path.exists(self.log))

    def test_a_second_build_does_not_tell_what_meson_found_the_first_time(self):
        tree = os.path.join(self.home, 'tree')
        os.makedirs(os.path.join(tree, 'build'))
        os.mkdir(os.path.join(tree, 'bench'))
        for name in ('run', 'bench/packages.txt'):
            shutil.copy(os.path.join(ROOT, name), os.path.join(tree, name))
        with open(os.path.join(tree, 'build', 'build.ninja'), 'w', encoding='utf-8'):
            pass
        self.program('dpkg-query', 'echo installed')
        self.program('meson', 'echo Compiler supports; exit 0')
        # Options were set, so that the first ninja configures anew.
        self.program('ninja', '[ -e "$log" ] || echo Compiler supports; echo "$*" >>"$log"')
        r = subprocess.run([os.path.join(tree, 'run'), 'build'], capture_output=True, text=True,
                           env=dict(os.environ, PATH=self.bin + ':' + os.environ['PATH']))
        self.assertEqual((r.returncode, r.stdout), (0, ''))
        self.assertEqual(r.stderr, 'run: built build/hob and build/src/libhob.so\n')
        self.assertEqual(len(self.logged().splitlines()), 2)

    def test_a_prefix_that_is_missing(self):
        for args in (['--prefix'], ['--prefix='], ['--prefix', '']):
            code, out, err = self.run_it('install', *args)
            self.assertEqual((code, out, err), (1, '', 'run: install: --prefix needs a folder\n'))

    def test_who_may_not_install_gets_the_command(self):
        self.user(1000)
        code, _, err = self.run_it('fmt')
        self.assertEqual(code, 1)
        self.assertIn('apt-get install -y --no-install-recommends git\n', err)

    def test_root_installs_and_updates_lists_only_when_it_must(self):
        self.user(0)
        self.program('git', 'exit 0')
        self.program('apt-get', 'echo "$*" >>"$log"')
        code, _, err = self.run_it('fmt')
        self.assertEqual(code, 0, err)
        self.assertEqual(self.logged(), 'install -y --no-install-recommends git\n')

    def test_lists_that_are_missing_are_fetched_once(self):
        self.user(0)
        self.program('git', 'exit 0')
        self.program('apt-get', 'echo "$1" >>"$log"; [ "$1" = update ] || grep -q update "$log"')
        code, _, err = self.run_it('fmt')
        self.assertEqual(code, 0, err)
        self.assertEqual(self.logged(), 'install\nupdate\ninstall\n')

    def test_a_package_that_cannot_be_installed(self):
        self.user(0)
        self.program('apt-get', 'echo "E: no such thing"; exit 100')
        code, _, err = self.run_it('fmt')
        self.assertEqual(code, 1)
        self.assertIn('E: no such thing', err)
        self.assertIn('could not install: git', err)

    def test_sudo_without_a_password(self):
        self.user(1000)
        self.program('git', 'exit 0')
        self.program('apt-get', 'echo "$*" >>"$log"')
        self.program('sudo', 'shift; exec "$@"')
        code, _, err = self.run_it('fmt')
        self.assertEqual(code, 0, err)
        self.assertIn('install', self.logged())

    def test_install_wants_neither_test_nor_bench_packages(self):
        self.user(1000)
        self.program('dpkg-query', 'exit 1')
        code, _, err = self.run_it('install')
        self.assertEqual(code, 1)
        self.assertIn(' meson ', err)
        for other in ('clang', 'golang', 'scrapy', 'valgrind'):
            self.assertNotIn(other, err)


if __name__ == '__main__':
    sys.dont_write_bytecode = True
    unittest.main()
