# SPDX-License-Identifier: MIT
"""The parallel half, by programs that time hob against itself untuned, a plain loop and libgomp."""
from harness.model import Program

BENCHES = [
    Program("wake", "how late a loop wakes beside a saturated pool, 99.9th percentile",
            target="bench/bench_wake_latency", argv=("{release}/bench/bench_wake_latency",),
            targets={"wake_latency_p999_20us": {"untuned": 5},
                     "wake_latency_p999_200us": {"untuned": 5},
                     "wake_held_p999_20us": {"untuned": 5},
                     "wake_held_p999_200us": {"untuned": 5}}, timeout=120),
    Program("pool", "what the pool costs: submission, regions, nested calls, a long loop",
            target="bench/bench_pool", argv=("{release}/bench/bench_pool",)),
]
