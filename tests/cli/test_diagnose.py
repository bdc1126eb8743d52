#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_diagnose.py HOB SITE - hob diagnose passes everything through, whatever it runs

Verdicts are tested elsewhere; here it is the program that must notice nothing.
"""
import ctypes
import os
import pty
import re
import select
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import unittest

import cli

MANUAL = os.path.join(os.path.dirname(__file__), '../../man/hob-diagnose.1')
PYTHON = os.path.realpath(sys.executable)


def script(text):
    """A command that runs these lines of Python."""
    return [PYTHON, '-c', 'import os, signal, sys\n' + textwrap.dedent(text)]


BUSY = '''
    import threading
    stop = threading.Event()
    def busy():
        while not stop.is_set():
            stop.wait(0.0005)
    threads = [threading.Thread(target=busy) for _ in range(8)]
    for t in threads:
        t.start()
    print('up', flush=True)
    sys.stdin.read()
    stop.set()
    for t in threads:
        t.join()
    print('still here', flush=True)
    '''


ONE_BY_ONE = '''
    import urllib.request
    for _ in range(20):
        urllib.request.urlopen(sys.argv[1]).read()
    '''


STARVED = 0.2  # part of the time in which it could have run and had no core, or waited for a disk
LATENCY = 0.15  # s
SYS_PIDFD_GETFD = 438
RUNS = 8       # beside programs that had these, before it is no test any more


# It sleeps for 48 % of the time in which it has what it wants, a little below a threshold of the rule.
CLOSE = '''
    import time
    def late():  # ns in which it could have run and had no core
        with open('/proc/thread-self/schedstat') as f:
            return int(f.read().split()[1])
    slept = 0
    while slept < 400e6:
        before = time.monotonic_ns() - late()
        time.sleep(0.01)  # sleep: what is recorded
        slept += time.monotonic_ns() - late() - before
        while time.process_time_ns() < slept * 0.52 / 0.48:
            pass
    os._exit(0)
    '''


# Both ask on six connections, wait, and compute 120 ms for each answer; the others are there.
LOOP = '''
    import selectors, socket, time
    def compute():
        until = time.thread_time() + 0.12
        while time.thread_time() < until:
            pass
    loop = selectors.EpollSelector()
    links = [socket.create_connection(('127.0.0.1', int(sys.argv[1]))) for _ in range(6)]
    for s in links:
        loop.register(s, selectors.EVENT_READ)
        s.sendall(b'?')
    for i in range(12):
        s = %s
        s.recv(1)
        compute()
        s.sendall(b'?')
    os._exit(0)
    '''
BLOCKED = LOOP % 'loop.select()[0][0].fileobj'
IN_TURN = LOOP % 'links[i % 6]'


def keys_of(value):
    """The names in a JSON value, of all its objects."""
    if isinstance(value, dict):
        return set(value).union(*map(keys_of, value.values()))
    return set().union(*map(keys_of, value)) if isinstance(value, list) else set()


class Diagnose(cli.Case):
    def diagnose(self, *command, options=(), **more):
        """Run a command under hob diagnose, its report in a file: (what it came to, the report)."""
        report = self.path('report')
        r = cli.hob('diagnose', '-o', report, *options, '--', *command, **more)
        return r, ' '.join(self.read(report).split())

    def told(self, *command, options=(), **more):
        """The same, and the verdict's JSON in place of what it came to."""
        json_file = self.path('told.json')
        r, report = self.diagnose(*command, options=['--json', json_file, *options], **more)
        return cli.rows_of(self.read(json_file))[0], report

    def undisturbed(self, run):
        """What a run told during which other programs left it a core and the disk."""
        for _ in range(RUNS):
            told, report = run()
            if told['shares']['no_core'] + told['shares']['io'] < STARVED:
                return told, report
        self.skipTest('other programs had the cores or the disk, in each of %d runs' % RUNS)

    def start(self, *command, options=(), **more):
        """The same, while it runs; the first line it writes has been read."""
        p = cli.hob_start('diagnose', '-o', self.path('report'), *options, '--', *command, **more)
        self.addCleanup(p.stdout.close)
        self.addCleanup(p.stderr.close)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        self.assertEqual(p.stdout.readline(), b'up\n')
        return p

    def ended(self, p):
        return p.wait(cli.WAIT_MOST)


class Loops(Diagnose):
    def accept(self):
        while True:
            try:
                self.peer.register(self.listener.accept()[0], selectors.EVENT_READ)
            except BlockingIOError:
                return

    def answer(self):
        """Answers '!' to each '?', each program's first after a while, until it is closed."""
        late = True
        while True:
            ready = [key for key, _ in self.peer.select()]
            if any(key.data for key in ready):
                return
            for key in sorted(ready, key=lambda key: key.fileobj is not self.listener):
                if key.fileobj is self.listener:
                    self.accept()
                    late = True
                    continue
                try:
                    asked = key.fileobj.recv(1)
                except ConnectionError:
                    asked = b''
                if asked and late:
                    select.select([], [], [], LATENCY)
                    late = False
                if asked:
                    key.fileobj.sendall(b'!')
                else:
                    self.peer.unregister(key.fileobj)
                    key.fileobj.close()

    def setUp(self):
        super().setUp()
        libc = ctypes.CDLL(None, use_errno=True)
        me = os.pidfd_open(os.getpid())
        fd = libc.syscall(SYS_PIDFD_GETFD, me, 0, 0)
        os.close(me)
        if fd < 0:
            self.skipTest('pidfd_getfd is refused here')
        os.close(fd)
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.listener.setblocking(False)
        self.peer, (end, self.stop) = selectors.DefaultSelector(), os.pipe()
        self.peer.register(self.listener, selectors.EVENT_READ)
        self.peer.register(end, selectors.EVENT_READ, data='stop')
        thread = threading.Thread(target=self.answer)
        thread.start()

        def close():
            os.close(self.stop)
            thread.join()
            for key in list(self.peer.get_map().values()):
                if key.data:
                    os.close(key.fileobj)
                else:
                    key.fileobj.close()
            self.peer.close()
        self.addCleanup(close)

    def mismatch(self, text, tier):
        told, report = self.undisturbed(lambda: self.told(
            *script(text), str(self.listener.getsockname()[1]), options=['--tier', tier]))
        return told['verdict']['mismatch'], report

    def test_one_that_computes_while_others_wait_is_blocked(self):
        for tier in ('1', '2'):
            mismatch, report = self.mismatch(BLOCKED, tier)
            self.assertEqual(mismatch, 'loop-blocked', report)

    def test_who_merely_has_an_epoll_set_open_is_none(self):
        for tier in ('1', '2'):
            mismatch, report = self.mismatch(IN_TURN, tier)
            self.assertIsNone(mismatch, report)


