#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_docs.py - manual pages say what `hob COMMAND -h` says, and what the headers say

`hob -h` lists each command on a line of its own: two spaces, the name, two or more, what it does.
`hob COMMAND -h` starts with `usage: hob COMMAND ...` (more lines: `   or: hob COMMAND ...`, or a
line that goes on), then an empty line; an option is a line that begins with spaces and a dash.
The manual page is man/hob-COMMAND.1: its SYNOPSIS equals the usage, its tagged paragraphs (.TP)
that begin with a dash are the same options, short and long.  The ENVIRONMENT of man/hob.1 names
every HOB_ variable that src/ and cmd/ read.  docs/design/README.md links every page beside it.
docs/parsers.md names every fuzz target, and no target or file that is not there.

Every function and macro of the public headers is in NAME and SYNOPSIS of exactly one page of
section 3, as the header declares it, and these pages speak of nothing else: see manual.py.
"""
import os
import re
import subprocess
import sys

import tree
from manual import check_library, man_sections, plain, roff_line, squeeze

VARIABLE = re.compile(r'"(HOB_[A-Z0-9_]+)"')
OPTION = re.compile(r'(?<![\w-])(--?[A-Za-z0-9][\w-]*)')


def man_synopsis(lines):
    text, usages = '', []
    for line in lines + ['.br']:
        plain = roff_line(line)
        if plain is not None:
            text += ' ' + plain
        elif text.strip():
            usages.append(squeeze(text))
            text = ''
    return usages


def man_options(sections):
    """The flags of each tagged paragraph whose tag begins with a dash."""
    found = set()
    for lines in sections.values():
        for before, line in zip(lines, lines[1:]):
            tag = roff_line(line) or ''
            if before.startswith('.TP') and tag.startswith('-'):
                found.update(OPTION.findall(tag))
    return found


def help_usage(text):
    usages = []
    for line in text.split('\n\n')[0].split('\n'):
        m = re.match(r'\s*(?:usage|or): *(.*)', line)
        if m:
            usages.append(m.group(1))
        elif usages:
            usages[-1] += ' ' + line
    return [squeeze(u) for u in usages]


def help_options(text):
    found = set()
    for line in text.split('\n'):
        m = re.match(r' +(-.*?)(?:  |$)', line)
        if m:
            found.update(OPTION.findall(m.group(1)))
    return found


def asked(hob, *args):
    r = subprocess.run([hob, *args, '-h'], capture_output=True, text=True, timeout=20)
    return r.returncode, r.stdout


def check_command(root, hob, command):
    page = 'man/hob-%s.1' % command
    code, text = asked(hob, command)
    if code != 0 or not text.startswith('usage: hob %s' % command):
        yield 'hob %s -h: exit code %d, and does not begin with "usage: hob %s"' % (
            command, code, command)
        return
    if not os.path.exists(os.path.join(root, page)):
        yield '%s: hob lists this command, but it has no manual page' % page
        return
    sections = man_sections(tree.read(root, page))
    synopsis = man_synopsis(sections.get('SYNOPSIS', []))
    if synopsis != help_usage(text):
        yield '%s: SYNOPSIS differs from -h:\n    man  %s\n    -h   %s' % (
            page, ' | '.join(synopsis), ' | '.join(help_usage(text)))
    there, here = man_options(sections), help_options(text)
    for option in sorted(here - there):
        yield '%s: %s is in -h, and not here' % (page, option)
    for option in sorted(there - here):
        yield '%s: %s is not in hob %s -h' % (page, option, command)


def variables(root):
    """{variable: the file that reads it}: a file that calls getenv spells it out as a string."""
    found = {}
    for path in tree.files(root, '.c', '.h'):
        if path.split('/')[0] in ('src', 'cmd'):
            code = tree.code_only(tree.read(root, path), keep_strings=True)
            if re.search(r'\bgetenv\s*\(', code):
                found.update((name, path) for name in VARIABLE.findall(code))
    return found


def check_environment(root):
    section = man_sections(tree.read(root, 'man/hob.1')).get('ENVIRONMENT', [])
    named = set(re.findall(r'\bHOB_\w+', plain(section)))
    for name, path in sorted(variables(root).items()):
        if name not in named:
            yield 'man/hob.1: ENVIRONMENT does not name %s, which %s reads' % (name, path)


def check_design(root):
    folder = os.path.join(root, 'docs', 'design')
    pages = {name for name in tree.files(folder, '.md') if name != 'README.md'}
    if not pages:
        return
    linked = set(re.findall(r'\]\((\d{4}-[\w-]+\.md)\)', tree.read(folder, 'README.md')))
    for name in sorted(pages - linked):
        yield 'docs/design/README.md: does not list %s' % name
    for name in sorted(linked - pages):
        yield 'docs/design/README.md: lists %s, which is not there' % name


def check_parsers(root):
    page, folder = 'docs/parsers.md', os.path.join(root, 'tests', 'fuzz')
    if not os.path.exists(os.path.join(root, page)):
        return
    text = tree.read(root, page)
    there = {name[:-2] for name in tree.files(folder, '.c')} - {'fuzz_main', 'fuzz_part'}
    named = set(re.findall(r'`(fuzz_\w+)`', text))
    for target in sorted(there - named):
        yield '%s: does not name %s' % (page, target)
    for target in sorted(named - there):
        yield '%s: names %s, which is not there' % (page, target)
    for file in sorted(set(re.findall(r'`((?:src|cmd)/[\w./-]+)`', text))):
        if not os.path.exists(os.path.join(root, file)):
            yield '%s: names %s, which is not there' % (page, file)


def check(root, hob):
    problems, commands = [*check_environment(root), *check_design(root), *check_library(root),
                          *check_parsers(root)], []
    if os.path.exists(hob):
        code, text = asked(hob)
        if code != 0:
            return ['hob -h: exit code %d' % code]
        commands = re.findall(r'^  ([a-z][a-z-]*)  +\S', text, re.M)
        for command in commands:
            problems.extend(check_command(root, hob, command))
    overview = plain(tree.read(root, 'man/hob.1').split('\n'))
    for command in commands:
        if not re.search(r'\bhob-%s ?\(1\)' % command, overview):
            problems.append('man/hob.1: does not name hob-%s(1)' % command)
    for page in tree.files(os.path.join(root, 'man'), '.1'):
        m = re.fullmatch(r'hob-([a-z-]+)\.1', page)
        if m and m.group(1) not in commands:
            problems.append('man/%s: hob -h does not list this command' % page)
    return problems


if __name__ == '__main__':
    sys.dont_write_bytecode = True
    parser = tree.arguments(__doc__)
    parser.add_argument('hob', help='the tool; one that does not exist has no commands')
    args = parser.parse_args()
    tree.finish(check(args.root, args.hob))
