# SPDX-License-Identifier: GPL-2.0-only
"""Checks of contention: hogs, what phases change of it, schedules, and whether a prediction can be expected."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from lab.strictyaml.findings import Finding, Loc, unknown
from lab.topology.contentionspec import (
    MAX_REALTIME_DUTY_PCT,
    SHAPES,
    ContentionSpec,
    PredictionExpectation,
    RampSpec,
    RandomSpec,
    ScheduleSpec,
    SquareSpec,
    VariedSpec,
)
from lab.topology.governchecks import KERNEL_GOVERNOR
from lab.topology.resolve import NodeTable, pcpus_outside
from lab.topology.spec import PhaseSpec, TopologySpec
from lab.units import format_cpulist, format_seconds

#: Changes of one phase, and the least time between two of one shape: a change has to be carried out meanwhile.
MAX_CHANGES = 2_000
MIN_STEP_NS = 50_000_000

_NODES: tuple[Loc, ...] = (("nodes",), ("defaults",))


def check_hogs(spec: TopologySpec) -> Iterator[Finding]:
    """Everything wrong with `hogs`."""
    loads = [load.name for load in spec.load]
    names = [hog.name for hog in spec.hogs]
    for index, hog in enumerate(spec.hogs):
        loc: Loc = ("hogs", index)
        if hog.name in names[:index]:
            yield Finding((*loc, "name"), f"hog {hog.name!r} already stands at hogs[{names.index(hog.name)}]")
        if hog.name in loads:
            message = (
                f"hog {hog.name!r} is called as load[{loads.index(hog.name)}]; phases start both by name"
            )
            yield Finding((*loc, "name"), message, needs=(loc, ("load", "*")))
        for message in pcpus_outside(spec, hog.pcpus, "hogs"):
            yield Finding((*loc, "pcpus"), message, needs=(loc, ("host",)))


def check_contention(spec: TopologySpec, nodes: NodeTable) -> Iterator[Finding]:
    """Everything wrong with what phases change of contention, at their start and by their schedule."""
    checker = _Checker(spec, nodes)
    for index, phase in enumerate(spec.phases):
        for place, change in enumerate(phase.contention):
            yield from checker.change(change, ("phases", index, "contention", place))
        for place, entry in enumerate(phase.schedule):
            yield from checker.schedule(phase, entry, ("phases", index, "schedule", place))
        yield from checker.until(phase, ("phases", index, "until"))
        if sum(count_changes(phase, entry) for entry in phase.schedule) > MAX_CHANGES:
            message = f"makes more than {MAX_CHANGES} changes in one phase"
            yield Finding(("phases", index, "schedule"), message)


def scheduled_names(phase: PhaseSpec) -> set[str]:
    """Loads and hogs that a phase's schedule starts or stops."""
    found: set[str] = set()
    for entry in phase.schedule:
        shape = entry.shape
        found |= {*entry.start, *entry.stop, *(shape.run or () if shape is not None else ())}
    return found


def count_changes(phase: PhaseSpec, entry: ScheduleSpec) -> int:
    """How many times a schedule's entry changes something; an upper bound."""
    shape = entry.shape
    if shape is None or isinstance(shape, RampSpec):
        return 1 if shape is None else shape.steps
    length_ns = max(0, (shape.end or phase.duration) - shape.begin)
    if isinstance(shape, SquareSpec):
        return 1 + 2 * length_ns // max(1, shape.period)
    return 1 + length_ns // max(1, shape.every)


