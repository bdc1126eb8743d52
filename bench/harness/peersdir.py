# SPDX-License-Identifier: MIT
"""Peers from a folder: executables named BENCH.SUBJECT, see bench/README.md."""
import os
from dataclasses import replace

from .model import Subject


def add(bench, folder):
    """The bench with the subjects found in `folder`; one of a known name takes its place."""
    if not folder:
        return bench
    subjects = {s.name: s for s in bench.subjects}
    for entry in sorted(os.listdir(folder)):
        path = os.path.abspath(os.path.join(folder, entry))
        name = entry[len(bench.name) + 1:]
        if entry.startswith(bench.name + ".") and name and os.access(path, os.X_OK) \
                and not os.path.isdir(path):
            subjects[name] = Subject(name, (path, *bench.argv_in_dir))
    return replace(bench, subjects=tuple(subjects.values()))


def unknown(folder, benches):
    """Executables in the folder that belong to no bench: a misspelt name must not go unseen."""
    names = tuple(b.name + "." for b in benches)
    return [entry for entry in sorted(os.listdir(folder))
            if not entry.startswith(names) and os.access(os.path.join(folder, entry), os.X_OK)
            and not os.path.isdir(os.path.join(folder, entry))] if folder else []
