# SPDX-License-Identifier: GPL-2.0-only
"""From a recorder's files to columns: real ones against what the kernel itself prints, made ones against what
was put in, and mutilated ones."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tracepages import HEAD, PAGE, PREEMPTED, AboutText, formats, layouts, page, pages, record

from lab.trace.about import parse_about
from lab.trace.clocks import host_clock
from lab.trace.decode import TraceFiles, decode_trace
from lab.trace.model import Trace

DATA = Path(__file__).parents[2] / "data/traces"
SECOND = 1_000_000_000
#: Of made traces: from when to when they were recorded, in ticks, and what their clock adds to them.
BEGIN, END, LATER = 10 * SECOND, 20 * SECOND, 7_000
LAYOUTS = layouts()


def read_files(name: str) -> TraceFiles:
    directory = DATA / name
    raw = {int(path.stem[3:]): path.read_bytes() for path in directory.glob("cpu*.raw")}
    return TraceFiles((directory / "about").read_bytes(), (directory / "formats").read_bytes(), raw)


def decode(files: TraceFiles) -> Trace:
    return decode_trace(files, "host", "contended", host_clock(parse_about(files.about)))


def rows(table: Any) -> list[tuple[Any, ...]]:
    """The rows of a table of columns."""
    columns = [getattr(table, name) for name in table.__dataclass_fields__]
    return list(
        zip(*(one.tolist() if isinstance(one, np.ndarray) else list(one) for one in columns), strict=True)
    )


# --- what real kernels recorded ---

LINE = re.compile(
    r"^.*-(?P<tid>\d+) +\[(?P<cpu>\d+)\] ...(?P<depth>.). +(?P<at>\d+\.\d+): (?P<event>[\w# ]+): ?(?P<text>.*)$"
)


def printed(name: str) -> list[dict[str, str]]:
    """What the kernel's file `trace` said of the same events."""
    lines = (DATA / name / "trace").read_text().splitlines()
    found = [LINE.match(line) for line in lines if not line.startswith("#")]
    assert all(found)
    return [match.groupdict() for match in found if match]


def numbers(text: str) -> dict[str, str]:
    return dict(re.findall(r"(\w+)=(\S+)", text))


def us(at: str) -> int:
    return int(at.replace(".", ""))


def test_a_trace_says_what_the_kernel_prints_of_it() -> None:
    trace, lines = decode(read_files("host-6.18-text")), printed("host-6.18-text")
    assert trace.damage == ()
    assert trace.lost == {}
    # The kernel prints microseconds, rounded.
    assert np.abs(trace.moments_ns / 1000 - np.array([us(line["at"]) for line in lines])).max() <= 1
    by_event: dict[str, list[dict[str, str]]] = {}
    for line in lines:
        by_event.setdefault(line["event"], []).append(line)
    switched = [numbers(line["text"]) for line in by_event["sched_switch"]]
    assert [row[2:] for row in rows(trace.switches)] == [
        (int(one["prev_pid"]), one["prev_state"].startswith("R"), int(one["next_pid"])) for one in switched
    ]
    woken = [line for line in lines if line["event"] in ("sched_wakeup", "sched_wakeup_new")]
    assert [row[1:] for row in rows(trace.wakeups)] == [
        (int(one["pid"]), int(one["target_cpu"])) for one in (numbers(line["text"]) for line in woken)
    ]
    assert [row[1:] for row in rows(trace.migrations)] == [
        (int(one["pid"]), int(one["orig_cpu"]), int(one["dest_cpu"]))
        for one in (numbers(line["text"]) for line in by_event["sched_migrate_task"])
    ]
    assert [row[1:] for row in rows(trace.ticks)] == [
        (int(line["cpu"]), int(line["tid"]), int(line["depth"].replace(".", "0")))
        for line in by_event["local_timer_entry"]
    ]
    assert trace.marks.text == ("held 0x0", "held 0x1", "held 0x2", "0x7 01020304ff000000")


@pytest.mark.parametrize(("name", "events"), [("host-6.18-tsc", 664), ("host-6.18-mono", 624)])
def test_every_event_that_the_kernel_counted_is_there(name: str, events: int) -> None:
    trace = decode(read_files(name))
    assert len(trace.moments_ns) == events
    assert (trace.damage, trace.lost) == ((), {})
    assert trace.marks.text == ("mark 1", "mark 2", "mark 3", "mark 4")
    assert trace.start_ns <= trace.moments_ns[0] <= trace.moments_ns[-1] <= trace.end_ns


