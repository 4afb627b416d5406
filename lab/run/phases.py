# SPDX-License-Identifier: GPL-2.0-only
"""Carries out the phases of a plan on a lab: knobs, loads, settling, the measured window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from lab.errors import GuestLost, GuestPanicked, LabFailure, Lost
from lab.plan.labplan import HOST_SCOPE, ChangePlan, KnobSetting, PhasePlan, TracePlan
from lab.recording import KvmStats
from lab.run.anew import CommandLines
from lab.run.contention import Contention
from lab.run.govern import Governors
from lab.run.hogs import Hogs
from lab.run.lab import Lab
from lab.run.labknobs import restore_settings, write_settings
from lab.run.loads import Armed, GuestLoads, KeepOutput
from lab.run.ports import Narrator
from lab.run.schedule import Schedule
from lab.run.traces import KeepTrace, Traces
from lab.run.watch import DELIVERY_S
from lab.units import format_seconds

#: How often an arm's phases are begun in one repeat before a lost guest ends the run.
ARM_ATTEMPTS = 3
#: The probe on the host notices a guest's end at once; its word has to come from there.
NEWS_S = 2.0


@dataclass(frozen=True)
class CleanPoint:
    """What knobs were at one point: the newest entry of their journal then, which start of every guest it was, and
    what stood in them."""

    entry: int
    boots: Mapping[str, int]
    standing: tuple[KnobSetting, ...]


class PhaseRunner:
    """Runs phases one after the other.

    `keep_stats` is given KVM's counters at each edge of a window; what loads say goes where `keep_output` says, and
    traces of windows where `keep_trace` says.
    """

    def __init__(
        self,
        lab: Lab,
        narrator: Narrator,
        keep_stats: Callable[[KvmStats], None],
        keep_output: KeepOutput | None = None,
        keep_trace: KeepTrace | None = None,
    ) -> None:
        self._lab = lab
        self._narrator = narrator
        self._keep_stats = keep_stats
        self._loads = GuestLoads(lab, keep_output)
        self._hogs = Hogs(lab)
        self._traces = Traces(lab, keep_trace)
        self._command_lines = CommandLines(lab)
        self._governors = Governors(lab.plan, lab.watch, self.set_knobs, lab.journal.add)
        self._contention = Contention(lab, self._hogs, self.set_knobs, self.start_loads, self._pause_loads)
        self._schedule = Schedule(lab.watch, self._governors.sleep, self._contention.change, lab.journal.add)
        self._clean: CleanPoint | None = None

    def run_all(self) -> None:
        """All phases of the plan, and the wait for what was sampled in the last.

        Raises GuestLost or HostLost at once when something dies.
        """
        self._lab.shells.open_all()
        self.check_traces(phase.trace for phase in self._lab.plan.phases)
        self.set_knobs(self._lab.plan.knobs)
        self._clean = self.clean_point()
        for phases in _together(self._lab.plan.phases):
            self._run_together(phases)
        self._governors.release(())
        self._lab.watch.sleep(DELIVERY_S)
        self._hogs.end_all()
        self._loads.end_all_commands()

    def check_traces(self, traces: Iterable[TracePlan | None]) -> None:
        """Raises LabFailure where a kernel of the lab cannot trace so."""
        self._traces.check(traces)

    def _run_together(self, phases: Sequence[PhasePlan]) -> None:
        """Phases of which none counts without the others: all of them again if a guest is lost where they begin
        afresh. A run with arms is long, and what it has measured is not lost with a guest."""
        for attempt in range(1, ARM_ATTEMPTS):
            try:
                for phase in phases:
                    self.run(phase)
                return
            except GuestPanicked:
                raise  # what is tested did it, and would again
            except GuestLost as error:
                if not phases[0].fresh:
                    raise
                self._revive_guests(error, phases[0], attempt)
        for phase in phases:
            self.run(phase)

    def _revive_guests(self, error: GuestLost, phase: PhasePlan, attempt: int) -> None:
        """Start guests again that are dead. Raises `error` where none is: it may be anything then."""
        with suppress(GuestLost):
            self._lab.watch.sleep(NEWS_S)
        self._lab.watch.raise_panics()
        dead = self._lab.watch.dead()
        if not dead:
            raise error
        reason = error.message.splitlines()[0]
        self._narrator.say(f"{reason}: repeat {phase.repeat} of arm {phase.arm} again")
        what = f"repeat {phase.repeat} of arm {phase.arm}"
        self._lab.journal.add(0, "retry", what=what, reason=reason, attempt=attempt)
        self._lab.revive(dead)
        self._loads.nodes_started_anew(dead)

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
        self._contention.change(phase.contention)
        self.start_loads([name for name in phase.start if name not in phase.until])
        self._hogs.prepare(one.target for one in phase.changes if one.kind == "start")
        begin = self._lab.watch.mark(f"phase-begin {phase.name}")
        self._governors.govern(phase.govern)
        self._governors.sleep(phase.settle_ns / 1e9)
        self.measure(phase.name, phase.duration_ns / 1e9, begin, phase.until, phase.changes, phase.trace)

    def measure(
        self,
        name: str,
        seconds: float,
        begin_ns: int | None = None,
        until: Sequence[str] = (),
        changes: Sequence[ChangePlan] = (),
        trace: TracePlan | None = None,
    ) -> None:
        """One measured window of `seconds`; `begin_ns` is when the changes before it were done.

        Loads of `until` that do not run begin together with it, and it ends when all of them have ended. `changes`
        are carried out in it. What `trace` says is recorded meanwhile.
        """
        armed = self._loads.arm(until)
        with self._traces.recording(name, trace):
            self._measure(name, seconds, begin_ns, armed, until, changes)
        self._loads.finish(until)
        self._traces.fetch(name, trace)

    def _measure(
        self,
        name: str,
        seconds: float,
        begin_ns: int | None,
        armed: Armed,
        until: Sequence[str],
        changes: Sequence[ChangePlan],
    ) -> None:
        watch = self._lab.watch
        self._read_stats()
        self._hogs.tell_work("start")
        watch.tasks(f"phase-start {name}")
        self._loads.release(armed)
        outer_start = watch.mark_outside(f"phase-start {name}")
        start = watch.mark(f"phase-start {name}")
        self._schedule.begin(name, changes, start)
        self._loads.wait(until, seconds, self._schedule.sleep)
        self._schedule.end()
        end = watch.mark(f"phase-end {name}")
        outer_end = watch.mark_outside(f"phase-end {name}")
        watch.tasks(f"phase-end {name}")
        self._hogs.tell_work("end")
        self._hogs.end_resting()
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
            self._loads.nodes_started_anew(started)
            self._contention.nodes_started_anew(started)
        self._write_knobs(self._command_lines.rest(settings, started))

    def begin_arm(self, phase: PhasePlan) -> None:
        """Bring the lab back to where it was before the first phase, with the kernels and command lines of `phase`.

        Loads end, governors let go, guests that run something else are started anew, knobs are brought back.
        """
        self.stop_loads(sorted({load for load, _ in self._loads.running}))
        self._contention.reset()
        self._governors.release(())
        self._loads.nodes_started_anew(self._command_lines.begin(phase.knobs, dict(phase.kernels)))
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

    def _write_knobs(self, settings: Sequence[KnobSetting]) -> None:
        for setting in write_settings(self._lab, settings):
            self._command_lines.stands(setting)

    def start_loads(self, names: Sequence[str]) -> None:
        """Start loads by name, at the same time on all their nodes where they do not run, and hogs."""
        self._loads.start(names)
        self._hogs.start(names)

    def stop_loads(self, names: Sequence[str]) -> None:
        """Stop loads by name, on all their nodes where they run, and hogs."""
        self._hogs.stop(names)
        self._loads.stop(names)

    def _pause_loads(self, names: Sequence[str]) -> None:
        """Stop loads, and let hogs rest: both while a window is measured."""
        self._hogs.rest(names)
        self._loads.stop(names)

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
            self._lab.watch.sleep(NEWS_S)
            raise


def _together(phases: Sequence[PhasePlan]) -> list[list[PhasePlan]]:
    """The phases in groups, each of which begins where one is fresh."""
    groups: list[list[PhasePlan]] = []
    for phase in phases:
        if phase.fresh or not groups:
            groups.append([])
        groups[-1].append(phase)
    return groups
