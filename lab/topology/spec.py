# SPDX-License-Identifier: GPL-2.0-only
"""Models of a topology file, version 1.

These models are the only description of the format: the loader (`decode`), the JSON schema (`schema`) and
the editors' help are all made from them. A field's description is what a user reads. Unknown keys are
errors. Quantities are text with a unit (``20s``, ``256MiB``, ``50%``) and become plain numbers whose name or
type says the unit; see `lab.units`.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, model_validator

from lab.knobs.spec import KnobName, KnobSpec
from lab.loads.spec import KindName, LoadKindSpec
from lab.topology.armspec import ArmSpec, InArm, RepeatsSpec
from lab.topology.atoms import FOLD_MECHANISMS as FOLD_MECHANISMS
from lab.topology.atoms import NAME_PATTERN as NAME_PATTERN
from lab.topology.atoms import NAME_RULE as NAME_RULE
from lab.topology.atoms import (
    Cpulist,
    DurationNs,
    LoadName,
    Name,
    NodeGlob,
    OfVcpus,
    Percent,
    PhaseName,
    PinningPolicy,
    SizeMib,
    Spec,
    exactly_one,
)
from lab.topology.atoms import FoldMechanism as FoldMechanism
from lab.topology.changespec import FoldSpec as FoldSpec
from lab.topology.changespec import KnobSetSpec as KnobSetSpec
from lab.topology.comparespec import CompareExpectation
from lab.topology.contentionspec import (
    HogSpec,
    PhaseContentionSpec,
    PredictionExpectation,
    ScheduleSpec,
)
from lab.topology.findingspec import AllowFindingSpec as AllowFindingSpec
from lab.topology.governspec import DecisionsExpectation, GovernorExpectation, GovernSpec
from lab.topology.loadspec import LoadSpec as LoadSpec
from lab.topology.reportspec import ReportedExpectation
from lab.topology.selftestspec import SelftestsExpectation
from lab.topology.tracedspec import (
    TRACED_KINDS,
    DirectedYieldExpectation,
    FairnessExpectation,
    PhysicsExpectation,
    PreemptedByExpectation,
    PreemptedExpectation,
    PreemptedWhileExpectation,
    WakeupLatencyExpectation,
)
from lab.topology.tracespec import TRACE_DESCRIPTION, Trace


class HostSpec(Spec):
    """Where the guests run and which physical CPUs the lab may use."""

    where: str = Field(
        "auto",
        pattern=r"^(auto|local|nested|ssh://[^\s]+)$",
        description="auto, local (this machine's libvirt), nested (a host VM the lab owns) or ssh://user@host",
    )
    pcpus: Cpulist | None = Field(
        None, description="pCPUs that vCPUs are pinned onto; default: all that are not for housekeeping"
    )
    housekeeping: Cpulist | None = Field(
        None,
        description="pCPUs for emulator and I/O threads; default: the last one, where three or more",
    )

    @model_validator(mode="after")
    def _disjoint(self) -> HostSpec:
        both = set(self.pcpus or ()) & set(self.housekeeping or ())
        if both:
            raise ValueError(f"pCPU {min(both)} stands in both pcpus and housekeeping")
        return self


class KernelSourceSpec(Spec):
    """Where a kernel comes from: exactly one of debian, tarball, tree, image."""

    debian: str | None = Field(
        None, pattern=r"^\d+\.\d+$", description="version of Debian's linux-source-X.Y package: '6.12'"
    )
    tarball: str | None = Field(None, description="path of a kernel source tarball")
    tree: str | None = Field(None, description="path of a source directory or git tree")
    ref: str | None = Field(None, description="git ref to build, with tree")
    image: str | None = Field(None, description="path of a ready bzImage or vmlinux: nothing is built")

    @model_validator(mode="after")
    def _one_source(self) -> KernelSourceSpec:
        exactly_one(self, ("debian", "tarball", "tree", "image"))
        if self.ref is not None and self.tree is None:
            raise ValueError("ref needs tree")
        return self


class KernelSpec(Spec):
    """A kernel: source, patches in order, config fragments, command line."""

    source: KernelSourceSpec
    patches: tuple[str, ...] = Field(
        (), description="a shipped series by name, a directory with a `series` file, a patch file, or an mbox"
    )
    config: tuple[str, ...] = Field(
        (), description="config fragments on top of the lab's own, checked to have stuck"
    )
    cmdline: str = Field("", description="appended to the kernel's command line")
    debug_info: bool = Field(
        False, description="built with debug information (DWARF): stacks are decoded to files and lines"
    )

    @model_validator(mode="after")
    def _image_is_ready(self) -> KernelSpec:
        if self.source.image is not None and (self.patches or self.config):
            raise ValueError("a ready image takes no patches and no config")
        if self.source.image is not None and self.debug_info:
            raise ValueError("a ready image is not built, so debug_info is not for it")
        return self


class CpuTopologySpec(Spec):
    """Virtual CPU topology; sockets x cores x threads must be the number of vCPUs."""

    sockets: int = Field(1, ge=1, description="sockets of the guest")
    cores: int = Field(1, ge=1, description="cores of a socket")
    threads: int = Field(1, ge=1, description="hardware threads of a core")


class NumaCellSpec(Spec):
    """One virtual NUMA node of a guest."""

    vcpus: Cpulist = Field(description="its vCPUs; those of all cells are the guest's")
    memory: SizeMib = Field(description="its memory; that of all cells is the guest's")


class NodeFields(Spec):
    """What a node may say; every field may also stand under `defaults.node`."""

    vcpus: int | None = Field(None, ge=1, le=256, description="number of vCPUs (default 1)")
    memory: SizeMib | None = Field(None, description="guest memory (default 256MiB)")
    kernel: str | None = Field(None, description="name out of `kernels`; default: the only one")
    pinning: PinningPolicy | tuple[Cpulist, ...] | None = Field(
        None,
        description="how vCPUs are pinned; spread: vCPU i of every guest on pCPU i (modulo); shift: vCPU i of the "
        "k-th guest so pinned on pCPU i + k; stack: all vCPUs of a guest on one pCPU, guests in turn; smt-stack: "
        "all vCPUs of a guest on the siblings of one core, guests in turn; numa-split: the vCPUs of each of the "
        "guest's NUMA cells on a NUMA node of the host of their own; or one cpulist per vCPU",
    )
    topology: CpuTopologySpec | None = None
    numa: tuple[NumaCellSpec, ...] | None = None
    weight: int | None = Field(
        None, ge=1, le=10_000, description="CPU weight of the guest (cgroup v2; default 100)"
    )
    quota: Percent | None = Field(None, description="at most this share of a pCPU for each vCPU")


class NodeSpec(NodeFields):
    """A guest, or `count` equal guests named NAME1, NAME2, ..."""

    name: Name = Field(description="the node's name, and its guest's host name")
    count: int | None = Field(
        None, ge=1, le=10_000, description="so many equal guests; their names get a number behind"
    )


class DefaultsSpec(Spec):
    """Values for whatever a node does not say itself."""

    node: NodeFields = Field(default_factory=NodeFields)


class PhaseSpec(Spec):
    """A stretch of time: changes at its start, then `settle`, then a measured window of `duration`."""

    name: Name = Field(description="what expectations and tables call it")
    duration: DurationNs = Field(description="length of the measured window")
    settle: DurationNs = Field(
        2_000_000_000,
        validate_default=False,
        description="time after the changes that is left out before the window",
    )
    set: tuple[KnobSetSpec, ...] = Field((), description="knobs changed at the start of the phase")
    fold: tuple[FoldSpec, ...] = Field((), description="vCPUs folded at the start of the phase, after `set`")
    govern: tuple[GovernSpec, ...] = Field(
        (),
        description="governors while the phase settles and is measured; what they folded stays for the next "
        "phase if that has one for the node, too",
    )
    contention: tuple[PhaseContentionSpec, ...] = Field(
        (),
        description="weights, quotas and pins of guests and duties of hogs changed at the start of the phase; they "
        "stay so, and what the schedule of a phase changes does, too",
    )
    start: tuple[str, ...] = Field((), description="loads and hogs started at the start of the phase")
    stop: tuple[str, ...] = Field((), description="loads and hogs stopped at the start of the phase")
    schedule: tuple[ScheduleSpec, ...] = Field(
        (), description="changes of contention while the phase is measured"
    )
    until: tuple[str, ...] = Field(
        (),
        description="the window ends when these loads have ended, after `duration` at the latest; those of them "
        "that the phase starts begin together with the window",
    )
    trace: Trace | None = Field(None, description=TRACE_DESCRIPTION)


class StealExpectation(InArm):
    """Steal of every matching vCPU in the phase, in per cent of elapsed time, seen from both sides."""

    nodes: NodeGlob = "*"
    vcpus: OfVcpus = None
    phase: PhaseName
    min: Percent | None = Field(None, description="least steal, of elapsed time")
    max: Percent | None = Field(None, description="most steal, of elapsed time")


class AgreementExpectation(InArm):
    """Guest steal and host run delay of each vCPU differ by at most `max` per cent of the window."""

    nodes: NodeGlob = "*"
    phase: str | None = Field(None, description="default: every phase")
    max: Percent = Field(description="of the window")


class ThroughputExpectation(InArm):
    """Work per second of a load, summed over guests, in `phase` over that in `baseline`."""

    load: LoadName
    phase: PhaseName
    baseline: str = Field(description="the phase that it is compared with")
    min: float | None = Field(None, ge=0, description="ratio: 0.95 for at most 5 % less")
    max: float | None = Field(None, ge=0, description="ratio: 1.05 for at most 5 % more")


class AffinityExpectation(InArm):
    """The affinity of a load's tasks is the same from its start to the end, or as it was at first in a phase."""

    load: LoadName
    phase: str | None = Field(None, description="default: from start to end")


