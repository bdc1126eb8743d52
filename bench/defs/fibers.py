# SPDX-License-Identifier: MIT
"""The hot paths of the concurrent half against Go and Tokio, each on one core."""
from harness.model import Bench, Build, Program, Subject, printed

GO = Build("go-fibers", copy="go/fibers",
           steps=(("go", "build", "-buildvcs=false", "-o", "{out}/fibers", "."),),
           env={"GOCACHE": "{peers}/go-cache", "GOPATH": "{peers}/go-path",
                "GOPROXY": "off", "GOFLAGS": "-mod=mod"})
TOKIO = Build("tokio", copy="tokio",
              steps=(("{cargo}", "build", "--release", "--offline"),),
              env={"RUSTC": "{rustc}", "CARGO_HOME": "{peers}/cargo-home",
                   "CARGO_TARGET_DIR": "{out}/target"})


def hob(program):
    return Subject("hob", ("{release}/bench/" + program,))


def go(mode, name="go"):
    return Subject(name, ("{peers}/go-fibers/fibers", mode), GO, env={"GOMAXPROCS": "1"})


def tokio(mode):
    program = "{peers}/tokio/target/release/fibers"
    return (Subject("tokio", (program, mode, "0"), TOKIO),
            Subject("tokio-mt", (program, mode, "1"), TOKIO))


BENCHES = [
    Bench("trace_off", "the same yield, nobody watching, and without the question whether anybody is",
          unit="ns/switch", better="lower", value=printed("yield"),
          subjects=(hob("yield"), Subject("not compiled in", ("{release}/bench/yield_untraced",))),
          targets={"not compiled in": 0.99}),
    Program("trace_yield", "the same yield, recorded into a file, and summed up for advice",
            target="bench/yield_traced", argv=("{release}/bench/yield_traced",),
            targets={"trace_yield": {"off": 0.95}, "advise_yield": {"off": 0.95}}),
    Bench("yield", "two tasks on one core yield to each other",
          unit="ns/switch", better="lower", value=printed("yield"),
          subjects=(hob("yield"), go("yield"), *tokio("yield")),
          targets={"go": 7}),
    Bench("spawn", "start an empty task and wait for its end, one after the other",
          unit="ns/task", better="lower", value=printed("spawn"),
          subjects=(hob("spawn"), go("spawn"), go("spawn_chan", "go-chan"), *tokio("spawn")),
          targets={"go": 12, "go-chan": 12, "tokio": 8, "tokio-mt": 8}),
    Bench("spawn_batch", "start a thousand empty tasks, then wait for all",
          unit="ns/task", better="lower", value=printed("spawn_batch"),
          subjects=(hob("spawn"), go("spawn_batch"), *tokio("spawn_batch"))),
    Bench("pingpong", "hand one value to another task of the same core, and back",
          unit="ns/message", better="lower", value=printed("pingpong"),
          subjects=(hob("pingpong"), go("pingpong"), *tokio("pingpong")),
          targets={"go": 6}),
]
