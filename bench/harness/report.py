# SPDX-License-Identifier: MIT
"""The table for people, the rows for programs, and what the targets came to."""
import json


def verdict(result, peer, target):
    """(passed, words) for one target of a bench."""
    bench = result.bench
    hob, other = result.of("hob"), result.of(peer)
    if hob is None or hob.missing:
        return False, "MISSED: hob is missing"
    if other is None or other.missing:
        return False, f"MISSED: {peer} is missing"
    ratio = bench.ratio(hob.median, other.median)
    flag = " (disturbed: measure again)" if hob.disturbed or other.disturbed else ""
    return ratio >= target, ("passed" if ratio >= target else "MISSED") + flag


def figure(x):
    return f"{x:,.0f}" if x >= 1000 else f"{x:.4g}"


def table(result):
    """The lines of one bench's table."""
    bench, hob = result.bench, result.of("hob")
    lines = [f"{bench.name}: {bench.what}",
             f"  {bench.unit}, {bench.better} is better, {result.ncores} core"
             + ("s" if result.ncores > 1 else ""),
             f"  {'subject':<14}{'median':>11}{'min':>11}{'max':>11}{'n':>4}"
             f"{'hob is':>11}  target"]
    for o in result.outcomes:
        if o.missing:
            lines.append(f"  {o.subject:<14}MISSING: {o.missing}")
        else:
            row = (f"  {o.subject:<14}{figure(o.median):>11}{figure(o.low):>11}"
                   f"{figure(o.high):>11}{o.count:>4}")
            ratio = ""
            if o.subject != "hob" and hob and not hob.missing:
                ratio = f"{bench.ratio(hob.median, o.median):.2f}x"
            lines.append(row + f"{ratio:>11}")
        if o.subject in bench.targets:
            target = bench.targets[o.subject]
            words = verdict(result, o.subject, target)[1]
            lines[-1] += f"  >= {target:g}x {words}"
        if o.disturbed and not result.note:
            lines.append(f"  {'':<14}! only {len(o.clean)} of {o.wanted} runs had their cores to"
                         f" themselves; worst: {o.worst}")
    known = {o.subject for o in result.outcomes}
    for peer in bench.targets:
        if peer not in known:
            lines.append(f"  {peer:<14}MISSING: nothing of this name was run")
    if result.note:
        lines.append(f"  ! {result.note}")
    return lines


def summary(results):
    """(all passed, one line a missed target and the count)."""
    npassed, missed, absent = 0, [], []
    for r in results:
        absent += [f"{r.bench.name}.{o.subject}" for o in r.outcomes if o.missing]
        for peer, target in r.bench.targets.items():
            passed, words = verdict(r, peer, target)
            if passed:
                npassed += 1
            else:
                missed.append(f"  {r.bench.name} against {peer}, >= {target:g}x: {words}")
    lines = [f"targets: {npassed} passed, {len(missed)} missed"] + missed
    if absent:
        lines.append("missing: " + ", ".join(absent))
    return not missed, lines


def rows(results):
    """One row a bench and subject; a missing subject has n 0 and no figures."""
    out = []
    for r in results:
        for o in r.outcomes:
            out.append({"bench": r.bench.name, "subject": o.subject, "unit": r.bench.unit,
                        "median": o.median, "min": o.low, "max": o.high, "n": o.count,
                        "n_cores": r.ncores, "disturbed": o.disturbed})
    return out


def write_json(path, results):
    """A JSON array, one row a line."""
    text = "[\n" + ",\n".join("  " + json.dumps(row) for row in rows(results)) + "\n]\n"
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