class PassThrough(Diagnose):
    def test_status(self):
        for status in (0, 1, 7, 126, 127, 255):
            r, report = self.diagnose('sh', '-c', 'exit %d' % status)
            self.assertEqual((r.status, r.out, r.err), (status, '', ''))
            self.assertIn('exit %d tier: ' % status, report)

    def test_a_signal_that_ends_it_ends_hob_too(self):
        for sig in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGINT, signal.SIGPIPE):
            r, _ = self.diagnose('sh', '-c', 'kill -%d $$' % sig)
            self.assertEqual(r.status, -sig)

    def test_no_such_command(self):
        r = cli.hob('diagnose', 'no-such-command-here')
        self.assertEqual((r.status, r.out), (127, ''))
        self.one_line(r.err, 'hob diagnose: no-such-command-here: No such file or directory')
        r = cli.hob('diagnose', self.folder)
        self.assertEqual((r.status, r.out), (126, ''))
        self.one_line(r.err, 'hob diagnose: ' + self.folder + ': Permission denied')

    def test_mistakes_are_told(self):
        for args in (['diagnose'], ['diagnose', '-p', '1', 'true'], ['diagnose', '--tier', '3', 'x'],
                     ['diagnose', '-p', 'x'], ['diagnose', '--no-such-option', 'x']):
            r = cli.hob(*args)
            self.assertEqual((r.status, r.out), (2, ''))
            self.one_line(r.err, 'hob diagnose: ')

    def test_what_would_do_nothing_where_it_stands(self):
        for args, told in ((['--every', '1s', 'true'], '--every goes with --live'),
                           (['--follow', '-p', '1'], '--follow goes with a command'),
                           (['--record', '-', 'true'], '--record wants a file')):
            r = cli.hob('diagnose', *args)
            self.assertEqual((r.status, r.out), (2, ''))
            self.one_line(r.err, 'hob diagnose: ' + told)

    def test_one_file_for_two_things(self):
        link, there = self.path('link'), self.write('there', 'kept')
        os.symlink(there, link)
        new, again = self.path('new'), os.path.join(self.folder, '.', 'new')
        for one, other in (('--json', '--record'), ('--json', '-o'), ('--record', '-o')):
            for a, b in ((new, new), (new, again), (there, there), (there, link)):
                r = cli.hob('diagnose', one, a, other, b, 'echo', 'ran')
                self.assertEqual((r.status, r.out), (2, ''), (a, b))
                self.one_line(r.err, 'hob diagnose: %s and %s name one file' % (one, other))
        self.assertFalse(os.path.exists(new))
        self.assertEqual(self.read('there'), 'kept')
        r = cli.hob('diagnose', '--json', os.devnull, '--record', os.devnull, '-o', os.devnull,
                    'echo', 'ran')  # takes all that comes
        self.assertEqual((r.status, r.out, r.err), (0, 'ran\n', ''))

    def test_options_behind_the_command_are_its_own(self):
        r, _ = self.diagnose('echo', '-p', '--tier', '-h')
        self.assertEqual((r.status, r.out), (0, '-p --tier -h\n'))

    def test_standard_input_and_output(self):
        text = ''.join('%d\n' % i for i in range(20000))
        r, _ = self.diagnose('cat', stdin=text)
        self.assertEqual((r.status, r.out == text, r.err), (0, True, ''))
        r, _ = self.diagnose('sh', '-c', 'echo out; echo err >&2')
        self.assertEqual((r.out, r.err), ('out\n', 'err\n'))

    def test_the_report_goes_to_standard_error(self):
        r = cli.hob('diagnose', 'echo', 'out')
        self.assertEqual((r.status, r.out), (0, 'out\n'))
        self.assertIn('VERDICT', r.err)

    def test_a_report_to_standard_output_comes_behind_the_commands(self):
        r = cli.hob('diagnose', '-o', '-', '--json', '-', 'echo', 'out', cwd=self.folder)
        self.assertEqual((r.status, r.err), (0, ''))
        self.assertRegex(r.out, r'(?s)^out\n.* VERDICT .*\n\{"hob_diagnose": *1')
        self.assertEqual(os.listdir(self.folder), [])

    def test_what_it_inherits_is_what_hob_was_given(self):
        told = script('''
            status = open('/proc/self/status').read().split('\\n')
            print([l for l in status if l[:4] == 'Sig' + l[3:4] and l[:6] in ('SigBlk', 'SigIgn')])
            print(sorted(os.listdir('/proc/self/fd')), os.getpgrp(), os.getsid(0), os.umask(0))
            ''')
        def masked():
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2, signal.SIGTERM])
        for before in (None, masked):
            for restore in (True, False):
                plain = subprocess.run(told, capture_output=True, text=True, preexec_fn=before,
                                       restore_signals=restore, stdin=subprocess.DEVNULL,
                                       check=True).stdout
                r, _ = self.diagnose(*told, preexec_fn=before, restore_signals=restore)
                self.assertEqual(r.out, plain)

    def test_standard_input_may_be_closed(self):
        told = script("print(os.path.exists('/proc/self/fd/0'))")
        r = subprocess.run(['sh', '-c', 'exec "$@" <&-', 'sh', cli.HOB, 'diagnose', *told],
                           capture_output=True, text=True, timeout=cli.WAIT_MOST)
        self.assertEqual((r.returncode, r.stdout), (0, 'False\n'))

    def test_signals_to_hob_reach_it(self):
        p = self.start(*script('''
            signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
            print('up', flush=True)
            for _ in range(6):
                print(int(signal.sigwait(range(1, 32))), flush=True)
            '''))
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1,
                    signal.SIGWINCH):
            p.send_signal(sig)
            self.assertEqual(int(p.stdout.readline()), sig)
        self.assertEqual(self.ended(p), 0)

    def test_it_may_ignore_sigterm(self):
        p = self.start(*script('''
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
            print('up', flush=True)
            signal.sigwait([signal.SIGUSR1])  # a pause could begin behind the signal
            sys.exit(3)
            '''))
        p.send_signal(signal.SIGTERM)
        p.send_signal(signal.SIGUSR1)
        self.assertEqual(self.ended(p), 3)

    def test_it_lives_on_when_hob_is_killed(self):
        for tier in ('1', '2'):
            p = cli.hob_start('diagnose', '-o', self.path('report'), '--tier', tier, '--',
                              *script(BUSY), stdin=subprocess.PIPE)
            self.addCleanup(p.stdout.close)
            self.addCleanup(p.stderr.close)
            self.addCleanup(p.stdin.close)
            self.addCleanup(p.kill)
            if p.stdout.readline() != b'up\n':
                self.assertIn(b'no recording', p.stderr.read())  # this tier is not to be had
                p.wait(cli.WAIT_MOST)
                continue
            p.kill()
            self.assertEqual(self.ended(p), -signal.SIGKILL)
            p.stdin.close()
            self.assertEqual(p.stdout.readline(), b'still here\n')

    def test_one_that_ends_at_once(self):
        for _ in range(20):
            r, report = self.diagnose('true')
            self.assertEqual(r.status, 0)
            self.assertIn('hob diagnose', report)

    def test_it_execs_through_shims(self):
        r, _ = self.diagnose('env', 'sh', '-c', 'exec env sh -c "exec echo $$"')
        self.assertEqual(r.status, 0)
        self.assertRegex(r.out, r'^\d+\n$')

    def test_the_status_of_a_recording_that_cannot_be_written(self):
        r = cli.hob('diagnose', '--record', self.path('no/such'), 'true')
        self.assertEqual(r.status, 1)
        self.assertIn('no/such: No such file or directory', r.err)
        r = cli.hob('diagnose', '-o', self.path('no/such'), 'echo', 'x')
        self.assertEqual((r.status, r.out), (1, ''))


