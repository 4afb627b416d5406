# SPDX-License-Identifier: GPL-2.0-only
"""Traces of windows over a fake host: recorded on all machines, brought home, and ended whatever happens."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from faketrace import PAGE
from fakeworld import FakeGuest, Fault
from run.bench import Bench

from lab.errors import HostLost, LabError, LabFailure, UndecidedError
from lab.recording import Recording
from lab.run.events import Journal
from lab.run.gc import collect_orphans
from lab.run.interactive import open_session
from lab.run.lab import open_lab
from lab.run.records import LabState

NODES = """\
nodes: [{name: guest, count: 2, vcpus: 2, memory: 256MiB, pinning: spread}]
load: [{name: busy, tasks: 2}]
"""
TEXT = (
    NODES
    + """\
hogs: [{name: noisy, pcpus: 1, duty: 50%}]
phases:
  - {name: both, start: [busy, noisy], duration: 1s, settle: 200ms, trace: [sched, guest]}
  - {name: host, duration: 1s, settle: 200ms, trace: sched}
  - {name: nothing, duration: 1s, settle: 200ms}
"""
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, text=TEXT)


def files_of(bench: Bench) -> list[str]:
    found = (
        path.relative_to(bench.recording) for path in bench.recording.rglob("traces/**/*") if path.is_file()
    )
    return sorted(map(str, found))


def guests(bench: Bench) -> list[FakeGuest]:
    return [guest for guest in bench.world.guests.values() if guest.lab_id is not None]


def test_what_is_recorded_is_brought_home(bench: Bench) -> None:
    bench.run()
    host = ["about", "cpu0.raw", "cpu1.raw", "cpu2.raw", "cpu3.raw", "formats", "offsets", "threads"]
    guest = ["about", "cpu0.raw", "cpu1.raw", "formats"]
    assert files_of(bench) == [
        *(f"guests/{node}/traces/both/{name}" for node in ("guest1", "guest2") for name in guest),
        *(f"host/traces/{phase}/{name}" for phase in ("both", "host") for name in host),
    ]
    assert (bench.recording / "guests/guest2/traces/both/cpu1.raw").read_bytes() == PAGE


def test_the_threads_are_those_of_guests_and_hogs(bench: Bench) -> None:
    bench.run()
    lines = (bench.recording / "host/traces/both/threads").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["guest1 emulator", "guest2 emulator", "noisy main"]


def test_recorders_get_what_was_planned(bench: Bench) -> None:
    bench.run()
    trace = bench.plan().phases[0].trace
    assert trace is not None
    words = next(one for one in bench.world.tracing.started if one[1].endswith("/both"))
    assert words[2:6] == [
        "clock=x86-tsc",
        f"buffer_kib={trace.buffer_kib}",
        f"limit_mib={trace.limit_mib}",
        "cpus=0-3",
    ]
    assert words[6] == f"pids={words[1]}/pids" and tuple(words[7:]) == trace.host_events


def test_a_window_lies_within_its_trace_and_fetching_lies_outside(bench: Bench) -> None:
    bench.run()
    calls = bench.world.calls
    edges = [index for index, name in enumerate(calls) if name == "agent.send tasks"]
    scripts = [index for index, name in enumerate(calls) if name == "fake host: set"]
    fetches = [index for index, name in enumerate(calls) if name.endswith(": fetch") and index < edges[-1]]
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        assert not any(begin < index < end for index in [*scripts, *fetches])
    assert any(edges[1] < index < edges[2] for index in fetches)


def test_nothing_of_it_stays_on_the_machines(bench: Bench) -> None:
    bench.run()
    assert bench.leftovers() == []
    assert bench.world.tracing.running == {}
    assert bench.world.tracing.instances_cleaned == 1
    assert not [path for path in bench.world.files if "/traces/" in path]


def test_a_lab_that_traces_nothing_is_not_asked_for_anything(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run()
    assert bench.world.tracing.started == [] and bench.world.tracing.instances_cleaned == 0
    assert not any(name.endswith(": set") for name in bench.world.calls)


# ---- what cannot be traced


def test_a_guest_whose_kernel_cannot_is_told_of_before_anything_is_measured(bench: Bench) -> None:
    bench.world.trace_problems["guest2"] = "no events"
    with pytest.raises(
        LabFailure, match="tracing guest guest2: its kernel has no tracepoint sched:"
    ) as raised:
        bench.run()
    assert raised.value.hint is not None
    assert "CONFIG_ENABLE_DEFAULT_TRACERS" in raised.value.hint and "trace: off" in raised.value.hint
    assert "phase" not in {event.kind for event in Recording(bench.recording).events()}
    assert bench.leftovers() == []


def test_a_host_that_cannot_is_told_of_with_its_own_words(bench: Bench) -> None:
    bench.world.tracing.problem = "no tracefs"
    with pytest.raises(LabFailure, match="tracing the host: pvtrace: tracefs: No such device"):
        bench.run()
    assert bench.leftovers() == []


def test_a_recorder_that_ends_too_early_is_no_window(bench: Bench) -> None:
    bench.world.tracing.dies = True
    with pytest.raises(LabFailure, match="the host: the recorder did not end as it should: pvtrace: killed"):
        bench.run()
    assert bench.leftovers() == []


# ---- failures


def calls_of_a_run() -> list[str]:
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory), text=TEXT)
        bench.run()
        return bench.world.calls


CALLS = calls_of_a_run()
#: From what traces do first to what they do last: the rest is tested with labs that trace nothing.
ABOUT_TRACES = [
    index
    for index, name in enumerate(CALLS)
    if name.endswith((": set", ": pvtrace"))
    or (name.endswith((": fetch", ": rm")) and ": set" in CALLS[index - 1])
]


def run_with(bench: Bench, fault: Fault) -> BaseException | None:
    bench.world.fault = fault
    try:
        bench.run()
    except BaseException as error:
        return error
    return None


@pytest.mark.parametrize("index", ABOUT_TRACES)
@pytest.mark.parametrize("error", [LabFailure("injected"), KeyboardInterrupt()], ids=["failure", "interrupt"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_nothing_is_left_after_a_failure(bench: Bench, index: int, error: BaseException, after: bool) -> None:
    raised = run_with(bench, Fault(index, error, after))
    assert raised is error or isinstance(raised, LabError)
    collect_orphans(bench.records, bench.reopen, bench.narrator)
    assert bench.leftovers() == [] and bench.records.all() == ()
    assert bench.world.tracing.running == {}


def test_what_a_dead_process_left_behind_is_ended_by_its_record(bench: Bench) -> None:
    starts = [index for index, name in enumerate(CALLS) if name == "fake host: set"]
    error = run_with(bench, Fault(starts[3], HostLost("the connection ended"), after=True))
    assert error is None or isinstance(error, HostLost)
    for record in bench.records.all():
        bench.records.update(record, LabState.LEFT)
    collect_orphans(bench.records, bench.reopen, bench.narrator)
    assert bench.leftovers() == [] and bench.world.tracing.running == {}


# ---- a guest is lost, and its arm measured again


ARMS = (
    NODES
    + """\
