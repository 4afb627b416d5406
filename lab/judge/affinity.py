# SPDX-License-Identifier: GPL-2.0-only
"""Whether the affinity of a load's tasks stayed what it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.judge.bounds import Finding
from lab.judge.evidence import Evidence
from lab.judge.verdict import Outcome, Verdict
from lab.measure.windows import TaskAffinity
from lab.plan.labplan import ExpectationPlan

#: A verdict about the whole life of the lab stands in no phase.
NO_PHASE = ""


def evaluate_affinity(expectation: ExpectationPlan, evidence: Evidence) -> Iterator[Verdict]:
    """One verdict for the load, over the whole life of its tasks.

    Doubts about phases do not matter here: noise changes times, not affinities.
    """
    load = str(expectation.load)
    seen = [task for task in evidence.measurements.affinities if task.load == load and task.affinities]
    found = _decide(load, seen, _unseen(evidence, load, seen))
    yield Verdict(found.outcome, expectation.text, f"load {load}", NO_PHASE, found.observed, found.reason)


def _unseen(evidence: Evidence, load: str, seen: Sequence[TaskAffinity]) -> list[str]:
    names = {(task.node, task.task) for task in seen}
    return [
        f"task {task} on {node}" for node, task in evidence.planned_tasks(load) if (node, task) not in names
    ]


def _decide(load: str, seen: Sequence[TaskAffinity], unseen: Sequence[str]) -> Finding:
    changed = [task for task in seen if len(set(task.affinities)) > 1]
    observed = f"{len(seen) - len(changed)} of {len(seen) + len(unseen)} tasks unchanged"
    if changed:
        return Finding(Outcome.FAILED, observed, "; ".join(map(_render_change, changed)))
    if not seen:
        return Finding(Outcome.UNDECIDED, "nothing", f"no task of {load} was seen")
    if unseen:
        return Finding(Outcome.UNDECIDED, observed, f"never seen: {', '.join(unseen)}")
    return Finding(Outcome.PASSED, observed)


def _render_change(task: TaskAffinity) -> str:
    return f"task {task.task} on {task.node}: {' -> '.join(task.affinities)}"