class _Checker:
    """Carries what every check asks."""

    def __init__(self, spec: TopologySpec, nodes: NodeTable) -> None:
        self._spec = spec
        self._nodes = nodes
        self._hogs = [hog.name for hog in spec.hogs]
        self._startable = [*(load.name for load in spec.load), *self._hogs]

    def change(self, change: ContentionSpec, loc: Loc) -> Iterator[Finding]:
        """One change, at one moment."""
        yield from self._hog(change.hog, loc)
        yield from self._subject(change.nodes, change.vcpus, loc)
        yield from _within("duty", change.duty, 0, loc)
        yield from self._realtime(change.hog, change.duty, (*loc, "duty"))
        yield from _within("quota", change.quota, 1, loc)
        yield from self._pins(change.pinning, (*loc, "pinning"))
        if change.quota is not None:
            yield from self._folds_by_quota(change.nodes, (*loc, "quota"))

    def until(self, phase: PhaseSpec, loc: Loc) -> Iterator[Finding]:
        """A phase cannot end with a hog."""
        for place, name in enumerate(phase.until):
            if name in self._hogs:
                message = f"hog {name!r} never ends by itself, so the phase would not end with it"
                yield Finding((*loc, place), message, needs=(loc[:2], ("hogs", "*")))

    def schedule(self, phase: PhaseSpec, entry: ScheduleSpec, loc: Loc) -> Iterator[Finding]:
        """One entry of a schedule."""
        if entry.shape is None:
            yield from self._step(phase, entry, loc)
            return
        kind = next(kind for kind in SHAPES if getattr(entry, kind) is not None)
        yield from self._shape(phase, entry.shape, (*loc, kind))

    def _step(self, phase: PhaseSpec, entry: ScheduleSpec, loc: Loc) -> Iterator[Finding]:
        assert entry.at is not None, "without a shape it is a step"
        yield from _in_window(phase, entry.at, (*loc, "at"))
        for key, names in (("start", entry.start), ("stop", entry.stop)):
            yield from self._names(names, (*loc, key))
        yield from self.change(entry, loc)

    def _shape(
        self, phase: PhaseSpec, shape: SquareSpec | RampSpec | RandomSpec, loc: Loc
    ) -> Iterator[Finding]:
        yield from _in_window(phase, shape.begin, (*loc, "begin"))
        if shape.end is not None and shape.end > phase.duration:
            length = format_seconds(phase.duration)
            yield Finding((*loc, "end"), f"is after the end of the window ({length})", needs=(loc[:2],))
        yield from _spacing(phase, shape, loc)
        yield from self._names(shape.run or (), (*loc, "run"))
        yield from self._hog(shape.hog, loc)
        yield from self._subject(shape.nodes, shape.vcpus, loc)
        yield from self._states(shape, loc)

    def _states(self, shape: VariedSpec, loc: Loc) -> Iterator[Finding]:
        for place in (0, 1):
            if shape.duty is not None:
                yield from _within("duty", shape.duty[place], 0, loc, place)
                yield from self._realtime(shape.hog, shape.duty[place], (*loc, "duty", place))
            if shape.quota is not None:
                yield from _within("quota", shape.quota[place], 1, loc, place)
            if shape.weight is not None and not 1 <= shape.weight[place] <= 10_000:
                message = f"weight is {shape.weight[place]}; it must be between 1 and 10000"
                yield Finding((*loc, "weight", place), message)
            if shape.pinning is not None:
                yield from self._pins(shape.pinning[place], (*loc, "pinning", place))
        if shape.quota is not None:
            yield from self._folds_by_quota(shape.nodes, (*loc, "quota"))

    def _names(self, names: Sequence[str], loc: Loc) -> Iterator[Finding]:
        for place, name in enumerate(names):
            if name not in self._startable:
                needs: tuple[Loc, ...] = (loc[:2], ("load", "*"), ("hogs", "*"))
                yield Finding((*loc, place), unknown("load or hog", name, self._startable), needs=needs)

    def _hog(self, name: str | None, loc: Loc) -> Iterator[Finding]:
        if name is not None and name not in self._hogs:
            yield Finding((*loc, "hog"), unknown("hog", name, self._hogs), needs=(loc[:2], ("hogs", "*")))

    def _realtime(self, name: str | None, duty_pct: float | None, loc: Loc) -> Iterator[Finding]:
        for place, hog in enumerate(self._spec.hogs):
            if hog.name == name and hog.realtime and duty_pct and MAX_REALTIME_DUTY_PCT < duty_pct <= 100:
                message = f"duty is {duty_pct:g}%; hog {name!r} is realtime: at most {MAX_REALTIME_DUTY_PCT}%"
                yield Finding(loc, message, needs=(loc[:2], ("hogs", place)))

    def _subject(self, glob: str, vcpus: Sequence[int] | None, loc: Loc) -> Iterator[Finding]:
        needs = (loc[:2], *_NODES)
        if not self._nodes.matching(glob):
            message = unknown("node", glob, self._nodes.names)
            if set(glob) & set("*?["):
                message = f"{glob!r} matches no node; {message.partition('; ')[2]}"
            yield Finding((*loc, "nodes"), message, needs=needs)
        for name, entry in self._nodes.matching(glob):
            beyond = [vcpu for vcpu in vcpus or () if vcpu >= entry.node.vcpus]
            if beyond:
                message = (
                    f"vCPU {format_cpulist(beyond)} does not exist on {name} (vcpus: {entry.node.vcpus})"
                )
                yield Finding((*loc, "vcpus"), message, needs=needs)
                return

    def _pins(self, pcpus: Collection[int] | None, loc: Loc) -> Iterator[Finding]:
        for message in pcpus_outside(self._spec, tuple(pcpus or ())):
            yield Finding(loc, message, needs=(loc[:2], ("host",)))

    def _folds_by_quota(self, glob: str, loc: Loc) -> Iterator[Finding]:
        """Both are written to the same place: undoing a fold gives vCPUs the quota that the node began with."""
        changed = {name for name, _ in self._nodes.matching(glob)}
        for phase in self._spec.phases:
            for fold in phase.fold:
                folded = (
                    {name for name, _ in self._nodes.matching(fold.nodes)} if fold.by == "quota" else set()
                )
                if changed & folded:
                    name = min(changed & folded)
                    message = f"{name} is folded by quota in phase {phase.name!r}: one excludes the other"
                    yield Finding(loc, message, needs=(("phases",), *_NODES))
                    return


