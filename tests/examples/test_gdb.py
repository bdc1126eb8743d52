#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_gdb.py BUILD/examples SCRIPT core|live - tools/gdb/hob.py shows fibers that do not run

core: of a core file that the kernel wrote; live: of a process.  Without gdb, or where the kernel
gives no such file or lets nobody attach, it is skipped with the reason.
"""
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

SKIP = 77
WAIT_MOST = 240
WRONG = SCRIPT = OF = ''


def skip(why):
    print('SKIP: ' + why)
    sys.exit(SKIP)


def at_rest(pid):
    end = time.monotonic() + WAIT_MOST
    while time.monotonic() < end:
        with open('/proc/%d/stat' % pid, encoding='ascii') as f:
            if f.read().rsplit(')', 1)[1].split()[0] == 'S':
                return
        os.sched_yield()
    raise AssertionError('the program never came to rest')


def gdb(*commands, of=()):
    args = ['gdb', '-q', '-nx', '-batch', '-ex', 'set pagination off', '-ex', 'set width 0', WRONG, *of,
            '-ex', 'source ' + SCRIPT]
    for c in commands:
        args += ['-ex', c]
    r = subprocess.run(args, capture_output=True, text=True, errors='replace', timeout=WAIT_MOST,
                       env={**os.environ, 'DEBUGINFOD_URLS': ''})
    return r.stdout + r.stderr


class Waiting:
    """with Waiting() as pid: of `wrong wait` whose fibers are all parked; its folder takes a core."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        # The whole limit there is; without one the kernel writes nothing.
        most = resource.getrlimit(resource.RLIMIT_CORE)[1]
        self.proc = subprocess.Popen(
            [WRONG, 'wait'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=self.folder.name,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (most, most)))
        if self.proc.stdout.readline() != b'open\n':
            raise AssertionError('the program did not start')
        at_rest(self.proc.pid)
        return self

    def __exit__(self, *_):
        self.proc.kill()
        self.proc.communicate()
        self.folder.cleanup()

    def core(self):
        self.proc.send_signal(signal.SIGABRT)
        self.proc.wait()
        files = os.listdir(self.folder.name)
        return os.path.join(self.folder.name, files[0]) if files else None

    def of(self):
        """What gdb is called with beside the program."""
        return [self.core()] if OF == 'core' else ['-p', str(self.proc.pid)]


class Fibers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with Waiting() as w:
            cls.out = gdb('hob fibers', 'echo --cook--\\n', 'hob fibers cook', 'echo --bt--\\n',
                          'hob bt 2', 'echo --all--\\n', 'hob bt all', 'echo --fiber--\\n',
                          'hob fiber 3', 'bt', 'echo --thread--\\n', 'hob fiber', 'bt',
                          'echo --no--\\n', 'hob bt 9', 'hob bt x', of=w.of())

    def part(self, name, end):
        return self.out.split('--%s--' % name)[1].split('--%s--' % end)[0]

    def test_every_fiber_is_listed_with_what_it_waits_for(self):
        for line in (r'main: waiting for a group to end; group main; loop 0; stack \d\.\d KiB; runs ',
                     r'cook: waiting for a value from a channel; group main/kitchen; loop 0; ',
                     r'waiter: waiting for bytes from the network \(descriptor 0\); group main/kitchen'):
            self.assertRegex(self.out, line)
        self.assertRegex(self.out, r'runs cook, started at kitchen ?\+')
        self.assertIn('\n3 fibers\n', self.out)

    def test_a_text_chooses_lines(self):
        self.assertNotIn('waiter:', self.part('cook', 'bt'))
        self.assertIn('cook:', self.part('cook', 'bt'))

    def test_a_parked_fibers_frames_lead_to_its_function(self):
        out = self.part('bt', 'all')
        frames = re.findall(r'^#(\d+) +(?:0x\w+ in )?([\w.]+) \(', out, re.M)
        names = [name for _, name in frames]
        self.assertIn('hob_chan_recv', names)
        self.assertLess(names.index('hob_chan_recv'), names.index('cook'))
        self.assertEqual([int(n) for n, _ in frames], list(range(len(frames))))
        self.assertIn('fiber_main', names[names.index('cook'):])
        self.assertNotIn('kitchen', names)
        self.assertNotIn('corrupt', out)

    def test_all_of_them(self):
        out = self.part('all', 'fiber')
        for name in ('kitchen', 'cook', 'waiter'):
            self.assertRegex(out, r'(?m)^#\d+ .*\b%s \(' % name)

    def test_a_fiber_stays_chosen_until_it_is_given_up(self):
        self.assertRegex(self.part('fiber', 'thread'), r'\bhob_read \((.|\n)*\bwaiter \(')
        thread = self.part('thread', 'no')
        self.assertNotRegex(thread, r'\bwaiter \(')
        self.assertRegex(thread, r'\bhob_run \((.|\n)*\bmain \(')

    def test_a_fiber_that_is_not_there_is_said_so(self):
        self.assertIn('there is no fiber 9', self.out)
        self.assertIn('which fiber?', self.out)


def need():
    if not shutil.which('gdb'):
        skip('there is no gdb')
    if os.uname().machine != 'x86_64':
        skip('fibers that do not run are unwound on x86-64 only')
    if 'yes' not in gdb('python print("yes")'):
        skip('this gdb has no Python')
    with Waiting() as w:
        if OF == 'core' and not w.core():
            with open('/proc/sys/kernel/core_pattern', encoding='utf-8') as f:
                skip('the kernel leaves no core file here: its pattern is ' + f.read().strip())
        elif OF == 'live' and 'ptrace' in gdb('info threads', of=w.of()):
            skip('nobody may attach to a process here')


if __name__ == '__main__':
    WRONG, SCRIPT, OF = os.path.join(os.path.abspath(sys.argv[1]), 'wrong'), *sys.argv[2:4]
    need()
    unittest.main(argv=sys.argv[:1])
