#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""embed.py FILE HEADER - a text file as a C string named after it, comment lines left out"""
import os
import sys

source, header = sys.argv[1:]
name = os.path.basename(source).replace('.', '_')
with open(source, encoding='utf-8') as f:
    lines = [line.rstrip() for line in f if not line.startswith(('//', '/* '))]
with open(header, 'w', encoding='utf-8') as f:
    f.write('/* from %s */\nstatic const char %s[] =\n' % (os.path.basename(source), name))
    for line in lines:
        text = line.replace('\\', '\\\\').replace('"', '\\"')
        f.write('    "%s\\n"\n' % text)
    f.write('    ;\n')
