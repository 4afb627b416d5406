# SPDX-License-Identifier: GPL-2.0-only
"""Measured values that a test compares by itself: honest about both sides, and about what cannot be told."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from lab.errors import UndecidedError
from lab.judge.evidence import Evidence, join_reasons
from lab.judge.measuredtrace import TracedVcpu
from lab.judge.metrics import phase_metrics
from lab.judge.pervcpu import missing_sides, render_side, render_sides
from lab.judge.preemptions import COUNTERS, per_second
from lab.judge.throughput import doubt_throughput, work_per_s
from lab.judge.traced import vcpu_trace_doubts
from lab.measure.windows import VcpuWindow
from lab.plan.labplan import PhasePlan

Compare = Callable[[float, float], bool]


@dataclass(frozen=True, eq=False)
class Steal:
    """Steal of one vCPU in one phase, in per cent of elapsed time, on both sides of the VM boundary.

    `steal < 5` holds if both sides are below 5, and does not hold if neither is. Where the sides lie on
    different sides of the bound, or the window is doubted, the comparison raises UndecidedError: the
    measurement can neither pass nor fail a test. `==` with a number raises TypeError, since two measured
    numbers are never equal to it.
    """

    window: VcpuWindow
    predicted_pct: float | None
    doubts: tuple[str, ...] = ()
    console_tail: str = ""

    @property
    def guest_pct(self) -> float | None:
        """As the guest counted it; None where it was not seen."""
        return self.window.guest_steal_pct

    @property
    def host_pct(self) -> float | None:
        """The run delay of the vCPU's thread on the host; None where it was not seen."""
        return self.window.host_steal_pct

    @property
    def disagreement_pct(self) -> float | None:
        """|guest - host|; None where one side is missing."""
        return self.window.disagreement_pct

    def __lt__(self, other: float | Steal) -> bool:
        return self._compare(operator.lt, "<", other)

    def __le__(self, other: float | Steal) -> bool:
        return self._compare(operator.le, "<=", other)

    def __gt__(self, other: float | Steal) -> bool:
        return self._compare(operator.gt, ">", other)

    def __ge__(self, other: float | Steal) -> bool:
        return self._compare(operator.ge, ">=", other)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, int | float):
            raise TypeError("steal is measured on two sides and equals no number: compare it with < <= > >=")
        return self is other

    __hash__ = object.__hash__

    def sides(self) -> tuple[float, float]:
        """(guest, host). Raises UndecidedError if they must not count."""
        guest, host = self.guest_pct, self.host_pct
        reasons = (*self.doubts, missing_sides(self.window))
        if any(reasons) or guest is None or host is None:
            raise UndecidedError(f"{self}: {join_reasons(filter(None, reasons))}")
        return guest, host

    def _compare(self, compare: Compare, sign: str, other: float | Steal) -> bool:
        if not isinstance(other, int | float | Steal):
            return NotImplemented
        bounds = other.sides() if isinstance(other, Steal) else (float(other), float(other))
        held = {compare(side, bound) for side, bound in zip(self.sides(), bounds, strict=True)}
        if len(held) == 2:
            raise UndecidedError(f"{self} {sign} {other}: holds on one side of the VM boundary only")
        return held.pop()

    def __str__(self) -> str:
        where = f"steal of {self.window.node} vcpu {self.window.vcpu} in phase {self.window.phase}"
        return f"{where}: {render_sides(self.window)}"

    __repr__ = __str__

    def explain(self) -> tuple[str, ...]:
        """Lines for a failed assertion: both sides, what was predicted, and how the guest's console ends."""
        return tuple(self._explain())

    def _explain(self) -> Iterator[str]:
        yield str(self)
        yield f"predicted with all load running: {render_side(self.predicted_pct)}"
        if self.disagreement_pct is not None:
            yield f"the sides are {self.disagreement_pct:.2f} % apart"
        if self.console_tail:
            yield f"the console of {self.window.node} ends:"
            yield from (f"  {line}" for line in self.console_tail.splitlines())


@dataclass(frozen=True)
class Preemptions:
    """How often one vCPU was taken off its pCPU, per second; None where this host does not count it."""

    involuntary_switches: float | None
    slices: float | None
    kvm_preemption_reported: float | None
    kvm_preemption_other: float | None


@dataclass(frozen=True)
class MeasuredPhase:
    """One measured window. `console_tails` are how the consoles of the nodes ended at its end."""

    name: str
    evidence: Evidence
    console_tails: Mapping[str, str]

    @property
    def steals(self) -> tuple[Steal, ...]:
        """Steal of every vCPU of every node."""
        plan = self.evidence.plan
        return tuple(self.steal(node.name, one.vcpu) for node in plan.nodes for one in node.vcpus)

    def steal(self, node: str, vcpu: int) -> Steal:
        """Steal of one vCPU. Raises KeyError where the plan has no such vCPU."""
        planned = {one.vcpu: one for one in self.evidence.plan.node(node).vcpus}[vcpu]
        window = self.evidence.vcpu(node, vcpu, self.name)
        return Steal(
            window or VcpuWindow(node, vcpu, self.name, 0, None, None, None),
            planned.predicted_steal_pct,
            self.evidence.vcpu_doubts(node, vcpu, self.name),
            self.console_tails.get(node, ""),
        )

    def throughput(self, load: str) -> float:
        """Work units per second, summed over the load's tasks. Raises UndecidedError where one was not seen."""
        doubts = doubt_throughput(self.evidence, load, self.name)
        if doubts:
            raise UndecidedError(f"throughput of {load} in phase {self.name}: {join_reasons(doubts)}")
        return work_per_s(self.evidence.tasks(load, self.name))

    def reported(self, load: str, metric: str) -> float:
        """A figure that a load reported of itself, over all of its guests.

        Raises UndecidedError where it did not, or where that is doubted.
        """
        planned = PhasePlan(self.name, 0, 0, (), (), ())
        values = phase_metrics(self.evidence, planned)
        found = next((one for one in values if one.metric == f"{load}.{metric}"), None)
        doubts = found.doubts if found else (f"{load} reported no {metric}",)
        if found is None or doubts:
            raise UndecidedError(f"{metric} of {load} in phase {self.name}: {join_reasons(doubts)}")
        return found.value

    def preemptions(self, node: str, vcpu: int) -> Preemptions:
        """Preemptions of one vCPU. Raises UndecidedError where the window is doubted."""
        window, doubts = self.steal(node, vcpu).window, self.evidence.vcpu_doubts(node, vcpu, self.name)
        if doubts:
            raise UndecidedError(
                f"preemptions of {node} vcpu {vcpu} in phase {self.name}: {join_reasons(doubts)}"
            )
        return Preemptions(
            **{name: per_second(read(window), window.elapsed_ns) for name, read in COUNTERS.items()}
        )

    def preempted(self, node: str, vcpu: int) -> TracedVcpu:
        """Preemptions of one vCPU one by one. Raises UndecidedError where the phase was not traced, or that is
        doubted."""
        seen = self.evidence.traced(node, vcpu, self.name)
        doubts = join_reasons(vcpu_trace_doubts(self.evidence, node, vcpu, self.name))
        if doubts or seen is None:
            raise UndecidedError(f"preemptions of {node} vcpu {vcpu} in phase {self.name}: {doubts}")
        return TracedVcpu(seen)

    def affinities(self, load: str) -> Mapping[tuple[str, int], tuple[str, ...]]:
        """By (node, task): every affinity (cpulist text) that the task was seen with since its start."""
        seen = self.evidence.measurements.affinities
        return {(one.node, one.task): one.affinities for one in seen if one.load == load}
