# SPDX-License-Identifier: GPL-2.0-only
"""What of each phase is one number that can be compared with that of another: throughput, fairness, steal.

As the kernel list does it, the work of a load is summed over guests. How evenly it is shared among them is
Jain's index.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from lab.judge.evidence import Evidence
from lab.judge.throughput import doubt_throughput, work_per_s
from lab.measure.windows import LoadResult
from lab.plan.labplan import LabPlan, LoadMetricPlan, LoadPlan, PhasePlan
from lab.stats.compare import Better
from lab.stats.fairness import jain_index

#: The mean over busy vCPUs, as the guests counted it.
STEAL = "steal"
THROUGHPUT = "throughput"
FAIRNESS = "fairness"


@dataclass(frozen=True)
class MetricValue:
    """One metric of one phase of the plan. Where there are `doubts`, the value must not count.

    `metric` is ``steal`` (`unit` %), or that of a load: ``LOAD.throughput`` (work/s), ``LOAD.METRIC`` in the
    unit of the load's own metric, ``LOAD.fairness`` (Jain's index over guests, 1.0 where all do the same).
    """

    phase: str
    metric: str
    unit: str
    better: Better
    value: float
    doubts: tuple[str, ...] = ()


def collect_metrics(evidence: Evidence) -> tuple[MetricValue, ...]:
    """Every metric of every phase, in the plan's order.

    A load that was not seen in a phase has none there, and a phase without load has no steal of busy vCPUs.
    In a phase that is not the one that was asked for (an optional knob was missing) all are doubted.
    """
    return tuple(value for phase in evidence.plan.phases for value in phase_metrics(evidence, phase))


def phase_metrics(evidence: Evidence, phase: PhasePlan) -> Iterator[MetricValue]:
    """The metrics of one phase: those of each load in the plan's order, then steal."""
    skipped = tuple(f"skipped: {reason}" for reason in evidence.skipped(phase.name))
    by_load = _loads(evidence.plan)
    values = [*(one for name in by_load for one in _of_load(evidence, phase.name, name, by_load[name]))]
    for one in (*values, *_steal(evidence, phase)):
        yield MetricValue(one.phase, one.metric, one.unit, one.better, one.value, (*one.doubts, *skipped))


def main_metric(plan: LabPlan, load: str) -> str:
    """What is meant by how a load did: its work, or the first metric that its output has."""
    metrics = next((one.metrics for one in plan.loads if one.name == load), ())
    return f"{load}.{metrics[0].name if metrics else THROUGHPUT}"


def busy_nodes(evidence: Evidence, phase: str) -> tuple[str, ...]:
    """The guests in which a load ran in `phase`, in the plan's order."""
    loads = dict.fromkeys(load.name for load in evidence.plan.loads)
    busy = {task.node for load in loads for task in evidence.tasks(load, phase)}
    busy |= {one.node for one in evidence.load_results(phase)}
    return tuple(node.name for node in evidence.plan.nodes if node.name in busy)


def _loads(plan: LabPlan) -> dict[str, list[LoadPlan]]:
    """Each load with what it is on every node."""
    by_load: dict[str, list[LoadPlan]] = {}
    for load in plan.loads:
        by_load.setdefault(load.name, []).append(load)
    return by_load


def _of_load(evidence: Evidence, phase: str, load: str, planned: Sequence[LoadPlan]) -> Iterator[MetricValue]:
    yield from _of_tasks(evidence, phase, load)
    results = [one for one in evidence.load_results(phase) if one.load == load]
    if results:
        doubts = (*evidence.work_doubts(phase), *_result_doubts(results, planned))
        for metric in planned[0].metrics:
            yield from _of_results(phase, load, metric, results, doubts, len(planned))


