#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_all.py - what `./run test` and `./run check-all` run

A list of steps: a build with one compiler and one set of options, the suites over it, checks that
need no build.  Every case of every test program counts as one check, as does a build that failed.
One line a step with its time; the log of what failed; how many were skipped; last, and exactly,
`N passed, N failed`.  A skip is shown with its reason; with --all, a case that was skipped in one
build and passed in no other is a failure.

Nothing here can hang: a case, a program and a step each have a limit that only a hang reaches.
"""
import argparse
import atexit
import concurrent.futures
import contextlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import tree

os.chdir(tree.HERE)
WORK = 'build-test'
JOBS = os.environ.get('HOB_JOBS') or str(len(os.sched_getaffinity(0)))
HALF = str(max(1, int(JOBS) // 2))
TESTS = str(int(JOBS) + int(HALF))  # at once: many of them wait for each other's processes, or time
LOG_LINES = 120
STEP_MOST = 3600   # seconds, for whatever has no limit of its own
FUZZ_SECONDS = 300  # a target; the corpus of each is a test of every build
SKIPS_SHOWN = 8    # of a step and for one reason, one by one
SLOW_MOST = 14400  # seconds, for slow suites: above any one program's limit, a sanitizer's too
SOAK_MOST = 9000   # seconds, for half an hour of work that gives way to everything else
MAX_FAIL = '12'    # programs of a suite, after which the rest of it is not worth the wait

SANITIZER_ENV = {
    'ASAN_OPTIONS': 'detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=1',
    'UBSAN_OPTIONS': 'halt_on_error=1:print_stacktrace=1',
    'TSAN_OPTIONS': 'halt_on_error=1:second_deadlock_stack=1:atexit_sleep_ms=50',
}

# name: (compiler, meson options).  Debug and release, gcc and clang, both context switches.  What a
# sanitizer needs of debugging information is lines; with -O2 gcc takes twice as long for what
# AddressSanitizer puts in.
BUILDS = {
    'gcc-release': ('gcc', ['--buildtype=release']),
    'gcc-debug-ucontext': ('gcc', ['--buildtype=debug', '-Dctx=ucontext']),
    'clang-debug': ('clang-14', ['--buildtype=debug']),
    'clang-release': ('clang-14', ['--buildtype=release']),
    'asan-ubsan': ('gcc', ['-Doptimization=1', '-Ddebug=true', '-Dc_args=-g1', '-Db_ndebug=false',
                           '-Db_sanitize=address,undefined']),
    'tsan': ('clang-14', ['-Doptimization=2', '-Ddebug=true', '-Dc_args=-g1', '-Db_ndebug=false',
                          '-Db_sanitize=thread', '-Db_lundef=false']),
    'aarch64': ('aarch64-linux-gnu-gcc', ['--buildtype=release']),
    'fuzz-asan': ('clang-14', ['--buildtype=debugoptimized', '-Dfuzz=true', '-Db_lundef=false',
                               '-Db_sanitize=address,undefined']),
}
# What a build is set up with, the first time: a machine other than this one.
ARM_ROOT = os.path.join(WORK, 'arm64')
CROSS = {'aarch64': ['--cross-file', ARM_ROOT + '.txt', '--cross-file', 'tools/cross/aarch64.txt']}


# After everything else in line for a core.  Where the scheduler shares cores by sessions, nice alone
# says nothing to those of other sessions.
ASIDE = ['sh', '-c', 'echo 19 2>/dev/null >/proc/self/autogroup; exec nice -n 19 "$@"', 'aside']

# What only check-all runs, each by name.
LONG = ['slow', 'fault', 'fault_every', 'soak']


def without(*suites):
    return [word for name in suites for word in ('--no-suite', name)]


class Tally:
    def __init__(self, to=None):
        self.to = to  # where its steps are told; None: standard output
        self.passed = self.failed = 0
        self.skipped, self.failures = [], []
        self.reasons = {}  # of what was skipped
        self.passed_cases, self.skipped_cases = set(), {}

    def good(self, where, case):
        self.passed += 1
        self.passed_cases.add((where.split(': ')[-1], case))

    def skip(self, where, case, why):
        what = '%s%s: %s' % (where, ': ' + case if case else '', why or 'no reason given')
        self.skipped.append(what)
        self.reasons[what] = why
        self.skipped_cases[where.split(': ')[-1], case] = what

    def never_ran(self):
        """Skips of cases that passed in none of the builds."""
        return [what for case, what in self.skipped_cases.items() if case not in self.passed_cases]

    def fail(self, what, n=1):
        self.failed += n
        self.failures.append(what)

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.failures += other.failures
        self.reasons.update(other.reasons)
        self.passed_cases |= other.passed_cases
        self.skipped_cases.update(other.skipped_cases)


def end_group(p):
    """Asks a session's processes to end (meson then ends its tests), and ends them."""
    for sig, patience in ((signal.SIGTERM, 20), (signal.SIGKILL, None)):
        try:
            os.killpg(p.pid, sig)
            p.wait(patience)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass


