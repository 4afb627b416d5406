# SPDX-License-Identifier: GPL-2.0-only
"""What governors did in a phase, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from lab.judge.evidence import Evidence
from lab.judge.governor import changes, decisions_of, steps
from lab.judge.layout import MISSING, Column, Table, fit
from lab.measure.windows import GovernDecision
from lab.units import format_cpulist

#: What the columns mean.
GOVERNED_LEGEND = (
    "down, up, hold: decisions of what governs the node; first, last: step after the phase's changes; seen: what "
    "the first and the last decision went by, steal in % of time x active vCPUs, for the host's hint how much the "
    "guest wanted to run in % of one vCPU"
)
_NODE_WIDTHS = (4, 13)


def render_governors(evidence: Evidence, phase: str) -> list[str]:
    """A line for every node that something governed in `phase`; nothing where nothing did."""
    lines = governor_table(evidence, phase).lines()
    return ["", *lines] if lines else []


def governor_table(evidence: Evidence, phase: str) -> Table:
    """The same as a table; without rows where nothing governed."""
    governed = {
        node.name: seen for node in evidence.plan.nodes if (seen := decisions_of(evidence, node.name, phase))
    }
    columns = [
        Column("governed", max(8, fit(list(governed), *_NODE_WIDTHS)), text=True),
        Column("source", 6, text=True),
        Column("down", 4),
        Column("up", 4),
        Column("hold", 4),
        Column("first", 7),
        Column("last", 7),
        Column("seen", 14),
        Column("folded", 6),
    ]
    return Table(columns, [_cells(node, seen) for node, seen in governed.items()])


def _cells(node: str, seen: Sequence[GovernDecision]) -> list[str | float | None]:
    made = changes(seen)
    sources = "/".join(dict.fromkeys(one.source for one in seen))
    return [
        node,
        sources,
        steps(seen, "step-down"),
        steps(seen, "step-up"),
        steps(seen, "hold"),
        _after(made[0]) if made else MISSING,
        _after(made[-1]) if made else MISSING,
        f"{_seen(seen[0])} -> {_seen(seen[-1])}",
        format_cpulist(seen[-1].after) or "none",
    ]


def _after(one: GovernDecision) -> str:
    return f"{one.since_begin_ns / 1e9:.1f} s"


def _seen(one: GovernDecision) -> str:
    ratio = one.guest_pct if one.seen_pct is None else one.seen_pct
    return MISSING if ratio is None else f"{ratio:.1f}"
