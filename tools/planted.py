#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""planted.py - breaks one numbered invariant at a time, and sees that a named gate notices

usage: planted.py [--update] [--only TEXT] LIBRARY CC...

tests/planted/*.plant holds the bugs of a `file`: for each `plant INVARIANT WORDS`, the `gate` that
must fail (PROGRAM [CASE...] [VARIABLE=VALUE...]), lines taken out (-) and put in (+); `of FILE` where
another file numbers the invariant; `hangs` where the gate notices by not coming to its end, and
`may hang` where it depends on which of two threads is first whether it comes so far.  Each
is planted in a copy of the tree; the gate is built from that copy with the static LIBRARY behind it,
and run.  A gate must pass first with nothing planted.  One that skips has not noticed, nor has one
that runs out of time where neither says so, and a bug that does not compile tells nothing.

Every numbered invariant of the files in LOCK_FREE must have a bug, or a line `without` that says
why not; a file there that numbers none is a failure.  The score is docs/planted-bugs.md: written
with --update, else compared.
"""
import argparse
import collections
import concurrent.futures
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

import tree

ROOT = pathlib.Path(tree.HERE)
SCORE = 'docs/planted-bugs.md'
COPIED = ('include', 'src', 'tests/lib', 'tests/model', 'tests/unit')
TIMED_OUT = 'timed out'
BY = {True: ', by a hang', None: ', by a hang or an assertion', False: ''}
RUN_MOST = 900  # seconds for a gate that takes a few, on a machine that has much to do

# The inbox with park and unpark, the steal queues, the waiter token, the cause of a group, the
# channel between loops, a timer's cancel against its end; the pool's, and what these rest on.
LOCK_FREE = ['src/pool/deque.h', 'src/pool/idle.h', 'src/pool/inject.h', 'src/pool/worker.c',
             'src/sched/door.h', 'src/sched/loop.c', 'src/sched/msg.h', 'src/sched/park.h',
             'src/sched/remote.h', 'src/sched/scope.c', 'src/sched/spread.c', 'src/sched/timer.c',
             'src/sync/bridge.c', 'src/sync/chan.c', 'src/sync/claim.h']

Gate = collections.namedtuple('Gate', 'sources flags links')
Plant = collections.namedtuple('Plant', 'file owner invariant what gate args env old new hangs')


def explorer(name):
    return Gate(['tests/model/explore.c', 'tests/model/explore_%s.c' % name], [], [])


def loops(name):
    """Whole loops on the explorer: see tests/model/loops.h."""
    folder = ROOT / 'tests/model'
    shipped = [os.path.relpath(folder / line, ROOT)
               for line in (folder / 'explored.txt').read_text(encoding='utf-8').split()]
    return Gate(['tests/model/explore.c', 'tests/model/loops.c',
                 'tests/model/explore_%s.c' % name] + shipped,
                ['-include', 'tests/model/explore.h', '-DWATCH_LOOKS=1'], [])


def unit(name, sources, wrapped=()):
    return Gate(['tests/lib/t.c', 'tests/unit/test_%s.c' % name] + sources, [],
                ['-Wl,--wrap=' + function for function in wrapped])


ALLOCATES = ('malloc', 'calloc', 'realloc')
SELECT = ['src/sync/%s.c' % name for name in
          ('chan', 'event', 'group', 'select', 'select_away', 'select_fd')]
GATES = {
    'explore_chan': loops('chan'),
    'explore_claim': explorer('claim'),
    'explore_door': explorer('door'),
    'explore_group': loops('group'),
    'explore_inbox': loops('inbox'),
    'explore_pool': explorer('pool'),
    'explore_spread': loops('spread'),
    'test_bridge': unit('bridge', ['src/sync/bridge.c']),
    'test_chan': unit('chan', ['src/sync/chan.c']),
    'test_fiber': unit('fiber', ['src/sched/fiber.c', 'src/sched/loop.c'],
                       ALLOCATES + ('clock_gettime',)),
    'test_listener': unit('listener', ['src/net/listener.c']),
    'test_poll_listener': unit('poll_listener', ['src/plat/poll_uring_feed.c']),
    'test_group': unit('group', ['src/sched/scope.c', 'src/sync/group.c']),
    'test_loop': unit('loop', ['src/sched/loop.c']),
    'test_scope': unit('scope', ['src/sched/scope.c']),
    'test_select_away': unit('select_away', SELECT + ['src/sched/fiber.c']),
    'test_select_fd': unit('select_fd', SELECT),
    'test_sync_select': unit('sync_select', SELECT, ALLOCATES),
    'test_timer': unit('timer', ['src/sched/timer.c']),
}


def parse(path):
    """The plants of one file, and the invariants that have none with the reason."""
    file, plants, without, now = None, [], {}, None
    for number, line in enumerate(path.read_text(encoding='utf-8').split('\n'), 1):
        word, _, rest = line.partition(' ')
        if line[:1] in '-+' and line and now:
            now['old' if line[0] == '-' else 'new'].append(line[1:])
        elif not line or word == '#':
            continue
        elif word == 'file':
            file = rest
        elif word == 'without':
            invariant, _, why = rest.partition(' ')
            without[file, invariant] = why
        elif word == 'plant':
            invariant, _, what = rest.partition(' ')
            now = {'file': file, 'owner': file, 'invariant': invariant, 'what': what, 'old': [],
                   'new': [], 'hangs': False}
            plants.append(now)
        elif word == 'of':  # the file that numbers the invariant, if this is another
            now['owner'] = rest
        elif line in ('hangs', 'may hang'):
            now['hangs'] = True if line == 'hangs' else None
        elif word == 'gate':
            words = shlex.split(rest)
            now['env'] = dict(w.split('=', 1) for w in words if '=' in w)
            now['gate'], *now['args'] = [w for w in words if '=' not in w]
        else:
            sys.exit('%s:%d: what is this: %s' % (path, number, line))
    return [Plant(**p) for p in plants], without


def invariants(file):
    """The numbers of the section INVARIANTS."""
    text = (ROOT / file).read_text(encoding='utf-8')
    section = re.search(r'^ \* INVARIANTS(.*?)(?=^ \*$|^ \*/)', text, re.M | re.S)
    return re.findall(r'^(?: \*)? +\(([A-Z]\d+)\)', section.group(1), re.M) if section else []


