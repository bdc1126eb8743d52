# SPDX-License-Identifier: MIT
"""Many fibers, many timers, many connections, and more loops than one."""
from harness.model import Bench, Build, Subject, printed

from .fibers import GO, TOKIO

RAW = {name: Build("raw-" + name, copy="c",
                   steps=(("cc", "-O2", "-o", "{out}/" + name, name + ".c", *libs),))
       for name, *libs in (("echo_epoll",), ("echo_uring", "-luring"),
                           ("wake_eventfd", "-lpthread"))}


def hob(program, name="hob", **env):
    return Subject(name, ("{release}/bench/" + program,), env=env)


def go(mode, name="go", cores=1):
    return Subject(name, ("{peers}/go-fibers/fibers", mode), GO, env={"GOMAXPROCS": str(cores)})


def tokio(mode, name="tokio", workers=0):
    return Subject(name, ("{peers}/tokio/target/release/fibers", mode, str(workers)), TOKIO)


def raw(name, subject):
    return Subject(subject, ("{peers}/raw-" + name + "/" + name,), RAW[name])


def loaded(server, **env):
    """The server of a subject, under the client of "echo"."""
    return Subject(server.name, ("{release}/bench/echo_load", *server.argv), server.build,
                   env={**server.env, **env})


def part(name, what, unit, targets):
    return Bench(name, what, unit, "lower", (), printed(name), targets)


# What an issue allows, as a subject: lines of figures.
def allowed(*lines):
    return Subject("allowed", ("/bin/echo", "\n".join(lines)))


SKYNET_TOKIO = (tokio("skynet"), tokio("skynet_oneshot", "tokio-oneshot"),
                tokio("skynet_mpsc", "tokio-mpsc"))
SKYNET_TOKIO_MT = (tokio("skynet", "tokio-mt", 1),
                   tokio("skynet_oneshot", "tokio-mt-oneshot", 1))

BENCHES = [
    Bench("skynet", "a tree of a million fibers in tens, summed up, one loop",
          unit="ms", better="lower", value=printed("skynet"),
          subjects=(hob("skynet", HOB_LOOPS="1"), go("skynet"), go("skynet_chan", "go-chan"),
                    *SKYNET_TOKIO, *SKYNET_TOKIO_MT),
          targets={"tokio": 3, "tokio-oneshot": 3, "tokio-mpsc": 3, "tokio-mt": 3,
                   "tokio-mt-oneshot": 3}),
    Bench("skynet_2", "the same on two loops, spread, against one",
          unit="ms", better="lower", value=printed("skynet"), cores="two",
          subjects=(hob("skynet", HOB_LOOPS="2"), hob("skynet", "1 loop", HOB_LOOPS="1"),
                    go("skynet", cores=2), tokio("skynet", "tokio-mt", 2)),
          targets={"1 loop": 1.0}),
    Bench("parked_create", "a million fibers are started and park",
          unit="ns/task", better="lower", value=printed("parked_create"), timeout=120,
          subjects=(hob("parked"), go("parked"), tokio("parked"),
                    allowed("parked_create 1700 ns", "parked_end 250 ns", "parked_rss 4400 B")),
          targets={"allowed": 1},
          parts=(part("parked_end", "they are cancelled and joined", "ns/task", {"allowed": 1}),
                 part("parked_rss", "memory they take while they are parked", "B/task",
                      {"allowed": 1}))),
    Bench("timers", "a million timers are set, and cancelled",
          unit="ns/timer", better="lower", value=printed("timers"),
          subjects=(hob("timers"), go("timers"), tokio("timers")),
          targets={"go": 8}),
    Bench("echo_uring", "TCP echo, 1000 connections x 64 bytes, the server's CPU time a reply",
          unit="us/reply", better="lower", value=printed("echo"), cores="two",
          subjects=(loaded(hob("echo"), HOB_POLL="uring"),
                    loaded(raw("echo_uring", "raw")),
                    loaded(Subject("plain", ("{release}/bench/echo", "0", "plain")),
                           HOB_POLL="uring"),
                    loaded(hob("echo_untraced", "not compiled in"), HOB_POLL="uring"),
                    loaded(go("echo")), loaded(tokio("echo"))),
          targets={"raw": 1 / 1.05, "not compiled in": 0.99, "go": 1.4}),
    Bench("echo_epoll", "the same where io_uring is refused",
          unit="us/reply", better="lower", value=printed("echo"), cores="two",
          subjects=(loaded(hob("echo"), HOB_POLL="epoll"), loaded(raw("echo_epoll", "raw")),
                    loaded(hob("echo_untraced", "not compiled in"), HOB_POLL="epoll"),
                    loaded(go("echo"))),
          targets={"raw": 1 / 1.06, "not compiled in": 0.99, "go": 1.4}),
    Bench("wake_asleep", "a value sent to a fiber of another loop, which sleeps, until it runs",
          unit="ns", better="lower", value=printed("wake_asleep"), cores="two",
          subjects=(hob("hop"), raw("wake_eventfd", "eventfd")), targets={"eventfd": 1}),
    Bench("wake_awake", "the same where the other loop was at work a moment ago",
          unit="ns", better="lower", value=printed("wake_awake"), cores="two",
          subjects=(hob("hop"), allowed("wake_awake 1000 ns")), targets={"allowed": 1}),
    Bench("skew", "80 % of the work born on one of two loops: how late its ends are, p99",
          unit="us", better="lower", value=printed("skew"), cores="two",
          subjects=(hob("skew"), go("skew", cores=2), tokio("skew", "tokio-mt", 2)),
          targets={"go": 1, "tokio-mt": 1}),
]
