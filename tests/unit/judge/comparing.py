# SPDX-License-Identifier: GPL-2.0-only
"""Measurements of topologies with arms, whose truth is known: so much work in each arm, phase and repeat."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from lab.judge.evidence import Evidence
from lab.measure.windows import Measurements, PhaseWindow, TaskWindow, VcpuWindow
from lab.plan.decide import plan_lab
from lab.plan.facts import HostFacts
from lab.plan.kernels import KernelCatalogue
from lab.plan.labplan import ExpectationPlan, LabPlan, PhasePlan
from lab.topology.decode import decode_topology

SECOND_NS = 1_000_000_000
WINDOW_NS = 10 * SECOND_NS

TOPOLOGY = """\
version: 1
name: matrix
host: {where: nested, pcpus: 0-1}
kernels:
  plain: {source: {debian: "6.12"}}
defaults:
  node: {vcpus: 2, pinning: spread}
nodes:
  - {name: guest, count: 4}
load:
  - {name: half, nodes: "guest[12]", tasks: 2}
  - {name: rest, nodes: "guest[34]", tasks: 2}
phases:
  - {name: two, start: [half], duration: 10s}
  - {name: four, start: [rest], duration: 10s}
arms:
  - {name: baseline}
  - {name: feature-off}
  - {name: feature-on}
repeats: {count: 6, warmup: 1, seed: 3, aa: true}
"""

Speed = Callable[[PhasePlan, str], float]
Arms = Mapping[str, float]


def plan_arms(text: str = TOPOLOGY, *expectations: ExpectationPlan) -> LabPlan:
    """The plan of a topology on an emulated host of two pCPUs."""
    topology = decode_topology(text, Path("/lab/matrix.yaml"))
    facts = HostFacts("nested", (0, 1), 4096, emulated=True)
    plan = plan_lab(topology, facts, "cafe02", KernelCatalogue(Path("/lab"), {}, (), (), ()))
    return replace(plan, expectations=(*plan.expectations, *expectations))


def arm_speed(arms: Arms, noise: float = 0.01, seed: int = 1, drift: float = 0.0) -> Speed:
    """Work per second of a guest: 1000 times what `arms` say, noisy per phase, drifting from repeat to repeat."""
    random_ = random.Random(seed)
    luck: dict[str, float] = {}

    def speed(phase: PhasePlan, _node: str) -> float:
        factor = luck.setdefault(phase.name, random_.gauss(1, noise))
        return 1000 * arms.get(str(phase.arm), 1.0) * factor * (1 + drift * phase.repeat)

    return speed


def measure_arms(
    plan: LabPlan,
    speed: Speed,
    *,
    steal_pct: Speed = lambda _phase, _node: 50.0,
    doubts: Mapping[str, tuple[str, ...]] | None = None,
    missing: tuple[str, ...] = (),
) -> Measurements:
    """What a run of `plan` measures. Phases named in `missing` were never reached; `doubts` are by phase."""
    phases = [phase for phase in plan.phases if phase.name not in missing]
    return Measurements(
        phases=tuple(
            PhaseWindow(
                phase.name, place * WINDOW_NS, (place + 1) * WINDOW_NS, (doubts or {}).get(phase.name, ())
            )
            for place, phase in enumerate(phases)
        ),
        vcpus=tuple(
            _vcpu(node.name, vcpu.vcpu, phase, steal_pct(phase, node.name))
            for phase in phases
            for node in plan.nodes
            for vcpu in node.vcpus
        ),
        tasks=tuple(
            task
            for phase, running in _running(plan)
            if phase in phases
            for task in _tasks(plan, phase, running, speed)
        ),
        affinities=(),
        clocks=(),
    )


def evidence_of(plan: LabPlan, speed: Speed, **more: object) -> Evidence:
    """The evidence of such a run."""
    return Evidence(plan, measure_arms(plan, speed, **more))  # type: ignore[arg-type]


def _vcpu(node: str, vcpu: int, phase: PhasePlan, steal_pct: float) -> VcpuWindow:
    steal_ns = round(WINDOW_NS * steal_pct / 100)
    return VcpuWindow(node, vcpu, phase.name, WINDOW_NS, steal_ns, steal_ns, WINDOW_NS - steal_ns)


def _running(plan: LabPlan) -> Iterator[tuple[PhasePlan, set[str]]]:
    """Every phase with the loads that run in it: an arm begins with none."""
    running: set[str] = set()
    for phase in plan.phases:
        running = (set() if phase.fresh else running - set(phase.stop)) | set(phase.start)
        yield phase, running


def _tasks(plan: LabPlan, phase: PhasePlan, running: set[str], speed: Speed) -> list[TaskWindow]:
    return [
        TaskWindow(
            load.node,
            load.name,
            task,
            phase.name,
            WINDOW_NS,
            round(speed(phase, load.node) * WINDOW_NS / SECOND_NS / load.tasks),
            (task,),
        )
        for load in plan.loads
        if load.name in running
        for task in range(load.tasks)
    ]
