# SPDX-License-Identifier: GPL-2.0-only
"""Cross checks: what no single model can know, because it is about names that stand elsewhere in the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lab.knobs.model import Registry
from lab.strictyaml.findings import Finding, Loc, unknown
from lab.topology.armchecks import check_arms, is_about, merge_findings, variants
from lab.topology.comparechecks import check_compare_expected
from lab.topology.comparespec import CompareExpectation
from lab.topology.contentionchecks import (
    check_contention,
    check_hogs,
    check_prediction_expected,
    scheduled_names,
)
from lab.topology.contentionspec import PredictionExpectation
from lab.topology.foldchecks import check_folds
from lab.topology.governchecks import check_governor_expected, check_governors, check_watch
from lab.topology.governspec import DecisionsExpectation, GovernorExpectation
from lab.topology.knobchecks import KnobChecker
from lab.topology.loadchecks import check_loads_over_phases
from lab.topology.reportspec import ReportedExpectation
from lab.topology.resolve import NodeTable, expand_nodes
from lab.topology.selftestspec import SelftestsExpectation
from lab.topology.spec import (
    AffinityExpectation,
    AgreementExpectation,
    ExpectationSpec,
    FoldEffectExpectation,
    HostShareExpectation,
    KnobSetSpec,
    PhaseAffinityExpectation,
    PhaseSpec,
    PreemptionExpectation,
    StealExpectation,
    ThroughputExpectation,
    TopologySpec,
)
from lab.topology.tracedchecks import TRACED_CHECKS
from lab.topology.tracespec import check_trace
from lab.units import format_cpulist

_NODES: tuple[Loc, ...] = (("nodes",), ("defaults",))
_NS_PER_MS = 1_000_000


class _Checker:
    """Carries what every check asks: the file, its nodes, and which load runs in which phase."""

    def __init__(
        self, spec: TopologySpec, nodes: NodeTable, knobs: KnobChecker, arm: str | None = None
    ) -> None:
        self.spec, self.nodes, self.knobs, self.arm = spec, nodes, knobs, arm
        self.loads = {load.name for load in spec.load}
        self.phases = {phase.name for phase in spec.phases}
        self.running = _running_loads(spec.phases)

    def glob(self, glob: str, loc: Loc) -> Iterator[Finding]:
        if not self.nodes.matching(glob):
            message = unknown("node", glob, self.nodes.names)
            if set(glob) & set("*?["):
                message = f"{glob!r} matches no node; {message.partition('; ')[2]}"
            yield Finding(loc, message, needs=(loc[:2], *_NODES))

    def vcpus(self, glob: str, vcpus: Sequence[int] | None, loc: Loc) -> Iterator[Finding]:
        for name, entry in self.nodes.matching(glob) if vcpus else ():
            beyond = [vcpu for vcpu in vcpus or () if vcpu >= entry.node.vcpus]
            if beyond:
                message = (
                    f"vCPU {format_cpulist(beyond)} does not exist on {name} (vcpus: {entry.node.vcpus})"
                )
                yield Finding(loc, message, needs=(loc[:2], *_NODES))
                return

    def phase(self, name: str | None, loc: Loc) -> Iterator[Finding]:
        if name is not None and name not in self.phases and self.phases:
            yield Finding(loc, unknown("phase", name, self.phases), needs=(loc[:2], ("phases", "*")))

    def load(self, name: str, loc: Loc) -> Iterator[Finding]:
        if name not in self.loads:
            yield Finding(loc, unknown("load", name, self.loads), needs=(loc[:2], ("load", "*")))

    def runs(self, load: str, phase: str, loc: Loc) -> Iterator[Finding]:
        if load in self.loads and load not in self.running.get(phase, {load}):
            message = f"load {load!r} does not run in phase {phase!r}; start it there or before"
            yield Finding(loc, message, needs=(loc[:2], ("phases",), ("load",)))

    def bounds(
        self, low: float | None, high: float | None, names: tuple[str, str], loc: Loc
    ) -> Iterator[Finding]:
        lowest, highest = names
        if low is None and high is None:
            yield Finding(loc, f"expects nothing; give {lowest}, {highest} or both")
        elif low is not None and high is not None and low > high:
            yield Finding((*loc, lowest), f"{lowest} ({low:g}) is larger than {highest} ({high:g})")

    def percentages(self, bounds: dict[str, float | None], loc: Loc) -> Iterator[Finding]:
        for name, value in bounds.items():
            if value is not None and value > 100:
                yield Finding((*loc, name), f"{value:g}% of elapsed time is more than there is")


def _running_loads(phases: Sequence[PhaseSpec]) -> dict[str, set[str]]:
    running: set[str] = set()
    by_phase: dict[str, set[str]] = {}
    for phase in phases:
        running = (running - set(phase.stop)) | set(phase.start)
        by_phase[phase.name] = running = running | scheduled_names(phase)
        running = running - set(phase.until)
    return by_phase


def _check_unique(what: str, names: Sequence[str], key: str) -> Iterator[Finding]:
    for index, name in enumerate(names):
        first = names.index(name)
        if first != index:
            yield Finding((key, index, "name"), f"{what} {name!r} already stands at {key}[{first}]")


def _check_kernels(checker: _Checker) -> Iterator[Finding]:
    if not checker.spec.kernels:
        yield Finding(("kernels",), "no kernel is declared; at least one is needed", needs=(("kernels",),))


def _check_knob(checker: _Checker, knob: KnobSetSpec, loc: Loc) -> Iterator[Finding]:
    yield from checker.glob(knob.nodes, (*loc, "nodes"))
    yield from checker.vcpus(knob.nodes, knob.vcpus, (*loc, "vcpus"))
    yield from checker.knobs.check(knob, loc)


def _check_knobs(checker: _Checker) -> Iterator[Finding]:
    for index, knob in enumerate(checker.spec.knobs):
        yield from _check_knob(checker, knob, ("knobs", index))


def _check_loads(checker: _Checker) -> Iterator[Finding]:
    loads = checker.spec.load
    yield from _check_unique("load", [load.name for load in loads], "load")
    for index, load in enumerate(loads):
        yield from checker.glob(load.nodes, ("load", index, "nodes"))
        yield from checker.vcpus(load.nodes, load.vcpus, ("load", index, "vcpus"))
    yield from check_hogs(checker.spec)


def _check_phases(checker: _Checker) -> Iterator[Finding]:
    spec = checker.spec
    yield from _check_unique("phase", [phase.name for phase in spec.phases], "phases")
    for index, phase in enumerate(spec.phases):
        loc: Loc = ("phases", index)
        if phase.duration < spec.measure.interval:
            message = f"duration is shorter than one sampling interval ({spec.measure.interval / 1e6:g} ms)"
            yield Finding((*loc, "duration"), message, needs=(loc, ("measure",)))
        for place, knob in enumerate(phase.set):
            yield from _check_knob(checker, knob, (*loc, "set", place))
        for place, fold in enumerate(phase.fold):
            yield from checker.glob(fold.nodes, (*loc, "fold", place, "nodes"))
            yield from checker.vcpus(fold.nodes, fold.vcpus, (*loc, "fold", place, "vcpus"))
        for place, govern in enumerate(phase.govern):
            yield from checker.glob(govern.nodes, (*loc, "govern", place, "nodes"))
    yield from check_folds(spec.phases, checker.nodes)
    yield from check_governors(spec, checker.nodes)
    yield from check_contention(spec, checker.nodes)


def _check_measure(checker: _Checker) -> Iterator[Finding]:
    if checker.spec.measure.interval % _NS_PER_MS:
        yield Finding(("measure", "interval"), "the interval must be a whole number of milliseconds")


def _check_traces(checker: _Checker) -> Iterator[Finding]:
    """As they stand in the file; what an arm makes of its phases is one of these."""
    spec = checker.spec
    yield from check_trace(spec.trace, ("trace",))
    for index, phase in enumerate(spec.phases):
        yield from check_trace(phase.trace, ("phases", index, "trace"))
    for index, arm in enumerate(spec.arms):
        yield from check_trace(arm.trace, ("arms", index, "trace"))


def _steal(checker: _Checker, expect: StealExpectation, loc: Loc) -> Iterator[Finding]:
    yield from checker.glob(expect.nodes, (*loc, "nodes"))
    yield from checker.vcpus(expect.nodes, expect.vcpus, (*loc, "vcpus"))
    yield from checker.phase(expect.phase, (*loc, "phase"))
    yield from checker.bounds(expect.min, expect.max, ("min", "max"), loc)
    yield from checker.percentages({"min": expect.min, "max": expect.max}, loc)


def _agreement(checker: _Checker, expect: AgreementExpectation, loc: Loc) -> Iterator[Finding]:
    yield from checker.glob(expect.nodes, (*loc, "nodes"))
    yield from checker.phase(expect.phase, (*loc, "phase"))
    yield from checker.percentages({"max": expect.max}, loc)


def _throughput(checker: _Checker, expect: ThroughputExpectation, loc: Loc) -> Iterator[Finding]:
    yield from checker.load(expect.load, (*loc, "load"))
    for key, phase in (("phase", expect.phase), ("baseline", expect.baseline)):
        yield from checker.phase(phase, (*loc, key))
        yield from checker.runs(expect.load, phase, (*loc, key))
    if expect.phase == expect.baseline:
        yield Finding((*loc, "baseline"), f"phase {expect.phase!r} is compared with itself")
    yield from checker.bounds(expect.min, expect.max, ("min", "max"), loc)


def _reported(checker: _Checker, expect: ReportedExpectation, loc: Loc) -> Iterator[Finding]:
    yield from checker.load(expect.load, (*loc, "load"))
    for key, phase in (("phase", expect.phase), ("baseline", expect.baseline)):
        if phase is not None:
            yield from checker.phase(phase, (*loc, key))
            yield from checker.runs(expect.load, phase, (*loc, key))
    if expect.phase == expect.baseline:
        yield Finding((*loc, "baseline"), f"phase {expect.phase!r} is compared with itself")
    if expect.min is not None or expect.max is not None or expect.baseline is not None:
        yield from checker.bounds(expect.min, expect.max, ("min", "max"), loc)


def _selftests(checker: _Checker, expect: SelftestsExpectation, loc: Loc) -> Iterator[Finding]:
    yield from checker.load(expect.load, (*loc, "load"))
    yield from checker.phase(expect.phase, (*loc, "phase"))
    yield from checker.runs(expect.load, expect.phase, (*loc, "phase"))


def _affinity(
    checker: _Checker, expect: AffinityExpectation | PhaseAffinityExpectation, loc: Loc
) -> Iterator[Finding]:
    yield from checker.load(expect.load, (*loc, "load"))
    if expect.phase is not None:
        yield from checker.phase(expect.phase, (*loc, "phase"))
        yield from checker.runs(expect.load, expect.phase, (*loc, "phase"))
        return
    started = set().union(*checker.running.values())
    if checker.phases and expect.load in checker.loads - started:
        message = f"load {expect.load!r} is never started"
        yield Finding((*loc, "load"), message, needs=(loc[:2], ("phases",), ("load",)))


def _fold_effect(checker: _Checker, expect: FoldEffectExpectation, loc: Loc) -> Iterator[Finding]:
    yield from checker.glob(expect.nodes, (*loc, "nodes"))
    yield from checker.phase(expect.phase, (*loc, "phase"))
    for phase in checker.spec.phases:
        folded = {name for fold in phase.fold if fold.vcpus for name, _ in checker.nodes.matching(fold.nodes)}
        left = [name for name, _ in checker.nodes.matching(expect.nodes) if name not in folded]
        if phase.name == expect.phase and left:
            message = f"phase {phase.name!r} folds no vCPU of {left[0]}"
            yield Finding((*loc, "phase"), message, needs=(loc[:2], ("phases",), *_NODES))


def _host_share(checker: _Checker, expect: HostShareExpectation, loc: Loc) -> Iterator[Finding]:
    yield from checker.glob(expect.nodes, (*loc, "nodes"))
    yield from checker.phase(expect.phase, (*loc, "phase"))
    if expect.of not in checker.nodes:
        yield Finding((*loc, "of"), unknown("node", expect.of, checker.nodes.names), needs=(loc[:2], *_NODES))
    yield from checker.bounds(expect.min, expect.max, ("min", "max"), loc)


def _preemptions(checker: _Checker, expect: PreemptionExpectation, loc: Loc) -> Iterator[Finding]:
    yield from checker.glob(expect.nodes, (*loc, "nodes"))
    yield from checker.vcpus(expect.nodes, expect.vcpus, (*loc, "vcpus"))
    yield from checker.phase(expect.phase, (*loc, "phase"))
    yield from checker.bounds(expect.min_per_s, expect.max_per_s, ("min_per_s", "max_per_s"), loc)


def _governor(
    checker: _Checker, expect: GovernorExpectation | DecisionsExpectation, loc: Loc
) -> Iterator[Finding]:
    yield from checker.glob(expect.nodes, (*loc, "nodes"))
    yield from checker.phase(expect.phase, (*loc, "phase"))
    yield from check_governor_expected(checker.spec, expect, checker.nodes, loc)


def _prediction(checker: _Checker, expect: PredictionExpectation, loc: Loc) -> Iterator[Finding]:
    yield from checker.glob(expect.nodes, (*loc, "nodes"))
    yield from checker.phase(expect.phase, (*loc, "phase"))
    yield from checker.percentages({"max": expect.max}, loc)
    yield from check_prediction_expected(checker.spec, expect, loc)


def _compare(checker: _Checker, expect: CompareExpectation, loc: Loc) -> Iterator[Finding]:
    yield from checker.phase(expect.phase, (*loc, "phase"))
    if expect.load is not None:
        yield from checker.load(expect.load, (*loc, "load"))
        yield from checker.runs(expect.load, expect.phase, (*loc, "phase"))
    yield from check_compare_expected(checker.spec, expect, loc)


_EXPECTATIONS: dict[str, Callable[[_Checker, Any, Loc], Iterator[Finding]]] = {
    "steal": _steal,
    "agreement": _agreement,
    "throughput": _throughput,
    "reported": _reported,
    "selftests": _selftests,
    "affinity_unchanged": _affinity,
    "affinity": _affinity,
    "fold_effect": _fold_effect,
    "host_share": _host_share,
    "preemptions": _preemptions,
    "governor": _governor,
    "decisions_match": _governor,
    "prediction": _prediction,
    "compare": _compare,
    **TRACED_CHECKS,
}


def _check_expectations(checker: _Checker) -> Iterator[Finding]:
    spec = checker.spec
    if spec.expect and not spec.phases:
        yield Finding(
            ("expect",), "expectations are judged in phases, but there is none", needs=(("phases",),)
        )
    for index, expectation in enumerate(spec.expect):
        yield from _check_expectation(checker, expectation, ("expect", index))


def _check_expectation(checker: _Checker, expectation: ExpectationSpec, loc: Loc) -> Iterator[Finding]:
    for kind, check in _EXPECTATIONS.items():
        said = getattr(expectation, kind)
        if said is not None and is_about(getattr(said, "arm", None), checker.arm, checker.spec):
            yield from check(checker, said, (*loc, kind))


def _check_allowed(checker: _Checker) -> Iterator[Finding]:
    for index, allowed in enumerate(checker.spec.allow_findings):
        yield from checker.glob(allowed.nodes, ("allow_findings", index, "nodes"))


_CHECKS = (_check_kernels, _check_knobs, _check_loads, _check_measure, _check_traces, _check_allowed)
#: Of every arm's variant of the file.
_ARM_CHECKS = (_check_phases, _check_expectations)


def check_topology(
    spec: TopologySpec, registry: Registry, *, complete: bool = True
) -> tuple[NodeTable, list[Finding]]:
    """The expanded nodes of `spec`, and everything in it that does not fit together.

    `registry` has the knobs that the file may use; all of them, if `complete`.
    """
    nodes, findings = expand_nodes(spec)
    if nodes.entries:  # else every name would seem unknown
        knobs = KnobChecker(registry, nodes, complete=complete)
        for check in _CHECKS:
            findings += check(_Checker(spec, nodes, knobs))
        findings += _check_variants(spec, nodes, registry, knobs)
        findings += check_arms(spec, nodes)
    findings += check_watch(spec, registry, complete=complete)
    return nodes, findings


def _check_variants(
    spec: TopologySpec, nodes: NodeTable, registry: Registry, knobs: KnobChecker
) -> Iterator[Finding]:
    found = []
    for variant in variants(spec):
        checker = _Checker(variant.spec, nodes, knobs, variant.arm)
        findings = [one for check in _ARM_CHECKS for one in check(checker)]
        findings += check_loads_over_phases(variant.spec, nodes, registry)
        found.append((variant, findings))
    return merge_findings(found)
