# SPDX-License-Identifier: GPL-2.0-only
"""How far a sweep is, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from lab.sweep.outcome import RunOutcome, Sought
from lab.sweep.spec import Value


def render_status(
    name: str, parameters: Mapping[str, Sequence[Value]], outcomes: Sequence[RunOutcome]
) -> str:
    """The grid, how the runs ended, those that did not finish, and which metrics there are. Ends in a newline."""
    counts = Counter(one.status for one in outcomes)
    codes = Counter(one.exit_code for one in outcomes if one.status == "finished")
    ended = ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "no run yet"
    lines = [f"sweep {name}: {ended}"]
    lines += [f"  {one}: {', '.join(map(str, values))}" for one, values in parameters.items()]
    lines += [f"  exit code {code}: {count} runs" for code, count in sorted(codes.items(), key=str)]
    lines += [
        f"  {one.key}, run {one.repeat}: {one.status} {one.reason.partition(chr(10))[0]}".rstrip()
        for one in outcomes
        if one.status != "finished"
    ]
    metrics = dict.fromkeys(
        Sought(row.metric, row.phase, row.arm).text for one in outcomes for row in one.metrics
    )
    return "\n".join([*lines, *(["metrics:"] if metrics else []), *(f"  {one}" for one in metrics)]) + "\n"
