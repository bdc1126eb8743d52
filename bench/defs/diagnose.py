# SPDX-License-Identifier: MIT
"""How often hob diagnose is right about the tuning programs, and how well it predicts.

Its rows put hob's figure beside the one that is allowed; lower is better.
"""
from harness.model import Program

FIGURES = ("wrong", "slower", "error", "error_p90", "outside")

BENCHES = [
    Program("diagnose", "verdicts on 25 programs that are wrong; errors of predicted gains, percent",
            target="bench/late",
            argv=("/usr/bin/python3", "{src}/diagnose/run.py", "--hob", "{hob}",
                  "--late", "{release}/bench/late"),
            targets={f"diagnose_{figure}_{tier}": {"allowed": 1}
                     for tier in ("exact", "samples") for figure in FIGURES}),
    Program("diagnose_cost", "what it costs the program it watches, and what it computes, percent",
            target="bench/late",
            argv=("/usr/bin/python3", "{src}/diagnose/cost.py", "--hob", "{hob}",
                  "--late", "{release}/bench/late"),
            targets={f"diagnose_{figure}_{how}": {"allowed": 1}
                     for how in ("exact", "wakes", "samples")
                     for figure in ("whole", "recorder", "own", "slower", "own_worst",
                                    "slower_worst", "own_short", "slower_short", "own_some",
                                    "slower_some")}),
    Program("diagnose_flight", "operations in flight, 1 to 10,000: error in percent",
            target="bench/late",
            argv=("/usr/bin/python3", "{src}/diagnose/flight.py", "--hob", "{hob}",
                  "--late", "{release}/bench/late"),
            targets={f"diagnose_flight_{tier}": {"allowed": 1} for tier in ("exact", "samples")}),
]