def uncovered(plants, without):
    have = {(p.owner, p.invariant) for p in plants} | set(without)
    return ['%s (%s)' % (file, i) for file in LOCK_FREE for i in invariants(file) or ['no INVARIANTS']
            if (file, i) not in have]


class Builder:
    """Objects of the tree as it is are made once; a plant's own only for what it changes."""

    def __init__(self, library, cc, work):
        self.library, self.cc, self.work = library, cc, pathlib.Path(work)
        self.libs = subprocess.run(['pkg-config', '--libs', 'libcares', 'libcurl', 'liburing'],
                                   stdout=subprocess.PIPE, text=True, check=True).stdout.split()

    def compile(self, tree_, gate, source, folder):
        """The object; its name also says with which flags."""
        name = source.replace('/', '-') + ('.explored' if GATES[gate].flags else '') + '.o'
        target = folder / name
        done = subprocess.run(
            [*self.cc, '-std=gnu17', '-O1', '-w', '-D_GNU_SOURCE', '-Iinclude', '-Isrc', '-Itests',
             '-Itests/model', *GATES[gate].flags, '-MD', '-MF', str(target) + '.d', '-c', source,
             '-o', str(target)], cwd=tree_, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False)
        if done.returncode:
            raise RuntimeError('%s does not compile:\n%s' % (source, done.stdout))
        return target

    def link(self, gate, objects, folder):
        program = folder / gate
        subprocess.run([*self.cc, *map(str, objects), self.library, *GATES[gate].links, *self.libs,
                        '-pthread', '-lm', '-o', str(program)], check=True)
        return program

    def base(self, gate):
        return {source: self.work / (source.replace('/', '-') +
                                     ('.explored' if GATES[gate].flags else '') + '.o')
                for source in GATES[gate].sources}

    def prepare(self, pool, gates):
        jobs = {}
        for gate in gates:
            for source, target in self.base(gate).items():
                jobs.setdefault(target, (ROOT, gate, source, self.work))
        list(pool.map(lambda job: self.compile(*job), jobs.values()))

    def planted(self, plant, folder):
        """The gate of a copy of the tree in which the bug is planted."""
        copy, objects = folder / 'tree', []
        for part in COPIED:
            shutil.copytree(ROOT / part, copy / part)
        path = copy / plant.file
        text = path.read_text(encoding='utf-8')
        old, new = ('\n'.join(lines) + '\n' for lines in (plant.old, plant.new))
        if text.count(old) != 1:
            raise RuntimeError('these lines are there %d times, not once:\n%s' % (text.count(old), old))
        path.write_text(text.replace(old, '' if not plant.new else new), encoding='utf-8')
        for source, made in self.base(plant.gate).items():
            needs = pathlib.Path(str(made) + '.d').read_text(encoding='utf-8')
            names = {os.path.normpath(w) for w in needs.replace('\\\n', ' ').split()}
            objects.append(self.compile(copy, plant.gate, source, folder)
                           if plant.file in names else made)
        return self.link(plant.gate, objects, folder)


