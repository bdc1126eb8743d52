#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_diagnose_large.py HOB SITE - hob diagnose on very many threads and processes"""
import os
import subprocess
import sys

import cli

PYTHON = os.path.realpath(sys.executable)
HANGS = 900
THREADS = '''
import threading
threading.stack_size(65536)
go = threading.Event()
threads = [threading.Thread(target=go.wait) for _ in range(10000)]
for t in threads:
    t.start()
go.set()
for t in threads:
    t.join()
print('all')
'''


class Large(cli.Case):
    def diagnose(self, *command, tier):
        """(standard output, the report, the most memory that hob itself had, in MB)"""
        report = self.path('report')
        p = subprocess.Popen([cli.HOB, 'diagnose', '--tier', tier, '-o', report, '--', *command],
                             stdout=subprocess.PIPE, text=True)
        out = p.stdout.read()
        p.stdout.close()
        _, status, used = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(p.returncode, 0)
        return out, ' '.join(self.read(report).split()), used.ru_maxrss / 1024

    def test_ten_thousand_threads(self):
        plain = subprocess.run([PYTHON, '-c', THREADS], capture_output=True, text=True,
                               timeout=HANGS)
        if plain.returncode:
            self.skipTest('10,000 threads are not to be had here: ' + plain.stderr[-200:])
        for tier in ('1', '2'):
            out, report, memory = self.diagnose(PYTHON, '-c', THREADS, tier=tier)
            self.assertEqual(out, 'all\n')
            self.assertRegex(report, r'tier: ')
            self.assertLess(memory, 400)

    def test_a_hundred_thousand_processes(self):
        loop = 'i=0; while [ $i -lt 100000 ]; do (exit 3); i=$((i+1)); done; echo $?'
        out, report, memory = self.diagnose('sh', '-c', loop, tier='1')
        self.assertEqual(out, '0\n')
        self.assertRegex(report, r'tier: T1\+?: exact')
        self.assertLess(memory, 400)


if __name__ == '__main__':
    cli.main()
