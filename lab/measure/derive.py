# SPDX-License-Identifier: GPL-2.0-only
"""From the bytes of a recording to measured windows.

Both sides of a vCPU must describe the same stretch of time, or their difference would be one of edges. So
the guest's samples choose the stretch (the first and the last inside of the window), their times are carried
over to the host's clock, and the host's counters are interpolated at exactly those two times.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from lab.errors import RecordingError
from lab.measure.boots import GuestBoot, boot_at, restart_times, split_boots
from lab.measure.clock import Exchange, match_clocks
from lab.measure.doubts import (
    OUTER_DELAY_PCT,
    OUTER_WORK_DELAY_PCT,
    doubt_clock,
    doubt_coverage,
    doubt_disagreement,
    doubt_dropped,
    doubt_gap,
    doubt_short,
)
from lab.measure.findings import RecordedConsole, collect_findings
from lab.measure.foldings import fold_acts, measure_foldings
from lab.measure.governed import NodeView, file_changes, govern_decisions
from lab.measure.guestside import GuestStretch, cut_stretch, task_affinities, task_windows
from lab.measure.happened import EventLike
from lab.measure.hogwork import hog_windows, schedule_window
from lab.measure.hostside import ThreadCounters, VcpuThread, vcpu_threads
from lab.measure.kvmcounters import KvmReading, KvmSeries, kvm_growth, kvm_series
from lab.measure.loadresults import load_results
from lab.measure.loadruns import LoadOutput
from lab.measure.outside import Span, doubt_outside
from lab.measure.probestream import ProbeStream, StreamError, parse_stream
from lab.measure.proof import Prover, WindowProof
from lab.measure.scheduled import schedule_doubts
from lab.measure.skipped import skipped_knobs
from lab.measure.tracefiles import TracedPhase
from lab.measure.windows import (
    ClockMatch,
    Folding,
    LoadResult,
    Measurements,
    PhaseProof,
    PhaseWindow,
    TaskWindow,
    VcpuWindow,
)
from lab.plan.labplan import LabPlan, NodePlan, trace_of
from lab.plan.leasing import leased_pcpus

if TYPE_CHECKING:  # columns of numbers take longer to load than most commands take
    from lab.trace.model import TracedWindow
    from lab.trace.summary import PhaseTrace

#: How far outside of a window its clock is still matched, so that short windows have enough reads.
CLOCK_MARGIN_NS = 2_000_000_000


class RecordingLike(Protocol):
    """What this module reads of a recording, as `lab.recording.Recording` has it."""

    def events(self) -> Sequence[EventLike]: ...
    def kvm_stats(self) -> Sequence[KvmReading]: ...
    def host_stream(self) -> bytes: ...
    def outer_stream(self) -> bytes: ...
    def guest_stream(self, node: str) -> bytes: ...
    def earlier_guest_streams(self, node: str) -> Sequence[bytes]: ...
    def load_outputs(self, node: str) -> Sequence[LoadOutput]: ...
    def traces(self, phase: str) -> TracedPhase | None: ...
    def consoles(self) -> Sequence[RecordedConsole]: ...
    def decoded_frames(self) -> Mapping[str, Mapping[str, str]]: ...


def measure_recording(recording: RecordingLike, plan: LabPlan) -> Measurements:
    """Everything that `plan`'s recording says, phase by phase in the order in which they ran.

    Raises RecordingError where a stream is damaged or an event lacks what its kind must have.
    """
    return Derivation(recording, plan).measurements()


def node_views(recording: RecordingLike, plan: LabPlan) -> Mapping[str, NodeView]:
    """Every node of `plan` as its recording shows it, sample by sample. Raises RecordingError as above."""
    return Derivation(recording, plan).views


def traced_windows(recording: RecordingLike, plan: LabPlan) -> Iterator[TracedWindow]:
    """What the traces of every phase say together, phase by phase: each may be large. Raises RecordingError."""
    return Derivation(recording, plan).traced_windows()


@dataclass(frozen=True)
class _Phase:
    """A phase as its event has it; `outer_ns` is the same window on the clock outside of the host VM."""

    name: str
    start_ns: int
    end_ns: int
    outer_ns: tuple[int, int] | None
    begin_ns: int = 0

    @property
    def length_ns(self) -> int:
        return self.end_ns - self.start_ns


@dataclass(frozen=True)
class _Stretch:
    """What of a phase one node's samples span, on the host's clock; `guest` is None where it was not seen."""

    start_ns: int
    end_ns: int
    guest: GuestStretch | None
    doubts: tuple[str, ...]


class Derivation:
    """One recording being measured: the parsed streams, each parsed once, whatever is asked of them."""

    def __init__(self, recording: RecordingLike, plan: LabPlan) -> None:
        self._recording = recording
        self._plan = plan
        self._events = recording.events()
        self._planned = {phase.name: phase for phase in plan.phases}
        self._restarts = {node.name: restart_times(self._events, node.name) for node in plan.nodes}
        self._boots = {node.name: self._split(node.name) for node in plan.nodes}

    def _split(self, node: str) -> tuple[GuestBoot, ...]:
        """The starts of a node: one, unless it was started anew."""
        earlier = [
            _parse(data, f"guests/{node}/boots/{number}/probe.stream", "guest")
            for number, data in enumerate(self._recording.earlier_guest_streams(node))
        ]
        last = _parse(self._recording.guest_stream(node), f"guests/{node}/probe.stream", "guest")
        return split_boots((*earlier, last), self._host, self._restarts[node])

    @cached_property
    def _host(self) -> ProbeStream:
        return _parse(self._recording.host_stream(), "host/probe.stream", "host")

    @cached_property
    def _outer(self) -> ProbeStream:
        return _parse(self._recording.outer_stream(), "host/outer.stream", "host")

    @cached_property
    def _threads(self) -> dict[tuple[str, int], VcpuThread]:
        return vcpu_threads(self._host, self._restarts)

    @cached_property
    def _kvm(self) -> dict[tuple[str, int], KvmSeries]:
        return kvm_series(self._recording.kvm_stats(), self._restarts)

    @cached_property
    def views(self) -> dict[str, NodeView]:
        """Every node, by its name."""
        return {node: self._view(node) for node in self._boots}

    def _view(self, node: str) -> NodeView:
        return NodeView(
            name=node,
            boots=self._boots[node],
            threads={vcpu: thread for (name, vcpu), thread in self._threads.items() if name == node},
            clock_near=lambda t_ns: self._clock_near(node, t_ns),
            clock_of=lambda boot: match_clocks(node, boot.guest, boot.host, self._exchanges(node, boot)),
        )

    def measurements(self) -> Measurements:
        """As `measure_recording` has it."""
        vcpus: list[VcpuWindow] = []
        tasks: list[TaskWindow] = []
        for phase in self._phases():
            for node in self._plan.nodes:
                stretch = self._stretch(node.name, phase)
                vcpus += [self._vcpu_window(node.name, one.vcpu, phase, stretch) for one in node.vcpus]
                if stretch.guest is not None:
                    tasks += task_windows(node.name, phase.name, stretch.guest)
        watch = self._plan.measure.watch
        changes = tuple(change for view in self.views.values() for change in file_changes(view, watch))
        return Measurements(
            phases=tuple(self._phase_window(phase) for phase in self._phases()),
            vcpus=tuple(vcpus),
            tasks=tuple(tasks),
            affinities=tuple(
                one
                for name, boots in self._boots.items()
                for one in task_affinities(name, [boot.guest for boot in boots])
            ),
            clocks=self._clocks(),
            retries=tuple(_retry_text(event) for event in self._events if event.kind == "retry"),
            foldings=self._foldings(),
            file_changes=changes,
            proofs=tuple(self._proofs()),
            decisions=govern_decisions(self._plan, self._events, self._phases(), self.views, changes),
            load_results=self._load_results(),
            hogs=tuple(
                one
                for phase in self._phases()
                for one in hog_windows(
                    phase.name, phase.start_ns, phase.end_ns, self._plan.hogs, self._events
                )
            ),
            schedules=tuple(
                kept
                for phase in self._phases()
                if (kept := schedule_window(phase.name, phase.start_ns, phase.end_ns, self._events))
            ),
            traces=tuple(self._traces()),
            findings=collect_findings(
                self._recording.consoles(),
                emulated=self._plan.host.emulated,
                decoded=self._recording.decoded_frames(),
            ),
        )

    def _phases(self) -> tuple[_Phase, ...]:
        """The phases that were measured; one that was measured again counts as its last measurement."""
        found = {_need(event, "phase"): _phase(event) for event in self._events if event.kind == "phase"}
        return tuple(found.values())

    def _foldings(self) -> tuple[Folding, ...]:
        acts = fold_acts(self._events, self._clock_near)
        threads = {key: thread.series for key, thread in self._threads.items()}
        return measure_foldings(acts, self._phases(), threads, self._plan.measure.interval_ms)

    def _load_results(self) -> tuple[LoadResult, ...]:
        outputs = {node.name: self._recording.load_outputs(node.name) for node in self._plan.nodes}
        return load_results(self._plan.loads, self._events, outputs, self._phases(), self._clock_near)

    def traced_windows(self) -> Iterator[TracedWindow]:
        """What was traced, phase by phase."""
        if all(trace_of(self._plan, phase.name) is None for phase in self._phases()):
            return iter(())
        from lab.measure.traced import measure_traces

        return measure_traces(self._recording, self._plan, self._phases(), self._clock_near)

    def _traces(self) -> Iterator[PhaseTrace]:
        for window in self.traced_windows():
            from lab.trace.summarise import summarise

            yield summarise(window)

    # ---- phases

    def _phase_window(self, phase: _Phase) -> PhaseWindow:
        outer = self._outer_doubts(phase, OUTER_DELAY_PCT)
        doubts = (
            *doubt_short(phase.length_ns),
            *self._disturbances(phase),
            *outer,
            *self._host_probe_doubts(phase),
            *(self._proven[phase.name].doubts if phase.name in self._proven else ()),
            *schedule_doubts(self._planned.get(phase.name), self._events, phase.start_ns, phase.end_ns),
        )
        work_doubts = () if outer else self._outer_doubts(phase, OUTER_WORK_DELAY_PCT)
        skipped = skipped_knobs(
            self._plan.phases, phase.name, self._events, phase.start_ns, self._plan.comparison
        )
        return PhaseWindow(phase.name, phase.start_ns, phase.end_ns, doubts, work_doubts, skipped)

    def _disturbances(self, phase: _Phase) -> tuple[str, ...]:
        return tuple(
            f"host disturbed: {_need(event, 'reason')}"
            for event in self._events
            if event.kind == "disturbance" and phase.start_ns <= event.t_ns <= phase.end_ns
        )

    def _host_probe_doubts(self, phase: _Phase) -> tuple[str, ...]:
        stretch = cut_stretch(self._host, phase.start_ns, phase.end_ns)
        if stretch is None:
            return ("host side missing: no samples of its probe in the window",)
        return (
            *doubt_dropped("the host", stretch.dropped),
            *doubt_gap("the host", stretch.widest_gap_ns, stretch.interval_ms, phase.length_ns),
        )

    @cached_property
    def _proven(self) -> dict[str, WindowProof]:
        """By phase; none where the host's probe was one that took no snapshots."""
        prover = Prover(self._plan, self._events, self._host)
        proofs = {phase.name: prover.prove(phase.start_ns, phase.end_ns) for phase in self._phases()}
        return {phase: proof for phase, proof in proofs.items() if proof is not None}

    def _proofs(self) -> Iterator[PhaseProof]:
        for phase, proof in self._proven.items():
            shares, clocks = tuple(proof.foreign_pct.items()), tuple(proof.clocks.items())
            yield PhaseProof(phase, shares, proof.snapshot_ns, clocks, proof.helpers_pct)

    def _outer_doubts(self, phase: _Phase, bound_pct: float) -> tuple[str, ...]:
        span = Span(phase.start_ns, phase.end_ns, phase.outer_ns)
        return doubt_outside(self._host, self._outer, leased_pcpus(self._plan), span, bound_pct)

    # ---- clocks

    def _clocks(self) -> tuple[ClockMatch, ...]:
        matches = (self._match(node) for node in self._plan.nodes)
        return tuple(match for match in matches if match is not None)

    def _match(self, node: NodePlan) -> ClockMatch | None:
        """Of its last start: the clock that it has now."""
        boot = self._boots[node.name][-1]
        return match_clocks(node.name, boot.guest, boot.host, self._exchanges(node.name, boot))

    def _match_near(self, node: str, phase: _Phase) -> ClockMatch | None:
        """The clock as it stood around the phase: a badly calibrated one drifts over a whole recording."""
        boot = boot_at(self._boots[node], phase.start_ns)
        near = (phase.start_ns - CLOCK_MARGIN_NS, phase.end_ns + CLOCK_MARGIN_NS)
        exchanges = [
            one
            for one in self._exchanges(node, boot)
            if near[0] <= one.host_t0_ns and one.host_t1_ns <= near[1]
        ]
        return match_clocks(node, boot.guest, boot.host, exchanges, near)

    def _clock_near(self, node: str, t_ns: int) -> ClockMatch | None:
        return self._match_near(node, _Phase("", t_ns, t_ns, None)) if node in self._boots else None

    def _exchanges(self, node: str, boot: GuestBoot) -> list[Exchange]:
        names = ("host_t0_ns", "guest_t0_ns", "guest_t1_ns", "host_t1_ns")
        return [
            Exchange(*(event.data[name] for name in names))
            for event in self._events
            if event.kind in ("knob", "load-start")
            and event.data.get("node") == node
            and all(event.data.get(n) for n in names)
            and boot.holds(event.data["host_t0_ns"], event.data["host_t1_ns"])
        ]

    # ---- one node in one phase

    def _stretch(self, node: str, phase: _Phase) -> _Stretch:
        clock = self._match_near(node, phase)
        if clock is None:
            return _Stretch(
                phase.start_ns, phase.end_ns, None, (f"guest side missing: {node} was not heard",)
            )
        offset_ns = clock.offset_ns
        stream = boot_at(self._boots[node], phase.start_ns).guest
        guest = cut_stretch(stream, phase.start_ns - offset_ns, phase.end_ns - offset_ns)
        if guest is None:
            missing = f"guest side missing: no samples of {node} in the window"
            return _Stretch(phase.start_ns, phase.end_ns, None, (missing,))
        doubts = (
            *doubt_clock(node, clock.error_ns, phase.length_ns),
            *doubt_coverage(node, guest.end_ns - guest.start_ns, phase.length_ns),
            *doubt_dropped(node, guest.dropped),
            *doubt_gap(node, guest.widest_gap_ns, guest.interval_ms, phase.length_ns),
        )
        return _Stretch(guest.start_ns + offset_ns, guest.end_ns + offset_ns, guest, doubts)

    def _vcpu_window(self, node: str, vcpu: int, phase: _Phase, stretch: _Stretch) -> VcpuWindow:
        thread = self._threads.get((node, vcpu))
        host = None if thread is None else thread.growth(stretch.start_ns, stretch.end_ns)
        steal_ns = None if stretch.guest is None else stretch.guest.steal_ns(vcpu)
        kvm = kvm_growth(self._kvm.get((node, vcpu), {}), stretch.start_ns, stretch.end_ns)
        window = VcpuWindow(
            node=node,
            vcpu=vcpu,
            phase=phase.name,
            elapsed_ns=stretch.end_ns - stretch.start_ns,
            guest_steal_ns=steal_ns,
            host_delay_ns=None if host is None else host.delay_ns,
            host_run_ns=None if host is None else host.run_ns,
            slices=None if host is None else host.slices,
            voluntary_switches=None if host is None else host.voluntary,
            involuntary_switches=None if host is None else host.involuntary,
            kvm_preemption_reported=kvm.get("preemption_reported"),
            kvm_preemption_other=kvm.get("preemption_other"),
            kvm=kvm,
        )
        doubts = (*stretch.doubts, *_side_doubts(window, thread, host), *self._agreement_doubts(window))
        return VcpuWindow(**{**window.__dict__, "doubts": doubts})

    def _agreement_doubts(self, window: VcpuWindow) -> tuple[str, ...]:
        if window.guest_steal_pct is None or window.host_steal_pct is None:
            return ()
        bound_pct = self._plan.measure.disagreement_pct
        return doubt_disagreement(window.guest_steal_pct, window.host_steal_pct, bound_pct)


