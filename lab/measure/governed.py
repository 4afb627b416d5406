# SPDX-License-Identifier: GPL-2.0-only
"""What governors decided, and what the recorded steal was over the period that each decision was made from.

The lab's own governor wrote its decisions down, with the period by the clock that it went by. Of the kernel's own
only the mask is seen, as the guest's probe reads it at each sample: when it changed without the lab writing it, the
kernel decided; its period ended then, to within a sampling interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from lab.govern.policy import steal_ratio_pct
from lab.measure.boots import GuestBoot, boot_at
from lab.measure.happened import EventLike
from lab.measure.hostside import VcpuThread
from lab.measure.probestream import Sample
from lab.measure.windows import ClockMatch, FileChange, GovernDecision
from lab.plan.labplan import KnobSetting, LabPlan, WatchPlan
from lab.units import parse_cpulist

#: The knob that a kernel's governor writes, and those that say how it decides, with their defaults.
MASK_KNOB = "avoid_cpus"
ENABLE, HIGH, LOW, PERIOD = "steal.enable", "steal.high", "steal.low", "steal.period"
_DEFAULTS = {ENABLE: 0, HIGH: 400, LOW: 150, PERIOD: 1000}
_NS_PER_MS = 1_000_000


class PhaseLike(Protocol):
    """A measured window on the host's clock; what is before it, from `begin_ns` on, is the phase's settling."""

    @property
    def name(self) -> str: ...
    @property
    def begin_ns(self) -> int: ...
    @property
    def end_ns(self) -> int: ...


@dataclass(frozen=True)
class NodeView:
    """One node as its recording shows it: its starts, its vCPUs' threads, its clock around a time of the host's
    and over a whole start."""

    name: str
    boots: Sequence[GuestBoot]
    threads: Mapping[int, VcpuThread]
    clock_near: Callable[[int], ClockMatch | None]
    clock_of: Callable[[GuestBoot], ClockMatch | None]


# ---- watched files


def file_changes(view: NodeView, watched: Iterable[WatchPlan]) -> tuple[FileChange, ...]:
    """Every change of a watched file that the node's probe saw, in order; the first value is none."""
    names = {one.path: one for one in watched}
    return tuple(change for boot in view.boots for change in _changes(view, boot, names))


def _changes(view: NodeView, boot: GuestBoot, names: Mapping[str, WatchPlan]) -> Iterator[FileChange]:
    held: dict[str, str] = {}
    before: Sample | None = None
    for sample in boot.guest.samples:
        for file in sample.files:
            old = held.get(file.path)
            held[file.path] = file.value
            if file.path in names and old is not None and old != file.value and before is not None:
                watch = names[file.path]
                yield _change(view, boot, (before.t_ns, sample.t_ns), watch, (old, file.value))
        before = sample


def _change(
    view: NodeView, boot: GuestBoot, between_ns: tuple[int, int], watch: WatchPlan, values: tuple[str, str]
) -> FileChange:
    offset_ns = _offset_ns(view, boot, between_ns[1])
    after_ns, by_ns = (t_ns + offset_ns for t_ns in between_ns)
    return FileChange(view.name, watch.name, watch.path, after_ns, by_ns, *values)


def _offset_ns(view: NodeView, boot: GuestBoot, guest_ns: int) -> int:
    """Host clock less guest clock around a time of the guest's: as it is on the whole, then as it is near that."""
    whole = view.clock_of(boot)
    if whole is None:
        return 0
    near = view.clock_near(guest_ns + whole.offset_ns)
    return (near or whole).offset_ns


# ---- decisions


def govern_decisions(
    plan: LabPlan,
    events: Sequence[EventLike],
    phases: Sequence[PhaseLike],
    views: Mapping[str, NodeView],
    changes: Sequence[FileChange],
) -> tuple[GovernDecision, ...]:
    """Every decision within a phase or its settling, phases in order, in a phase by time."""
    own = [_Decided.of_event(event) for event in events if event.kind == "govern"]
    kernel = [_Decided.of_change(change, plan) for change in changes if _is_kernels(change, events)]
    found = [
        _decision(one, phase, plan, views)
        for phase in phases
        for one in sorted((*own, *kernel), key=lambda one: one.t_ns)
        if phase.begin_ns <= one.t_ns <= phase.end_ns and one.node in views
    ]
    return tuple(one for one in found if one is not None)


@dataclass(frozen=True)
class _Decided:
    """A decision before anything is known of the steal. The period ends at `to_ns`, on the guest's clock if
    `by_guest`; a kernel's begins with what its knobs say in the phase."""

    node: str
    source: str
    action: str
    t_ns: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    from_ns: int | None
    to_ns: int
    by_guest: bool
    high_pct: float | None = None
    low_pct: float | None = None
    seen_pct: float | None = None
    bound: bool = False
    write_ns: int = 0

    @classmethod
    def of_event(cls, event: EventLike) -> _Decided:
        data = event.data
        return cls(
            node=data["node"],
            source=data["source"],
            action=data["action"],
            t_ns=event.t_ns,
            before=parse_cpulist(data["before"]),
            after=parse_cpulist(data["after"]),
            from_ns=int(data["from_ns"]),
            to_ns=int(data["to_ns"]),
            by_guest=data["clock"] == "guest",
            high_pct=data["high_pct"],
            low_pct=data["low_pct"],
            seen_pct=data["seen_pct"],
            bound=bool(data["bound"]),
            write_ns=int(data["write_ns"]),
        )

    @classmethod
    def of_change(cls, change: FileChange, plan: LabPlan) -> _Decided:
        before, after = (_folded(change, value, plan) for value in (change.old, change.new))
        grown = len(after) - len(before)
        action = "step-down" if grown > 0 else "step-up" if grown < 0 else "move"
        middle_ns = (change.after_ns + change.by_ns) // 2
        return cls(change.node, "kernel", action, middle_ns, before, after, None, middle_ns, by_guest=False)


