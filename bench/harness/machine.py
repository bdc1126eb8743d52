# SPDX-License-Identifier: MIT
"""Cores: which ones a bench may use, and what else used them meanwhile."""
import os
from dataclasses import dataclass

TICK = os.sysconf("SC_CLK_TCK")
# /proc/stat counts in ticks, each core by itself: below this much, a difference says nothing.
NOISE_S = 3.0 / TICK
SHARE_MAX = 0.04


@dataclass(frozen=True)
class Cores:
    """`one`: where a single-core subject runs.  `two`: where one of two cores does.
    `rest`: all that the server leaves.
    `server`: the server's core, which the harness shares, asleep while something is timed.
    `all`: for builds."""
    one: frozenset
    two: frozenset
    rest: frozenset
    server: frozenset
    all: frozenset


def cores_choose(usable=None):
    """The last core for single-core subjects, the first, which takes the interrupts, for the rest.

    With one core there is nothing to choose: server and subject share it.
    """
    usable = sorted(os.sched_getaffinity(0) if usable is None else usable)
    return Cores(frozenset(usable[-1:]), frozenset(usable[-2:]), frozenset(usable[1:] or usable),
                 frozenset(usable[:1]), frozenset(usable))


@dataclass(frozen=True)
class Load:
    busy: float
    stolen: float


def load_read(cores, text=None):
    """Seconds that `cores` were busy with processes, and were taken by the hypervisor, so far.

    Interrupt time is left out: the network's part of it is the subject's own doing.
    """
    if text is None:
        with open("/proc/stat", encoding="ascii") as f:
            text = f.read()
    busy = stolen = 0
    for line in text.splitlines():
        name, *rest = line.split()
        if name[:3] == "cpu" and name[3:].isdigit() and int(name[3:]) in cores:
            user, nice, system, _, _, _, _, steal = map(int, rest[:8])
            busy += user + nice + system
            stolen += steal
    return Load(busy / TICK, stolen / TICK)


@dataclass(frozen=True, order=True)
class Disturbance:
    """Shares of a subject's cores, 0 to 1, that something else had; none below the noise."""
    total: float
    foreign: float
    stolen: float

    def __bool__(self):
        return self.total > 0

    def __str__(self):
        words = []
        if self.foreign:
            words.append(f"{100 * self.foreign:.0f} % other processes")
        if self.stolen:
            words.append(f"{100 * self.stolen:.0f} % taken by the hypervisor")
        return ", ".join(words)


def disturbance(before, after, own, wall, ncores):
    """What else used the cores in a run of `wall` seconds.

    `own` is the CPU time of the subject, and of whatever of ours shares its cores.
    """
    span = max(wall * ncores, 1e-9)

    def share(seconds):
        return seconds / span if seconds > NOISE_S * ncores + SHARE_MAX * span else 0.0

    foreign = share(after.busy - before.busy - own)
    stolen = share(after.stolen - before.stolen)
    return Disturbance(foreign + stolen, foreign, stolen)


def process_cpu(pid):
    """CPU seconds of a live process; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            fields = f.read().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK
