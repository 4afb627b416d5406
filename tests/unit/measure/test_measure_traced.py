# SPDX-License-Identifier: GPL-2.0-only
"""Traces of a phase joined on the host's clock: threads, offsets, what a trace does not span, what is not there.

The traces are real (tests/data/traces): two threads of SCHED_IDLE that loop on pCPU 1 are taken for vCPUs, so that
what they did is known; the host's own trace, with its ticks moved, is taken for that of a guest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fakeworld import make_plan, make_topology
from measuring import FakeRecording

from lab.measure.derive import measure_recording, traced_windows
from lab.measure.happened import ClockNear
from lab.measure.traced import measure_traces
from lab.measure.tracefiles import TracedPhase, TscOffset, parse_offsets, parse_threads
from lab.measure.windows import ClockMatch
from lab.plan.labplan import HOST_SCOPE, LabPlan
from lab.recording import Event, Recording, RecordingWriter
from lab.trace.about import parse_about
from lab.trace.decode import TraceFiles
from lab.trace.model import State, Thread, TracedWindow
from lab.trace.summarise import summarise

DATA = Path(__file__).parents[2] / "data/traces"
#: What the guest's TSC is ahead of the host's here, in ticks, and the vCPU threads of the trace.
AHEAD = 7_000_000_000_000
THREADS = b"8556 guest1 vcpu 0\n8557 guest1 vcpu 1\n8558 noisy thread 0\n"
FIRST_NS, LAST_NS = 41_791_178_200_000, 41_792_132_870_000


def read_files(name: str) -> TraceFiles:
    directory = DATA / name
    return TraceFiles(
        (directory / "about").read_bytes(),
        (directory / "formats").read_bytes(),
        {number: (directory / f"cpu{number}.raw").read_bytes() for number in (0, 1)},
    )


HOST = read_files("host-6.18-tsc")


@dataclass(frozen=True)
class Phase:
    name: str = "one"
    start_ns: int = FIRST_NS
    end_ns: int = LAST_NS


def plan(trace: str = "[sched, guest]") -> LabPlan:
    return make_plan(
        make_topology(
            "nodes: [{name: guest, count: 2, vcpus: 2, memory: 256MiB, pinning: spread}]\n"
            f"phases: [{{name: one, duration: 5s, trace: {trace}}}]\n"
        )
    )


def nobody(node: str, t_ns: int) -> ClockMatch | None:
    return None


def window(phase: Phase = Phase(), clocks: ClockNear = nobody, **changed: object) -> TracedWindow:
    files = TracedPhase(HOST, {}, THREADS, b"")
    recording = FakeRecording(traced={"one": replace(files, **changed)})
    (found,) = measure_traces(recording, plan(), [phase], clocks)
    return found


def moved(offset: int) -> bytes:
    return f"guest1 0 {offset} - -\nguest1 1 {offset} - -\n".encode()


# ---- the text files


def test_threads_are_read_and_what_is_no_thread_is_left_out() -> None:
    data = b"12 guest1 vcpu 3\n13 guest1 emulator\n14 noisy thread 0\nx guest1 vcpu 0\n15 guest1\n16 \xff vcpu 1\n1"
    found = parse_threads(data)
    assert found[12] == Thread(12, "guest1", "vcpu 3", 3)
    assert found[13] == Thread(13, "guest1", "emulator")
    assert found[14] == Thread(14, "noisy", "thread 0")
    assert found.keys() == {12, 13, 14, 16}


@pytest.mark.parametrize(
    ("line", "offset"),
    [
        ("guest1 3 -5 - -", TscOffset("guest1", 3, -5, None)),
        ("guest1 3 -5 4294967296 32", TscOffset("guest1", 3, -5, None)),
        ("guest1 3 7 6442450944 32", TscOffset("guest1", 3, 7, 1.5)),
        ("guest1 3 18446744073709551611 281474976710656 48", TscOffset("guest1", 3, -5, None)),
    ],
)
def test_offsets_are_signed_and_scaled(line: str, offset: TscOffset) -> None:
    assert parse_offsets(f"garbage\n{line}\nguest1 x 3 - -\n".encode()) == (offset,)


# ---- windows


def test_a_window_has_the_timeline_of_each_vcpu_over_the_measured_window() -> None:
    found = window()
    assert [(one.node, one.vcpu, one.tid) for one in found.vcpus] == [
        ("guest1", 0, 8556),
        ("guest1", 1, 8557),
    ]
    for one in found.vcpus:
        assert (one.start_ns[0], one.end_ns[-1]) == (FIRST_NS, LAST_NS)
        assert int((one.end_ns - one.start_ns)[one.state == State.RUNNING].sum()) > 0.3 * (LAST_NS - FIRST_NS)
    assert found.doubts == () and found.host.node == HOST_SCOPE
    assert found.threads[8558].owner == "noisy"


def test_events_outside_of_the_measured_window_tell_how_it_begins() -> None:
    inner = Phase(start_ns=FIRST_NS + 300_000_000, end_ns=FIRST_NS + 500_000_000)
    for one in window(inner).vcpus:
        assert one.end_ns[-1] - one.start_ns[0] == 200_000_000
        assert State.UNKNOWN not in one.state


def test_a_phase_that_its_trace_does_not_span_is_doubted() -> None:
    beyond = Phase(end_ns=LAST_NS + 1_000_000_000)
    (doubt,) = window(beyond).doubts
    assert "the host's trace spans" in doubt and "of the window's" in doubt


def test_what_was_to_be_traced_and_is_not_there_is_doubted() -> None:
    (found,) = measure_traces(FakeRecording(), plan(), [Phase()], nobody)
    assert any("spans 0" in doubt for doubt in found.doubts) and found.vcpus == ()


def test_phases_that_were_not_to_be_traced_are_left_out() -> None:
    recording = FakeRecording(traced={"one": TracedPhase(HOST, {}, THREADS, b"")})
    assert list(measure_traces(recording, plan("off"), [Phase()], nobody)) == []
    assert list(measure_traces(recording, plan(), [Phase(name="other")], nobody)) == []


def test_a_damaged_trace_gives_what_is_readable_and_its_damage() -> None:
    cut = replace(HOST, raw={**HOST.raw, 1: HOST.raw[1][:-1000]})
    found = window(host=cut)
    assert any("cpu1.raw" in doubt and "the host's trace" in doubt for doubt in found.doubts)
    assert len(found.host.switches.t_ns) > 100


# ---- guests' clocks


def test_a_guest_is_on_the_hosts_clock_by_the_offsets_that_kvm_tells() -> None:
    found = window(guests={"guest1": HOST}, offsets=moved(0))
    assert (found.guests["guest1"].moments_ns == found.host.moments_ns).all()
    ahead = window(guests={"guest1": HOST}, offsets=moved(AHEAD)).guests["guest1"]
    seconds = (found.host.moments_ns[0] - ahead.moments_ns[0]) / 1e9
    pairs = parse_about(HOST.about).pairs
    per_tick = (pairs[-1].mono_ns - pairs[0].mono_ns) / (pairs[-1].raw - pairs[0].raw)
    assert seconds == pytest.approx(AHEAD * per_tick / 1e9, rel=1e-5)
    assert ahead.error_ns < 100_000


def test_without_an_offset_of_every_vcpu_the_probes_samples_tell() -> None:
    def clocks(node: str, t_ns: int) -> ClockMatch:
        assert node == "guest1" and FIRST_NS < t_ns < LAST_NS
        return ClockMatch(node, 5_000_000, 2_000_000)

    for offsets in (b"", b"guest1 0 0 - -\n", moved(0).replace(b"guest1", b"guest2")):
        found = window(clocks=clocks, guests={"guest1": HOST}, offsets=offsets)
        guest = found.guests["guest1"]
        assert (guest.moments_ns - found.host.moments_ns == 5_000_000).all()
        assert guest.error_ns > 2_000_000


def test_another_clock_than_the_tsc_is_never_taken_for_it() -> None:
    other = read_files("host-6.18-mono")

    def clocks(node: str, t_ns: int) -> ClockMatch:
        return ClockMatch(node, 0, 1_000)

    guest = window(clocks=clocks, guests={"guest1": other}, offsets=moved(0)).guests["guest1"]
    assert guest.moments_ns[0] > LAST_NS, "that trace was taken later"


def test_a_guest_whose_clock_nobody_knows_has_no_events_and_says_so() -> None:
    found = window(guests={"guest1": HOST})
    assert len(found.guests["guest1"].moments_ns) == 0
    assert any("the trace of guest1" in doubt and "clock" in doubt for doubt in found.doubts)


def test_a_wrong_offset_is_seen_by_physics() -> None:
    """A guest of one vCPU, which is all that ran on pCPU 1 when one of its events came."""

    def violations(offset: int) -> int:
        found = window(guests={"guest1": HOST}, offsets=moved(offset), threads=b"8556 guest1 vcpu 1\n")
        host = found.host.switches
        away = host.t_ns[(host.cpu == 1) & (host.prev_tid == 8556)]
        guest = found.guests["guest1"]
        lag_ns = int(found.host.moments_ns[0] - guest.moments_ns[0])
        mine = replace(guest, moments_ns=away - lag_ns, moments_cpu=guest.moments_cpu[: len(away)] * 0 + 1)
        (physics,) = summarise(replace(found, guests={"guest1": mine})).physics
        assert physics.checked > 10
        return physics.violations

    assert violations(0) == 0
    assert violations(30_000_000) > 10


# ---- from a recording on disk to measurements


def recorded(directory: Path) -> tuple[Recording, LabPlan]:
    planned = plan()
    event = {"phase": "one", "start_ns": FIRST_NS, "end_ns": LAST_NS}
    with RecordingWriter(directory, planned, "", {}) as writer:
        writer.event(Event(LAST_NS, "phase", event))
        for machine in (HOST_SCOPE, "guest1"):
            target = writer.trace_directory(machine, "one")
            for name in ("about", "formats", "cpu0.raw", "cpu1.raw"):
                (target / name).write_bytes((DATA / "host-6.18-tsc" / name).read_bytes())
        (directory / "host/traces/one/threads").write_bytes(THREADS)
        (directory / "host/traces/one/offsets").write_bytes(moved(0))
    return Recording(directory), planned


def test_measurements_have_what_the_traces_come_to(tmp_path: Path) -> None:
    recording, planned = recorded(tmp_path / "recording")
    (trace,) = measure_recording(recording, planned).traces
    assert trace.phase == "one" and [one.vcpu for one in trace.vcpus] == [0, 1]
    assert all(len(one.lengths_ns) > 10 and one.elapsed_ns == LAST_NS - FIRST_NS for one in trace.vcpus)
    assert trace.lost == {HOST_SCOPE: 0, "guest1": 0} and trace.doubts == ()
    (whole,) = traced_windows(recording, planned)
    assert whole.guests.keys() == {"guest1"}


def test_a_phase_that_is_measured_again_has_only_its_last_trace(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "recording", plan(), "", {}) as writer:
        (writer.trace_directory("guest1", "one") / "cpu9.raw").write_bytes(b"old")
        assert list(writer.trace_directory("guest1", "one").iterdir()) == []


def test_what_is_missing_of_a_trace_counts_as_empty(tmp_path: Path) -> None:
    recording, _ = recorded(tmp_path / "recording")
    (recording.directory / "guests/guest1/traces/one/formats").unlink()
    (recording.directory / "guests/guest1/traces/one/cpux.raw").write_bytes(b"")
    files = recording.traces("one")
    assert files is not None and files.guests["guest1"].formats == b""
    assert files.guests["guest1"].raw.keys() == {0, 1}
    assert recording.traces("other") is None