RUNNING = set()  # what another thread may have started when this program is told to end
ENDING = threading.Event()  # it was: nothing more is started


def end_running():
    ENDING.set()
    for p in list(RUNNING):
        end_group(p)


atexit.register(end_running)


def output_of(command, env=None, most=STEP_MOST):
    """Exit code, and standard output and error as one text.  Into a file: what somebody leaves
    running may hold a pipe open for ever."""
    with tempfile.TemporaryFile('w+', encoding='utf-8', errors='replace') as out:
        p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                             env=dict(os.environ, **(env or {})), start_new_session=True)
        RUNNING.add(p)
        try:
            code = p.wait(0 if ENDING.is_set() else most)
        except subprocess.TimeoutExpired:
            code = 'nothing within %d s' % most
        finally:
            if p.returncode is None:
                end_group(p)
            RUNNING.discard(p)
        out.seek(0)
        return code, out.read()


class Step:
    """One line of output: its name, what it counted, how long it took."""

    def __init__(self, tally, name):
        self.tally, self.name, self.to = tally, name, tally.to or sys.stdout

    def __enter__(self):
        self.start = time.monotonic()
        t = self.tally
        self.before = (t.passed, t.failed, len(t.skipped))
        self.logs = []
        return self

    def __exit__(self, kind, error, trace):
        t = self.tally
        passed, failed, skipped = (now - then for now, then in
                                   zip((t.passed, t.failed, len(t.skipped)), self.before))
        line = '%-32s %4d passed' % (self.name, passed)
        line += ', %d failed' % failed if failed else ''
        line += ', %d skipped' % skipped if skipped else ''
        print('%-64s %6.1f s' % (line, time.monotonic() - self.start), file=self.to)
        for title, text in self.logs:
            lines = text.rstrip().split('\n')
            print('---- %s' % title, file=self.to)
            print('\n'.join(lines[-LOG_LINES:]), file=self.to)
        if self.logs:
            print('----', file=self.to)
        by_reason = {}
        for what in t.skipped[self.before[2]:]:
            by_reason.setdefault(t.reasons[what], []).append(what)
        for all_of in by_reason.values():
            if len(all_of) > SKIPS_SHOWN:
                print('    SKIP %d cases for one reason, the first: %s' % (len(all_of), all_of[0]),
                      file=self.to)
                continue
            for what in all_of:
                print('    SKIP %s' % what, file=self.to)
        self.to.flush()

    def log(self, title, text):
        self.logs.append((title, text))

    def run(self, command, env=None, since=''):
        """Exit code and output, which is shown (from the word `since` on) when it failed."""
        code, out = output_of(command, env)
        if code not in (0, tree.SKIP):
            self.log(' '.join(command), out[max(out.find(since), 0):])
        return code, out