class Tiers(Diagnose):
    SECCOMP = '''
        import ctypes, struct
        REFUSE, ALLOW = 0x00050000 | 1, 0x7fff0000  # EPERM
        numbers = [298, 438]  # perf_event_open, pidfd_getfd: what Docker's default refuses
        steps = [(0x20, 0, 0, 0), *((0x15, len(numbers) - i, 0, n) for i, n in enumerate(numbers)),
                 (0x06, 0, 0, ALLOW), (0x06, 0, 0, REFUSE)]
        code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *s) for s in steps))
        program = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', len(steps),
                                                          ctypes.addressof(code)))
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0
        os.execv(sys.argv[1], sys.argv[1:])
        '''
    UNPRIVILEGED = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
                    '--bounding-set=-all', '--inh-caps=-all']

    def test_a_tier_can_be_asked_for(self):
        r, report = self.diagnose('sh', '-c', 'exit 3', options=['--tier', '2'])
        self.assertEqual(r.status, 3)
        self.assertIn('tier: T2: samples', report)

    def test_a_filter_that_refuses_perf_leaves_samples(self):
        r = subprocess.run(script(self.SECCOMP) + [cli.HOB, 'diagnose', 'sh', '-c',
                                                   'echo out; exit 3'],
                           capture_output=True, text=True, timeout=cli.WAIT_MOST)
        self.assertEqual((r.returncode, r.stdout), (3, 'out\n'), r.stderr)
        said = ' '.join(r.stderr.split())
        self.assertIn('tier: T2: samples', said)
        self.assertIn('not tier 1: perf_event_open or its memory is not permitted', said)
        r = subprocess.run(script(self.SECCOMP) + [cli.HOB, 'diagnose', '--tier', '1', 'true'],
                           capture_output=True, text=True, timeout=cli.WAIT_MOST)
        self.assertEqual((r.returncode, r.stdout), (1, ''))
        self.one_line(r.stderr, 'not permitted here')

    def test_connections_that_may_not_be_taken_are_found_in_the_kernels_list(self):
        with cli.Site(pages=10, latency='1s') as site:
            fetch = '''
                import http.client
                for _ in range(4):  # waits long enough for a starved recorder
                    c = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]))
                    c.request('GET', '/')
                    c.getresponse().read()
                '''
            out, port = self.path('v.json'), site.base.rstrip('/').rsplit(':', 1)[1]
            r = subprocess.run(script(self.SECCOMP) + [cli.HOB, 'diagnose', '--json', out, '--',
                                                       *script(fetch), port],
                               capture_output=True, text=True, timeout=cli.WAIT_MOST)
        self.assertEqual(r.returncode, 0, r.stderr)
        d = cli.rows_of(self.read(out))[0]
        self.assertIn(('network', 'tcp 127.0.0.1:' + port),
                      [(p['kind'], p['name']) for p in d['peers']])

    def test_one_that_may_not_be_looked_into_is_recorded_from_outside(self):
        closed = script('''
            import ctypes
            assert ctypes.CDLL(None).prctl(4, 0, 0, 0, 0) == 0  # not dumpable
            print('up', flush=True)
            print(sys.stdin.read())
            ''')
        self.attach_as_nobody(closed, 'may not be read')

    @unittest.skipUnless(os.path.exists('/proc/sys/kernel/yama/ptrace_scope'), 'no Yama here')
    def test_yama_forbids_looks_at_strangers(self):
        scope = self.read('/proc/sys/kernel/yama/ptrace_scope').strip()
        if scope not in '12':
            self.skipTest('kernel.yama.ptrace_scope is ' + scope)
        self.attach_as_nobody(script('''
            print('up', flush=True)
            print(sys.stdin.read())
            '''), 'may not be read')

    def attach_as_nobody(self, command, note):
        """-p from another process of the same user, who has no capability."""
        if os.geteuid() != 0:
            self.skipTest('only root can become nobody')
        os.chmod(self.folder, 0o777)
        tool = shutil.copy(cli.HOB, self.path('hob'))
        p = subprocess.Popen([*self.UNPRIVILEGED, *command], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True, cwd='/')
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        self.addCleanup(p.stdout.close)
        if p.stdout.readline() != 'up\n':
            self.skipTest('nobody cannot run ' + PYTHON)
        for tier in ((), ('--tier', '2')):
            r = subprocess.run([*self.UNPRIVILEGED, tool, 'diagnose', *tier, '--for', '50ms', '-p',
                                str(p.pid)], capture_output=True, text=True, timeout=cli.WAIT_MOST,
                               cwd='/')
            self.assertEqual((r.returncode, r.stdout), (0, ''), r.stderr)
            self.assertIn(note, ' '.join(r.stderr.split()))
        self.assertEqual(p.communicate('lives', timeout=cli.WAIT_MOST)[0], 'lives\n')
        self.assertEqual(p.returncode, 0)

    def test_an_io_uring_is_counted_and_what_is_not_known_said(self):
        with cli.Site(pages=10, latency='400ms') as site:
            env = {**os.environ, 'HOB_POLL': 'uring'}
            if cli.hob('fetch', site.url('/'), env=env).status:
                self.skipTest('no io_uring here')
            for tier in ('1', '2'):
                out = self.path('v%s.json' % tier)
                r, _ = self.diagnose(cli.HOB, 'fetch', site.url('/'), env=env,
                                     options=['--tier', tier, '--json', out])
                if 'no recording' in r.err:
                    continue
                self.assertEqual(r.status, 0, r.err)
                d = cli.rows_of(self.read(out))[0]
                self.assertIn('io_uring: operations are counted', str(d['recording']['notes']))

    @unittest.skipIf(os.geteuid() != 0, 'only root can become nobody')
    def test_nobody_without_capabilities_can(self):
        os.chmod(self.folder, 0o777)
        tool = shutil.copy(cli.HOB, self.path('hob'))
        for tier in ('1', '2'):
            r = subprocess.run([*self.UNPRIVILEGED, tool, 'diagnose', '--tier', tier, '--', 'sh',
                                '-c', 'id -u; sleep 0.01; exit 5'], capture_output=True, text=True,
                               timeout=cli.WAIT_MOST, cwd='/')
            if tier == '1' and 'perf_event_paranoid' in r.stderr:
                self.skipTest(r.stderr)
            self.assertEqual((r.returncode, r.stdout), (5, '65534\n'), r.stderr)

    @unittest.skipIf(os.geteuid() != 0, 'only root can become nobody')
    def test_a_child_that_gains_rights_runs_as_ever(self):
        os.chmod(self.folder, 0o755)
        for name in ('hob', 'owner'):
            shutil.copy(cli.HOB if name == 'hob' else '/usr/bin/id', self.path(name))
        os.chmod(self.path('owner'), 0o4755)
        plain = [*self.UNPRIVILEGED, self.path('owner'), '-u']
        want = subprocess.run(plain, capture_output=True, text=True, check=True).stdout
        if want != '0\n':
            self.skipTest('setuid has no effect in ' + self.folder)
        r = subprocess.run([*self.UNPRIVILEGED, self.path('hob'), 'diagnose', '--', 'sh', '-c',
                            self.path('owner') + ' -u; exit 6'], capture_output=True, text=True,
                           timeout=cli.WAIT_MOST, cwd='/')
        self.assertEqual((r.returncode, r.stdout), (6, want), r.stderr)

    @unittest.skipIf(os.geteuid() != 0, 'only root can become nobody')
    def test_of_one_that_cannot_be_read_nothing_is_said(self):
        """A setuid command: no verdict, no advice, and a build is told that it was not tried."""
        os.chmod(self.folder, 0o755)
        shutil.copy(cli.HOB, self.path('hob'))
        shutil.copy('/usr/bin/sleep', self.path('owner'))
        os.chmod(self.path('owner'), 0o4755)
        tried = 0
        for tier in ('1', '2'):
            for word, status in (('parallelism,sleep,mismatch', 0), ('unknown', 3)):
                r = subprocess.run([*self.UNPRIVILEGED, self.path('hob'), 'diagnose', '--tier', tier,
                                    '--json', '-', '--fail-on', word, '--', self.path('owner'),
                                    '0.5'], capture_output=True, text=True, timeout=cli.WAIT_MOST,
                                   cwd='/')
                if 'no recording' in r.stderr:
                    continue  # this tier is not to be had
                told = cli.rows_of(r.stdout)[0]
                if told['shares'].get('sleep', 0) > .4 or told['shares']['no_core'] > STARVED:
                    self.skipTest('not setuid in %s, or it had no core: %s' % (self.folder,
                                                                               told['shares']))
                tried += 1
                self.assertEqual([told['verdict'][k] for k in ('bound', 'advice', 'do', 'code')],
                                 ['unknown', None, None, None])
                self.assertIn('could not be read', told['prediction']['refused'])
                said = ' '.join(r.stderr.split())
                self.assertIn('VERDICT unknown: what it waits for could not be read', said)
                self.assertIn('another user or is setuid', said)
                self.assertNotIn('DO THIS', said)
                self.assertEqual(r.returncode, status, said)
                self.assertEqual('--fail-on %s was not tried: the verdict is unknown' % word in said,
                                 status == 0, said)
        self.assertGreater(tried, 0)