class PhaseAffinityExpectation(InArm):
    """The affinity of every task of a load in a phase is the one it was first seen with, or is another."""

    load: LoadName
    phase: PhaseName
    unchanged: bool = Field(True, description="false: every task has another affinity than at first")


class FoldEffectExpectation(InArm):
    """Folded vCPUs are quiet on the host, for good, at most `max` after the fold was written."""

    nodes: NodeGlob = "*"
    phase: str = Field(description="the phase at whose start they are folded")
    max: DurationNs = Field(description="from the write to the vCPUs' being quiet")


class HostShareExpectation(InArm):
    """Run time of each matching node on the host in the phase, over that of node `of`."""

    nodes: NodeGlob = "*"
    phase: PhaseName
    of: str = Field(description="the node whose run time is 1.0")
    min: float | None = Field(None, ge=0, description="ratio of run times")
    max: float | None = Field(None, ge=0, description="ratio of run times")


class PreemptionExpectation(InArm):
    """A preemption counter of every matching vCPU in the phase, per second of elapsed time.

    `involuntary_switches` and `slices` are of the vCPU's thread; `kvm_preemption_reported` and
    `kvm_preemption_other` are KVM's own statistics.
    """

    counter: Literal["involuntary_switches", "slices", "kvm_preemption_reported", "kvm_preemption_other"] = (
        Field(description="what is counted")
    )
    nodes: NodeGlob = "*"
    vcpus: OfVcpus = None
    phase: PhaseName
    min_per_s: float | None = Field(None, ge=0, description="least number a second, of each vCPU")
    max_per_s: float | None = Field(None, ge=0, description="greatest number a second, of each vCPU")


