#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_symbols.py - exported = declared with HOB_API = listed in src/hob.map

One list of names in three places keeps each honest: the headers say what is promised, the map
says in which release it came, the shared library says what is really there.  The static library
has no export list, so there every global symbol begins with hob_.

    tools/check_symbols.py --update     write the names missing in src/hob.map into its last node
"""
import os
import re
import subprocess
import sys

import tree

MAP = 'src/hob.map'
NOT_OURS = re.compile(r'^(__odr_asan|__asan|__tsan|__ubsan|__sancov|__gcov|_GLOBAL__|__sanitizer|DW\.ref)')


def defined(library, dynamic):
    command = ['nm', '--defined-only', '--extern-only'] + (['-D'] if dynamic else []) + [library]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    names = {}
    for line in text.splitlines():
        parts = line.split()
        if len(parts) == 3 and not NOT_OURS.match(parts[2]):
            names[parts[2].split('@')[0]] = parts[1]
    return names


def map_names(text):
    text = re.sub(r'/\*.*?\*/|#[^\n]*', '', text, flags=re.S)
    return [n for part in re.findall(r'global:(.*?)(?:local:|\})', text, re.S)
            for n in re.findall(r'[\w*?]+', part)]


def node_names(text):
    return set(re.findall(r'^(\w+\.\w+)\s*\{', text, re.M))


def update(root):
    """Sorted names in the map's last node; those of earlier nodes, released, stay as they are."""
    path = os.path.join(root, MAP)
    text = tree.read(root, MAP)
    head, mark, rest = text.rpartition('global:')
    tail = rest[re.search(r'\n *(local:|\})', rest).start():]
    released = set(map_names(head + '}')) if 'global:' in head else set()
    names = sorted(set(tree.api_functions(root)) - released)
    with open(path, 'w', encoding='utf-8') as f:
        f.write(head + mark + ''.join('\n        %s;' % n for n in names) + tail)


def check(root, shared, static):
    problems = []
    header_of = tree.api_functions(root)
    declared = set(header_of)
    text = tree.read(root, MAP)
    listed = map_names(text)
    for name in sorted(n for n in set(listed) if listed.count(n) > 1):
        problems.append('%s: %s is listed twice' % (MAP, name))
    for name in sorted(declared - set(listed)):
        problems.append('%s: %s is declared in <%s> but not listed (tools/check_symbols.py --update)'
                        % (MAP, name, header_of[name]))
    for name in sorted(set(listed) - declared):
        problems.append('%s: %s is listed, but no public header declares it with HOB_API' % (MAP, name))
    if shared:
        exported = set(defined(shared, True)) - node_names(text)
        for name in sorted(exported - declared):
            problems.append('%s: exports %s, which no public header declares' % (shared, name))
        for name in sorted(declared - exported):
            problems.append('%s: does not export %s, declared in <%s>: it has no definition, or '
                            'the map lacks it' % (shared, name, header_of[name]))
    if static:
        for name in sorted(defined(static, False)):
            if not name.startswith('hob_'):
                problems.append('%s: %s is global and does not begin with hob__' % (static, name))
    return problems


if __name__ == '__main__':
    sys.dont_write_bytecode = True
    parser = tree.arguments(__doc__)
    parser.add_argument('--shared', help='libhob.so')
    parser.add_argument('--static', help='libhob.a')
    parser.add_argument('--update', action='store_true', help='bring src/hob.map up to date')
    args = parser.parse_args()
    if args.update:
        update(args.root)
    tree.finish(check(args.root, args.shared, args.static))
