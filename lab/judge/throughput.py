# SPDX-License-Identifier: GPL-2.0-only
"""Work per second of a load in one phase over that in another, summed over guests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lab.judge.bounds import Finding, evaluate_value
from lab.judge.evidence import Evidence, join_reasons
from lab.judge.verdict import Outcome, Verdict
from lab.measure.windows import TaskWindow
from lab.plan.labplan import ExpectationPlan


def work_per_s(tasks: Iterable[TaskWindow]) -> float:
    """Work per second, summed over `tasks`, each by its own guest's clock; an empty window adds nothing."""
    return sum(task.work * 1e9 / task.elapsed_ns for task in tasks if task.elapsed_ns > 0)


def render_idle_tasks(tasks: Iterable[TaskWindow]) -> str:
    """Words for the tasks that did no work; empty where all did."""
    idle = [f"{task.load} task {task.task} on {task.node}" for task in tasks if task.work <= 0]
    return f"no work was done by {', '.join(idle)}" if idle else ""


def evaluate_throughput(expectation: ExpectationPlan, evidence: Evidence) -> Iterator[Verdict]:
    """One verdict for the load; bounds are ratios. `expectation.phases` is (phase, baseline)."""
    load, (phase, baseline) = str(expectation.load), expectation.phases
    rates = [work_per_s(evidence.tasks(load, name)) for name in (phase, baseline)]
    doubts = join_reasons(
        doubt for name in (phase, baseline) for doubt in doubt_throughput(evidence, load, name)
    )
    found = Finding(Outcome.UNDECIDED, _observe(*rates), doubts) if doubts else _decide(expectation, *rates)
    idle = render_idle_tasks(evidence.tasks(load, phase))
    observed = join_reasons(filter(None, (found.observed, idle)))
    yield Verdict(found.outcome, expectation.text, f"load {load}", phase, observed, found.reason)


def doubt_throughput(evidence: Evidence, load: str, phase: str) -> tuple[str, ...]:
    """Doubts about the phase, else tasks that were not seen: a sum over fewer tasks is not comparable."""
    doubts = evidence.work_doubts(phase)
    if doubts:
        return doubts
    tasks = evidence.tasks(load, phase)
    if not tasks:
        return (f"no task of {load} was seen in phase {phase}",)
    seen = {(task.node, task.task) for task in tasks if task.elapsed_ns > 0}
    return tuple(
        f"{load} task {task} on {node} was not seen in phase {phase}"
        for node, task in evidence.planned_tasks(load)
        if (node, task) not in seen
    )


def _observe(rate: float, baseline_rate: float) -> str:
    rates = f"{rate:.1f}/s over {baseline_rate:.1f}/s"
    return f"{rate / baseline_rate:.2f} ({rates})" if baseline_rate > 0 else rates


def _decide(expectation: ExpectationPlan, rate: float, baseline_rate: float) -> Finding:
    observed = _observe(rate, baseline_rate)
    if baseline_rate <= 0:
        return Finding(Outcome.UNDECIDED, observed, f"no work was done in phase {expectation.phases[1]}")
    return evaluate_value(rate / baseline_rate, expectation, observed)
