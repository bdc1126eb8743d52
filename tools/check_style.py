#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_style.py - what clang-format cannot see

    a C file has at most 600 lines, or its header comment has a line that begins with "Length:"
    a function has at most 70 lines, from its brace to the closing one
    every .c, .h and .S says its licence in line 1
    every .c but a unit test says what it is in line 3: ` * name.c - what it is`
    no test sleeps; one that must wait for time says why on that line: /* sleep: why */
    no path of somebody's machine
"""
import os
import re
import sys

import tree

LINES_MAX, FUNCTION_MAX = 600, 70
C_SUFFIXES = ('.c', '.h', '.S')
SLEEP = re.compile(r'(?<![\w.>])(sleep|usleep|nanosleep|clock_nanosleep|time\.sleep)\s*\(')
# Written in two parts, so that this file is no violation of its own.
MACHINE = re.compile(r'(?<![\w.$})/-])/' + r'(?:home|root|work|farm|Users)/\w')
BINARY = ('.png', '.jpg', '.gz', '.zst', '.warc', '.db', '.pem', '.der')


def header_comment(text):
    m = re.match(r'/\*.*?\*/', text, re.S)
    return m.group(0) if m else ''


def check_length(path, text):
    n = text.count('\n')
    if n > LINES_MAX and not re.search(r'^ \*\s+Length:', header_comment(text), re.M):
        yield '%s:%d: %d lines, more than %d, and no "Length:" in its header comment says why' % (
            path, n, n, LINES_MAX)


def check_functions(path, text):
    start = None
    for number, line in enumerate(tree.code_only(text).split('\n'), 1):
        if line == '{':
            start = number
        elif start and line.startswith('}'):
            if number - start + 1 > FUNCTION_MAX:
                yield '%s:%d: a function of %d lines, more than %d' % (
                    path, start, number - start + 1, FUNCTION_MAX)
            start = None


def check_opening(path, text):
    lines = (text + '\n\n\n').split('\n')
    if 'SPDX-License-Identifier: MIT' not in lines[0]:
        yield '%s:1: line 1 is not the SPDX line' % path
    name = os.path.basename(path)
    if path.endswith('.c') and not path.startswith('tests/unit/') and \
            not re.match(r' \* %s - \S' % re.escape(name), lines[2]):
        yield '%s:3: line 3 does not say " * %s - what it is"' % (path, name)


def check_sleep(path, text):
    if not path.startswith('tests/') or path.startswith('tests/lib/'):
        return
    code = tree.code_only(text) if path.endswith(C_SUFFIXES) else text
    for number, (line, shown) in enumerate(zip(code.split('\n'), text.split('\n')), 1):
        if SLEEP.search(line) and not re.search(r'sleep: \w', shown):
            yield '%s:%d: a test does not sleep; wait for the event (or say /* sleep: why */)' % (
                path, number)


def check_paths(path, text):
    for number, line in enumerate(text.split('\n'), 1):
        m = MACHINE.search(line)
        if m:
            yield '%s:%d: a path of one machine: %s...' % (path, number, m.group(0))


def check(root):
    problems = []
    for path in tree.files(root):
        if path.endswith(BINARY) or path.startswith('tests/data/'):
            continue
        text = tree.read(root, path)
        if path.endswith(C_SUFFIXES):
            for rule in (check_length, check_functions, check_opening):
                problems.extend(rule(path, text))
        if path.endswith(('.c', '.py')):
            problems.extend(check_sleep(path, text))
        problems.extend(check_paths(path, text))
    return problems


if __name__ == '__main__':
    sys.dont_write_bytecode = True
    tree.finish(check(tree.arguments(__doc__).parse_args().root))