def _folded(change: FileChange, value: str, plan: LabPlan) -> tuple[int, ...]:
    """The vCPUs to avoid that a mask names, or leaves out; none where it is no cpulist."""
    complement = any(one.path == change.path and one.complement for one in plan.measure.watch)
    try:
        named = parse_cpulist(value)
    except ValueError:
        return ()
    every = tuple(one.vcpu for one in plan.node(change.node).vcpus)
    return tuple(vcpu for vcpu in every if vcpu not in named) if complement else named


def _is_kernels(change: FileChange, events: Iterable[EventLike]) -> bool:
    """Whether a mask changed without the lab writing it then."""
    return change.name == MASK_KNOB and not any(
        event.kind in ("knob", "knob-restored")
        and event.data.get("node") == change.node
        and event.data.get("knob") == MASK_KNOB
        and event.data["host_t0_ns"] <= change.by_ns
        and change.after_ns <= event.data["host_t1_ns"]
        for event in events
    )


def _decision(
    one: _Decided, phase: PhaseLike, plan: LabPlan, views: Mapping[str, NodeView]
) -> GovernDecision | None:
    high_pct, low_pct, from_ns = one.high_pct, one.low_pct, one.from_ns
    if from_ns is None:
        knobs = kernel_knobs(plan, one.node, phase.name)
        if not knobs[ENABLE]:
            return None  # somebody else wrote the mask
        high_pct, low_pct = knobs[HIGH] / 100, knobs[LOW] / 100
        from_ns = one.to_ns - knobs[PERIOD] * _NS_PER_MS
    guest_pct, host_pct = recorded_ratios(views[one.node], one.t_ns, (from_ns, one.to_ns), one.by_guest)
    return GovernDecision(
        node=one.node,
        phase=phase.name,
        source=one.source,
        action=one.action,
        t_ns=one.t_ns,
        since_begin_ns=one.t_ns - phase.begin_ns,
        before=one.before,
        after=one.after,
        bound=one.bound,
        high_pct=high_pct,
        low_pct=low_pct,
        seen_pct=one.seen_pct,
        guest_pct=guest_pct,
        host_pct=host_pct,
        write_ns=one.write_ns,
    )


def kernel_knobs(plan: LabPlan, node: str, phase: str) -> dict[str, int]:
    """How the kernel of `node` governs itself in `phase`: its knobs, in their own units, as they were set last."""
    settings: list[KnobSetting] = list(plan.knobs)
    for one in plan.phases:
        settings += one.knobs
        if one.name == phase:
            break
    said = {one.knob: int(one.value) for one in settings if one.node == node and one.knob in _DEFAULTS}
    return {**_DEFAULTS, **said}


# ---- steal over a period


def recorded_ratios(
    view: NodeView, t_ns: int, period_ns: tuple[int, int], by_guest: bool
) -> tuple[float | None, float | None]:
    """Steal over a period as the guest counted it and as the host did, in per cent of elapsed time x active vCPUs.

    `t_ns` is a time of the host's clock near the period, which is by the guest's clock if `by_guest`. None for a
    side that was not seen.
    """
    boot, clock = boot_at(view.boots, t_ns), view.clock_near(t_ns)
    if clock is None:
        return None, None
    shift_ns = 0 if by_guest else clock.offset_ns
    ends = [_nearest(boot.guest.samples, end_ns - shift_ns) for end_ns in period_ns]
    if ends[0] is None or ends[1] is None or ends[1].t_ns <= ends[0].t_ns:
        return None, None
    first, last = ends[0], ends[1]
    unit_ns = 1_000_000_000 // (boot.guest.hello.user_hz if boot.guest.hello else 100)
    before, after = ({one.cpu: one.steal * unit_ns for one in end.cpus} for end in (first, last))
    guest_pct = steal_ratio_pct(before, after, last.t_ns - first.t_ns)
    return guest_pct, _host_pct(
        view, (first.t_ns + clock.offset_ns, last.t_ns + clock.offset_ns), sorted(after)
    )


def _nearest(samples: Sequence[Sample], t_ns: int) -> Sample | None:
    return min(samples, key=lambda sample: abs(sample.t_ns - t_ns), default=None)


def _host_pct(view: NodeView, period_ns: tuple[int, int], active: Sequence[int]) -> float | None:
    delays = []
    for vcpu in active:
        thread = view.threads.get(vcpu)
        growth = None if thread is None else thread.growth(*period_ns)
        if growth is None:
            return None
        delays.append(growth.delay_ns)
    return 100 * sum(delays) / ((period_ns[1] - period_ns[0]) * len(delays)) if delays else None
