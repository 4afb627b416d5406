# SPDX-License-Identifier: GPL-2.0-only
"""Predicted steal of every phase: from what runs in it, where it may run, and what changes meanwhile.

The state of a lab is walked through its phases, as changes stay until they are changed again. A window is cut where
its schedule changes something; each piece has fair shares of its own (lab.plan.contention), and their steal is
averaged by their length. What is left out: the time that a change takes, loads whose demand is not known, and that
hogs which got less than their duty for a while make up for it afterwards. Where a governor decides which vCPUs are
used, nothing is predicted. SMT siblings are taken for pCPUs of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from lab.plan.changes import WEIGHT_KNOB
from lab.plan.contention import Contender, GuestLoad, predict_steal_pct, vcpu_demands
from lab.plan.labplan import ChangePlan, HogPlan, KnobSetting, LabPlan, NodePlan, PhasePlan, PredictedSteal
from lab.topology.governchecks import KERNEL_GOVERNOR
from lab.units import parse_cpulist

_VCPU_PATH = re.compile(r"/vcpu(\d+)/")
#: Knobs that say which vCPUs tasks keep off. Tasks that may use no others stay where they are by a mask only.
_MASK, _HOTPLUG, _CPUSET = "avoid_cpus", "cpu_online", "isolated_cpus"


@dataclass
class _Guest:
    """What is known of one guest at one time."""

    pins: list[tuple[int, ...]]
    weight: int
    caps: list[float]
    weights: list[int]
    kept_off: dict[str, frozenset[int]] = field(default_factory=dict)
    governed: bool = False

    @classmethod
    def of(cls, node: NodePlan) -> _Guest:
        vcpus = len(node.vcpus)
        cap = 1.0 if node.quota_pct is None else min(1.0, node.quota_pct / 100)
        return cls([vcpu.pcpus for vcpu in node.vcpus], node.weight, [cap] * vcpus, [100] * vcpus)

    def places(self, vcpus: Sequence[int]) -> tuple[int, ...]:
        """Where tasks run that are pinned to `vcpus`, or to none where that is empty."""
        allowed = tuple(vcpus) or tuple(range(len(self.pins)))
        taken = self.kept_off.get(_HOTPLUG, frozenset()) | self.kept_off.get(_CPUSET, frozenset())
        open_ = [vcpu for vcpu in allowed if vcpu not in taken]
        if not open_:  # the kernel gives them all that is left
            open_ = [vcpu for vcpu in range(len(self.pins)) if vcpu not in taken]
        liked = [vcpu for vcpu in open_ if vcpu not in self.kept_off.get(_MASK, frozenset())]
        return tuple(liked or open_)


class _State:
    """What is known of a lab at one time."""

    def __init__(self, plan: LabPlan) -> None:
        self._plan = plan
        self._hogs = {hog.name: hog for hog in plan.hogs}
        self.reset()

    def reset(self) -> None:
        """As before the first phase."""
        self._guests = {node.name: _Guest.of(node) for node in self._plan.nodes}
        self._duties = {hog.name: hog.duty_pct for hog in self._plan.hogs}
        self._running: set[str] = set()
        for setting in self._plan.knobs:
            self.take(setting)

    @property
    def governed(self) -> bool:
        """Whether a guest's kernel governs itself."""
        return any(guest.governed for guest in self._guests.values())

    def run(self, names: Sequence[str]) -> None:
        self._running |= set(names)

    def end(self, names: Sequence[str]) -> None:
        self._running -= set(names)

    def take(self, setting: KnobSetting) -> None:
        """A knob that is written."""
        guest = self._guests.get(setting.guest or setting.node)
        if guest is None:
            return
        if setting.knob in (_MASK, _CPUSET):
            guest.kept_off[setting.knob] = frozenset(parse_cpulist(setting.value))
        elif setting.knob == _HOTPLUG:
            guest.kept_off[_HOTPLUG] = frozenset(range(len(guest.pins))) - set(parse_cpulist(setting.value))
        elif setting.knob == KERNEL_GOVERNOR:
            guest.governed = setting.value == "1"
        elif setting.knob == WEIGHT_KNOB:
            guest.weight = int(setting.value)
        elif setting.knob in ("vcpu.quota", "vcpu.weight"):
            _take_of_vcpu(guest, setting)

    def change(self, change: ChangePlan) -> None:
        """A change of contention."""
        if change.kind == "start":
            self.run([change.target])
        elif change.kind == "stop":
            self.end([change.target])
        elif change.kind == "duty":
            self._duties[change.target] = change.value or 0.0
        else:
            self._change_guest(self._guests[change.target], change)

    @staticmethod
    def _change_guest(guest: _Guest, change: ChangePlan) -> None:
        if change.kind == "weight":
            guest.weight = int(change.value or 1)
        for vcpu in change.vcpus:
            if change.kind == "quota":
                guest.caps[vcpu] = min(1.0, (change.value or 0.0) / 100)
            else:
                guest.pins[vcpu] = change.pcpus

    def steal_pct(self) -> tuple[tuple[float | None, ...], ...]:
        """Predicted steal of each vCPU of each node, as it is now."""
        guests = [self._guest_contender(node.name) for node in self._plan.nodes]
        hogs = [self._hog_contender(hog) for name, hog in self._hogs.items() if name in self._running]
        return _predict((*guests, *hogs))[: len(guests)]

    def _guest_contender(self, name: str) -> Contender:
        guest = self._guests[name]
        loads = [
            GuestLoad(load.tasks, guest.places(load.vcpus))
            for load in self._plan.loads
            if load.node == name and load.name in self._running and load.tasks
        ]
        return Contender(
            pins=tuple(guest.pins),
            demands=vcpu_demands(len(guest.pins), loads),
            weight=guest.weight,
            caps=tuple(guest.caps),
            vcpu_weights=tuple(guest.weights),
        )

    def _hog_contender(self, hog: HogPlan) -> Contender:
        return hog_contender(replace(hog, duty_pct=self._duties[hog.name]))