class Terminal(Diagnose):
    """What a shell does with a job of its own process group on a terminal."""

    SHELL = '''
        import fcntl, termios
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        def job():
            os.setpgid(0, 0)
            os.tcsetpgrp(0, os.getpid())
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
            os.execv(sys.argv[1], sys.argv[1:])
        pid = os.fork() or job()
        while True:
            _, status = os.waitpid(pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                break
            print('stopped', flush=True)
            os.tcsetpgrp(0, os.getpgrp())
            sys.stdin.readline()  # fg
            os.tcsetpgrp(0, pid)
            os.killpg(pid, signal.SIGCONT)
        print('status', status, flush=True)
        '''

    def shell(self, *command):
        pid, self.tty = pty.fork()
        if pid == 0:
            os.execv(PYTHON, script(self.SHELL) + [cli.HOB, 'diagnose', '-o', self.path('report'),
                                                   *command])
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.close, self.tty)
        self.seen = ''

    def sees(self, text):
        while text not in self.seen:
            self.seen += os.read(self.tty, 4096).decode()
        before, _, self.seen = self.seen.partition(text)
        return before

    def types(self, text):
        os.write(self.tty, text.encode())

    def test_ctrl_c_ends_it_and_is_told_once(self):
        self.shell('sh', '-c', 'trap "echo got" INT; echo up; read a; echo then; read b; exit 5')
        self.sees('up')
        self.types('\x03')
        self.sees('got')
        self.types('x\n')
        self.assertNotIn('got', self.sees('then'))
        self.types('y\n')
        self.sees('status 1280')

    def test_ctrl_c_ends_hob_as_it_ended_the_command(self):
        self.shell('sh', '-c', 'echo up; read a')
        self.sees('up')
        self.types('\x03')
        self.sees('status %d' % signal.SIGINT)

    def test_ctrl_z_stops_the_job_and_fg_goes_on(self):
        self.shell('sh', '-c', 'echo up; read a; echo "read $a"; exit 6')
        self.sees('up')
        self.types('\x1a')
        self.sees('stopped')
        self.types('fg\n')
        self.types('word\n')
        self.sees('read word')
        self.sees('status %d' % (6 << 8))


