#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""manual.py - manual pages as text: their sections, and what pages of section 3 promise

    manual.py PAGE...    prints "NAME PAGE" for each name of such a page beside the page's own: under
                         these the installed page is found too (meson.build)

A page of section 3 has in NAME what it is about, functions and macros of the public headers, and
in SYNOPSIS the headers and each declaration, word for word.  It has each code that the header's
comments say its functions return.  Of each struct that grows, one that begins with its size, some
page that speaks of it or of the macro that fills it has all fields.  A page's file bears one of its
names, or that of the subject; a file may also be `.so man3/PAGE.3`, another name of a page.

The code of its EXAMPLES, between .EX and .EE or .nf and .fi, is compiled (check_examples.py).
What an example needs around it and a reader does not is in comments there: `.\\"C code`.
"""
import os
import re
import sys

import tree

ROFF_ESCAPES = [(r'\-', '-'), (r'\&', ''), (r'\fB', ''), (r'\fI', ''), (r'\fR', ''), (r'\fP', ''),
                (r'\(aq', "'"), (r'\(dq', '"'), (r'\ ', ' '), (r'\|', ''), (r'\e', '\\')]


def squeeze(text):
    return ' '.join(text.split())


def roff_line(line):
    """One line of a manual page as plain text; None for a macro that only breaks lines."""
    m = re.match(r'\.(\w+) ?(.*)', line)
    if m:
        macro, rest = m.groups()
        words = [a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', rest)]
        if macro in ('B', 'I', 'SM'):
            line = ' '.join(words)
        elif re.fullmatch('[BIR]{2}', macro):
            line = ''.join(words)
        else:
            return None
    for escape, plain in ROFF_ESCAPES:
        line = line.replace(escape, plain)
    return line


def plain(lines):
    """Lines of a manual page as one line of text."""
    return squeeze(' '.join(roff_line(line) or '' for line in lines))


def man_sections(text):
    """{section: its raw lines}"""
    sections, now = {}, None
    for line in text.split('\n'):
        m = re.match(r'\.SH "?([^"]*)"?', line)
        if m:
            now = sections.setdefault(m.group(1).strip().upper(), [])
        elif now is not None and not line.startswith('.\\"'):
            now.append(line)
    return sections


def declared(text):
    """A declaration without the HOB_ attributes before and behind it."""
    mark = r'HOB_[A-Z_]+(?:\([^()]*\))?'
    text = squeeze(text).replace('( ', '(')
    return re.sub(r'^(?:%s )+|(?<=\))(?: %s)+$' % (mark, mark), '', text)


class Page:
    def __init__(self, path, text):
        sections = man_sections(text)
        synopsis = plain(sections.get('SYNOPSIS', []))
        self.path, self.raw, self.sections = path, text, sections
        self.names = re.findall(r'\w+', plain(sections.get('NAME', [])).split(' - ')[0])
        self.headers = set(re.findall(r'#include <(hob/\w+\.h)>', synopsis))
        self.synopsis = squeeze(re.sub(r'#include <[^>]*>', '', synopsis))
        self.declarations = {squeeze(p) for p in self.synopsis.split(';')}
        self.text = plain(text.split('\n'))

    def has_macro(self, name, with_arguments):
        return re.search(r'\b%s\b%s' % (name, r'\(' if with_arguments else r'(?!\()'), self.synopsis)

    def example(self):
        """[(number of the line, line)] of the code in EXAMPLES, what is hidden in comments too."""
        found, here, code = [], False, False
        for number, line in enumerate(self.raw.split('\n'), 1):
            hidden = re.fullmatch(r'\.\\"C ?(.*)', line)
            if line.startswith('.SH'):
                here, code = re.match(r'\.SH EXAMPLES?$', line), False
            elif line in ('.EX', '.nf', '.EE', '.fi'):
                code = line in ('.EX', '.nf')
            elif here and hidden:
                found.append((number, hidden.group(1)))
            elif here and code and not line.startswith('.\\"'):
                found.append((number, roff_line(line) or ''))
        return found


def library(root):
    """(pages of section 3, {other file: the page that it names})"""
    pages, aliases = [], {}
    for name in tree.files(os.path.join(root, 'man'), '.3'):
        path = 'man/' + name
        text = tree.read(root, path)
        alias = re.fullmatch(r'\.so (man3/\w+\.3)\n', text)
        if alias:
            aliases[path] = alias.group(1).replace('man3/', 'man/')
        else:
            pages.append(Page(path, text))
    return pages, aliases


def stem(path):
    return os.path.basename(path)[:-2]


def check_names(root, pages, aliases):
    """Who is in NAME and SYNOPSIS: every declaration, and nothing else."""
    functions, macros = tree.api_declarations(root), tree.public_macros(root)
    owners = {}
    for page in pages:
        for name in page.names:
            owners.setdefault(name, []).append(page)
    for name, (header, text) in sorted(functions.items()) + [
            (name, m[:2]) for name, m in sorted(macros.items())]:
        found = owners.get(name, [])
        if len(found) != 1:
            yield 'include/%s: %s is in NAME of %s in man/' % (
                header, name, ' and '.join(stem(p.path) + '.3' for p in found) or 'no page')
        for page in found:
            if header not in page.headers:
                yield '%s: SYNOPSIS does not include <%s>, where %s is' % (page.path, header, name)
            if name in functions and declared(text) not in page.declarations:
                yield '%s: SYNOPSIS does not have "%s;"' % (page.path, declared(text))
            if name in macros and not page.has_macro(name, macros[name][1]):
                yield '%s: SYNOPSIS does not have %s%s' % (
                    page.path, name, macros[name][2] and ' with ' + macros[name][2])
    for name in sorted(set(owners) - set(functions) - set(macros)):
        yield '%s: NAME has %s, which no header declares' % (owners[name][0].path, name)
    for path, target in sorted(aliases.items()):
        if not any(p.path == target and stem(path) in p.names for p in pages):
            yield '%s: NAME of %s does not have it' % (path, target)


def codes(root):
    """{function: the error codes in the comment above it}"""
    found = {}
    for header in tree.public_headers(root):
        text = tree.read(root, 'include/' + header)
        for m in re.finditer(r'/\*\*((?:[^*]|\*(?!/))*)\*/\s*HOB_API\b[^;]*?\b(hob_\w+)\s*\(', text):
            found[m.group(2)] = set(re.findall(r'-((?:HOB_)?E[A-Z0-9]{2,})\b', m.group(1)))
    return found


def growing_structs(root):
    """{struct: (header, its fields without size)} of those that begin with their size"""
    found = {}
    for header in tree.public_headers(root):
        text = tree.code_only(tree.read(root, 'include/' + header))
        for m in re.finditer(r'\bstruct (hob_\w+) \{\s*size_t size;(.*?)\n\}', text, re.S):
            fields = re.findall(r'\(\*(\w+)\)\(|(\w+)(?:\[\w+\])*\s*[,;]',
                                re.sub(r'(?<=\)\()[^)]*', '', m.group(2)))
            found[m.group(1)] = header, [a or b for a, b in fields]
    return found


def check_contents(root, pages):
    """Codes and fields: whoever adds one to a header adds it to a page."""
    returned, macros = codes(root), tree.public_macros(root)
    for page in pages:
        for name in page.names:
            missing = ['-' + code for code in sorted(returned.get(name, ()))
                       if not re.search(r'-%s\b' % code, page.text)]
            if missing:
                yield '%s: does not have %s of %s' % (page.path, ', '.join(missing), name)
    for struct, (header, fields) in sorted(growing_structs(root).items()):
        makers = [name for name, m in macros.items() if re.search(r'\b%s\b' % struct, m[3])]
        about = [page for page in pages
                 if set(makers) & set(page.names) or re.search(r'\b%s\b' % struct, page.text)]
        missing = [[f for f in fields if not re.search(r'\b%s\b' % f, page.text)] for page in about]
        if not about or min(missing, key=len):
            yield 'include/%s: no page in man/ has %s of struct %s' % (
                header, ', '.join(min(missing, key=len)) if about else 'a field', struct)


def check_text(root, pages):
    """What pages speak of: nothing that is not in the headers, no page that is not there."""
    words = set()
    for header in tree.public_headers(root):
        words.update(re.findall(r'\w+', tree.code_only(tree.read(root, 'include/' + header))))
    there = {stem(page.path) for page in pages}.union(*(page.names for page in pages))
    for page in pages:
        for name in sorted(set(re.findall(r'\b(hob_\w+) ?\(3\)', page.text)) - there):
            yield '%s: there is no page %s(3)' % (page.path, name)
        for name in sorted(set(re.findall(r'\bhob_[a-z]\w*', page.text)) - words - there):
            yield '%s: speaks of %s, which no header has' % (page.path, name)
        for title in ('EXAMPLE', 'EXAMPLES'):
            if title in page.sections and not page.example():
                yield '%s: there is no code in %s' % (page.path, title)


def check_library(root):
    pages, aliases = library(root)
    yield from check_names(root, pages, aliases)
    yield from check_contents(root, pages)
    yield from check_text(root, pages)


def other_names(paths):
    """(name, page) of what is to be found under another name than its file's."""
    files_ = {os.path.basename(path): path for path in paths}
    for name, path in sorted(files_.items()):
        text = tree.read('', path)
        if name.endswith('.3') and not text.startswith('.so '):
            for other in Page(path, text).names:
                if other + '.3' not in files_:
                    yield other, name


if __name__ == '__main__':
    for other, page_name in other_names(sys.argv[1:]):
        print(other + '.3', page_name)
