#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_layers.py - a file includes its own folder and lower ranks, and nothing else

The ranks are the table of ARCHITECTURE.md.  Two folders of one rank never include each other.
The public headers include libc and each other; the tool includes libc, <hob/...> and itself; an
example libc, <hob/...> and what lies beside it; the demo also the tool's parts.  A header of another library is allowed only in the folders named here with it: what a folder needs
is then said in one place.
"""
import os
import re
import sys

import tree

RANK = {'base': 0, 'plat': 1, 'trace': 2, 'sched': 3, 'pool': 3, 'sync': 4, 'procs': 4,
        'net': 5, 'http': 6, 'flow': 6, 'db': 6}

# Other libraries: the first part of the header's name, and the folders that may include it.
FOREIGN = {
    'liburing.h': {'src/plat'},
    'sanitizer': {'src/plat'},
    'valgrind': {'src/plat'},
    'seccomp.h': {'src/procs', 'tests'},
    'ares.h': {'src/net'},
    'ares_nameser.h': {'src/net'},
    'curl': {'src/http'},
    'openssl': {'src/net'},
    'sqlite3.h': {'src/db', 'cmd'},
    'libxml': {'cmd'},
    'unicode': {'cmd'},
}
# libc and the kernel's own: everything without a folder that is not in FOREIGN, and these folders.
SYSTEM = {'sys', 'linux', 'netinet', 'arpa', 'net', 'asm', 'bits'}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+([<"])([^>"]+)[>"]', re.M)


def includes(root, path):
    text = tree.code_only(tree.read(root, path), keep_strings=True)
    for m in INCLUDE.finditer(text):
        yield tree.line_of(text, m.start()), m.group(1), m.group(2)


def allowed_system(path, name):
    first = name.split('/')[0]
    if first in FOREIGN:
        return any(path.startswith(folder + '/') for folder in FOREIGN[first])
    return '/' not in name or first in SYSTEM


def problem_src(path, quote, name):
    folder = path.split('/')[1] if path.count('/') > 1 else None
    first = name.split('/')[0]
    if folder not in RANK:
        return 'src/%s is no layer: add it to tools/check_layers.py' % folder
    if quote == '"':
        if first not in RANK:
            return 'include "folder/file.h" from src/, not "%s"' % name
        if first != folder and RANK[first] >= RANK[folder]:
            return 'src/%s (rank %d) may not include %s (rank %d)' % (
                folder, RANK[folder], name, RANK[first])
    return None


def problem_of(path, quote, name):
    """Why `path` may not include `name`; None when it may."""
    if quote == '<' and not name.startswith('hob/') and not allowed_system(path, name):
        return '<%s> is not allowed here: see FOREIGN in tools/check_layers.py' % name
    if path.startswith('include/'):
        return None if quote == '<' else 'a public header includes <hob/...>, not "%s"' % name
    if path.startswith('examples/'):
        if quote == '"' and '/' in name:
            return 'an example is built on <hob/...> only, not "%s"' % name
        return None
    if path.startswith(('cmd/', 'demo/')):
        if quote == '"' and ('..' in name or name.split('/')[0] in RANK):
            return '%s/ is built on <hob/...> only, not "%s"' % (path.split('/')[0], name)
        return None
    return problem_src(path, quote, name)


def check(root):
    problems = []
    for path in tree.files(root, '.c', '.h', '.S', '.inc'):
        if path.split('/')[0] not in ('src', 'cmd', 'demo', 'examples', 'include'):
            continue
        for line, quote, name in includes(root, path):
            what = problem_of(path, quote, name)
            if what:
                problems.append('%s:%d: %s' % (path, line, what))
            elif quote == '<' and name.startswith('hob/') and \
                    not os.path.exists(os.path.join(root, 'include', name)):
                problems.append('%s:%d: <%s> does not exist' % (path, line, name))
    return problems


if __name__ == '__main__':
    sys.dont_write_bytecode = True
    tree.finish(check(tree.arguments(__doc__).parse_args().root))
