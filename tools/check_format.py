#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_format.py - clang-format 14 would leave every C file as it is (./run fmt makes it so)

Another version of clang-format formats otherwise, so none but 14 will do.
"""
import os
import shutil
import subprocess
import sys

import tree

FORMAT = 'clang-format-14'


def check(root):
    sources = [os.path.join(root, f) for f in tree.files(root, '.c', '.h')]
    r = subprocess.run([FORMAT, '--dry-run', '-Werror'] + sources, capture_output=True, text=True)
    problems = [line[len(root) + 1:] for line in r.stderr.split('\n') if 'error:' in line]
    if r.returncode and not problems:
        problems = [r.stderr]
    return problems + (['run ./run fmt'] if problems else [])


if __name__ == '__main__':
    sys.dont_write_bytecode = True
    args = tree.arguments(__doc__).parse_args()
    if not shutil.which(FORMAT):
        tree.skip('there is no ' + FORMAT)
    tree.finish(check(args.root))