class Written(Diagnose):
    def test_json_and_recording(self):
        json_file, recording = self.path('v.json'), self.path('r.rec')
        r, _ = self.diagnose('sh', '-c', 'exit 3', options=['--json', json_file, '--record',
                                                            recording])
        self.assertEqual(r.status, 3)
        rows = cli.rows_of(self.read(json_file))
        self.assertEqual(len(rows), 1)
        self.assertIn('bound', rows[0]['verdict'])
        drawn = cli.hob('timeline', '-w', '80', recording)
        self.assertEqual((drawn.status, drawn.err), (0, ''))


    def test_the_manual_has_every_field(self):
        """All keys of a verdict, deep ones too, stand in the manual's section on JSON."""
        json_file = self.path('v.json')
        self.diagnose('sh', '-c', 'sleep 0.3', options=['--json', json_file, '--verify', '--runs',
                                                        '2', '--knob', 'cores'])
        with open(MANUAL, encoding='utf-8') as f:
            text = f.read().split('.SH JSON')[1].split('.SH EXIT')[0]
        named = set(re.findall(r'[a-z][a-z_]*', ' '.join(re.findall(r'(?m)^\.BR? (.*)$', text))))
        row = cli.rows_of(self.read(json_file))[0]
        self.assertEqual(row['hob_diagnose'], 1)
        row['shares'] = {k: v for k, v in row['shares'].items() if k in ('run', 'no_core', 'io')}
        self.assertEqual(keys_of(row) - named, set())  # other shares are by kind of wait

    def test_what_stands_for_the_unseen_is_no_thread(self):
        r, _ = self.diagnose('sleep', '0.3', options=['--tier', '2', '--json', self.path('v.json')])
        self.assertEqual(r.status, 0, r.err)
        self.assertEqual(cli.rows_of(self.read('v.json'))[0]['threads'], 1)

    def test_one_that_is_over_at_once_is_known_as_installed(self):
        """Whoever runs a distribution's program is not told to write it."""
        for tier in ('1', '2'):
            for _ in range(10):
                r, report = self.diagnose('true', options=['--tier', tier])
                if 'no recording' in r.err:
                    break
                self.assertNotIn('hob_', report)

    def test_an_option_that_keeps_sleeps_apart_is_turned_up(self):
        told, report = self.undisturbed(lambda: self.told(
            'sh', '-c', 'seq 8 | xargs -P 2 -n 1 sh -c "sleep 0.1"'))
        self.assertEqual([told['verdict'][k] for k in ('bound', 'advice', 'option')],
                         ['sleep', 'concurrency', '-P 4 in place of 2'], report)
        self.assertIn('--verify tries it', told['prediction']['refused'])

    def test_advice_for_its_own_option(self):
        """An option that says how many at once is found, in front of a line of code."""
        json_file = self.path('v.json')
        with cli.Site(pages=1, latency='50ms') as site:
            r, report = self.diagnose(*script(ONE_BY_ONE), site.url('/'), '--workers=1',
                                      options=['--json', json_file])
        self.assertEqual(r.status, 0, r.err)
        verdict = cli.rows_of(self.read(json_file))[0]['verdict']
        if verdict['advice'] not in ('concurrency', 'both'):
            self.skipTest('other programs kept it from running: ' + verdict['bound'])
        self.assertRegex(verdict['option'], r'^--workers=[0-9]+ in place of 1$')
        self.assertIn('its own option: ' + verdict['option'], report)
        self.assertIn('asyncio', verdict['code'])


class Wakers(Diagnose):
    """Tier 1+: with tracefs, in a mount namespace of the test's own where it is not mounted."""
    ID = '/sys/kernel/tracing/events/sched/sched_waking/id'
    MOUNTED = ['unshare', '-m', 'sh', '-c', 'test -e %s || mount -t tracefs tracefs '
               '/sys/kernel/tracing || exit 99; exec "$@"' % ID, 'sh']

    def test_locks_pipes_and_children_name_who_ended_them(self):
        if os.geteuid() != 0:
            self.skipTest('only root may record tracepoints')
        tried = subprocess.run(self.MOUNTED + ['cat', self.ID], capture_output=True, text=True)
        if tried.returncode != 0:
            self.skipTest('tracefs: ' + tried.stderr.strip())
        json_file = self.path('v.json')
        r = subprocess.run(self.MOUNTED + [cli.HOB, 'diagnose', '--json', json_file] + script("""
            import subprocess, threading, time
            r, w = os.pipe()
            lock = threading.Lock()
            lock.acquire()
            def give():
                for _ in range(20):
                    time.sleep(0.01)  # sleep: the reader waits meanwhile
                    os.write(w, b'x')
                time.sleep(0.1)  # sleep: so that it is waited for
                lock.release()
            threading.Thread(target=give).start()
            for _ in range(20):
                os.read(r, 1)
            lock.acquire()
            subprocess.run(['sleep', '0.1'])
            """), capture_output=True, text=True, timeout=cli.WAIT_MOST)
        self.assertEqual(r.returncode, 0, r.stderr)
        if 'not tier' in r.stderr:
            self.skipTest('not tier 1+ here: ' + str(cli.rows_of(self.read(json_file))[0]
                                                     ['recording']['notes']))
        self.assertIn('tier: T1+:', r.stderr)
        self.assertIn('who ended the waits for others', r.stderr)
        told = cli.rows_of(self.read('v.json'))[0]
        self.assertEqual(told['recording']['tier'], 'T1+')
        by = {(w['kind'], w['waker']['name'] == 'sleep',
               w['waker']['thread'] == w['waker']['process']) for w in told['wakers']['by']}
        self.assertIn(('pipe', False, False), by)
        self.assertIn(('lock', False, False), by)
        self.assertIn(('child', True, True), by)
        self.assertGreater(told['wakers']['known'], 10)

    def test_many_threads_are_not_heard(self):
        if os.geteuid() != 0:
            self.skipTest('only root may record tracepoints')
        r = subprocess.run(self.MOUNTED + [cli.HOB, 'diagnose', '-o', self.path('report'), '--json',
                                           self.path('v.json')] + script("""
            import threading
            end = threading.Event()
            threads = [threading.Thread(target=end.wait) for _ in range(300)]
            for t in threads:
                t.start()
            hob = '/proc/%d/status' % os.getppid()
            def waits():
                with open(hob) as f:
                    return int(f.read().split('\\nvoluntary_ctxt_switches:')[1].split()[0])
            before = waits()
            while waits() < before + 5:  # until hob has seen them all
                os.sched_yield()
            end.set()
            """), capture_output=True, text=True, timeout=cli.WAIT_MOST)
        self.assertEqual(r.returncode, 0, r.stderr)
        told = cli.rows_of(self.read('v.json'))[0]
        if told['recording']['tier'] == 'T2':
            self.skipTest('no switches are recorded here')
        if 'not tier 1+ (who woke whom): more than' not in told['recording']['notes']:
            self.assertIn('not tier 1+', told['recording']['notes'])
            self.skipTest('not tier 1+ here: ' + told['recording']['notes'])
        self.assertEqual(told['recording']['tier'], 'T1')
        self.assertIsNone(told['wakers'])

    @unittest.skipIf(os.geteuid() != 0, 'only root makes PID namespaces here')
    def test_where_threads_have_other_numbers_nobody_is_named(self):
        own = ['unshare', '--pid', '--fork', '--mount-proc']
        tried = subprocess.run(own + ['true'], capture_output=True, text=True)
        if tried.returncode != 0:
            self.skipTest('no PID namespace: ' + tried.stderr.strip())
        r = subprocess.run(own + self.MOUNTED + [cli.HOB, 'diagnose', '--json', self.path('v.json'),
                                                 'sleep', '0.1'],
                           capture_output=True, text=True, timeout=cli.WAIT_MOST)
        told = cli.rows_of(self.read('v.json'))[0]
        self.assertIsNone(told['wakers'])
        if told['recording']['tier'] == 'T2':
            self.skipTest('no switches are recorded here')
        self.assertEqual(told['recording']['tier'], 'T1', r.stderr)
        self.assertIn('other numbers than this PID namespace', told['recording']['notes'])

    @unittest.skipIf(os.geteuid() != 0, 'only root can become nobody')
    def test_without_the_right_nobody_hears_of_it(self):
        os.chmod(self.folder, 0o777)
        tool = shutil.copy(cli.HOB, self.path('hob'))
        r = subprocess.run([*Tiers.UNPRIVILEGED, tool, 'diagnose', '--json', self.path('v.json'),
                            'true'], capture_output=True, text=True, timeout=cli.WAIT_MOST, cwd='/')
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertNotIn('1+', r.stderr)
        self.assertIsNone(cli.rows_of(self.read('v.json'))[0]['wakers'])