def test_who_slept_20_ms_again_and_again_is_seen_to() -> None:
    trace = decode(read_files("host-6.18-tsc"))
    woken = trace.wakeups.t_ns[trace.wakeups.tid == 8558]
    between = np.diff(woken)
    # It is a shell that waits for sleep(1): woken by that, and again to start the next.
    naps = between[between > 1_000_000]
    assert len(naps) > 30
    assert 20_000_000 <= naps.min() <= np.median(naps) <= 26_000_000
    assert trace.names[8558]


@pytest.mark.parametrize("name", ["host-6.18-tsc", "host-6.18-mono", "host-6.18-text"])
def test_a_trace_that_is_cut_anywhere_keeps_what_is_before_the_cut(name: str) -> None:
    files = read_files(name)
    whole = decode(files)
    for cut in range(0, len(files.raw[1]), 1237):
        part = decode(replace(files, raw={**files.raw, 1: files.raw[1][:cut]}))
        kept = len(part.moments_ns)
        assert np.array_equal(part.moments_ns, whole.moments_ns[:kept])
        missing = len(whole.moments_ns) - kept
        assert part.lost == ({1: missing} if missing else {})
        assert any(f"cpu1.raw: has {cut} bytes" in damage for damage in part.damage)


# --- what was made ---


@st.composite
def any_event(draw: st.DrawFn) -> tuple[int, str, dict[str, int | bytes], bytes]:
    """Time after the one before, event, values, and what is behind the fields."""
    event = draw(st.sampled_from(sorted(LAYOUTS)))
    tid, other, number = (draw(st.integers(0, 4_000_000)) for _ in range(3))
    comm = b"t%d" % (tid % 7)
    values: dict[str, int | bytes] = {
        "common_pid": tid,
        "common_preempt_count": draw(st.integers(0, 255)),
        "prev_pid": tid,
        "prev_state": draw(st.sampled_from((0, 1, 2, 0x80, PREEMPTED))),
        "next_pid": other,
        "pid": tid,
        "target_cpu": number % 64,
        "orig_cpu": number % 64,
        "dest_cpu": other % 64,
        "prev_comm": comm,
        "next_comm": b"t%d" % (other % 7),
    }
    tail = b""
    if event == "print":
        tail = draw(st.sampled_from((b"held 7\n\0", b"x\0\0\0", b"", "grün\0".encode())))
    elif event != "sched_migrate_task":
        values["comm"] = comm
    return draw(st.integers(0, 200_000_000)), event, values, tail


Events = list[tuple[int, str, dict[str, int | bytes], bytes]]
events_of_cpu = st.lists(any_event(), max_size=40)
gaps = st.lists(st.integers(0, 3), min_size=1, max_size=4)


def clocked(cpus: dict[int, int], later: int = LATER) -> bytes:
    """An `about` with so many events by CPU."""
    pairs = [(BEGIN, BEGIN + later, 0), (END, END + later, 0)]
    counts = {cpu: f"entries {number} overrun 0 dropped 0 commit_overrun 0" for cpu, number in cpus.items()}
    return AboutText(pairs, cpus=counts, events=("sched:sched_switch",)).render()


def timed(events: Events) -> Events:
    now, made = BEGIN, []
    for delta, event, values, tail in events:
        now += delta
        made.append((now, event, values, tail))
    return made


def make(cpus: dict[int, Events], spread: tuple[int, ...] = (0,)) -> TraceFiles:
    """Files of events whose times are absolute."""
    known = layouts(spread)
    raw = {
        cpu: b"".join(pages([(now, known[event].pack(values, tail)) for now, event, values, tail in events]))
        for cpu, events in cpus.items()
    }
    return TraceFiles(
        clocked({cpu: len(events) for cpu, events in cpus.items()}), formats(known, "5 saved\n"), raw
    )


