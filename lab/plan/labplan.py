# SPDX-License-Identifier: GPL-2.0-only
"""The LabPlan: everything that will be done, as plain data that survives JSON unchanged.

`lab.plan.decide.plan_lab` makes one out of a topology and host facts; `lab.run` carries it out; a recording
keeps it, so that `lab check` judges without the topology or the host.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pydantic import TypeAdapter

from lab.knobs.model import BackendKind, Conversion, KnobKind, Registry
from lab.plan.buildplan import ArtifactPlan as ArtifactPlan
from lab.plan.buildplan import KernelPlan as KernelPlan
from lab.plan.buildplan import KernelSourcePlan as KernelSourcePlan
from lab.plan.facts import HostFacts
from lab.plan.traceplan import TracePlan as TracePlan

#: The `node` of settings that are written on the host.
HOST_SCOPE = "@host"

ExpectationKind = Literal[
    "steal",
    "agreement",
    "throughput",
    "reported",
    "selftests",
    "affinity_unchanged",
    "affinity_changed",
    "fold_effect",
    "host_share",
    "preemptions",
    "governor",
    "decisions_match",
    "compare",
    "prediction",
    "preempted",
    "wakeup_latency",
    "preempted_while",
    "preempted_by",
    "directed_yield",
    "fairness",
    "physics",
]


@dataclass(frozen=True)
class VcpuPlan:
    """One vCPU: the pCPUs it may run on and the steal predicted when all declared load runs.

    `predicted_steal_pct` is in per cent of elapsed time; None where no load keeps the vCPU busy.
    """

    vcpu: int
    pcpus: tuple[int, ...]
    predicted_steal_pct: float | None


@dataclass(frozen=True)
class NumaCellPlan:
    """One virtual NUMA node."""

    vcpus: tuple[int, ...]
    memory_mib: int


@dataclass(frozen=True)
class NodePlan:
    """One guest. `address` is its static IPv4 address, `mac` its MAC address; `domain` libvirt's name; `image` the
    root image that has all of its loads."""

    name: str
    domain: str
    kernel: str
    memory_mib: int
    vcpus: tuple[VcpuPlan, ...]
    emulator_pcpus: tuple[int, ...]
    sockets: int
    cores: int
    threads: int
    numa: tuple[NumaCellPlan, ...]
    weight: int
    quota_pct: float | None
    address: str
    mac: str
    image: str = "guest"


@dataclass(frozen=True)
class NetworkPlan:
    """The lab's own isolated network. `gateway` is the host's address in it; `prefix` its length in bits."""

    name: str
    bridge: str
    gateway: str
    prefix: int


@dataclass(frozen=True)
class KnobCandidate:
    """One place that may back a knob: `raw` is what is written there, `compare` how what is read back is compared.

    `kind`, `path` and `reload` are those of lab.knobs.model.Backend. `conversion` turns what is read there into a
    value of the knob (lab.knobs.convert.from_raw); None where the place holds that itself.
    """

    generation: str
    kind: BackendKind
    path: str
    raw: str
    compare: KnobKind
    reload: bool = False
    conversion: Conversion | None = None


@dataclass(frozen=True)
class KnobSetting:
    """One write of a knob: on the guest `node`, or on the host where that is HOST_SCOPE.

    `value` is in the knob's own unit. The first of `candidates` that the kernel has is written; if it has none, an
    `optional` setting is skipped. `fold` is the mechanism where the write folds vCPUs (lab.plan.folding); then
    `fold_vcpus` of the guest `fold_node` are those that are folded after it. `guest` is whose vCPU's control group
    is written on the host. `left_out` says why further places cannot hold the value: worth telling where the kernel
    has none of the candidates.
    """

    node: str
    knob: str
    value: str
    kind: KnobKind
    candidates: tuple[KnobCandidate, ...]
    optional: bool = False
    fold: str | None = None
    fold_node: str | None = None
    fold_vcpus: tuple[int, ...] = ()
    guest: str | None = None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadMetricPlan:
    """A figure that a load reports: its unit, which way is better, and how several guests make one number.

    Found in the load's output by `pattern` (a regular expression with one group; `take` says which of several
    matches), or by the field `field` of `parser` (lab.measure.loadparsers). The figure is the number found times
    `scale`, or with `amount` that over the number.
    """

    name: str
    unit: str
    better: Literal["higher", "lower", "neither"]
    over_guests: Literal["sum", "mean", "max"]
    pattern: str | None = None
    take: Literal["only", "first", "last", "sum", "mean", "max", "min"] = "only"
    parser: str | None = None
    field: str | None = None
    scale: float = 1.0
    amount: float | None = None


@dataclass(frozen=True)
class LoadPlan:
    """A load on one node, unpinned where `vcpus` is empty. `kind` is an entry of the catalogue (lab.loads).

    `tasks` is how many tasks of it want to run at a time; 0 where the prediction leaves it out. The words of
    `command` are run in the guest, which needs the root image `image`; they are empty for spin, whose tasks count
    their work. It `ends` by itself or is stopped; then its output has `metrics`. `parameters` are for people.
    """

    name: str
    node: str
    kind: str
    tasks: int
    vcpus: tuple[int, ...]
    command: tuple[str, ...] = ()
    ends: Literal["itself", "stopped"] = "stopped"
    image: str = "guest"
    parameters: tuple[tuple[str, str], ...] = ()
    metrics: tuple[LoadMetricPlan, ...] = ()


@dataclass(frozen=True)
class HogPlan:
    """Busy threads on the host, one on each of `pcpus`, each demanding `duty_pct` of its pCPU in periods of
    `period_ns`. `weight` is that of a guest with as many vCPUs; with `realtime` they come before all guests."""

    name: str
    pcpus: tuple[int, ...]
    duty_pct: float
    period_ns: int
    weight: int
    realtime: bool = False


@dataclass(frozen=True)
class ChangePlan:
    """One change of contention, `at_ns` after the start of the measured window, or at the start of the phase.

    `target` is a load or hog that starts or stops, a hog whose duty changes, or a node. `value` is in per
    cent for duty and quota, and a weight. `vcpus` are those of the node whose quota or pCPUs change, `pcpus`
    where they are pinned then.
    """

    kind: Literal["start", "stop", "duty", "weight", "quota", "pin"]
    target: str
    value: float | None = None
    vcpus: tuple[int, ...] = ()
    pcpus: tuple[int, ...] = ()
    at_ns: int = 0


@dataclass(frozen=True)
class PredictedSteal:
    """Predicted steal of one vCPU over a window, in per cent of elapsed time; None where it is never busy."""

    node: str
    vcpu: int
    steal_pct: float | None


@dataclass(frozen=True)
class GovernPlan:
    """A governor of one node. `high_pct` and `low_pct` are None where the host's hint decides; `by` is the
    mechanism by which vCPUs are folded (lab.plan.folding)."""

    node: str
    source: Literal["steal", "host"]
    high_pct: float | None
    low_pct: float | None
    period_ns: int
    policy: Literal["last", "numa"]
    by: str
    min_vcpus: int


@dataclass(frozen=True)
class PhasePlan:
    """One phase: writes, load changes, `settle_ns` of waiting, then the measured window of `duration_ns`. While it
    waits and measures, `govern` governs.

    Where arms are compared, it is the topology's phase `template` in an `arm` and a `repeat`, which counts from 1;
    0 is warm-up, and not judged. With `fresh` it is the first of its arm and repeat: before anything else all loads
    end, knobs are brought back to what they were before the first phase, and guests boot their own kernel, or that
    of `kernels`: (node, kernel) of those that boot another one.

    With `until` the window ends when these loads have ended, `duration_ns` being the longest that it may take.
    Those of them that the phase starts begin together with the window.

    `contention` is changed at its start, after `knobs`, and `changes` during the window, in that order; all of it
    stays for the phases after. `predicted` is the steal that follows from what runs in the window and how
    (lab.plan.predicting): empty where a governor decides that, None in plans of older versions.
    """

    name: str
    duration_ns: int
    settle_ns: int
    knobs: tuple[KnobSetting, ...]
    start: tuple[str, ...]
    stop: tuple[str, ...]
    govern: tuple[GovernPlan, ...] = ()
    arm: str | None = None
    repeat: int = 0
    template: str | None = None
    fresh: bool = False
    kernels: tuple[tuple[str, str], ...] = ()
    until: tuple[str, ...] = ()
    contention: tuple[ChangePlan, ...] = ()
    changes: tuple[ChangePlan, ...] = ()
    predicted: tuple[PredictedSteal, ...] | None = None
    trace: TracePlan | None = None


@dataclass(frozen=True)
class ArmPlan:
    """One arm: what it does before the topology's first phase, which kernel nodes boot that do not boot their own
    (node, kernel), which loads run in it besides those that phases start, and which of those do not. `trace` are
    the words of what is traced in all of its phases (lab.plan.tracing); None where each phase says it itself. With
    `lacks_knobs` what is measured without the optional knobs that its kernel lacks counts."""

    name: str
    knobs: tuple[KnobSetting, ...] = ()
    kernels: tuple[tuple[str, str], ...] = ()
    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    trace: tuple[str, ...] | None = None
    lacks_knobs: bool = False


@dataclass(frozen=True)
class ComparisonPlan:
    """Arms that are compared with `baseline`, each measured in `count` counted repeats after `warmup` others.

    `arms` are the names of all, in the topology's order; `aa_arm` is the last of them, equal to the baseline in
    everything, and None where the noise floor is not measured. The order in which they ran is that of
    LabPlan.phases; `order` and `seed` say how it came about. `details` say what the arms are.
    """

    baseline: str
    arms: tuple[str, ...]
    aa_arm: str | None
    smallest_change_pct: float
    confidence_pct: float
    seed: int
    count: int
    warmup: int = 1
    order: Literal["random", "abba"] = "random"
    details: tuple[ArmPlan, ...] = ()


@dataclass(frozen=True)
class ExpectationPlan:
    """One expectation with every name resolved.

    `targets` are (node, vcpu) pairs for steal, agreement and preemptions, and (node, -1) for host_share,
    fold_effect, governor and decisions_match. `phases` are the phases judged (throughput: phase, baseline; the
    affinity kinds: none for start to end). Bounds are per cent for steal, agreement and decisions_match, ratios for
    throughput and host_share, per second for preemptions, ms for fold_effect. `limits` are those of governor:
    numbers of steps, and settles_within in ns. Where arms are compared, `phases` are those of the topology, and
    every counted repeat of `arm` is judged; of every arm where that is None. Compare has one phase and an arm, the
    `metric` or `load` compared, and `verdicts` (lab.stats.compare.Change) any of which is as expected.

    Of traced phases (lab.topology.tracedspec): `statistic` is rate, p50, p90, p99, max or share for preempted and
    wakeup_latency, the state for preempted_while; `taker` is how the name begins for preempted_by. Their bounds are
    per second for rate and preempted_by, ms for lengths, per cent for share, preempted_while and directed_yield.
    `may_fail` are globs of selftests whose failures are known.
    """

    kind: ExpectationKind
    text: str
    targets: tuple[tuple[str, int], ...] = ()
    phases: tuple[str, ...] = ()
    load: str | None = None
    reference: str | None = None
    counter: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    limits: tuple[tuple[str, float], ...] = ()
    arm: str | None = None
    metric: str | None = None
    verdicts: tuple[str, ...] = ()
    statistic: str | None = None
    taker: str | None = None
    may_fail: tuple[str, ...] = ()


@dataclass(frozen=True)
class AllowedFinding:
    """Findings of one kind (lab.topology.findingspec) that guests `nodes` may have on their consoles; only those in
    which `pattern` is found, where there is one."""

    kind: str
    nodes: tuple[str, ...]
    pattern: str | None = None


@dataclass(frozen=True)
class WatchPlan:
    """A file that guests' probes watch. `name` is the knob that it backs, or its own path; with `complement` it
    holds every vCPU but those of the knob's value."""

    name: str
    path: str
    complement: bool = False