# Two processes that hand a byte on, on one core.
HANDS = '''
    import time
    hob = os.getppid()
    (here, there), (back, forth) = os.pipe(), os.pipe()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if os.fork() == 0:
        os.close(there)
        while os.read(here, 1):
            os.write(forth, b'x')
        os._exit(0)

    def switch():
        os.write(there, b'x')
        os.read(back, 1)
    '''
LOSES = HANDS + '''
    def waits():
        with open('/proc/%d/status' % hob) as f:
            return int(f.read().split('\\nvoluntary_ctxt_switches:')[1].split()[0])

    os.kill(hob, signal.SIGSTOP)  # nobody reads the rings, and these switches are too many for one
    for _ in range(20000):
        switch()
    os.kill(hob, signal.SIGCONT)
    before = waits()
    while waits() < before + 20:  # that some are missing stands in front of the next that fits
        switch()
    os.close(there)
    os.wait()
    '''


class Lost(Diagnose):
    def test_records_that_did_not_fit_are_counted_and_said(self):
        json_file = self.path('v.json')
        r, report = self.diagnose(*script(LOSES), options=['--json', json_file])
        self.assertEqual(r.status, 0, r.err)
        row = cli.rows_of(self.read(json_file))[0]
        if row['recording']['tier'] == 'T2':
            self.skipTest('samples lose no records: no switches are recorded here')
        lost = row['recording']['lost']
        self.assertGreater(lost, 1000)
        self.assertIn('%d records were lost' % lost, report)
        self.assertIn('%d switch records were lost' % lost, row['recording']['notes'])
        self.assertIn('records were lost', row['prediction']['refused'])


    def test_those_at_the_very_end_too(self):
        """No record comes after them to say that they are missing."""
        json_file, lost = self.path('v.json'), LOSES.split('os.kill(hob, signal.SIGCONT)')[0]
        p = cli.hob_start('diagnose', '-o', os.devnull, '--json', json_file,
                          *script(lost + '\n    os._exit(0)\n'))
        self.addCleanup(p.stdout.close)
        self.addCleanup(p.stderr.close)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)

        def state(pid):
            with open('/proc/%d/stat' % pid, encoding='ascii', errors='replace') as f:
                return f.read().rsplit(')', 1)[1].split()[0]

        def command():
            with open('/proc/%d/task/%d/children' % (p.pid, p.pid), encoding='ascii') as f:
                return [int(pid) for pid in f.read().split()]
        cli.until('the command to stop hob', lambda: state(p.pid) == 'T')
        cli.until('its end', lambda: all(state(pid) == 'Z' for pid in command()))
        os.kill(p.pid, signal.SIGCONT)
        self.assertEqual(p.wait(cli.WAIT_MOST), 0)
        recording = cli.rows_of(self.read(json_file))[0]['recording']
        if recording['tier'] == 'T2':
            self.skipTest('samples lose no records: no switches are recorded here')
        if [int(n) for n in os.uname().release.split('.')[:2]] < [6, 0]:
            self.skipTest('events count what they lost since Linux 6.0')
        self.assertGreater(recording['lost'], 1000)


RESTS = HANDS + '''
    def recorded():
        with open('/proc/%d/maps' % hob) as f:
            return '[perf_event]' in f.read()

    def events():
        n = 0
        for fd in os.listdir('/proc/%d/fd' % hob):
            try:
                n += 'perf_event' in os.readlink('/proc/%d/fd/%s' % (hob, fd))
            except OSError:
                pass
        return n

    def until(state, busy):
        end = time.monotonic() + 60
        while recorded() != state:
            for _ in range(1000 if busy else 0):
                switch()
            if time.monotonic() > end:
                print('recorded' if not state else 'not recorded', flush=True)
                os._exit(0)

    if not recorded():
        print('never', flush=True)
        os._exit(0)
    rings = os.cpu_count()
    at_first = events()  # rings, what is kept in a rest, and what this process has
    until(False, True)
    late = os.fork()
    if late == 0:
        kept = events()
        each = at_first - rings - kept
        until(True, False)
        end = time.monotonic() + 60
        while events() < rings + kept + 3 * each and time.monotonic() < end:
            pass  # each of the three processes, this one among them
        os._exit(0)
    os.waitpid(late, 0)
    os.close(there)
    os.wait()
    '''


class Rests(Diagnose):
    def test_what_starts_in_a_rest_is_found_when_it_ends(self):
        """Too many switches: hob closes what it records with, until the program does less."""
        json_file = self.path('v.json')
        r, _ = self.diagnose(*script(RESTS), options=['--tier', '1', '--json', json_file])
        if 'no recording' in r.err or r.out == 'never\n':
            self.skipTest('no switches are recorded here')
        self.assertEqual(r.status, 0, r.err)
        if r.out == 'recorded\n':
            self.skipTest('this machine cannot make so many switches a second now')
        self.assertEqual(r.out, '')
        row = cli.rows_of(self.read(json_file))[0]
        self.assertEqual(row['processes'], 3)
        self.assertLess(row['recording']['duty'], 1)
        self.assertIn('for a part of the time', row['recording']['notes'])


class Late(Diagnose):
    """Signals that come when the command has ended and hob has not."""

    def start_late(self):
        """hob at the point where it waits for somebody to read its JSON."""
        self.fifo = self.path('fifo')
        os.mkfifo(self.fifo)
        report = self.path('report')
        p = cli.hob_start('diagnose', '-o', report, '--json', self.fifo, 'sh', '-c', 'exit 3')
        self.addCleanup(p.stdout.close)
        self.addCleanup(p.stderr.close)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        cli.until('the report', lambda: os.path.exists(report) and 'why' in self.read('report'))
        return p

    def test_one_does_not_keep_the_verdict_from_being_written(self):
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            p = self.start_late()
            p.send_signal(sig)
            rows = cli.rows_of(self.read('fifo'))
            self.assertEqual(rows[0]['exit_status'], 3 << 8)
            self.assertEqual(self.ended(p), 3)
            os.unlink(self.fifo)
            os.unlink(self.path('report'))

    def send_late(self, p, sig):
        p.send_signal(sig)
        cli.until('the signal has come', lambda: 'ShdPnd:\t' + '0' * 16 in
                  self.read('/proc/%d/status' % p.pid))

    def test_a_second_one_ends_hob(self):
        p = self.start_late()
        self.send_late(p, signal.SIGTERM)
        p.send_signal(signal.SIGTERM)
        self.assertEqual(self.ended(p), -signal.SIGTERM)

    def test_a_second_one_of_another_kind_does_too(self):
        if cli.thread_sanitizer():
            self.skipTest('ThreadSanitizer calls no handler while hob waits in open')
        p = self.start_late()
        self.send_late(p, signal.SIGHUP)
        p.send_signal(signal.SIGINT)
        self.assertEqual(self.ended(p), -signal.SIGINT)


