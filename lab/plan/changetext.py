# SPDX-License-Identifier: GPL-2.0-only
"""Schedules and predictions of a phase, as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import wrap

from lab.plan.changes import render_change
from lab.plan.labplan import ChangePlan, PhasePlan
from lab.units import format_cpulist

#: Lines of a schedule that are told in full, and how long the lines of a prediction are at most.
_MOST_MOMENTS = 12
_WIDTH = 76


def render_moment(changes: Sequence[ChangePlan]) -> str:
    """Changes at one time as text."""
    return ", ".join(map(render_change, changes))


def render_changes(changes: Sequence[ChangePlan]) -> Iterator[str]:
    """A line for each moment; of a long schedule the first ones, and how many more there are."""
    moments = [(at_ns, list(some)) for at_ns, some in groupby(changes, key=lambda one: one.at_ns)]
    shown = moments if len(moments) <= _MOST_MOMENTS else moments[: _MOST_MOMENTS - 1]
    for at_ns, some in shown:
        yield f"at {at_ns / 1e9:g} s: {render_moment(some)}"
    if len(shown) < len(moments):
        yield f"and at {len(moments) - len(shown)} more times, the last at {moments[-1][0] / 1e9:g} s"


def render_predicted(phase: PhasePlan) -> Iterator[str]:
    """Predicted steal of every busy vCPU, those with the same together."""
    if phase.predicted is None:
        return
    if not phase.predicted:
        yield "predicted steal: none, as a governor decides which vCPUs are used"
    vcpus: dict[float, dict[str, list[int]]] = {}
    for one in phase.predicted:
        if one.steal_pct is not None:
            vcpus.setdefault(one.steal_pct, {}).setdefault(one.node, []).append(one.vcpu)
    for steal_pct, nodes in vcpus.items():
        whose = ", ".join(f"{node} {format_cpulist(found)}" for node, found in nodes.items())
        yield from wrap(f"predicted steal {steal_pct:.1f} %: {whose}", _WIDTH, subsequent_indent="  ")
