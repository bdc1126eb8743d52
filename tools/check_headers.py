#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_headers.py - each public header alone; every function and every macro used

Each header is compiled by itself as C11, C17 and C++17 with -Wall -Wextra -pedantic -Werror.
Then three programs are compiled, and with --lib linked and run:

    functions   takes the address of every function, as C11 and as C++17 (generated)
    constants   uses every macro that is an expression, and HOB_*_OPTS(), as C11 (generated)
    macros      tests/header_macros.c, kept by hand: uses every other macro with arguments; one
                that it does not mention is an error, so a new macro comes with a use of it

Each public struct begins with `size_t size`, or the comment above it says "Never grows".
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

import tree

MACROS = 'tests/header_macros.c'
WARNINGS = ['-Wall', '-Wextra', '-pedantic', '-Werror', '-Wno-missing-field-initializers']
CXX = {'gcc': 'g++', 'cc': 'c++', 'clang': 'clang++'}


def cxx_of(cc):
    """The C++ compiler beside a C compiler: gcc-12 has g++-12, clang has clang++."""
    folder, name = os.path.split(cc)
    m = re.match(r'(.*?)(clang|gcc|cc)(-[\d.]+)?$', name)
    if not m:
        return None
    return shutil.which(os.path.join(folder, m.group(1) + CXX[m.group(2)] + (m.group(3) or '')))


def usable_constant(name, body):
    """Whether a macro without arguments is an expression, and not linkage, braces or nothing."""
    return body and not re.search(r'__attribute__|\bextern\b|[{}#]|^\[\[', body)


def functions_program(headers, functions):
    text = ''.join('#include <hob/%s>\n' % h for h in headers)
    text += '#include <stdio.h>\ntypedef void (*any)(void);\nstatic const any all[] = {\n'
    text += ''.join('    (any)&%s,\n' % f for f in functions)
    text += '    (any)0};\nint main(void)\n{\n    unsigned n = 0;\n    while (all[n])\n        n++;\n'
    return text + '    return n == %d ? 0 : 1;\n}\n' % len(functions)


def constants_program(headers, macros):
    text = ''.join('#include <hob/%s>\n' % h for h in headers) + 'int main(void)\n{\n'
    for name, (_, has_args, arguments, body) in sorted(macros.items()):
        if has_args and name.endswith('_OPTS') and arguments == '(...)':
            text += '    (void)%s();\n' % name
        elif not has_args and usable_constant(name, body):
            text += '    (void)(%s);\n' % name
    return text + '    return 0;\n}\n'


class Checker:
    def __init__(self, root, cc, cxx, lib, work):
        self.root, self.cc, self.cxx, self.lib, self.work = root, cc, cxx, lib, work
        self.problems = []

    def run(self, what, command):
        r = subprocess.run(command, capture_output=True, text=True)
        if r.returncode != 0:
            self.problems.append('%s: failed: %s\n%s%s' % (what, ' '.join(command), r.stdout, r.stderr))
        return r.returncode == 0

    def compile(self, what, standard, text, link):
        """One program in one standard; linked and run when there is a library."""
        cxx = standard.startswith('c++')
        source = os.path.join(self.work, 'use.cc' if cxx else 'use.c')
        with open(source, 'w', encoding='utf-8') as f:
            f.write(text)
        command = (self.cxx if cxx else self.cc) + ['-std=' + standard] + WARNINGS
        command += ['-I' + os.path.join(self.root, 'include'), source]
        if not (link and self.lib):
            self.run('%s as %s' % (what, standard), command + ['-fsyntax-only'])
            return
        program = os.path.join(self.work, 'use')
        folder = os.path.dirname(os.path.abspath(self.lib))
        command += ['-o', program, self.lib, '-Wl,-rpath,' + folder, '-pthread']
        if self.run('%s as %s' % (what, standard), command):
            self.run('%s as %s, run' % (what, standard), [program])


def macros_missing(root, macros):
    """Macros with arguments that tests/header_macros.c never uses."""
    path = os.path.join(root, MACROS)
    text = tree.code_only(tree.read(root, MACROS)) if os.path.exists(path) else ''
    return ['%s: %s of <hob/%s> is not used; add a use' % (MACROS, name, header[4:])
            for name, (header, has_args, arguments, _) in sorted(macros.items())
            if has_args and not (name.endswith('_OPTS') and arguments == '(...)')
            and not re.search(r'\b%s\s*\(' % name, text)]


STRUCT = re.compile(r'^((?:/\*(?:[^*]|\*(?!/))*\*/\s*)?)(?:typedef )?struct (\w+)\s*\{\s*([^;]*);', re.M)


def structs_without_size(root):
    """Public structs that neither begin with their size nor say that they never grow."""
    return ['include/%s: struct %s begins with no `size_t size`, and no comment above it says '
            '"Never grows"' % (h, name)
            for h in tree.public_headers(root)
            for above, name, first in STRUCT.findall(tree.read(root, 'include/' + h))
            if first != 'size_t size' and 'Never grows' not in above]


def check(root, cc, cxx, lib, work):
    c = Checker(root, cc, cxx, lib, work)
    headers = [h[4:] for h in tree.public_headers(root) if h.startswith('hob/')]
    standards = ['c11', 'c17'] + (['c++17'] if cxx else [])
    for h in headers:
        for standard in standards:
            c.compile('<hob/%s> alone' % h, standard,
                      '#include <hob/%s>\n#include <hob/%s>\nint main(void)\n{\n    return 0;\n}\n'
                      % (h, h), False)
    functions = set(tree.api_functions(root)) | set(tree.inline_functions(root))
    macros = tree.public_macros(root)
    if not c.problems:
        for standard in standards:
            c.compile('every function', standard, functions_program(headers, sorted(functions)), True)
        c.compile('every constant', 'c11', constants_program(headers, macros), True)
        if os.path.exists(os.path.join(root, MACROS)):
            c.compile(MACROS, 'c11', tree.read(root, MACROS), True)
    return c.problems + macros_missing(root, macros) + structs_without_size(root)


if __name__ == '__main__':
    sys.dont_write_bytecode = True
    parser = tree.arguments(__doc__)
    parser.add_argument('--lib', help='libhob.so to link with; only syntax is checked without')
    parser.add_argument('cc', nargs='*', default=['cc'], help='the C compiler')
    args = parser.parse_args()
    cplusplus = cxx_of(args.cc[-1])
    with tempfile.TemporaryDirectory() as tmp:
        found = check(args.root, args.cc, [cplusplus] if cplusplus else None, args.lib, tmp)
    if not found and not cplusplus:
        tree.skip('no C++ compiler beside %s: the headers were checked as C only' % args.cc[-1])
    tree.finish(found)
