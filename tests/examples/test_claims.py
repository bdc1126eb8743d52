#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_claims.py BUILD/examples - each program of examples/claims runs and prints its lines

Whether its figures are good is a matter of the machine: docs/claims.md has them, and nothing here
looks at them.
"""
import os
import re
import subprocess
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCES = os.path.join(ROOT, 'examples', 'claims')
EXAMPLES = ''

MS, TIMES = r' +\d+ ms', r' +\d+\.\d+x'
LINES = {
    'async_is_not_parallel': [
        'one after another:' + MS + '; the loop.s longest delay .* ms',
        r'four fibers at once \(async\):' + MS + ',' + TIMES + '; .* ms',
        'four fibers, hob_offload:' + MS + ',' + TIMES + '; .* ms'],
    'both_together': [
        '64 pages, .*', 'one at a time' + MS + TIMES, 'concurrent only: .*' + MS + TIMES,
        'parallel only: .*' + MS + TIMES, 'both: .*' + MS + TIMES],
    'cooks': [
        '4 dishes .*', 'one after another' + MS + MS, 'one cook, .*' + (MS + TIMES) * 2,
        'four cooks, .*' + (MS + TIMES) * 2],
    'cores_give_io_nothing': [
        r' 1 connection, .* requests/s', r'50 connections, 1 core: .*' + TIMES + ': concurrency',
        r'50 connections, \d+ cores?: .*' + TIMES + ' of that: cores'],
    'gil.py': [
        r'\d+ pieces, one after another:' + MS, r'\d+ threads' + MS + ',' + TIMES,
        r'\d+ processes' + MS + ',' + TIMES],
    'one_loop': [
        r'1 loop:  40 tasks in progress at once, \d\.\d cores busy,' + MS,
        r'2 loops: +\d+ tasks in progress at once, \d\.\d cores busy,' + MS + ',' + TIMES],
    'one_thread': [
        ' 50 processes .*', ' 50 threads .*', ' 50 connections, one thread .*',
        '200 connections, one thread .* requests/s, .* ms of CPU for each 1,000'],
    'parallel_can_be_slower': [
        r' *\d+ cores +1000 numbers +4000000 numbers', r'plain loop( +\d+\.\d us){2}'] + [
        name + r'( +\d+\.\d us' + TIMES + ' (slower|faster)){2}'
        for name in ('a process a core', 'a thread a core', 'hob_for')],
    'slowest': [r'100 requests at once:' + MS + r', .*x the slowest \(500 ms\); one after another .*'],
    'switch_and_move': ['microseconds .*'] + [
        name + r'( +\d+\.\d\d +\d+x){3}' for name in ('fiber', 'thread', 'process')],
}


class Claims(unittest.TestCase):
    def prints_its_lines(self, name):
        argv = [os.path.join(EXAMPLES, 'claims', name)]
        if name.endswith('.py'):
            argv = [sys.executable, os.path.join(SOURCES, name)]
        out = subprocess.run(argv, stdout=subprocess.PIPE, text=True, timeout=400, check=True).stdout
        lines = out.splitlines()
        self.assertEqual(len(lines), len(LINES[name]), out)
        for line, pattern in zip(lines, LINES[name]):
            self.assertRegex(line, re.compile('^' + pattern + '$'))

    def test_none_is_forgotten(self):
        names = {n[:-2] if n.endswith('.c') else n for n in os.listdir(SOURCES)
                 if n.endswith(('.c', '.py')) and n != 'claim.c'}
        self.assertEqual(names, set(LINES))

    def test_the_page_names_each_and_nothing_else(self):
        with open(os.path.join(ROOT, 'docs', 'claims.md'), encoding='utf-8') as f:
            text = f.read()
        named = set(re.findall(r'build/examples/claims/(\w+)', text)) | \
            set(re.findall(r'examples/claims/(\w+\.py)', text))
        self.assertEqual(named, set(LINES))


for name in LINES:
    setattr(Claims, 'test_' + name.replace('.', '_'),
            lambda self, name=name: self.prints_its_lines(name))

if __name__ == '__main__':
    EXAMPLES = sys.argv.pop(1)
    unittest.main()
