#!/usr/bin/env python3
"""Breaks one numbered invariant of src/pool/ at a time and sees that explore_pool notices.

usage: planted.py SOURCE_ROOT LIBRARY CC...
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

# invariant, file, what is there, what is put in its place
PLANTS = [
    ("D1", "deque.h", "if (!atomic_compare_exchange_strong(&d->top, &top, top + 1)) /* (D1) */",
     "if ((*&d->top = top + 1, false))"),
    ("D3", "deque.h", "if (bottom - atomic_load(&d->top) >= DEQUE_SLOTS)",
     "if (bottom - atomic_load(&d->top) > DEQUE_SLOTS)"),
    ("I2", "idle.h", "idle_sleep(i); /* (I2): its token is given or about to be */", ";"),
    ("I3 look once more", "worker.c", "if (work_visible()) {", "if (false) {"),
    ("I3 wake the next", "worker.c",
     "if (idle_search_end(&hob__pool.idle) && work_visible())",
     "if (idle_search_end(&hob__pool.idle) && false)"),
    ("Q1", "inject.h", "if (n)\n        atomic_fetch_sub", "atomic_fetch_sub"),
    ("P1", "worker.c", "if (!found && stop)", "if (false)"),
    ("W2", "worker.c", "deque_steal(&thief->deque, &j->state, JOB_DONE)",
     "deque_steal(&thief->deque, NULL, 0)"),
    ("W4", "worker.c", "if (atomic_exchange(&j->state, JOB_DONE) == JOB_PARKED)",
     "if (atomic_exchange(&j->state, JOB_DONE) == JOB_DONE)"),
]


def build(root, library, cc, folder):
    """Compiles explore_pool in `folder`, whose src/pool/ comes before the real one."""
    program = folder / "explore_pool"
    subprocess.run(
        [*cc, "-std=gnu17", "-O1", "-w", "-D_GNU_SOURCE", f"-I{folder}/src", f"-I{root}/src",
         f"-I{root}/include", *sorted(str(p) for p in (folder / "tests/model").glob("*.c")),
         library, "-pthread", "-o", str(program)], check=True)
    return program


def main(root, library, *cc):
    missed = 0
    for name, file, old, new in PLANTS:
        with tempfile.TemporaryDirectory() as tmp:
            folder = pathlib.Path(tmp)
            shutil.copytree(f"{root}/src/pool", folder / "src/pool")
            shutil.copytree(f"{root}/tests/model", folder / "tests/model")
            path = folder / "src/pool" / file
            text = path.read_text(encoding="utf-8")
            if text.count(old) != 1:
                print(f"{name}: {file} has this {text.count(old)} times, not once: {old}")
                missed += 1
                continue
            path.write_text(text.replace(old, new), encoding="utf-8")
            run = subprocess.run([build(root, library, cc, folder)], stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
            if run.returncode == 0:
                print(f"{name}: not noticed")
                missed += 1
            else:
                print(f"{name}: {run.stdout.splitlines()[-2 if 'decisions' in run.stdout else -1]}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
