# SPDX-License-Identifier: MIT
"""What a bench is: the words that bench/defs is written in."""
import os
import re
from dataclasses import dataclass, field

LINE = re.compile(r"^(\S+) ([-+0-9.eE]+) (\S+)$", re.MULTILINE)


def metrics(output):
    """The "metric value unit" lines of a program's output, by metric; the last of a name wins."""
    return {name: float(value) for name, value, _ in LINE.findall(output)}


def printed_pages(output, tmp):
    """Pages fetched, as the program itself says on a "pages N count" line."""
    return int(metrics(output).get("pages", 0))


@dataclass(frozen=True)
class Build:
    """How a peer's program comes to be, in a folder of its own outside the source tree.

    `copy` is a folder of bench/peers that is copied there first; `steps` run in it.  Words in
    braces are filled in, see harness/build.py.
    """
    name: str
    steps: tuple
    copy: str = ""
    env: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Subject:
    """One competitor: a program and how to run it.

    `needs`: programs, or "python:MODULE", without which it is missing.
    `count`: for benches of pages, (output, tmp) -> how many pages it really got.
    """
    name: str
    argv: tuple
    build: Build = None
    needs: tuple = ()
    env: dict = field(default_factory=dict)
    count: object = printed_pages


@dataclass(frozen=True)
class Site:
    """What the loopback server serves: `pages` product pages, listed `repeat` times each."""
    pages: int
    repeat: int = 1


@dataclass(frozen=True)
class Bench:
    """One bench.  `value` turns a finished run into the figure that is compared.

    `targets`: peer -> how many times better than it hob must be, by the medians.
    `cores`: "one" pins each subject to a single core, "two" to two; "rest" to all but the
    server's.
    `argv_in_dir`: the arguments that a program found by --peers gets.
    `parts`: benches without subjects, whose figures the same runs print: a row and targets each.
    """
    name: str
    what: str
    unit: str
    better: str
    subjects: tuple
    value: object
    targets: dict = field(default_factory=dict)
    cores: str = "one"
    site: Site = None
    expect_pages: int = 0
    timeout: float = 60.0
    argv_in_dir: tuple = ()
    parts: tuple = ()

    def ratio(self, hob, peer):
        """How many times better hob is: above 1 it wins, whichever way the unit runs."""
        low, high = (hob, peer) if self.better == "lower" else (peer, hob)
        return high / low if low > 0 else float("inf")


@dataclass(frozen=True)
class Program:
    """A bench that times its subjects itself, in turn, and prints JSON rows: hob against itself
    with something switched off, or against a plain loop.

    `target`: what ninja builds.  `targets`: bench of a row -> subject -> how many times better
    hob must be than it.  A unit "per second" is better high, any other low.
    """
    name: str
    what: str
    target: str
    argv: tuple
    targets: dict = field(default_factory=dict)
    timeout: float = 900.0  # on a busy machine such a program tries many rounds again
    subjects: tuple = ()

    def bench(self, name, unit):
        """The bench that rows of this name stand for."""
        return Bench(name, self.what, unit, "higher" if unit.endswith("/s") else "lower", (),
                     None, self.targets.get(name, {}))


def printed(metric):
    """A figure that the program prints itself."""
    def value(run, pages):
        found = metrics(run.out)
        if metric not in found:
            raise ValueError(f'no line "{metric} value unit" in its output')
        return found[metric]
    return value


def pages_per_cpu_second(run, pages):
    """User and system time of the whole run, start-up and every child process included."""
    return pages / run.cpu


def fill(words, names):
    """`words` with every {name} replaced."""
    return [re.sub(r"\{(\w+)\}", lambda m: str(names[m.group(1)]), word) for word in words]


def find_program(name):
    """The path of a program, or None; a path is itself, sbin folders count."""
    if "/" in name:
        return name if os.access(name, os.X_OK) else None
    for folder in os.environ.get("PATH", "").split(":") + ["/usr/sbin", "/sbin"]:
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    return None