TAP_LINE = re.compile(r'^(not )?ok\b[ \d]*(?:- )?([^#]*)(?:# *(SKIP|TODO)\b:? *(.*))?$', re.I)


def count_tap(tally, where, text):
    """Adds a TAP program's cases; returns (passed, failed, skipped)."""
    n = [0, 0, 0]
    for line in text.split('\n'):
        m = TAP_LINE.match(line.strip())
        if not m:
            continue
        bad, name, directive, reason = m.groups()
        if directive and directive.upper() == 'SKIP':
            tally.skip(where, name.strip(), reason)
            n[2] += 1
        elif bad:
            tally.fail('%s: %s' % (where, name.strip()))
            n[1] += 1
        else:
            tally.good(where, name.strip())
            n[0] += 1
    return n


def last_line(test):
    text = (test.get('stdout', '') + '\n' + test.get('stderr', '')).strip()
    return text.split('\n')[-1].replace('SKIP: ', '') if text else ''


def count_test(step, where, test):
    """One entry of meson's testlog.json."""
    tally, result = step.tally, test['result']
    out = test.get('stdout') or ''
    passed, failed, skipped = 0, 0, 0
    if re.search(r'^1\.\.\d+', out, re.M):
        passed, failed, skipped = count_tap(tally, where, out)
    if result in ('OK', 'EXPECTEDFAIL'):
        if passed + skipped == 0:
            tally.good(where, '')
    elif result == 'SKIP':
        if not skipped:
            tally.skip(where, '', last_line(test))
    else:
        if not failed:
            tally.fail('%s: %s' % (where, result))
        step.log('%s: %s' % (where, result), out + '\n' + (test.get('stderr') or ''))


def count_log(step, path):
    n = 0
    if os.path.exists(path):
        with open(path, encoding='utf-8') as f:
            for line in f:
                test = json.loads(line)
                count_test(step, '%s: %s' % (step.name, test['name'].split(' / ')[-1]), test)
                n += 1
    return n


def build_dir(name):
    return os.path.join(WORK, name)


def is_sanitized(name):
    return any('b_sanitize' in option for option in BUILDS[name][1])


def build(tally, name, targets=()):
    """Configure and compile; a good build is one check.  Whether it was good."""
    compiler, options = BUILDS[name]
    folder = build_dir(name)
    with Step(tally, 'build ' + name) as step:
        if not shutil.which(compiler):
            tally.fail('build %s: there is no %s' % (name, compiler))
            return False
        # Under a sanitizer gcc warns of what it has itself put in; the other builds are strict.
        options = options + ['-Dwerror=false' if is_sanitized(name) else '-Dwerror=true']
        command = ['meson', 'setup', folder] + options + CROSS.get(name, [])
        if os.path.exists(os.path.join(folder, 'build.ninja')):
            command = ['meson', 'configure', folder] + options
        code, _ = step.run(command, {'CC': compiler})
        if code == 0:
            code, _ = step.run(['ninja', '-k', '0', '-C', folder, '-j', JOBS, *targets],
                               since='FAILED:')
        if code != 0:
            tally.fail('build ' + name)
            return False
        tally.passed += 1
    return True


def no_random_addresses():
    """gcc 12's and clang 14's runtimes do not know every layout a new kernel may choose."""
    ok = shutil.which('setarch') and subprocess.run(['setarch', '-R', 'true'],
                                                    stderr=subprocess.DEVNULL).returncode == 0
    return ['setarch', '-R'] if ok else []