phases: [{name: one, start: [busy], duration: 6s, settle: 200ms}]
arms: [{name: traced, trace: [sched, guest]}, {name: untraced}]
repeats: {count: 1, warmup: 0}
"""
)


def test_an_arm_is_traced_again_when_a_guest_was_lost_in_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, text=ARMS)
    measured = [phase.name for phase in bench.plan().phases if phase.trace is not None]
    assert measured == ["one.traced.1"]

    def kill() -> None:
        if any("one.traced" in directory for directory in bench.world.tracing.running):
            bench.world.kill_guest(next(guest for guest in guests(bench) if guest.node == "guest1"))
        else:
            bench.world.at(300_000_000, kill)

    bench.world.at(1_000_000_000, kill)
    bench.run()
    events = Recording(bench.recording).events()
    assert [event.data["phase"] for event in events if event.kind == "phase"].count("one.traced.1") == 1
    assert any(event.kind == "retry" and "guest1" in event.data["reason"] for event in events)
    assert len([words for words in bench.world.tracing.started if "one.traced" in words[1]]) == 2
    assert (bench.recording / "guests/guest1/traces/one.traced.1/cpu1.raw").read_bytes() == PAGE
    assert bench.leftovers() == []


# ---- step by step


def test_windows_that_are_measured_by_hand_are_traced_as_the_file_says(tmp_path: Path) -> None:
    bench = Bench(tmp_path, text="trace: sched\n" + NODES)
    with (
        open_lab(bench.host, bench.plan(), bench.around, Journal()) as lab,
        open_session(lab, bench.topology.text, bench.recording, bench.narrator) as session,
    ):
        phase = session.measure("by-hand", seconds=6, settle=0.5)
        assert (bench.recording / "host/traces/by-hand/cpu3.raw").read_bytes() == PAGE
        # What the fake recorded is no trace: it decides nothing, and says why.
        with pytest.raises(UndecidedError, match="preemptions of guest1 vcpu 0 in phase by-hand: "):
            phase.preempted("guest1", 0)
    assert bench.leftovers() == [] and bench.world.tracing.instances_cleaned == 1


def test_a_session_on_a_kernel_that_cannot_be_traced_does_not_begin(tmp_path: Path) -> None:
    bench = Bench(tmp_path, text="trace: [sched, guest]\n" + NODES)
    bench.world.trace_problems["guest1"] = "no tracefs"
    with (
        open_lab(bench.host, bench.plan(), bench.around, Journal()) as lab,
        pytest.raises(LabFailure, match="tracing guest guest1: pvtrace: tracefs"),
        open_session(lab, bench.topology.text, bench.recording, bench.narrator),
    ):
        pytest.fail("it began")
    assert bench.leftovers() == []
