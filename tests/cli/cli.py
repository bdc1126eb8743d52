# SPDX-License-Identifier: MIT
"""cli.py - what the tests of the tool share: the tool, the demo site, events waited for

A test program is called with the tool and the demo site as its first arguments:

    cli.main(__doc__)           # takes them, then runs the cases of the calling module
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HOB = SITE = ''
WAIT_MOST = 240  # seconds that only a hang reaches, however busy the machine


def until(what, happened):
    """Wait for an event that somebody else brings about; its truth is the result."""
    end = time.monotonic() + WAIT_MOST
    while time.monotonic() < end:
        result = happened()
        if result:
            return result
        time.sleep(0.005)  # sleep: the event is in another process, and a file does not wake us
    raise AssertionError('never happened: ' + what)


def thread_sanitizer():
    with open(HOB, 'rb') as f:
        return b'__tsan_init' in f.read()


def at_rest(pid):
    """Wait until a process sleeps.  ThreadSanitizer (of clang 14) loses a signal that comes while a
    fiber makes its first blocking call: a loop that sleeps is past that."""
    def sleeps():
        with open('/proc/%d/stat' % pid, encoding='ascii') as f:
            return f.read().rsplit(')', 1)[1].split()[0] in 'SZ'
    until('a process at rest', sleeps)


class Site:
    """with Site(pages=10, latency='50ms') as site: site.url('/p/...'), site.requests()"""

    def __init__(self, **options):
        self.args = ['--%s=%s' % (k.replace('_', '-'), v) for k, v in options.items()]

    def __enter__(self):
        fd, self.log = tempfile.mkstemp(prefix='hob-site-log-')
        os.close(fd)
        self.proc = subprocess.Popen([SITE, '--port=0', '--log=' + self.log, *self.args],
                                     stdout=subprocess.PIPE, text=True)
        self.base = self.proc.stdout.readline().strip()
        if not self.base.startswith('http://127.0.0.1:'):
            raise AssertionError('hob-site said %r' % self.base)
        return self

    def __exit__(self, *unused):
        at_rest(self.proc.pid)
        self.proc.terminate()
        status = self.proc.wait(WAIT_MOST)
        self.proc.stdout.close()
        os.unlink(self.log)
        if status != 0:
            raise AssertionError('hob-site ended with %d' % status)

    def url(self, path):
        return self.base + path

    def requests(self):
        """[(time, connection, requests under way, method, host, target, user agent)]"""
        with open(self.log, encoding='utf-8') as f:
            rows = [line[:-1].split('\t') for line in f if line.endswith('\n')]
        return [(float(r[0]), int(r[1]), int(r[2]), *r[3:]) for r in rows]

    def truth(self):
        """{path: (title, price)}"""
        r = subprocess.run([SITE, '--truth', *self.args], capture_output=True, text=True,
                           check=True)
        rows = [line.split('\t') for line in r.stdout.splitlines()]
        return {path: (title, price) for path, title, price in rows}


class Ended:
    """What a run of the tool came to."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def rows(self):
        return rows_of(self.out)


def rows_of(text):
    """The rows of JSON Lines text, each of which must be whole."""
    if text and not text.endswith('\n'):
        raise AssertionError('half a row at the end: %r' % text[-200:])
    return [json.loads(line) for line in text.splitlines()]


def hob(*args, stdin=subprocess.DEVNULL, **more):
    """Run the tool to its end; stdin is text, or what Popen takes."""
    given = {'input': stdin} if isinstance(stdin, (str, bytes)) else {'stdin': stdin}
    if isinstance(stdin, bytes):
        given['input'] = stdin.decode('latin-1')
        given['encoding'] = 'latin-1'
    r = subprocess.run([HOB, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=WAIT_MOST, **{'encoding': 'utf-8', **given, **more})
    return Ended(r.returncode, r.stdout, r.stderr)


def hob_start(*args, **more):
    return subprocess.Popen([HOB, *args], **{'stdin': subprocess.DEVNULL,
                                             'stdout': subprocess.PIPE,
                                             'stderr': subprocess.PIPE, **more})


class Case(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), 'wb') as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        return self.path(name)

    def read(self, name):
        with open(self.path(name), encoding='utf-8') as f:
            return f.read()

    def one_line(self, err, *parts):
        """Standard error is one line, with these parts in it."""
        self.assertEqual(err.count('\n'), 1, err)
        for part in parts:
            self.assertIn(part, err)


def signals_plain():
    """What nohup, or a shell's &, has a program ignore would be ignored by all that is started."""
    for sig in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(sig, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def main():
    global HOB, SITE
    signals_plain()
    HOB, SITE = (os.path.abspath(p) for p in sys.argv[1:3])
    for name in ('HOB_POLL', 'HOB_SIM', 'HOB_LOOPS'):
        os.environ.pop(name, None)
    unittest.main(module='__main__', argv=sys.argv[:1] + sys.argv[3:])
