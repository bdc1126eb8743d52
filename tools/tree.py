# SPDX-License-Identifier: MIT
"""tree.py - what the checks share: the tree's files, C without comments, the public API.

Every check is a program that takes --root DIR (this tree when left out), prints one line a
violation as `file:line: what is wrong`, and exits 1 when there was one.  A check that could not
run exits 77 with the reason: meson and ./run call that a skip.
"""
import argparse
import os
import re
import sys

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SKIP = 77


def arguments(doc):
    p = argparse.ArgumentParser(description=doc.split('\n')[0])
    p.add_argument('--root', default=HERE, help='the tree to check')
    return p


def finish(problems):
    """Print the problems and end the program."""
    for line in problems:
        print(line)
    sys.exit(1 if problems else 0)


def skip(reason):
    print('SKIP: ' + reason)
    sys.exit(SKIP)


def files(root, *suffixes):
    """The tree's files, relative and sorted; what builds leave behind is not part of it."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(d for d in folders
                            if d not in ('.git', '__pycache__', 'node_modules', 'target')
                            and not (d.startswith('build') and folder == root))
        for name in names:
            path = os.path.join(folder, name)
            if name != '.git' and os.path.isfile(path) and (not suffixes or name.endswith(suffixes)):
                found.append(os.path.relpath(path, root))
    return sorted(found)


def read(root, path):
    with open(os.path.join(root, path), encoding='utf-8', errors='replace') as f:
        return f.read()


_TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def code_only(text, keep_strings=False):
    """C text with comments (and strings) blanked; line numbers stay what they were."""
    def blank(m):
        s = m.group(0)
        if s[0] in '"\'':
            return s if keep_strings else s[0] + ' ' * (len(s) - 2) + s[-1]
        return re.sub(r'[^\n]', ' ', s)
    return _TOKEN.sub(blank, text)


def line_of(text, offset):
    return text.count('\n', 0, offset) + 1


def public_headers(root):
    return [f for f in files(os.path.join(root, 'include'), '.h')]


_DIRECTIVE = re.compile(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', re.M)


def api_declarations(root):
    """What is declared with HOB_API, as {name: (header, the declaration as it stands there)}."""
    names = {}
    for header in public_headers(root):
        text = code_only(read(root, os.path.join('include', header)))
        text = _DIRECTIVE.sub('', text)
        for m in re.finditer(r'\bHOB_API\b([^;{]*)[;{]', text):
            found = re.search(r'\b(hob_\w+)\s*\(', m.group(1)) or \
                re.search(r'\b(hob_\w+)\s*(?:\[[^\]]*\])?\s*$', m.group(1))
            if found:
                names[found.group(1)] = header, m.group(1)
    return names


def api_functions(root):
    """Names declared with HOB_API, functions and objects, as {name: header}."""
    return {name: header for name, (header, _) in api_declarations(root).items()}


def inline_functions(root):
    """Names of the static inline functions of the public headers, as {name: header}."""
    names = {}
    for header in public_headers(root):
        text = _DIRECTIVE.sub('', code_only(read(root, os.path.join('include', header))))
        for m in re.finditer(r'\bstatic\s+inline\b([^;{]*)\{', text):
            found = re.search(r'\b(hob_\w+)\s*\(', m.group(1))
            if found:
                names[found.group(1)] = header
    return names


def public_macros(root):
    """Macros the public headers leave defined: {name: (header, has_arguments, arguments, body)}."""
    macros = {}
    for header in public_headers(root):
        text = code_only(read(root, os.path.join('include', header)))
        for m in re.finditer(r'^[ \t]*#[ \t]*(define|undef)[ \t]+(\w+)(\([^)]*\))?((?:[^\n]*\\\n)*[^\n]*)',
                             text, re.M):
            what, name, arguments_, body = m.groups()
            if what == 'undef':
                macros.pop(name, None)
            elif not re.fullmatch(r'HOB_\w+_H', name):
                macros[name] = (header, arguments_ is not None, arguments_ or '',
                                body.replace('\\\n', ' ').strip())
    return macros
