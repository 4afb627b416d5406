# SPDX-License-Identifier: GPL-2.0-only
"""Recordings of every kind to make reports of, and what a page is asked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from lxml import etree, html

from lab.judge.evaluate import judge
from lab.measure.course import VcpuCourse
from lab.measure.windows import ClockMatch, Measurements, PhaseProof, PhaseWindow, TaskWindow, VcpuWindow
from lab.plan.facts import HostFacts
from lab.plan.labplan import (
    ExpectationPlan,
    HogPlan,
    LabPlan,
    LoadPlan,
    MeasurePlan,
    NetworkPlan,
    NodePlan,
    PhasePlan,
    VcpuPlan,
)
from lab.report.compose import compose_page
from lab.report.console import Console
from lab.report.html import render_page
from lab.report.material import Material
from lab.trace.summary import HitBy, Holders, PhaseTrace, Physics, VcpuPreemptions

S = 1_000_000_000
WINDOW_NS = 10 * S
SECTIONS = (
    "verdicts",
    "run",
    "topology",
    "steal",
    "preemptions",
    "loads",
    "journal",
    "doubts",
    "others",
    "consoles",
    "environment",
    "measuring",
)


@dataclass(frozen=True)
class Happened:
    """An event as a recording has it."""

    t_ns: int
    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


def make_node(name: str, vcpus: int, pcpus: int) -> NodePlan:
    """A guest whose vCPU i is pinned to pCPU i modulo `pcpus`."""
    return NodePlan(
        name=name,
        domain=f"lab-{name}",
        kernel="plain",
        memory_mib=256,
        vcpus=tuple(VcpuPlan(vcpu, (vcpu % pcpus,), 50.0) for vcpu in range(vcpus)),
        emulator_pcpus=(pcpus,),
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
    *,
    guests: int = 2,
    vcpus: int = 2,
    phases: int = 2,
    names: str = "guest",
    bounds: tuple[float, float] = (40, 60),
) -> LabPlan:
    """`guests` with `vcpus` each share half as many pCPUs; steal is expected between `bounds` in every phase."""
    pcpus = max(1, guests * vcpus // 2)
    nodes = tuple(make_node(f"{names}{number}", vcpus, pcpus) for number in range(1, guests + 1))
    targets = tuple((node.name, one.vcpu) for node in nodes for one in node.vcpus)
    planned = tuple(PhasePlan(f"phase{number}", WINDOW_NS, S, (), (), ()) for number in range(phases))
    low, high = bounds
    expected = ExpectationPlan(
        "steal", "steal of all", targets, tuple(one.name for one in planned), minimum=low, maximum=high
    )
    return LabPlan(
        name="sample",
        lab_id="cafe01",
        host=HostFacts("nested", tuple(range(pcpus + 1)), 4096, True, kernel="6.12.1", qemu="11.1.3"),
        pcpus=tuple(range(pcpus)),
        housekeeping=(pcpus,),
        overcommit=guests * vcpus / pcpus,
        kernels=(),
        artifacts=(),
        network=NetworkPlan("net", "br", "10.0.0.1", 24),
        nodes=nodes,
        knobs=(),
        loads=tuple(LoadPlan("busy", node.name, "spin", vcpus, ()) for node in nodes),
        phases=planned,
        measure=MeasurePlan(100, 2.0),
        expectations=(expected,),
        hogs=(HogPlan("noisy", (0,), 20.0, 100_000_000, 100),),
    )


def start_ns(number: int) -> int:
    """When the window of phase `number` begins."""
    return 5 * S + number * 12 * S


def measure(plan: LabPlan, *, steal_pct: float = 50.0, measured: int | None = None) -> Measurements:
    """The first `measured` phases of `plan`, all of them by default, with the same steal everywhere."""
    phases = plan.phases[:measured]
    steal_ns = round(WINDOW_NS * steal_pct / 100)
    places = [
        (one.name, node.name, vcpu.vcpu) for one in phases for node in plan.nodes for vcpu in node.vcpus
    ]
    return Measurements(
        phases=tuple(
            PhaseWindow(one.name, start_ns(number), start_ns(number) + WINDOW_NS)
            for number, one in enumerate(phases)
        ),
        vcpus=tuple(
            VcpuWindow(node, vcpu, phase, WINDOW_NS, steal_ns, steal_ns, WINDOW_NS - steal_ns, 900, 10, 800)
            for phase, node, vcpu in places
        ),
        tasks=tuple(
            TaskWindow(node, "busy", vcpu, phase, WINDOW_NS, 6000, (vcpu,)) for phase, node, vcpu in places
        ),
        affinities=(),
        clocks=tuple(ClockMatch(node.name, 123_456_789, 1_200_000) for node in plan.nodes),
        proofs=tuple(PhaseProof(one.name, ((0, 0.4),), (1000,), (("SMT", "off"),), 0.9) for one in phases),
    )


def material_of(plan: LabPlan, measurements: Measurements, **more: Any) -> Material:
    """A recording of them, with an event for each phase and a knob that changes before it."""
    parts: dict[str, Any] = {
        "plan": plan,
        "measurements": measurements,
        "judgement": judge(plan, measurements),
        "about": {"created": "2026-01-01T00:00:00+00:00", "lab_version": "0.1.0"},
        "topology_text": "# SPDX-License-Identifier: GPL-2.0-only\n# Why?\n#\n# Because.\nname: sample\n",
        "events": tuple(events_of(measurements)),
        "courses": tuple(courses_of(plan, measurements)),
    }
    return Material(**{**parts, **more})


def events_of(measurements: Measurements) -> list[Happened]:
    """Each phase, and the write of a knob half a second before its window."""
    found = []
    for one in measurements.phases:
        knob = {"node": "guest1", "knob": "avoid_cpus", "path": "/sys/avoid", "old": "", "new": "1"}
        window = {
            "phase": one.phase,
            "start_ns": one.start_ns,
            "end_ns": one.end_ns,
            "begin_ns": one.start_ns - S,
        }
        found += [Happened(one.start_ns - S // 2, "knob", knob), Happened(one.end_ns, "phase", window)]
    return found


def courses_of(plan: LabPlan, measurements: Measurements, steps: int = 60) -> list[VcpuCourse]:
    """A wave on the guest's side, half of the time on the host's."""
    if not measurements.phases:
        return []
    low, high = start_ns(0) - S, measurements.phases[-1].end_ns
    edges = tuple(low + (high - low) * number // steps for number in range(steps + 1))
    wave = tuple(50 + 40 * math.sin(number / 5) for number in range(steps))
    return [
        VcpuCourse(node.name, one.vcpu, edges, wave, (50.0,) * steps)
        for node in plan.nodes
        for one in node.vcpus
    ]


def traced(plan: LabPlan, measurements: Measurements) -> Measurements:
    """The same with traces of its first phase."""
    lengths = np.sort(np.random.default_rng(1).exponential(4e6, 2000).astype(np.int64))
    vcpus = tuple(
        VcpuPreemptions(
            node.name,
            one.vcpu,
            plan.phases[0].name,
            WINDOW_NS,
            lengths,
            lengths[:100] // 50,
            WINDOW_NS // 2,
            WINDOW_NS // 2,
            0,
            0,
            3,
            (HitBy("hog noisy", 100, S), HitBy("guest2 vcpu 1", 1900, 3 * S)),
            Holders(1800, 12, 30, None),
        )
        for node in plan.nodes
        for one in node.vcpus
    )
    physics = (Physics("guest1", plan.phases[0].name, 1000, 0, 0, 1000),)
    trace = PhaseTrace(plan.phases[0].name, vcpus, physics, {"@host": 7}, ("7 events were lost",))
    return replace(measurements, traces=(trace,))


def page_of(material: Material) -> str:
    """The page as a file has it."""
    return render_page(compose_page(material))


def tree_of(page: str) -> etree._Element:
    """The page as a browser reads it. Fails where it is not well formed, but for what HTML allows on purpose."""
    parser = html.HTMLParser()
    tree = html.document_fromstring(page, parser=parser)
    # libxml2 knows HTML 4, and so none of the elements that came later.
    known = ("header", "nav", "main", "section", "article", "details", "summary", "svg", "g", "rect", "line")
    newer = tuple(f"Tag {name} invalid" for name in (*known, "path", "text", "title", "desc"))
    wrong = [str(one) for one in parser.error_log if not one.message.startswith(newer)]
    assert not wrong, wrong
    return tree


def table_rows(tree: etree._Element, caption: str) -> list[list[str]]:
    """The rows of the table with this caption."""
    found: Sequence[etree._Element] = tree.xpath("//table[caption[normalize-space() = $it]]", it=caption)
    (table,) = found
    return [
        ["".join(cell.itertext()).strip() for cell in row.xpath("./th | ./td")]
        for row in table.xpath("./tbody/tr")
    ]


def console(text: str, name: str = "guest1") -> Console:
    """A console."""
    return Console(name, text)
