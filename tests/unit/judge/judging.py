# SPDX-License-Identifier: GPL-2.0-only
"""Small plans and measurements for tests of the judge: the shape of the quickstart topology."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lab.judge.evaluate import judge
from lab.judge.verdict import Verdict
from lab.measure.windows import (
    ClockMatch,
    Measurements,
    PhaseWindow,
    TaskAffinity,
    TaskWindow,
    VcpuWindow,
)
from lab.plan.facts import HostFacts
from lab.plan.labplan import (
    ExpectationPlan,
    LabPlan,
    LoadPlan,
    MeasurePlan,
    NetworkPlan,
    NodePlan,
    PhasePlan,
    VcpuPlan,
)

SECOND_NS = 1_000_000_000
WINDOW_NS = 20 * SECOND_NS
NODES = ("guest1", "guest2")
VCPUS = tuple((node, vcpu) for node in NODES for vcpu in (0, 1))
PHASES = ("contended", "folded")


def make_node(name: str, vcpus: int = 2) -> NodePlan:
    """A guest whose vCPU i is pinned to pCPU i."""
    return NodePlan(
        name=name,
        domain=f"lab-{name}",
        kernel="paravirt",
        memory_mib=256,
        vcpus=tuple(VcpuPlan(vcpu, (vcpu,), 50.0) for vcpu in range(vcpus)),
        emulator_pcpus=(0,),
        sockets=1,
        cores=vcpus,
        threads=1,
        numa=(),
        weight=100,
        quota_pct=None,
        address="10.0.0.2",
        mac="52:54:00:00:00:01",
    )


def make_plan(
    *expectations: ExpectationPlan,
    nodes: Sequence[str] = NODES,
    phases: Sequence[str] = PHASES,
    disagreement_pct: float = 2.0,
) -> LabPlan:
    """Two guests with two vCPUs and two busy tasks each, two phases, and the expectations given."""
    return LabPlan(
        name="quickstart",
        lab_id="lab-1234",
        host=HostFacts("nested", (0, 1), 4096, True),
        pcpus=(0, 1),
        housekeeping=(0, 1),
        overcommit=2.0,
        kernels=(),
        artifacts=(),
        network=NetworkPlan("net", "br", "10.0.0.1", 24),
        nodes=tuple(make_node(name) for name in nodes),
        knobs=(),
        loads=tuple(LoadPlan("busy", node, "spin", 2, ()) for node in nodes),
        phases=tuple(PhasePlan(name, WINDOW_NS, 2 * SECOND_NS, (), (), ()) for name in phases),
        measure=MeasurePlan(100, disagreement_pct),
        expectations=expectations,
    )


def make_vcpu(
    node: str = "guest1",
    vcpu: int = 0,
    phase: str = "contended",
    *,
    guest_pct: float | None = 49.8,
    host_pct: float | None = 50.1,
    doubts: tuple[str, ...] = (),
) -> VcpuWindow:
    """A vCPU over 20 s with the steal given for each side."""
    return VcpuWindow(
        node=node,
        vcpu=vcpu,
        phase=phase,
        elapsed_ns=WINDOW_NS,
        guest_steal_ns=_share_ns(guest_pct),
        host_delay_ns=_share_ns(host_pct),
        host_run_ns=_share_ns(None if host_pct is None else 100 - host_pct),
        slices=5000,
        voluntary_switches=20,
        involuntary_switches=2400,
        kvm_preemption_reported=2000,
        kvm_preemption_other=400,
        doubts=doubts,
    )


def _share_ns(pct: float | None) -> int | None:
    return None if pct is None else round(WINDOW_NS * pct / 100)


def make_task(
    node: str = "guest1", task: int = 0, phase: str = "contended", *, work: int = 6000
) -> TaskWindow:
    """A busy task over 20 s."""
    return TaskWindow(node, "busy", task, phase, WINDOW_NS, work, (task,))


def make_measurements() -> Measurements:
    """All is well: half the time stolen in `contended`, hardly any in `folded`, the same work in both."""
    steal = {"contended": (49.8, 50.1), "folded": (0.3, 0.4)}
    return Measurements(
        phases=(
            PhaseWindow("contended", 0, WINDOW_NS),
            PhaseWindow("folded", 2 * WINDOW_NS, 3 * WINDOW_NS),
        ),
        vcpus=tuple(
            make_vcpu(node, vcpu, phase, guest_pct=steal[phase][0], host_pct=steal[phase][1])
            for phase in PHASES
            for node, vcpu in VCPUS
        ),
        tasks=tuple(make_task(node, task, phase) for phase in PHASES for node in NODES for task in (0, 1)),
        affinities=tuple(TaskAffinity(node, "busy", task, ("0-1",)) for node in NODES for task in (0, 1)),
        clocks=tuple(ClockMatch(node, 1234, 56) for node in NODES),
    )


def with_vcpu(measurements: Measurements, window: VcpuWindow) -> Measurements:
    """`measurements` in which `window` stands in place of the one of the same vCPU and phase."""
    key = (window.node, window.vcpu, window.phase)
    vcpus = tuple(window if (old.node, old.vcpu, old.phase) == key else old for old in measurements.vcpus)
    return replace(measurements, vcpus=vcpus)


def with_phase_doubt(measurements: Measurements, phase: str, doubt: str) -> Measurements:
    """`measurements` in which `phase` is doubted."""
    phases = tuple(
        replace(window, doubts=(*window.doubts, doubt)) if window.phase == phase else window
        for window in measurements.phases
    )
    return replace(measurements, phases=phases)


def only_verdict(expectation: ExpectationPlan, measurements: Measurements, **plan: float) -> Verdict:
    """The verdict on an expectation that has exactly one."""
    (verdict,) = judge(make_plan(expectation, **plan), measurements).verdicts  # type: ignore[arg-type]
    return verdict


def expect_steal(
    minimum: float | None = None,
    maximum: float | None = None,
    *,
    targets: Sequence[tuple[str, int]] = (("guest1", 0),),
    phase: str = "contended",
) -> ExpectationPlan:
    """A steal expectation, by default on one vCPU."""
    return ExpectationPlan("steal", "steal", tuple(targets), (phase,), minimum=minimum, maximum=maximum)
