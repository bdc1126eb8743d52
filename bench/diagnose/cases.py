# SPDX-License-Identifier: MIT
"""The tuning programs: what each is, what to say of it, and the program that follows the advice.

The labels are argued, not measured: they say what its author would want to hear.  Words in braces
are filled in by run.py.
"""
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """`fixed` follows the advice, with `in_flight` operations at once on `cores` cores."""
    name: str
    argv: tuple
    bound: str
    advice: str
    mismatch: str = None
    fixed: tuple = ()
    in_flight: int = 0
    cores: int = 0
    needs: tuple = field(default=("python3",))  # python3 node go psql dns


def py(name, *args):
    return ("{python}", f"{{programs}}/{name}.py", *args)


def node(name):
    return ("node", f"{{programs}}/{name}.js")


def threads(what, n, pieces):
    return ("{out}/threads", what, str(n), str(pieces), *(("{dir}/big",) if what == "read" else ()))


def shell(script):
    return ("/bin/sh", "-c", script)


CHILDREN = "head -c 9000000 {dir}/text | md5sum >/dev/null; gzip -c {dir}/part >/dev/null"
SQL = "{psql} -q -h 127.0.0.1 -p {pgport} -U postgres -o /dev/null -f {dir}/"

CASES = [
    Case("seq_http", py("seq_http"), "io", "concurrency",
         fixed=py("seq_http_fixed"), in_flight=20, cores=1),
    Case("await_in_turn", py("await_in_turn"), "io", "concurrency",
         fixed=py("seq_http_fixed"), in_flight=20, cores=1),
    Case("gather_50", py("gather_50"), "io", "ok-concurrent",
         fixed=py("gather_200"), in_flight=200, cores=1),
    Case("threads_io", py("threads_io_8"), "io", "ok-concurrent",
         fixed=py("threads_io_32"), in_flight=32, cores=1),
    Case("pool_cpu", py("pool_cpu"), "cpu", "ok-parallel"),
    Case("cpu", py("cpu"), "cpu", "parallelism", fixed=py("cpu_fixed"), cores=2),
    Case("threads_cpu", py("threads_cpu"), "cpu", "parallelism", "gil",
         fixed=py("cpu_fixed"), cores=2),
    Case("pool_http", py("pool_http"), "io", "concurrency", "pool-io",
         fixed=py("pool_http_fixed"), in_flight=32, cores=1),
    Case("fetch_compute", py("fetch_compute"), "mixed", "both",
         fixed=py("fetch_compute_fixed"), in_flight=16, cores=2),
    Case("pace", py("pace"), "sleep", "neither"),
    Case("commit_rows", py("commit_rows", "1"), "io", "batch",
         fixed=py("commit_rows", "20"), in_flight=20, cores=1),
    Case("names", py("names", "1"), "io", "concurrency",
         fixed=py("names", "10"), in_flight=10, cores=1, needs=("python3", "dns")),
    Case("node_in_turn", node("await_in_turn"), "io", "concurrency",
         fixed=node("await_in_turn_fixed"), in_flight=20, cores=1, needs=("node",)),
    Case("node_all", node("all_60"), "io", "ok-concurrent", needs=("node",)),
    Case("node_block", node("block"), "cpu", "parallelism", "loop-blocked",
         fixed=node("block_fixed"), cores=2, needs=("node",)),
    Case("go_io", ("{out}/go_io",), "io", "ok-concurrent", needs=("go",)),
    Case("go_cpu", ("{out}/go_cpu", "1"), "cpu", "parallelism",
         fixed=("{out}/go_cpu", "2"), cores=2, needs=("go",)),
    Case("c_cpu", threads("cpu", 1, 160), "cpu", "parallelism",
         fixed=threads("cpu", 2, 160), cores=2, needs=()),
    Case("c_cpu_2", threads("cpu", 2, 240), "cpu", "ok-parallel", needs=()),
    Case("c_oversub", threads("cpu", 16, 240), "cpu", "ok-parallel", "oversub",
         fixed=threads("cpu", 2, 240), cores=2, needs=()),
    Case("c_disk", threads("read", 1, 8000), "io", "concurrency",
         fixed=threads("read", 16, 8000), in_flight=16, cores=2, needs=()),
    Case("c_lock", threads("lock", 4, 120), "cpu", "lock", "lock",
         fixed=threads("cpu", 2, 120), cores=2, needs=()),
    Case("sh_pipe", shell("seq 1 3000000 | gzip | wc -c"), "cpu", "parallelism",
         fixed=shell("(seq 1 1500000 | gzip & seq 1500001 3000000 | gzip; wait) | wc -c"),
         cores=2, needs=()),
    Case("sh_children", shell(f"for i in 1 2 3 4 5 6; do {CHILDREN}; done"), "cpu", "parallelism",
         fixed=shell(f"seq 6 | xargs -P2 -I@ sh -c '{CHILDREN}'"), cores=2, needs=()),
    Case("psql_in_turn", shell(SQL + "40.sql"), "io", "concurrency",
         fixed=shell(f"for i in 1 2 3 4 5; do {SQL}8.sql & done; wait"), in_flight=5, cores=2,
         needs=("psql",)),
]