def wanted(cpus: dict[int, Events], *names: str) -> list[tuple[int, int, dict[str, Any], bytes]]:
    """(host time, CPU, values, tail) of the events of those names, by time and CPU."""
    found = [
        (now + LATER, cpu, values, tail)
        for cpu, events in sorted(cpus.items())
        for now, event, values, tail in events
        if event in names
    ]
    return sorted(found, key=lambda one: one[0])


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.integers(0, 20), events_of_cpu, max_size=3), gaps)
def test_what_was_put_in_comes_out(drawn: dict[int, Events], spread: list[int]) -> None:
    """Wherever the kernel's formats put the fields."""
    cpus = {cpu: timed(events) for cpu, events in drawn.items()}
    trace = decode(make(cpus, tuple(spread)))
    assert [damage for damage in trace.damage if "cpu" in damage] == []
    assert trace.lost == {}
    assert rows(trace.switches) == [
        (now, cpu, one["prev_pid"], one["prev_state"] in (0, PREEMPTED), one["next_pid"])
        for now, cpu, one, _ in wanted(cpus, "sched_switch")
    ]
    assert sorted(rows(trace.wakeups)) == sorted(
        (now, one["pid"], one["target_cpu"])
        for now, _, one, _ in wanted(cpus, "sched_wakeup", "sched_wakeup_new")
    )
    assert rows(trace.migrations) == [
        (now, one["pid"], one["orig_cpu"], one["dest_cpu"])
        for now, _, one, _ in wanted(cpus, "sched_migrate_task")
    ]
    assert rows(trace.ticks) == [
        (now, cpu, one["common_pid"], one["common_preempt_count"] & 15)
        for now, cpu, one, _ in wanted(cpus, "local_timer_entry")
    ]
    assert rows(trace.marks) == [
        (now, cpu, one["common_pid"], tail.split(b"\0")[0].decode().rstrip("\n"))
        for now, cpu, one, tail in wanted(cpus, "print")
    ]
    everything = wanted(cpus, *LAYOUTS)
    moments = list(zip(trace.moments_ns.tolist(), trace.moments_cpu.tolist(), strict=True))
    assert moments == [(now, cpu) for now, cpu, _, _ in everything]


def test_names_are_those_that_were_seen_last() -> None:
    def switch(prev: int, prev_comm: bytes, next_: int, next_comm: bytes) -> dict[str, int | bytes]:
        return {"prev_pid": prev, "prev_comm": prev_comm, "next_pid": next_, "next_comm": next_comm}

    first = (BEGIN, "sched_switch", switch(5, b"bash", 6, b"CPU 0/KVM"), b"")
    later = (BEGIN + 9, "sched_switch", switch(5, b"hackbench", 7, b"sixteen-letters-"), b"")
    trace = decode(make({0: [later], 1: [first]}))
    assert trace.names == {5: "hackbench", 6: "CPU 0/KVM", 7: "sixteen-letters-"}
    assert decode(make({})).names == {5: "saved"}


