# SPDX-License-Identifier: GPL-2.0-only
"""Folds side by side as plain text: one line for each mechanism, phase and load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.judge.evidence import Evidence
from lab.judge.folds import Fold, FoldLoad, find_folds
from lab.judge.layout import MISSING, Column, Table, fit, number, wrap

#: The widest line: what is left of 78 columns when a mail quotes it once.
FOLD_WIDTH = 75

#: What the columns mean.
FOLD_LEGEND = (
    "ms: from the write until every folded vCPU's thread ran less than 5 % on the host, for good; steal: mean over "
    "the vCPUs of these nodes that stay; ratio: work per second over that of the last phase before with nothing "
    "folded; affinity of the load's tasks by sched_getaffinity, while folded and after unfolding"
)


def render_fold_table(evidence: Evidence) -> str:
    """A table of all folds; the empty text where nothing was folded.

    ASCII, the rows at most FOLD_WIDTH columns wide; ends in a newline.
    """
    folds = find_folds(evidence)
    if not folds:
        return ""
    table = fold_table(evidence)
    doubts = [f"{fold.phase}: {doubt}" for fold in folds for doubt in _doubts(fold)]
    lines = ["Folding", _groups(table.columns), *table.lines()]
    lines += [line for text in dict.fromkeys(doubts) for line in wrap(f"! {text}", 2, 4)]
    return "\n".join([*lines, "", *wrap(FOLD_LEGEND)]) + "\n"


def fold_table(evidence: Evidence) -> Table:
    """All folds; without rows where nothing was folded."""
    folds = find_folds(evidence)
    return Table(_columns(folds), [cells for fold in folds for cells in _cells(fold, evidence)])


def _columns(folds: Sequence[Fold]) -> list[Column]:
    """Names get what the numbers leave."""
    loads = [load.load for fold in folds for load in fold.loads]
    columns = [
        Column("phase", fit([fold.phase for fold in folds], 5, 13), text=True),
        Column("by", fit([fold.mechanism for fold in folds], 4, 9), text=True),
        Column("ms", 5),
        Column("guest", 5),
        Column("host", 5),
        Column("load", fit(loads, 4, 8), text=True),
        Column("ratio", 5),
        Column("kept", 4, text=True),
        Column("after", 5, text=True),
    ]
    left = FOLD_WIDTH - 2 - sum(column.width + 1 for column in columns)
    return [*columns, Column("nodes", max(5, left), text=True)]


def _groups(columns: Sequence[Column]) -> str:
    """What the headings of steal and affinity have in common."""
    before = " " * (2 + sum(column.width + 1 for column in columns[:3]))
    between = " " * (sum(column.width + 1 for column in columns[5:7]) + 1)
    return f"{before}- steal, %-{between}- affinity"


def _cells(fold: Fold, evidence: Evidence) -> Iterator[list[str | float | None]]:
    nodes = "all" if len(fold.nodes) == len(evidence.plan.nodes) else ",".join(fold.nodes)
    head: list[str | float | None] = [
        fold.phase,
        fold.mechanism,
        _time(fold),
        fold.guest_steal_pct,
        fold.host_steal_pct,
    ]
    loads = fold.loads or (None,)
    for place, load in enumerate(loads):
        yield [*(head if place == 0 else [""] * len(head)), *_load_cells(load), nodes if place == 0 else ""]


def _time(fold: Fold) -> str | float | None:
    """Milliseconds without decimals; `never` where it was looked for and did not come."""
    if fold.effect_ns is not None:
        return round(fold.effect_ns / 1e6)
    return MISSING if fold.doubts else "never"


def _load_cells(load: FoldLoad | None) -> list[str | float | None]:
    if load is None:
        return [MISSING, None, MISSING, MISSING]
    return [
        load.load,
        _ratio(load),
        _kept(load.tasks, load.changed),
        _kept(load.tasks_after, load.changed_after),
    ]


def _ratio(load: FoldLoad) -> str:
    """With a question mark where it does not count."""
    if load.ratio is None:
        return MISSING
    return f"{number(load.ratio, 4, 2)}?" if load.work_doubts else number(load.ratio, 5, 2)


def _kept(tasks: int, changed: int) -> str:
    """Whether all tasks kept their affinity, none, or how many of them."""
    if not tasks:
        return MISSING
    return {0: "yes", tasks: "no"}.get(changed, f"{tasks - changed}/{tasks}")


def _doubts(fold: Fold) -> Iterator[str]:
    """What stands under the phases already is not repeated."""
    yield from fold.doubts
    for load in fold.loads:
        if load.work_doubts:
            yield f"the ratio of {load.load} does not count; see phases {fold.baseline} and {fold.phase}"