def suite(tally, build_name, title, suites, env=None, most=STEP_MOST, jobs=TESTS, aside=False):
    """meson test over one build; every case counts, and no case at all is a failure."""
    logbase = re.sub(r'\W+', '-', title)
    folder = build_dir(build_name)
    written = logbase + ('-' + ASIDE[0] if aside else '')  # meson names the wrapper too
    log = os.path.join(folder, 'meson-logs', written + '.json')
    if os.path.exists(log):
        os.remove(log)
    with Step(tally, title) as step:
        command = ['meson', 'test', '-C', folder, '--no-rebuild', '--quiet', '--logbase', logbase,
                   '--num-processes', jobs, '--maxfail', MAX_FAIL] + suites
        if build_name in CROSS:
            command += ['--timeout-multiplier', '4']
        if is_sanitized(build_name):
            command = no_random_addresses() + command + ['--timeout-multiplier', '3']
        if aside:
            command += ['--wrapper', shlex.join(ASIDE)]
        code, out = output_of(command, dict(SANITIZER_ENV, **(env or {})), most)
        failed = tally.failed
        n = count_log(step, log)
        if n == 0 and 'No suitable tests' in out:
            tally.fail('%s: has no tests' % title)
        elif (n == 0 or code != 0) and tally.failed == failed:
            step.log(' '.join(command), out)
            tally.fail('%s: meson test ended with %s' % (title, code))


def fuzz(tally, seconds):
    """Each target for so long, on its corpus and whatever it finds beside it; one check each."""
    targets = ['fuzz_' + name for name in sorted(os.listdir('tests/fuzz/corpus'))]
    if not build(tally, 'fuzz-asan', ['tests/fuzz/' + t for t in targets]):
        return
    folder = os.path.join(build_dir('fuzz-asan'), 'tests', 'fuzz')

    def one(target):
        found = os.path.join(folder, target + '.found')
        os.makedirs(found, exist_ok=True)
        command = ASIDE + no_random_addresses() + [
            os.path.join(folder, target), '-max_total_time=%d' % seconds, '-timeout=20',
            '-artifact_prefix=%s/%s.crash-' % (folder, target), '-print_final_stats=1',
            found, os.path.join('tests', 'fuzz', 'corpus', target[len('fuzz_'):])]
        return target, command, output_of(command, SANITIZER_ENV, 2 * seconds + 300)

    with Step(tally, 'fuzz, %d s a target' % seconds) as step, \
            concurrent.futures.ThreadPoolExecutor(int(HALF)) as pool:
        for target, command, (code, out) in pool.map(one, targets):
            if code == 0:
                tally.good('fuzz: ' + target, 'for a time')
            else:
                step.log(' '.join(command), out)
                tally.fail('fuzz: ' + target)


def script(tally, name, command, env=None):
    """A check that is a program of its own.  Whether it was good."""
    with Step(tally, name) as step:
        code, out = step.run(command, env)
        if code == 0:
            tally.passed += 1
        elif code == tree.SKIP:
            tally.skip(name, '', out.strip().split('\n')[-1].replace('SKIP: ', ''))
        else:
            tally.fail(name)
    return code == 0


def aarch64(tally):
    """Built for 64-bit Arm, and what of the suites needs no system but its own, emulated."""
    if script(tally, 'aarch64 root', ['tools/aarch64_root.sh', ARM_ROOT]) and build(tally, 'aarch64'):
        suite(tally, 'aarch64', 'aarch64, qemu-user, epoll', ['--suite', 'unit', '--suite', 'sim'])


def soak(tally):
    """Half an hour, and what is left in the end; not how long anything took."""
    suite(tally, 'gcc-release', 'soak', ['--suite', 'soak'], most=SOAK_MOST, jobs='8', aside=True)


def fresh_root(tally):
    script(tally, 'fresh root', ['tools/fresh_root.sh'], {'HOB_JOBS': HALF})


class Beside(threading.Thread):
    """Steps that go on beside the others.  Their tally is their own, and told when they are over."""

    def __init__(self, name, steps):
        super().__init__(daemon=True)
        self.what, self.steps, self.tally = name, steps, Tally(io.StringIO())

    def run(self):
        try:
            self.steps(self.tally)
        except Exception as error:
            self.tally.fail('%s: %s: %s' % (self.what, type(error).__name__, error))

    def add_to(self, tally):
        """Waits for its end.  One of which nothing is heard has not been."""
        self.join()
        print(self.tally.to.getvalue(), end='')
        if self.tally.passed + self.tally.failed + len(self.tally.skipped) == 0:
            self.tally.fail('%s: nothing ran' % self.what)
        tally.add(self.tally)