#: Far more than all guests of a pCPU together: who has it gets what it wants.
_REALTIME_WEIGHT = 10_000_000


def hog_contender(hog: HogPlan) -> Contender:
    """A hog as the host's scheduler sees it: a guest with a vCPU on each of its pCPUs."""
    return Contender(
        pins=tuple((pcpu,) for pcpu in hog.pcpus),
        demands=(hog.duty_pct / 100,) * len(hog.pcpus),
        weight=_REALTIME_WEIGHT if hog.realtime else hog.weight,
    )


def _take_of_vcpu(guest: _Guest, setting: KnobSetting) -> None:
    found = _VCPU_PATH.search(setting.candidates[0].path) if setting.candidates else None
    if found is None:
        return
    if setting.knob == "vcpu.quota":
        guest.caps[int(found[1])] = min(1.0, int(setting.value) / 100)
    else:
        guest.weights[int(found[1])] = int(setting.value)


@lru_cache(maxsize=1024)
def _predict(contenders: tuple[Contender, ...]) -> tuple[tuple[float | None, ...], ...]:
    """Phases of arms and repeats are the same over and over."""
    return predict_steal_pct(contenders)


def with_predictions(plan: LabPlan) -> LabPlan:
    """`plan` with the predicted steal of every phase."""
    state = _State(plan)
    return replace(plan, phases=tuple(_predicted(plan, phase, state) for phase in plan.phases))


def _predicted(plan: LabPlan, phase: PhasePlan, state: _State) -> PhasePlan:
    """A phase with its prediction; `state` is left as the phase leaves the lab."""
    if phase.fresh:
        state.reset()
    state.end(phase.stop)
    for setting in phase.knobs:
        state.take(setting)
    for change in phase.contention:
        state.change(change)
    state.run(phase.start)
    governed = bool(phase.govern) or state.governed
    pieces = list(_pieces(phase, state))
    state.end(phase.until)
    return replace(phase, predicted=() if governed else _average(plan, pieces))


#: A piece of a window: its length, and the steal of every vCPU of every node in it.
_Piece = tuple[int, tuple[tuple[float | None, ...], ...]]


def _pieces(phase: PhasePlan, state: _State) -> Iterator[_Piece]:
    now_ns = 0
    for change in phase.changes:
        if change.at_ns > now_ns:
            yield change.at_ns - now_ns, state.steal_pct()
            now_ns = change.at_ns
        state.change(change)
    yield phase.duration_ns - now_ns, state.steal_pct()


def _average(plan: LabPlan, pieces: Sequence[_Piece]) -> tuple[PredictedSteal, ...]:
    return tuple(
        PredictedSteal(node.name, vcpu, _mean([(length, seen[index][vcpu]) for length, seen in pieces]))
        for index, node in enumerate(plan.nodes)
        for vcpu in range(len(node.vcpus))
    )


def _mean(parts: Sequence[tuple[int, float | None]]) -> float | None:
    """Over the whole window: a vCPU that is idle waits for nothing."""
    if all(steal is None for _, steal in parts):
        return None
    total = sum(length for length, _ in parts)
    return round(sum(length * (steal or 0.0) for length, steal in parts) / total, 2)


def with_times(plan: LabPlan, times: Mapping[str, Mapping[int, int]]) -> LabPlan:
    """`plan` with changes of schedules moved to when they were really made, and what follows from that.

    `times` has by phase, and by when changes were due in its window, when they were made in it, both in ns.
    """
    moved = (
        replace(
            phase,
            changes=tuple(
                replace(one, at_ns=min(phase.duration_ns, times[phase.name].get(one.at_ns, one.at_ns)))
                for one in phase.changes
            ),
        )
        if phase.name in times and phase.predicted is not None
        else phase
        for phase in plan.phases
    )
    again = with_predictions(replace(plan, phases=tuple(moved)))
    phases = zip(plan.phases, again.phases, strict=True)
    return replace(
        plan,
        phases=tuple(
            replace(old, predicted=new.predicted) if old.name in times else old for old, new in phases
        ),
    )


def predictions(plan: LabPlan) -> dict[str, dict[tuple[str, int], float | None]]:
    """Predicted steal by phase, and in it by node and vCPU; empty where nothing is predicted.

    Plans of older versions have one prediction for all phases, with all load running.
    """
    always = {(node.name, one.vcpu): one.predicted_steal_pct for node in plan.nodes for one in node.vcpus}
    return {
        phase.name: always
        if phase.predicted is None
        else {(one.node, one.vcpu): one.steal_pct for one in phase.predicted}
        for phase in plan.phases
    }