def _of_tasks(evidence: Evidence, phase: str, load: str) -> Iterator[MetricValue]:
    tasks = evidence.tasks(load, phase)
    if not tasks:
        return
    doubts = doubt_throughput(evidence, load, phase)
    yield MetricValue(phase, f"{load}.{THROUGHPUT}", "work/s", "higher", work_per_s(tasks), doubts)
    nodes = dict.fromkeys(task.node for task in tasks)
    shares = [work_per_s(task for task in tasks if task.node == node) for node in nodes]
    yield from _fairness(phase, f"{load}.{FAIRNESS}", shares, doubts)


def _fairness(
    phase: str, metric: str, shares: Sequence[float], doubts: tuple[str, ...]
) -> Iterator[MetricValue]:
    """Nothing where there is one guest only: it is fair to itself."""
    index = jain_index(shares) if len(shares) > 1 else None
    if index is not None:
        yield MetricValue(phase, metric, "", "higher", index, doubts)


# ---- what loads report of themselves


def _result_doubts(results: Sequence[LoadResult], planned: Sequence[LoadPlan]) -> Iterator[str]:
    for one in results:
        yield from (f"{one.load} on {one.node}: {doubt}" for doubt in one.doubts)
    missing = {load.node for load in planned} - {one.node for one in results}
    yield from (f"{results[0].load} on {node} reported nothing" for node in sorted(missing))


def _of_results(
    phase: str,
    load: str,
    metric: LoadMetricPlan,
    results: Sequence[LoadResult],
    doubts: tuple[str, ...],
    guests: int,
) -> Iterator[MetricValue]:
    shares = _by_node(metric.name, results)
    if not shares:
        return
    name = f"{load}.{metric.name}"
    if len(shares) < guests:
        doubts = (*doubts, f"{metric.name} of {load} came from {len(shares)} of {guests} guests")
    value = _over_guests(metric, list(shares.values()))
    yield MetricValue(phase, name, metric.unit, metric.better, value, doubts)
    if metric.over_guests == "sum":
        yield from _fairness(phase, f"{name}.{FAIRNESS}", list(shares.values()), doubts)


def _by_node(metric: str, results: Iterable[LoadResult]) -> Mapping[str, float]:
    """The value of each node; the mean of several runs in one phase."""
    seen: dict[str, list[float]] = {}
    for one in results:
        for name, value in one.values:
            if name == metric:
                seen.setdefault(one.node, []).append(value)
    return {node: fmean(values) for node, values in seen.items()}


def _over_guests(metric: LoadMetricPlan, shares: Sequence[float]) -> float:
    if metric.over_guests == "sum":
        return sum(shares)
    return max(shares) if metric.over_guests == "max" else fmean(shares)


# ---- steal


def _busy_vcpus(evidence: Evidence, phase: PhasePlan) -> list[tuple[str, int]]:
    """The vCPUs that the prediction for this phase keeps busy; without one, those that all declared load
    would, in the guests in which any ran."""
    if phase.predicted:
        return [(one.node, one.vcpu) for one in phase.predicted if one.steal_pct is not None]
    nodes = busy_nodes(evidence, phase.name)
    return [
        (node.name, vcpu.vcpu)
        for node in evidence.plan.nodes
        if node.name in nodes
        for vcpu in node.vcpus
        if vcpu.predicted_steal_pct is not None
    ]


def _steal(evidence: Evidence, planned_phase: PhasePlan) -> Iterator[MetricValue]:
    phase, planned = planned_phase.name, _busy_vcpus(evidence, planned_phase)
    windows = [evidence.vcpu(node, vcpu, phase) for node, vcpu in planned]
    seen = [one.guest_steal_pct for one in windows if one is not None and one.guest_steal_pct is not None]
    if not seen:
        return
    doubts = [doubt for node, vcpu in planned for doubt in evidence.vcpu_doubts(node, vcpu, phase)]
    if len(seen) < len(planned):
        doubts.append(f"steal was counted on {len(seen)} of {len(planned)} busy vCPUs")
    yield MetricValue(phase, STEAL, "%", "lower", fmean(seen), tuple(dict.fromkeys(doubts)))