class Asked(Diagnose):
    def test_a_build_can_fail_on_a_verdict(self):
        """On one that it was, whatever that was: a busy machine makes another of a short sleep."""
        json_file, found = self.path('v.json'), []
        for words in ('sleep', 'io,sleep', 'neither', 'lock,gil', 'mismatch',
                      'io,cpu,mixed,sleep,lock,idle'):
            r, _ = self.diagnose('sleep', '0.3', options=['--fail-on', words, '--json', json_file])
            v = cli.rows_of(self.read(json_file))[0]['verdict']
            is_it = {v['bound'], v['advice'], v['mismatch'], 'mismatch' if v['mismatch'] else None}
            found.append(bool(is_it & set(words.split(','))))
            self.assertEqual(r.status, 3 if found[-1] else 0, (words, v))
            self.assertEqual(r.err.count('\n'), 1 if found[-1] else 0)
        self.assertTrue(found[-1])  # any bound

    def test_a_command_that_fails_does_so_before_its_verdict(self):
        for words in ('io', 'io,cpu,mixed,sleep,lock,idle,unknown'):
            r, _ = self.diagnose('sh', '-c', 'sleep 0.3; exit 7', options=['--fail-on', words])
            self.assertEqual(r.status, 7)
        self.assertIn('the verdict is one of --fail-on', r.err)

    def test_every_mismatch_of_the_report_is_one_to_fail_on(self):
        """Patterns that are told as mismatches as well, and by their own words."""
        path = self.path('rows')
        commits = script('''
            for _ in range(200):
                f = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                os.write(f, b'x' * 512)
                os.fsync(f)
                os.close(f)
            ''')
        for words in ('mismatch', 'commit-per-row', 'sequential-awaits,one-by-one'):
            r, report = self.diagnose(*commits, path, options=['--fail-on', words, '--json',
                                                              self.path('v.json')])
            v = cli.rows_of(self.read('v.json'))[0]['verdict']
            is_it = (' MISMATCH ' in report if words == 'mismatch' else
                     v['pattern'] in words.split(','))
            self.assertEqual(r.status, 3 if is_it else 0, (words, v, report))

    def test_words_that_are_no_verdict(self):
        for words in ('slow', 'io,slow', '', 'io,'):
            r = cli.hob('diagnose', '--fail-on', words, '--', 'true')
            self.assertEqual(r.status, 2, words)
            self.one_line(r.err, '--fail-on', 'is no bound')

    def test_what_cannot_be_written_is_said_before_the_command_runs(self):
        for option in ('--json', '--record'):
            for path, why in (('no/such/file', 'No such file'), ('.', 'Is a directory')):
                r = cli.hob('diagnose', option, path, '--', 'echo', 'ran')
                self.assertEqual((r.status, r.out), (1, ''), option)
                self.one_line(r.err, path, why)

    def test_a_short_command_is_repeated(self):
        lines = self.path('lines')

        def run():
            self.write('lines', '')
            told, report = self.told('sh', '-c', 'echo x >>%s; sleep 0.1' % lines,
                                     options=['--repeat', '8'])
            self.assertEqual(told['exit_status'], 0)
            self.assertEqual(self.read('lines'), 'x\n' * 8)
            self.assertGreaterEqual(told['wall'], 0.8)
            self.assertNotIn('too short', report)
            return told, report
        self.assertIn('sleeps', self.undisturbed(run)[1])

    def test_a_run_of_milliseconds_is_no_certain_verdict(self):
        _, report = self.diagnose('true')
        self.assertIn('VERDICT too short to be sure; as far as it was seen: ', report)
        self.assertIn('repeat it (--repeat)', report)

    def test_the_rule_is_explained_when_asked(self):
        told, report = self.told('sleep', '0.3', options=['--explain'])
        self.assertIn('the rule, step by step', report)
        v = told['verdict']
        for i, test in enumerate(v['tests'], 1):
            self.assertRegex(report, r'%d\. %s [^:]*: %s ' %
                             (i, re.escape(test['what']), 'yes' if test['passed'] else 'no'))
        self.assertIn('so: bound %s, advice %s, mismatch %s' %
                      (v['bound'], v['advice'], v['mismatch'] or 'none'), report)
        _, report = self.told('sleep', '0.3')
        self.assertNotIn('step by step', report)

    def test_a_close_call_has_both_readings(self):
        for _ in range(RUNS):
            told, report = self.told(*script(CLOSE))
            v = told['verdict']
            self.assertEqual(' OR ' in report, v['also'] is not None, report)
            self.assertEqual('(a close call: ' in report, v['also'] is not None, report)
            if v['also'] and {v['bound'], v['also']['bound']} == {'cpu', 'sleep'}:
                break
        else:
            self.skipTest('other programs had the cores, in each of %d runs' % RUNS)
        self.assertLessEqual(v['margin'], 0.1)
        words = {'cpu': r'CPU-bound \(', 'sleep': r'sleeps \('}  # either may be the first
        self.assertRegex(report, r'VERDICT %s.* OR %s.* \(a close call: \d+ %% away\) MODEL ' %
                         (words[v['bound']], words[v['also']['bound']]))

    def test_repeating_ends_with_the_run_that_a_signal_ended(self):
        r, _ = self.diagnose('sh', '-c', 'echo x; kill -9 $$', options=['--repeat', '5'])
        self.assertEqual((r.status, r.out), (-signal.SIGKILL, 'x\n'))

    def test_two_recordings_are_compared(self):
        """As they are: on a busy machine the shorter sleep may be the longer run."""
        least, said, unit = {'a': 0.9, 'b': 0.3}, {}, {'s': 1, 'ms': 1e-3}
        for name, seconds in (('a', '0.9'), ('b', '0.3')):
            _, report = self.diagnose('sleep', seconds, options=['--record', self.path(name)])
            said[name] = re.search(r'VERDICT (.*?)(: neither|: more| MODEL)', report)[1]
        for a, b in ('ab', 'ba'):
            r = cli.hob('diagnose', '--compare', self.path(a), self.path(b))
            self.assertEqual((r.status, r.err), (0, ''))
            self.assertIn('\n  B  ' + said[b], r.out)
            self.assertTrue(r.out.startswith('  A  ' + said[a]), r.out)
            [(x, x_in, y, y_in, times, more)] = re.findall(
                r'(?m)^  wall time +([0-9.]+) (m?s) +([0-9.]+) (m?s)   ([0-9.]+)x (less|more)$',
                r.out)
            digits = max(0.05 * unit[x_in], 0.05 * unit[y_in])  # one behind the point, or more
            x, y = float(x) * unit[x_in], float(y) * unit[y_in]
            self.assertGreaterEqual(x, least[a] - digits)
            self.assertGreaterEqual(y, least[b] - digits)
            less, ratio = x >= y, max(x, y) / min(x, y)
            rounded = 0.01 + 2 * ratio * digits / min(x, y)
            self.assertAlmostEqual(float(times), ratio, delta=rounded)
            self.assertEqual(more, 'less' if less else 'more')
            [(times, how)] = re.findall(r'(?m)^  B is ([0-9.]+)x (\w+) than A$', r.out)
            self.assertAlmostEqual(float(times), ratio, delta=rounded)
            self.assertEqual(how, 'faster' if less else 'slower')

    def test_what_cannot_be_compared(self):
        a = self.write('a', 'no recording')
        r = cli.hob('diagnose', '--compare', a, a)
        self.assertEqual(r.status, 1)
        self.one_line(r.err, a, 'not a recording')
        r = cli.hob('diagnose', '--compare', a, self.path('none'))
        self.assertEqual(r.status, 1)
        r = cli.hob('diagnose', '--compare', a)
        self.assertEqual(r.status, 2)

    def test_what_comparing_has_no_use_for_is_refused(self):
        """Not passed over: a build would take the status for an answer."""
        rec, other = self.path('rec'), self.path('other')
        self.diagnose('true', options=['--record', rec])
        for options in (['--fail-on', 'sleep'], ['--json', other], ['-o', other],
                        ['--record', other], ['-p', '1'], ['--for', '1s'], ['--follow'], ['--live'],
                        ['--every', '1s'], ['--tier', '2'], ['--explain'], ['--repeat', '2'],
                        ['--verify'], ['--knob', 'cores'], ['--runs', '2']):
            r = cli.hob('diagnose', *options, '--compare', rec, rec)
            self.assertEqual((r.status, r.out), (2, ''), options)
            self.one_line(r.err, '--compare goes with no other option')
            self.assertFalse(os.path.exists(other), options)

    def test_a_recording_that_was_cut_is_compared_as_one(self):
        self.diagnose('sleep', '0.3', options=['--record', self.path('rec')])
        with open(self.path('rec'), 'rb') as f:
            whole = f.read()
        read = 0
        for n in range(0, len(whole), 29):
            r = cli.hob('diagnose', '--compare', self.write('cut', whole[:n]), self.path('rec'))
            if r.status == 1:
                self.one_line(r.err, 'not a recording')
                continue
            read += 1
            self.assertEqual((r.status, r.err), (0, ''))
            self.assertIn('the file is cut', r.out)
            self.assertNotIn('I/O-bound (0 %', r.out)
        self.assertGreater(read, 2)