def _parse(data: bytes, name: str, side: str) -> ProbeStream:
    try:
        stream = parse_stream(data)
    except StreamError as error:
        raise RecordingError(f"{name}: {error}") from None
    if stream.hello is not None and stream.hello.side != side:
        raise RecordingError(f"{name}: is the stream of a {stream.hello.side}, expected that of a {side}")
    return stream


def _phase(event: EventLike) -> _Phase:
    data = event.data
    outer = (data.get("outer_start_ns"), data.get("outer_end_ns"))
    outer_ns = (int(outer[0]), int(outer[1])) if outer[0] is not None and outer[1] is not None else None
    start_ns = int(_need(event, "start_ns"))
    begin_ns = int(data.get("begin_ns", start_ns))
    phase = _Phase(_need(event, "phase"), start_ns, _need(event, "end_ns"), outer_ns, begin_ns)
    if phase.end_ns <= phase.start_ns:
        raise RecordingError(f"events.jsonl: phase {phase.name} ends at or before its start")
    return phase


def _side_doubts(
    window: VcpuWindow, thread: VcpuThread | None, host: ThreadCounters | None
) -> tuple[str, ...]:
    name = f"vCPU {window.vcpu} of {window.node}"
    doubts: list[str] = []
    if thread is None:
        doubts.append(f"host side missing: the thread of {name} was never seen")
    elif host is None:
        doubts.append(f"host side missing: the thread of {name} was not seen over the whole stretch")
    if window.guest_steal_ns is not None and window.guest_steal_ns < 0:
        doubts.append(f"steal of {name} ran backwards")
    return tuple(doubts)


def _retry_text(event: EventLike) -> str:
    what, reason, attempt = (_need(event, key) for key in ("what", "reason", "attempt"))
    return f"{what}: {reason} (attempt {attempt})"


def _need(event: EventLike, key: str) -> Any:
    if key not in event.data:
        raise RecordingError(f"events.jsonl: event {event.kind!r} at {event.t_ns} lacks {key!r}")
    return event.data[key]