def _in_window(phase: PhaseSpec, offset_ns: int, loc: Loc) -> Iterator[Finding]:
    if offset_ns >= phase.duration:
        message = f"is not before the end of the window ({format_seconds(phase.duration)})"
        yield Finding(loc, message, needs=(loc[:2],))


def _spacing(phase: PhaseSpec, shape: SquareSpec | RampSpec | RandomSpec, loc: Loc) -> Iterator[Finding]:
    length_ns = (shape.end or phase.duration) - shape.begin
    if isinstance(shape, SquareSpec):
        key, step_ns = "period", round(shape.period * min(shape.on, 100 - shape.on) / 100)
    elif isinstance(shape, RampSpec):
        key, step_ns = "steps", length_ns // shape.steps
    else:
        key, step_ns = "every", shape.every
    if step_ns < MIN_STEP_NS:
        least_ms = MIN_STEP_NS // 1_000_000
        message = f"changes follow each other after {step_ns / 1e6:g} ms; at least {least_ms} ms are needed"
        yield Finding((*loc, key), message, needs=(loc[:2],))


def _within(
    name: str, value_pct: float | None, least: int, loc: Loc, place: int | None = None
) -> Iterator[Finding]:
    if value_pct is not None and not least <= value_pct <= 100:
        where = (*loc, name) if place is None else (*loc, name, place)
        yield Finding(where, f"{name} is {value_pct:g}%; it must be between {least}% and 100%")


def check_prediction_expected(
    spec: TopologySpec, expect: PredictionExpectation, loc: Loc
) -> Iterator[Finding]:
    """Where a governor decides what vCPUs do, nothing is predicted."""
    for phase in spec.phases:
        kernel = any(one.knob == KERNEL_GOVERNOR for one in (*spec.knobs, *phase.set))
        if phase.name == expect.phase and (phase.govern or kernel):
            message = f"phase {phase.name!r} has a governor, so nothing is predicted for it"
            yield Finding((*loc, "phase"), message, needs=(loc[:2], ("phases",)))