@settings(deadline=None, max_examples=40)
@given(events_of_cpu, events_of_cpu, st.data())
def test_what_is_mutilated_never_raises_and_costs_no_other_cpu(
    hit: Events, spared: Events, data: st.DataObject
) -> None:
    files = make({0: timed(hit), 1: timed(spared)})
    raw = bytearray(files.raw[0])
    if raw:
        for place in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=12)):
            raw[place] ^= data.draw(st.integers(1, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    trace = decode(replace(files, raw={0: bytes(raw), 1: files.raw[1]}))
    assert np.all(np.diff(trace.moments_ns) >= 0)
    assert np.all(np.diff(trace.switches.t_ns) >= 0)
    alone = decode(make({1: timed(spared)}))
    mine = trace.switches.cpu == 1
    assert trace.switches.t_ns[mine].tolist() == alone.switches.t_ns.tolist()
    assert trace.switches.next_tid[mine].tolist() == alone.switches.next_tid.tolist()
    assert trace.moments_ns[trace.moments_cpu == 1].tolist() == alone.moments_ns.tolist()


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_mutilated_formats_and_abouts_never_raise(data: st.DataObject) -> None:
    files = read_files("host-6.18-text")
    pieces = {"about": bytearray(files.about), "formats": bytearray(files.formats)}
    for piece in pieces.values():
        for place in data.draw(st.lists(st.integers(0, len(piece) - 1), max_size=12)):
            piece[place] = data.draw(st.integers(0, 255))
    cut = {name: bytes(piece[: data.draw(st.integers(0, len(piece)))]) for name, piece in pieces.items()}
    trace = decode(replace(files, **cut))
    assert trace.start_ns <= trace.end_ns


# --- what is wrong, and how it is said ---

SWITCH = (BEGIN, "sched_switch", {"prev_pid": 5, "next_pid": 6, "prev_state": 1}, b"")


def test_times_that_cannot_be_are_left_out_and_count_as_lost() -> None:
    far = page(BEGIN ^ 1 << 60, record(0, LAYOUTS["sched_switch"].pack({})))
    files = make({0: [SWITCH]})
    files = TraceFiles(clocked({0: 2}), files.formats, {0: files.raw[0] + far})
    trace = decode(files)
    assert trace.moments_ns.tolist() == [BEGIN + LATER]
    assert trace.lost == {0: 1}
    assert f"cpu0.raw: byte {PAGE + HEAD + 4}: times of 1 events" in trace.damage[0]


def test_times_that_step_back_are_kept_and_named() -> None:
    body = record(0, LAYOUTS["local_timer_entry"].pack({}))
    trace = decode(replace(make({}), raw={3: page(BEGIN + 50, body) + page(BEGIN + 20, body)}))
    assert trace.moments_ns.tolist() == [BEGIN + LATER + 20, BEGIN + LATER + 50]
    assert trace.damage == (
        f"cpu3.raw: byte {PAGE + HEAD + 4}: times step back, 1 times from here on, by 30 ticks at most",
    )


def test_events_of_unknown_types_keep_when_they_were() -> None:
    data = (999).to_bytes(2, "little") + bytes(6)
    trace = decode(replace(make({}), raw={0: page(BEGIN, record(0, data) + record(3, data))}))
    assert trace.moments_ns.tolist() == [BEGIN + LATER, BEGIN + LATER + 3]
    assert trace.damage == (
        "cpu0.raw: 2 events have types that formats does not have (999): only when is kept",
    )


def test_records_that_are_too_short_for_their_event_keep_when_they_were() -> None:
    data = LAYOUTS["sched_switch"].pack({})[:24]
    trace = decode(replace(make({}), raw={0: page(BEGIN, record(0, data))}))
    assert len(trace.moments_ns) == 1
    assert len(trace.switches.t_ns) == 0
    assert "1 records of sched:sched_switch are too short" in trace.damage[0]


def test_what_was_lost_is_what_kernel_and_pages_say() -> None:
    about = AboutText(
        [(BEGIN, BEGIN, 0), (END, END, 0)],
        cpus={
            0: "entries 1 overrun 3 dropped 40 commit_overrun 500",
            1: "entries 1 overrun 3 dropped 0 commit_overrun 0",
            2: "entries 11 overrun 3 dropped 0 commit_overrun 0 bytes 4096 unwritten 8192",
            3: "entries 8 overrun 0 dropped 0 commit_overrun 0",
            4: "entries 1 overrun 0 dropped 0 commit_overrun 0",
        },
    )
    body = record(0, LAYOUTS["local_timer_entry"].pack({}))
    plain, missed = page(BEGIN, body), page(BEGIN, body, missed=7)
    trace = decode(
        TraceFiles(about.render(), formats(LAYOUTS), {0: missed, 1: missed, 2: plain, 4: plain, 9: missed})
    )
    assert trace.lost == {0: 547, 1: 7, 2: 13, 3: 8, 9: 7}
    assert "cpu3.raw: is not there" in trace.damage
    assert any("cpu2.raw: 8192 bytes were not written" in damage for damage in trace.damage)


def test_without_a_clock_nothing_is_told_but_losses_and_damage() -> None:
    trace = decode_trace(make({0: [SWITCH]}), "guest1", "contended", None)
    assert (len(trace.moments_ns), trace.start_ns, trace.end_ns) == (0, 0, 0)
    assert "nothing tells its clock" in trace.damage[0]


def test_each_vcpu_may_have_a_clock_of_its_own() -> None:
    files = make({0: [SWITCH], 1: [SWITCH]})
    one, other = (host_clock(parse_about(clocked({}, later))) for later in (100, 90))
    assert one is not None
    assert other is not None
    trace = decode_trace(files, "guest1", "contended", {0: one, 1: other})
    assert rows(trace.switches) == [(BEGIN + 90, 1, 5, False, 6), (BEGIN + 100, 0, 5, False, 6)]


def test_an_event_without_a_format_is_named() -> None:
    known = {name: one for name, one in LAYOUTS.items() if name != "sched_switch"}
    trace = decode(replace(make({0: [SWITCH]}), formats=formats(known)))
    assert trace.damage == (
        "formats: sched:sched_switch was recorded, and how is not there: its events are not told apart",
        "cpu0.raw: 1 events have types that formats does not have (300): only when is kept",
    )


def test_a_trace_of_nothing_is_empty() -> None:
    trace = decode_trace(TraceFiles(b"", b"", {}), "host", "contended", None)
    assert len(trace.moments_ns) == 0
    assert trace.damage
