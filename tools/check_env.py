#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_env.py - clock and randomness enter through the environment table only

What a schedule depends on is asked of struct hob_env (src/plat/env.h), so that the simulator is
another table.  A clock or random call anywhere else in src/ would make a seed not replay.  The tool
(cmd/) runs simulated too: it asks hob_now and hob_random, and the date of cmd/lib/wall.c.
"""
import os
import re
import sys

import tree

CALLS = ['clock_gettime', 'clock_getres', 'gettimeofday', 'timespec_get', 'time', 'ftime', 'clock',
         'times', 'getrandom', 'getentropy', 'rand', 'rand_r', 'srand', 'random', 'random_r',
         'srandom', 'drand48', 'lrand48', 'mrand48', 'erand48', 'arc4random', 'arc4random_uniform',
         'arc4random_buf', 'nanosleep', 'clock_nanosleep', 'usleep', '__rdtsc',
         '__builtin_ia32_rdtsc', '__builtin_ia32_rdrand64_step']
# A call of one of them, or its address; not a field (`env->random(`), nor a declaration of one.
USE = re.compile(r'(?<![\w.>])(?<!struct )(%s)\s*\(' % '|'.join(CALLS))
RANDOM_FILES = re.compile(r'/dev/u?random')

# (file, call): why it may.
ALLOWED = {
    ('src/plat/barrier.c', 'usleep'): 'the kernel was out of memory for a moment',
    ('src/plat/env.c', 'clock_gettime'): 'the real table',
    ('src/plat/env.c', 'clock_nanosleep'): 'the real table',
    ('src/plat/env.c', 'getrandom'): 'the real table',
    ('cmd/diag/look.c', 'clock_gettime'): 'what a look costs, in CPU time of the recorder',
    ('cmd/lib/wall.c', 'clock_gettime'): 'the date, which hob has no clock for; none when simulated',
}


def check(root):
    problems, used = [], set()
    for path in tree.files(root, '.c', '.h'):
        if path.split('/')[0] not in ('src', 'cmd'):
            continue
        text = tree.read(root, path)
        code = tree.code_only(text)
        for m in USE.finditer(code):
            if (path, m.group(1)) in ALLOWED:
                used.add((path, m.group(1)))
                continue
            problems.append('%s:%d: %s() outside the table of src/plat/env.h (or give a reason in '
                            'tools/check_env.py)' % (path, tree.line_of(code, m.start()), m.group(1)))
        for m in RANDOM_FILES.finditer(tree.code_only(text, keep_strings=True)):
            problems.append('%s:%d: reads %s' % (path, tree.line_of(text, m.start()), m.group(0)))
    for path, call in sorted(set(ALLOWED) - used):
        if os.path.exists(os.path.join(root, path)):
            problems.append('tools/check_env.py: %s no longer calls %s(): drop the line' % (path, call))
    return problems


if __name__ == '__main__':
    sys.dont_write_bytecode = True
    tree.finish(check(tree.arguments(__doc__).parse_args().root))