def run(program, args, env):
    """Exit code and output; TIMED_OUT if all that failed is cases, or the gate, without an end."""
    try:
        done = subprocess.run([program, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, text=True, errors='replace', check=False,
                              timeout=RUN_MOST, env={**os.environ, **env})
    except subprocess.TimeoutExpired:
        return TIMED_OUT, 'nothing within %d s' % RUN_MOST
    bad, late = (len(re.findall(mark, done.stdout, re.M)) for mark in ('^not ok ', ': timed out$'))
    if done.returncode and bad == late > 0:
        return TIMED_OUT, done.stdout
    return done.returncode, done.stdout


def said(code, text):
    """The line that tells most."""
    lines = [line for line in text.split('\n') if line] or ['status %d' % code]
    for mark in ('broken invariant', 'not ok'):
        for line in lines:
            if mark in line:
                return line
    tells = [line for line in lines if 'schedules' not in line and ': decisions:' not in line]
    return (tells or lines)[-1]


def sound(builder, key):
    """Whether the gate passes with nothing planted; None: yes."""
    gate, args, env = key
    with tempfile.TemporaryDirectory() as tmp:
        program = builder.link(gate, builder.base(gate).values(), pathlib.Path(tmp))
        code, text = run(program, args, dict(env))
    return None if code == 0 else '%s %s fails with nothing planted: %s' % (
        gate, ' '.join(args), said(code, text))


def noticed(builder, plant):
    """Whether, and what the gate said."""
    with tempfile.TemporaryDirectory() as tmp:
        try:
            program = builder.planted(plant, pathlib.Path(tmp))
        except RuntimeError as error:
            return False, str(error)
        code, text = run(program, plant.args, plant.env)
    if code in (0, tree.SKIP):
        return False, 'not noticed' if code == 0 else 'skipped: ' + said(code, text)
    if plant.hangs is not None and (code == TIMED_OUT) != plant.hangs:
        return False, ('hangs, which the plant does not say' if code == TIMED_OUT else
                       'does not hang, as the plant says') + ': ' + said(code, text)
    return True, said(code, text)


def score(plants, without, results):
    """The text of the page."""
    out = ['# Planted bugs', '',
           'Each numbered invariant of the files below is broken on purpose, one at a time, and the',
           'gate named beside it must fail. `explore_*` runs the shipped code through its interleavings',
           '(`tests/model/`), `test_*` are unit tests. The bugs are in `tests/planted/`;',
           '`tools/planted.py` plants them, in `./run check-all`, and writes this page.', '',
           *['* `%s`' % file for file in LOCK_FREE], '',
           'These are the inbox with park and unpark, the steal queues, the waiter token, the cause of a',
           'group, the channel between loops, a timer\'s cancel against its end, and the pool: not every',
           'file with atomics in it. Other files in the table have bugs for some of their invariants.', '',
           '**%d of %d are noticed.**' % (sum(results), len(plants)), '',
           '| source | invariant | what is broken | gate |', '| --- | --- | --- | --- |']
    for plant, good in zip(plants, results):
        gate = ' '.join([plant.gate, *plant.args])
        out.append('| `%s` | %s | %s | %s |' % (
            plant.owner, plant.invariant, plant.what,
            '`%s`%s' % (gate, BY[plant.hangs]) if good else 'not noticed'))
    out += ['', 'Without a bug of their own:', '']
    out += ['* `%s` %s: %s' % (file, invariant, why) for (file, invariant), why in
            sorted(without.items())]
    return '\n'.join(out) + '\n'


def score_is_right(text, update):
    path = ROOT / SCORE
    if update:
        path.write_text(text, encoding='utf-8')
        return True
    if path.exists() and path.read_text(encoding='utf-8') == text:
        return True
    print('%s is not what this run says: tools/planted.py --update' % SCORE)
    return False


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    p.add_argument('--update', action='store_true', help='write ' + SCORE)
    p.add_argument('--only', metavar='TEXT', help='plants whose file, gate or words have it')
    p.add_argument('library')
    p.add_argument('cc', nargs='+')
    args = p.parse_args()
    plants, without = [], {}
    for path in sorted((ROOT / 'tests/planted').glob('*.plant')):
        some, none = parse(path)
        plants += some
        without.update(none)
    missing = uncovered(plants, without)
    for what in missing:
        print('no bug is planted for %s' % what)
    if args.only:
        plants = [x for x in plants if args.only in ' '.join((x.file, x.owner, x.gate, x.what))]
    library = os.path.abspath(args.library)
    with tempfile.TemporaryDirectory() as work, concurrent.futures.ThreadPoolExecutor(
            len(os.sched_getaffinity(0))) as pool:
        builder = Builder(library, args.cc, work)
        builder.prepare(pool, {x.gate for x in plants})
        keys = sorted({(x.gate, tuple(x.args), tuple(x.env.items())) for x in plants})
        unsound = [why for why in pool.map(lambda k: sound(builder, k), keys) if why]
        results = []
        for plant, (good, text) in zip(plants, pool.map(lambda x: noticed(builder, x), plants)):
            results.append(good)
            print('%-8s %s %s, %s: %s' % ('noticed' if good else 'MISSED', plant.file,
                                          plant.invariant, plant.gate, text), flush=True)
    for why in unsound:
        print(why)
    print('%d of %d noticed' % (sum(results), len(plants)))
    good = not missing and not unsound and all(results)
    if not args.only:
        good = score_is_right(score(plants, without, results), args.update) and good
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
