# SPDX-License-Identifier: MIT
"""screen.py - a terminal on which a test sees the pictures that the tool draws on it

A picture begins and ends with CAN.
"""
import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time

import cli

COLOURS = re.compile(r'\x1b\[[0-9;]*m')
LINE = re.compile(r'\x1b\[(\d+);1H((?:[^\x1b]|\x1b\[[0-9;]*m)*)\x1b\[K')


class Terminal:
    """A pseudo-terminal whose other side one program has as its own."""

    def __init__(self, case, args, rows=30, columns=90, stdin=None, env=None):
        self.here, there = os.openpty()
        self.resize(rows, columns)
        self.was = termios.tcgetattr(there)

        def own():
            os.setsid()
            fcntl.ioctl(2, termios.TIOCSCTTY, 0)

        self.proc = subprocess.Popen(
            [cli.HOB, *args], stdin=there if stdin is None else stdin, stdout=there,
            stderr=there, preexec_fn=own, pass_fds=(),
            env={**os.environ, 'TERM': 'xterm-256color', 'LC_ALL': 'C.UTF-8', **(env or {})})
        self.there, self.seen = there, ''
        case.addCleanup(os.close, self.here)
        case.addCleanup(os.close, there)
        case.addCleanup(self.proc.wait)
        case.addCleanup(self.proc.kill)

    def resize(self, rows, columns):
        fcntl.ioctl(self.here, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def types(self, text):
        os.write(self.here, text.encode())

    def read(self):
        if not select.select([self.here], [], [], cli.WAIT_MOST)[0]:
            raise AssertionError('nothing more came after %r' % self.seen[-500:])
        self.seen += os.read(self.here, 65536).decode('utf-8', 'replace')

    def sees(self, what):
        """Read until there is a match of it; what was seen until then goes."""
        while True:
            match = re.search(what, self.seen)
            if match:
                self.seen = self.seen[match.end():]
                return match
            self.read()

    def picture(self, fits=lambda lines: True):
        """{row: text} of the next whole picture that fits, colours and all."""
        while True:
            self.sees('\x18')
            while '\x18' not in self.seen:
                self.read()
            lines = {int(row): text for row, text in LINE.findall(self.seen.split('\x18')[0])}
            if lines and fits(lines):
                return lines

    def ended(self):
        """The rest of what it writes, and its status."""
        end = time.monotonic() + cli.WAIT_MOST
        while self.proc.poll() is None or select.select([self.here], [], [], 0)[0]:
            if select.select([self.here], [], [], 0.02)[0]:
                self.seen += os.read(self.here, 65536).decode('utf-8', 'replace')
            if time.monotonic() > end:
                raise AssertionError('it does not end')
        return self.seen, self.proc.returncode


def plain(lines):
    return '\n'.join(COLOURS.sub('', lines[row]) for row in sorted(lines))
