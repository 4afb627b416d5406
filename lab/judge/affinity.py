# SPDX-License-Identifier: GPL-2.0-only
"""Whether the affinity of a load's tasks stayed what it was, as the tasks themselves saw it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lab.judge.bounds import Finding
from lab.judge.evidence import Evidence
from lab.judge.verdict import Outcome, Verdict
from lab.measure.windows import TaskWindow
from lab.plan.labplan import ExpectationPlan

#: A verdict about the whole life of the lab stands in no phase.
NO_PHASE = ""

#: By (node, task): every affinity the task was seen with, its first one at the front.
_Seen = Mapping[tuple[str, int], tuple[str, ...]]


def evaluate_affinity(expectation: ExpectationPlan, evidence: Evidence) -> Iterator[Verdict]:
    """One verdict for the load: over the whole life of its tasks, or in one phase against their first affinity.

    `affinity_unchanged` wants every task to have kept it, `affinity_changed` every task to have had another. Doubts
    about phases do not matter here: noise changes times, not affinities.
    """
    load = str(expectation.load)
    phase = expectation.phases[0] if expectation.phases else NO_PHASE
    seen = _seen_in_phase(evidence, load, phase) if phase else _seen_ever(evidence, load)
    missing = [
        f"task {task} on {node}" for node, task in evidence.planned_tasks(load) if (node, task) not in seen
    ]
    found = _decide(expectation, seen, missing)
    yield Verdict(found.outcome, expectation.text, f"load {load}", phase, found.observed, found.reason)


def task_changes(evidence: Evidence, task: TaskWindow) -> tuple[str, ...]:
    """Every affinity of `task` in its phase that is not the one it was first seen with."""
    first = evidence.first_affinity(task.node, task.load, task.task)
    return tuple(affinity for affinity in task.affinities if affinity != first)


def _seen_ever(evidence: Evidence, load: str) -> _Seen:
    tasks = evidence.measurements.affinities
    return {
        (task.node, task.task): task.affinities for task in tasks if task.load == load and task.affinities
    }


def _seen_in_phase(evidence: Evidence, load: str, phase: str) -> _Seen:
    found = {}
    for task in evidence.tasks(load, phase):
        first = evidence.first_affinity(task.node, load, task.task)
        if task.affinities and first is not None:
            found[task.node, task.task] = (first, *task_changes(evidence, task))
    return found


def _decide(expectation: ExpectationPlan, seen: _Seen, missing: list[str]) -> Finding:
    changed = {task: affinities for task, affinities in seen.items() if len(set(affinities)) > 1}
    wants_change = expectation.kind == "affinity_changed"
    right, wrong = len(seen) - len(changed), changed
    if wants_change:
        right, wrong = len(changed), {task: seen[task] for task in seen if task not in changed}
    observed = f"{right} of {len(seen) + len(missing)} tasks {'changed' if wants_change else 'unchanged'}"
    if wrong:
        return Finding(Outcome.FAILED, observed, "; ".join(map(_render, wrong.items())))
    if not seen:
        return Finding(Outcome.UNDECIDED, "nothing", f"no task of {expectation.load} was seen")
    if missing:
        return Finding(Outcome.UNDECIDED, observed, f"never seen: {', '.join(missing)}")
    shown = _changes(changed) if wants_change else ""
    return Finding(Outcome.PASSED, f"{observed}{shown}")


def _changes(changed: _Seen) -> str:
    """``: 0-1 -> 0``: the different ways in which affinities changed."""
    return f": {', '.join(dict.fromkeys(' -> '.join(affinities) for affinities in changed.values()))}"


def _render(task: tuple[tuple[str, int], tuple[str, ...]]) -> str:
    (node, number), affinities = task
    return f"task {number} on {node}: {' -> '.join(affinities)}"