#: The kinds of expectation, by the key that introduces each.
EXPECTATION_KINDS = (
    "steal",
    "agreement",
    "throughput",
    "reported",
    "selftests",
    "affinity_unchanged",
    "affinity",
    "fold_effect",
    "host_share",
    "preemptions",
    "governor",
    "decisions_match",
    "prediction",
    "compare",
    *TRACED_KINDS,
)


class ExpectationSpec(Spec):
    """One expectation: exactly one of the keys."""

    steal: StealExpectation | None = None
    agreement: AgreementExpectation | None = None
    throughput: ThroughputExpectation | None = None
    reported: ReportedExpectation | None = None
    selftests: SelftestsExpectation | None = None
    affinity_unchanged: AffinityExpectation | None = None
    affinity: PhaseAffinityExpectation | None = None
    fold_effect: FoldEffectExpectation | None = None
    host_share: HostShareExpectation | None = None
    preemptions: PreemptionExpectation | None = None
    governor: GovernorExpectation | None = None
    decisions_match: DecisionsExpectation | None = None
    prediction: PredictionExpectation | None = None
    compare: CompareExpectation | None = None
    preempted: PreemptedExpectation | None = None
    wakeup_latency: WakeupLatencyExpectation | None = None
    preempted_while: PreemptedWhileExpectation | None = None
    preempted_by: PreemptedByExpectation | None = None
    directed_yield: DirectedYieldExpectation | None = None
    fairness: FairnessExpectation | None = None
    physics: PhysicsExpectation | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> ExpectationSpec:
        exactly_one(self, EXPECTATION_KINDS)
        return self