@contextlib.contextmanager
def beside(tally, **lanes):
    """Meanwhile each of these, by its name."""
    threads = [Beside(name, steps) for name, steps in lanes.items()]
    for t in threads:
        t.start()
    try:
        yield
    except BaseException:
        end_running()  # or an end would wait for what may take half an hour
        raise
    finally:
        for t in threads:
            t.add_to(tally)


def quick(tally, built, fewer=True):
    """All of CI, the fastest to fail first.  fewer: under a sanitizer a fifth of the seeds."""
    no_long = without(*LONG)
    no_check = no_long + without('check')
    if built:
        suite(tally, 'gcc-release', 'gcc-release', no_long)
        suite(tally, 'gcc-release', 'gcc-release, epoll', no_check + without('no_poller'),
              {'HOB_POLL': 'epoll'})
    for name in ('asan-ubsan', 'tsan', 'clang-debug'):
        if build(tally, name):
            less = {'HOB_TEST_FEWER': '1'} if fewer and is_sanitized(name) else {}
            suite(tally, name, name, no_long if name == 'clang-debug' else no_check, less)


def is_built(name):
    return os.path.exists(os.path.join(build_dir(name), 'build.ninja'))


def thorough(tally):
    """What is too long for CI."""
    for name, faults in (('gcc-release', ['--suite', 'fault_every']),
                         ('asan-ubsan', ['--suite', 'fault']), ('tsan', [])):
        if is_built(name):
            suite(tally, name, name + ', slow', ['--suite', 'slow'] + faults, most=SLOW_MOST)
    if is_built('gcc-release'):  # the suite is what it says
        suite(tally, 'gcc-release', 'gcc-release, no poller', ['--suite', 'no_poller'],
              {'HOB_POLL': 'none'})
    for name in ('asan-ubsan', 'tsan'):
        if is_built(name):
            suite(tally, name, name + ', epoll',
                  without('fault_every', 'soak', 'check', 'no_poller'), {'HOB_POLL': 'epoll'},
                  most=SLOW_MOST)
    for name, more in (('gcc-debug-ucontext', ['slow', 'fault']), ('clang-release', [])):
        if build(tally, name):
            suite(tally, name, name, without('fault_every', 'soak', *more), most=SLOW_MOST)


def check_all(tally, built):
    """The longest first, and beside each other what leaves cores idle."""
    lanes = {'fuzz': lambda t: fuzz(t, FUZZ_SECONDS)}
    if built:
        lanes['soak'] = soak
    with beside(tally, **lanes):
        quick(tally, built, fewer=False)
        with beside(tally, **{'fresh root': fresh_root, 'aarch64': aarch64}):
            thorough(tally)


def end(tally, seconds, all_must_run):
    """The last lines, and the exit code."""
    if all_must_run:
        for what in tally.never_ran():
            tally.fail('skipped everywhere: ' + what)
    if tally.failures:
        print('\nfailed:')
        for what in tally.failures:
            print('    ' + what)
    print('%d s, %d skipped' % (seconds, len(tally.skipped)))
    print('%d passed, %d failed' % (tally.passed, tally.failed))
    return 1 if tally.failed else 0


def main():
    sys.dont_write_bytecode = True
    sys.stdout.reconfigure(line_buffering=True)
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('--all', action='store_true', help='also what is too long for CI; no skips')
    args = p.parse_args()
    tally = Tally()
    start = time.monotonic()
    built = build(tally, 'gcc-release')
    (check_all if args.all else quick)(tally, built)
    return end(tally, time.monotonic() - start, args.all)


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
