# SPDX-License-Identifier: GPL-2.0-only
"""Measurements, looked up by name, and what speaks against trusting them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lab.measure.windows import (
    DISAGREEMENT_PREFIX,
    Folding,
    LoadResult,
    Measurements,
    PhaseWindow,
    ScheduleWindow,
    TaskWindow,
    VcpuWindow,
)
from lab.plan.labplan import LabPlan
from lab.plan.predicting import predictions, with_times

if TYPE_CHECKING:  # as for lab.measure.windows
    from lab.trace.summary import PhaseTrace, VcpuPreemptions


def join_reasons(reasons: Iterable[str]) -> str:
    """`reasons` as one text, each once, in order of first appearance."""
    return "; ".join(dict.fromkeys(reasons))


def _as_it_was_kept(plan: LabPlan, schedules: Sequence[ScheduleWindow]) -> LabPlan:
    """`plan` with the times at which changes were really made: in the middle of making them."""
    times = {
        one.phase: {moment.at_ns: (moment.begun_ns + moment.done_ns) // 2 for moment in one.moments}
        for one in schedules
    }
    return with_times(plan, times) if times else plan


class Evidence:
    """Measurements of one lab, indexed: a look-up costs the same for two guests as for a thousand."""

    def __init__(self, plan: LabPlan, measurements: Measurements) -> None:
        self.plan = plan
        self.measurements = measurements
        self._predicted = predictions(_as_it_was_kept(plan, measurements.schedules))
        self._nodes = {node.name: node for node in plan.nodes}
        self._phases = {window.phase: window for window in measurements.phases}
        self._vcpus = {(window.node, window.vcpu, window.phase): window for window in measurements.vcpus}
        self._tasks: defaultdict[tuple[str, str], list[TaskWindow]] = defaultdict(list)
        for task in measurements.tasks:
            self._tasks[task.load, task.phase].append(task)
        self._load_results: defaultdict[str, list[LoadResult]] = defaultdict(list)
        for result in measurements.load_results:
            self._load_results[result.phase].append(result)
        self._traces = {trace.phase: trace for trace in measurements.traces}
        self._traced = {
            (one.node, one.vcpu, trace.phase): one for trace in measurements.traces for one in trace.vcpus
        }
        self._affinities = {(one.node, one.load, one.task): one.affinities for one in measurements.affinities}

    def planned_vcpus(self, node: str) -> tuple[int, ...]:
        """The vCPUs that `node` was to have; KeyError where the plan has no such node."""
        return tuple(planned.vcpu for planned in self._nodes[node].vcpus)

    def phase(self, phase: str) -> PhaseWindow | None:
        """The window of `phase`; None where it was not measured."""
        return self._phases.get(phase)

    def predicted_steal(self, phase: str) -> dict[tuple[str, int], float | None]:
        """What was predicted for `phase`, by node and vCPU: None where a vCPU is idle; empty where nothing was.

        A schedule counts as it was kept: how late its changes were is told apart from what they led to.
        """
        return self._predicted.get(phase, {})

    def vcpu(self, node: str, vcpu: int, phase: str) -> VcpuWindow | None:
        """The window of one vCPU; None where it was not seen."""
        return self._vcpus.get((node, vcpu, phase))

    def trace(self, phase: str) -> PhaseTrace | None:
        """What the traces of `phase` come to; None where it was not traced."""
        return self._traces.get(phase)

    def traced(self, node: str, vcpu: int, phase: str) -> VcpuPreemptions | None:
        """What they say of one vCPU; None where it is not in them."""
        return self._traced.get((node, vcpu, phase))

    def tasks(self, load: str, phase: str) -> tuple[TaskWindow, ...]:
        """The windows of all tasks of `load` in `phase`, in the order in which they were measured."""
        return tuple(self._tasks.get((load, phase), ()))

    def load_results(self, phase: str) -> tuple[LoadResult, ...]:
        """What loads that ended in `phase` came to, on all nodes."""
        return tuple(self._load_results.get(phase, ()))

    def first_affinity(self, node: str, load: str, task: int) -> str | None:
        """The affinity (cpulist text) that a task was first seen with; None where it was never seen."""
        return next(iter(self._affinities.get((node, load, task), ())), None)

    def foldings(self, phase: str) -> tuple[Folding, ...]:
        """What was folded at the beginning of `phase`."""
        return tuple(one for one in self.measurements.foldings if one.phase == phase)

    def planned_tasks(self, load: str) -> tuple[tuple[str, int], ...]:
        """(node, task) of every task that `load` was to have."""
        return tuple(
            (planned.node, task)
            for planned in self.plan.loads
            if planned.name == load
            for task in range(planned.tasks)
        )

    def phase_doubts(self, phase: str, *, ignore_disagreement: bool = False) -> tuple[str, ...]:
        """Why nothing measured in `phase` may count; empty where it may."""
        window = self.phase(phase)
        if window is None:
            return (f"phase {phase} was not measured",)
        return _chosen(window.doubts, ignore_disagreement)

    def skipped(self, phase: str) -> tuple[str, ...]:
        """Why `phase` is not the phase that was asked for; empty where it is."""
        window = self.phase(phase)
        return () if window is None else window.skipped

    def work_doubts(self, phase: str) -> tuple[str, ...]:
        """Why work per second in `phase` may not count: all that speaks against the phase, and more."""
        window = self.phase(phase)
        return self.phase_doubts(phase) + (() if window is None else window.work_doubts)

    def vcpu_doubts(
        self, node: str, vcpu: int, phase: str, *, ignore_disagreement: bool = False
    ) -> tuple[str, ...]:
        """Why nothing measured on this vCPU in `phase` may count: doubts about the phase, then its own."""
        doubts = self.phase_doubts(phase, ignore_disagreement=ignore_disagreement)
        window = self.vcpu(node, vcpu, phase)
        if window is not None:
            return doubts + _chosen(window.doubts, ignore_disagreement) + _emptiness(window)
        if self.phase(phase) is None:
            return doubts
        return (*doubts, f"{node} vcpu {vcpu} was not seen in phase {phase}")


def _chosen(doubts: tuple[str, ...], ignore_disagreement: bool) -> tuple[str, ...]:
    return tuple(
        doubt for doubt in doubts if not (ignore_disagreement and doubt.startswith(DISAGREEMENT_PREFIX))
    )


def _emptiness(window: VcpuWindow) -> tuple[str, ...]:
    return () if window.elapsed_ns > 0 else ("the window is empty",)