class MeasureSpec(Spec):
    """How the probes sample and how much the two sides may disagree before a window is UNDECIDED."""

    interval: DurationNs = Field(
        100_000_000, validate_default=False, description="how often probes sample, 10ms to 10s"
    )
    disagreement: Percent = Field(
        2.0,
        validate_default=False,
        description="bound on |guest steal - host run delay|, per cent of the window",
    )
    watch: tuple[str, ...] | None = Field(
        None,
        description="files that guests' probes read again at each sample: knobs by name, or absolute paths; "
        "default: avoid_cpus where anything governs",
    )

    @model_validator(mode="after")
    def _sane_interval(self) -> MeasureSpec:
        if not 10_000_000 <= self.interval <= 10_000_000_000:
            raise ValueError("interval must be between 10ms and 10s")
        return self


class TopologySpec(Spec):
    """A whole topology file."""

    version: Literal[1] = Field(description="version of this format")
    name: Name = Field(description="name of the lab; recordings and reports are called by it")
    description: str = Field("", description="what the topology is for, in prose")
    host: HostSpec = Field(default_factory=HostSpec)
    kernels: dict[Name, KernelSpec] = Field(description="kernels by name")
    defaults: DefaultsSpec = Field(default_factory=DefaultsSpec)
    nodes: tuple[NodeSpec, ...] = Field(min_length=1, description="the guests")
    knob_files: tuple[str, ...] = Field(
        (), description="files of knob definitions, or directories of them, relative to this file"
    )
    knob_definitions: dict[KnobName, KnobSpec] = Field(
        default_factory=dict, description="knobs of one's own, or further places of known ones, by name"
    )
    knobs: tuple[KnobSetSpec, ...] = Field((), description="knobs set before the first phase")
    load_files: tuple[str, ...] = Field(
        (), description="files of load definitions, or directories of them, relative to this file"
    )
    load_definitions: dict[KindName, LoadKindSpec] = Field(
        default_factory=dict, description="kinds of loads of one's own, by name"
    )
    load: tuple[LoadSpec, ...] = Field((), description="work that runs inside guests")
    hogs: tuple[HogSpec, ...] = Field((), description="busy threads on the host, beside the guests")
    phases: tuple[PhaseSpec, ...] = Field((), description="what is measured, one after the other")
    trace: Trace | None = Field(None, description=TRACE_DESCRIPTION)
    arms: tuple[ArmSpec, ...] = Field(
        (),
        description="things to compare: each runs all phases, again and again, interleaved with the others",
    )
    repeats: RepeatsSpec | None = Field(None, description="how often each arm runs, and in which order")
    measure: MeasureSpec = Field(default_factory=MeasureSpec)
    expect: tuple[ExpectationSpec, ...] = Field((), description="what is judged in the end")
    allow_findings: tuple[AllowFindingSpec, ...] = Field(
        (), description="what guests' kernels may report on their consoles; anything else fails the run"
    )


def is_knob_path(knob: str) -> bool:
    """Whether a knob is named by its absolute path in the guest rather than by a registered name."""
    return re.fullmatch(r"/[^\s]*", knob) is not None


def value_text(value: str | int | bool) -> str:
    """A knob's value as text; booleans as YAML writes them."""
    return str(value).lower() if isinstance(value, bool) else str(value)
