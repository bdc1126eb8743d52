# SPDX-License-Identifier: MIT
"""Run one program, measured and bounded; end what it started and nothing else.

Every program gets a session of its own, so that its process group can be ended as a whole, and
dies with the harness.  The harness is the reaper of orphans: a grandchild that outlives its
parent comes to us, is ended, and its CPU time is counted.
"""
import ctypes
import os
import resource
import select
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
libc = ctypes.CDLL(None, use_errno=True)
live = set()  # what `start` started and `end` has not ended: a server, the running subject


@dataclass(frozen=True)
class Run:
    status: int  # exit status; -N: died of signal N
    out: str
    err: str
    wall: float
    cpu: float
    timed_out: bool


def become_reaper():
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def start(argv, *, env=None, cores=None, cwd=None, out=subprocess.DEVNULL, err=subprocess.DEVNULL):
    def in_child():
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if cores:
            os.sched_setaffinity(0, cores)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    proc = subprocess.Popen(argv, env={**os.environ, "LC_ALL": "C", **(env or {})}, cwd=cwd,
                            stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                            start_new_session=True, preexec_fn=in_child)
    live.add(proc.pid)
    return proc


def wait_until(pid, seconds):
    """Whether the process ended in time; leaves it to be reaped."""
    fd = os.pidfd_open(pid)
    try:
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        return bool(poller.poll(max(0, seconds) * 1000))
    finally:
        os.close(fd)


def orphans():
    """Processes that became our children and that we did not start ourselves."""
    me, found = os.getpid(), []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in live:
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as f:
                    parent = int(f.read().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            if parent == me:
                found.append(int(name))
    return found


def reap(pid):
    _, _, usage = os.wait4(pid, 0)
    return usage.ru_utime + usage.ru_stime


def end(proc):
    """End the process, its group and what it left behind; returns the CPU time of the leftovers."""
    try:
        os.killpg(proc.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    if proc.returncode is None:
        proc.wait()
    live.discard(proc.pid)
    cpu = 0.0
    while left := orphans():
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
                cpu += reap(pid)
            except (ProcessLookupError, ChildProcessError):
                pass
    return cpu


def run(argv, *, env=None, cores=None, cwd=None, timeout=60.0):
    """Run to the end or to the time limit."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.monotonic()
        proc = start(argv, env=env, cores=cores, cwd=cwd, out=out, err=err)
        cpu = 0.0
        try:
            in_time = wait_until(proc.pid, timeout)
            if in_time:
                _, status, usage = os.wait4(proc.pid, 0)
                proc.returncode = os.waitstatus_to_exitcode(status)
                cpu = usage.ru_utime + usage.ru_stime
            wall = time.monotonic() - began
        finally:
            cpu += end(proc)
        texts = []
        for f in (out, err):
            f.seek(0)
            texts.append(f.read().decode("utf-8", "replace"))
        return Run(proc.returncode, *texts, wall, cpu, not in_time)