@dataclass(frozen=True)
class MeasurePlan:
    """Sampling interval of the probes, the disagreement above which a window is UNDECIDED, and watched files."""

    interval_ms: int
    disagreement_pct: float
    watch: tuple[WatchPlan, ...] = ()


@dataclass(frozen=True)
class LabPlan:
    """Everything that will be done.

    `overcommit` is vCPUs per leased pCPU. `pcpus` are the contended ones, `housekeeping` those for emulator
    and I/O threads (may equal `pcpus` where there is no other). `registry` has the knobs that the topology and its
    knob files define, beyond the shipped ones, for `lab knob` on the running lab (lab.plan.knobs.registry_of).
    `trace` is what is traced in windows that are no phase of the plan.
    """

    name: str
    lab_id: str
    host: HostFacts
    pcpus: tuple[int, ...]
    housekeeping: tuple[int, ...]
    overcommit: float
    kernels: tuple[KernelPlan, ...]
    artifacts: tuple[ArtifactPlan, ...]
    network: NetworkPlan
    nodes: tuple[NodePlan, ...]
    knobs: tuple[KnobSetting, ...]
    loads: tuple[LoadPlan, ...]
    phases: tuple[PhasePlan, ...]
    measure: MeasurePlan
    expectations: tuple[ExpectationPlan, ...]
    registry: Registry = field(default_factory=lambda: Registry({}, {}, {}))
    comparison: ComparisonPlan | None = None
    hogs: tuple[HogPlan, ...] = ()
    trace: TracePlan | None = None
    allow_findings: tuple[AllowedFinding, ...] = ()

    def node(self, name: str) -> NodePlan:
        """The node called `name`; KeyError if there is none."""
        return {node.name: node for node in self.nodes}[name]


def trace_of(plan: LabPlan, phase: str) -> TracePlan | None:
    """What is traced in the window of `phase`, which need not be one of the plan's."""
    return {one.name: one.trace for one in plan.phases}.get(phase, plan.trace)


def render_plan_json(plan: LabPlan) -> str:
    """`plan` as indented JSON with stable key order; pcpus are lists of numbers."""
    return json.dumps(asdict(plan), indent=2) + "\n"


def parse_plan_json(text: str | bytes) -> LabPlan:
    """The plan that `render_plan_json` wrote. Raises ValueError on anything else."""
    return TypeAdapter(LabPlan).validate_json(text)


def plan_as_dict(plan: LabPlan) -> dict[str, Any]:
    """`plan` as plain containers."""
    return asdict(plan)