class Trees(Diagnose):
    DAEMON = '''
        r, w = os.pipe()
        if os.fork() == 0:
            os.setsid()
            os.dup2(os.open('/dev/null', os.O_RDWR), 1)
            os.dup2(1, 2)
            os.write(w, b'%d' % os.getpid())
            os.close(w)
            signal.pause() if len(sys.argv) < 2 else sys.exit(9)
        os.close(w)
        print(os.read(r, 20).decode(), flush=True)
        sys.exit(4)
        '''

    def test_one_that_makes_itself_a_daemon(self):
        r, report = self.diagnose(*script(self.DAEMON))
        daemon = int(r.out)
        os.kill(daemon, signal.SIGKILL)  # it does go on
        self.assertEqual(r.status, 4)
        self.assertIn('go on without it (%d python' % daemon, report)

    def test_a_daemon_can_be_followed(self):
        r, report = self.diagnose(*script(self.DAEMON), 'ends', options=['--follow'])
        self.assertEqual(r.status, 4)
        self.assertNotIn('without it', report)

    def test_a_time_limit_ends_the_recording_and_not_the_command(self):
        p = self.start(*script('''
            print('up', flush=True)
            sys.stdin.read()
            print('still here', flush=True)
            '''), options=['--for', '20ms'], stdin=subprocess.PIPE)
        self.assertEqual(self.ended(p), 0)
        p.stdin.close()
        p.stdin = None
        self.assertEqual(p.stdout.readline(), b'still here\n')

    def test_one_that_stops_itself_and_is_continued(self):
        p = self.start(*script('''
            pid = os.getpid()
            if os.fork() == 0:
                while open('/proc/%d/stat' % pid).read().split(') ')[1][0] != 'T':
                    pass
                os.kill(pid, signal.SIGCONT)
                os._exit(0)
            print('up', flush=True)
            os.kill(pid, signal.SIGSTOP)
            os.wait()
            sys.exit(8)
            '''), start_new_session=True)
        self.assertEqual(self.ended(p), 8)

    def test_many_short_processes(self):
        json_file = self.path('v.json')
        r, _ = self.diagnose('sh', '-c', 'i=0; while [ $i -lt 300 ]; do /bin/true; '
                             'i=$((i+1)); done', options=['--tier', '1', '--json', json_file])
        if 'no recording' in r.err:
            self.skipTest(r.err)
        self.assertEqual(r.status, 0)
        told = cli.rows_of(self.read(json_file))[0]
        if told['recording']['lost']:
            self.skipTest('records were lost, of births as well')
        self.assertEqual(told['processes'], 301)

    def test_a_program_that_runs(self):
        p = subprocess.Popen(script('''
            print('up', flush=True)
            sys.stdin.read()
            '''), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        self.addCleanup(p.stdout.close)
        p.stdout.readline()
        r = cli.hob('diagnose', '-p', str(p.pid), '--for', '50ms')
        self.assertEqual((r.status, r.out), (0, ''))
        self.assertIn('VERDICT', r.err)
        self.assertIsNone(p.poll())
        p.stdin.close()
        self.assertEqual(p.wait(cli.WAIT_MOST), 0)
        r = cli.hob('diagnose', '-p', str(p.pid))
        self.assertEqual((r.status, r.out), (1, ''))
        self.one_line(r.err, 'process %d: No such process' % p.pid)

    def test_hob_is_no_part_of_the_tree_that_it_was_started_in(self):
        for tier in ('1', '2'):
            rec = self.path('r%s.rec' % tier)
            r = subprocess.run(['sh', '-c', '"$@" --json - -p $$; exit $?', 'sh', cli.HOB,
                                'diagnose', '--for', '100ms', '--tier', tier, '--record', rec],
                               capture_output=True, text=True, timeout=cli.WAIT_MOST)
            if 'no recording' in r.stderr:
                continue  # this tier is not to be had
            self.assertEqual(r.returncode, 0, r.stderr)
            self.assertEqual(cli.rows_of(r.stdout)[0]['processes'], 1)
            drawn = cli.hob('timeline', '-w', '80', rec)
            self.assertNotRegex(drawn.out, r'(?m)^ hob')


if __name__ == '__main__':
    cli.main()
