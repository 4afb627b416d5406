# SPDX-License-Identifier: GPL-2.0-only
"""Carries out the phases of a plan on a lab: knobs, loads, settling, the measured window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from lab.errors import LabFailure, Lost
from lab.plan.labplan import HOST_SCOPE, KnobSetting, LoadPlan, PhasePlan
from lab.recording import KvmStats
from lab.run.anew import CommandLines
from lab.run.govern import Governors
from lab.run.guestctl import start_load, stop_load
from lab.run.lab import Lab
from lab.run.labknobs import restore_settings, write_settings
from lab.run.ports import Narrator, Shell
from lab.run.watch import DELIVERY_S
from lab.units import format_seconds

#: The probe on the host notices a guest's end at once; its word has to come from there.
_NEWS_S = 2.0

_OnNode = TypeVar("_OnNode", KnobSetting, LoadPlan)


@dataclass(frozen=True)
class CleanPoint:
    """What knobs were at one point: the newest entry of their journal then, which start of every guest it was, and
    what stood in them."""

    entry: int
    boots: Mapping[str, int]
    standing: tuple[KnobSetting, ...]


class PhaseRunner:
    """Runs phases one after the other; `keep_stats` is given KVM's counters at each edge of a window."""

    def __init__(self, lab: Lab, narrator: Narrator, keep_stats: Callable[[KvmStats], None]) -> None:
        self._lab = lab
        self._narrator = narrator
        self._keep_stats = keep_stats
        self._running: set[tuple[str, str]] = set()
        self._command_lines = CommandLines(lab)
        self._governors = Governors(lab.plan, lab.watch, self.set_knobs, lab.journal.add)
        self._clean: CleanPoint | None = None

    def run_all(self) -> None:
        """All phases of the plan, and the wait for what was sampled in the last.

        Raises GuestLost or HostLost at once when something dies.
        """
        self._lab.shells.open_all()
        self.set_knobs(self._lab.plan.knobs)
        self._clean = self.clean_point()
        for phase in self._lab.plan.phases:
            self.run(phase)
        self._governors.release(())
        self._lab.watch.sleep(DELIVERY_S)

    def run(self, phase: PhasePlan) -> None:
        """One phase, its measured window written down as an event."""
        self._narrator.say(
            f"phase {phase.name}: {format_seconds(phase.settle_ns)} to settle, "
            f"{format_seconds(phase.duration_ns)} measured"
        )
        if phase.fresh:
            self.begin_arm(phase)
        self._governors.release(phase.govern)
        self.stop_loads(phase.stop)
        self.set_knobs(phase.knobs)
        self.start_loads(phase.start)
        begin = self._lab.watch.mark(f"phase-begin {phase.name}")
        self._governors.govern(phase.govern)
        self._governors.sleep(phase.settle_ns / 1e9)
        self.measure(phase.name, phase.duration_ns / 1e9, begin)

    def measure(self, name: str, seconds: float, begin_ns: int | None = None) -> None:
        """One measured window of `seconds`; `begin_ns` is when the changes before it were done."""
        watch = self._lab.watch
        self._read_stats()
        watch.tasks(f"phase-start {name}")
        outer_start = watch.mark_outside(f"phase-start {name}")
        start = watch.mark(f"phase-start {name}")
        self._governors.sleep(seconds)
        end = watch.mark(f"phase-end {name}")
        outer_end = watch.mark_outside(f"phase-end {name}")
        watch.tasks(f"phase-end {name}")
        self._read_stats()
        more = {} if outer_start is None else {"outer_start_ns": outer_start, "outer_end_ns": outer_end}
        if begin_ns is not None:
            more["begin_ns"] = begin_ns
        self._lab.journal.add(end, "phase", phase=name, start_ns=start, end_ns=end, **more)

    def set_knobs(self, settings: Sequence[KnobSetting]) -> None:
        """Set knobs, all nodes at the same time, each node's in order, and write down both clocks.

        Guests with a knob on their command line that changes are started anew first. What was set in them before
        is set again then; loads that ran in them have ended (lab.run.anew).
        """
        started = self._command_lines.set(settings)
        if started:
            self._end_loads_of(started)
        self._write_knobs(self._command_lines.rest(settings, started))

    def begin_arm(self, phase: PhasePlan) -> None:
        """Bring the lab back to where it was before the first phase, with the kernels and command lines of `phase`.

        Loads end, governors let go, guests that run something else are started anew, knobs are brought back.
        """
        self.stop_loads(sorted({load for load, _ in self._running}))
        self._governors.release(())
        self._command_lines.begin(phase.knobs, dict(phase.kernels))
        self._lab.shells.open_all()  # while nothing contends
        if self._clean is not None:
            self._return_knobs(self._clean)
        self._clean = self.clean_point()

    def clean_point(self) -> CleanPoint:
        """Knobs as they are now, to return to."""
        boots = {name: files.boot for name, files in self._lab.files.items()}
        return CleanPoint(self._lab.knobs.mark(), boots, self._command_lines.standing)

    def return_to(self, point: CleanPoint, command_lines: Sequence[KnobSetting]) -> None:
        """Bring all knobs back to `point`, and command lines to what `command_lines` say.

        A guest that was started anew since has lost what stood in it at that point: it is set again.
        """
        self._command_lines.forget()
        self.set_knobs(command_lines)
        self._return_knobs(point)

    def _return_knobs(self, point: CleanPoint) -> None:
        machines = [HOST_SCOPE, *(node.name for node in self._lab.plan.nodes)]
        restore_settings(self._lab, machines, point.entry)
        anew = [name for name, files in self._lab.files.items() if files.boot != point.boots.get(name)]
        self._write_knobs([one for one in point.standing if (one.guest or one.node) in anew])
        self._command_lines.remember(point.standing)

    def _end_loads_of(self, nodes: Sequence[str]) -> None:
        """Write down that the loads of guests that were started anew are over."""
        now = self._lab.watch.mark("load-stop")
        for load, node in sorted(one for one in self._running if one[1] in nodes):
            self._running.discard((load, node))
            self._lab.journal.add(now, "load-stop", load=load, node=node)

    def _write_knobs(self, settings: Sequence[KnobSetting]) -> None:
        for setting in write_settings(self._lab, settings):
            self._command_lines.stands(setting)

    def start_loads(self, names: Sequence[str]) -> None:
        """Start loads by name, at the same time on all their nodes where they do not run."""
        loads = [one for one in self._loads(names) if (one.name, one.node) not in self._running]
        self._change_loads(loads, "load-start", start_load)
        self._running.update((one.name, one.node) for one in loads)

    def stop_loads(self, names: Sequence[str]) -> None:
        """Stop loads by name, on all their nodes where they run."""
        loads = [one for one in self._loads(names) if (one.name, one.node) in self._running]
        self._change_loads(loads, "load-stop", stop_load)
        self._running.difference_update((one.name, one.node) for one in loads)

    def _loads(self, names: Sequence[str]) -> list[LoadPlan]:
        return [load for load in self._lab.plan.loads if load.name in names]

    def _change_loads(
        self, loads: Sequence[LoadPlan], kind: str, change: Callable[[Shell, LoadPlan], None]
    ) -> None:
        if not loads:
            return
        by_node = _by_node(loads)

        def change_on(node: str) -> None:
            for load in by_node[node]:
                change(self._lab.shells[node], load)

        self._lab.everywhere(list(by_node), change_on)
        now = self._lab.watch.mark(kind)
        for load in loads:
            self._lab.journal.add(now, kind, load=load.name, node=load.node)

    def _read_stats(self) -> None:
        t0 = self._lab.watch.mark("kvm-stats")
        with self._death_first():
            counters = {
                node.name: self._lab.host.hypervisor.kvm_counters(node.domain)
                for node in self._lab.plan.nodes
            }
        t1 = self._lab.watch.mark("kvm-stats-read")
        for node, vcpus in counters.items():
            for vcpu, values in vcpus.items():
                self._keep_stats(KvmStats(t0, t1, node, vcpu, values))

    @contextmanager
    def _death_first(self) -> Iterator[None]:
        """libvirt may know of a guest's end before the host's probe has told it: wait for the news and raise it."""
        try:
            yield
        except Lost:
            raise
        except LabFailure:
            self._lab.watch.sleep(_NEWS_S)
            raise


def _by_node(items: Sequence[_OnNode]) -> dict[str, list[_OnNode]]:
    groups: dict[str, list[_OnNode]] = {}
    for item in items:
        groups.setdefault(item.node, []).append(item)
    return groups
