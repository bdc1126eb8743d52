#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_examples.py - the code in EXAMPLES of each manual page of section 3 compiles

As C11 with GNU's extensions, -Wall -Wextra -Werror, after <hob/hob.h> and what of libc a reader
expects.  An error names the page and its line.  What may stand there: see manual.py.
"""
import os
import subprocess
import sys
import tempfile

import manual
import tree

FLAGS = ['-std=gnu11', '-D_GNU_SOURCE', '-fsyntax-only', '-Wall', '-Wextra', '-Werror',
         '-Wno-unused-function', '-Wno-unused-parameter', '-Wno-missing-field-initializers']
HEADERS = ['errno.h', 'fcntl.h', 'inttypes.h', 'sched.h', 'stdbool.h', 'stdio.h', 'stdlib.h',
           'string.h', 'sys/epoll.h', 'unistd.h', 'hob/hob.h']


def program(page):
    text = ''.join('#include <%s>\n' % h for h in HEADERS)
    for number, line in page.example():
        text += '#line %d "%s"\n%s\n' % (number, page.path, line)
    return text


def check(root, cc):
    pages = [page for page in manual.library(root)[0] if page.example()]
    with tempfile.TemporaryDirectory() as work:
        sources = []
        for page in pages:
            sources.append(os.path.join(work, manual.stem(page.path) + '.c'))
            with open(sources[-1], 'w', encoding='utf-8') as f:
                f.write(program(page))
        if not sources:
            return []
        r = subprocess.run([*cc, *FLAGS, '-I' + os.path.join(root, 'include'), *sources],
                           capture_output=True, text=True)
    return r.stderr.splitlines() or ['the compiler failed'] if r.returncode != 0 else []


if __name__ == '__main__':
    sys.dont_write_bytecode = True
    parser = tree.arguments(__doc__)
    parser.add_argument('cc', nargs='+', help='the compiler and its first arguments')
    args = parser.parse_args()
    tree.finish(check(args.root, args.cc))
