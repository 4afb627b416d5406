# SPDX-License-Identifier: GPL-2.0-only
"""Tracepoints of the reference series, told in words."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tracepages import COMMON, AboutText, Layout, formats, pages

from lab.judge.moments import Moment, moments_of_marks
from lab.trace.about import parse_about
from lab.trace.clocks import host_clock
from lab.trace.decode import TraceFiles, decode_trace
from lab.trace.model import Trace, TracedWindow
from lab.trace.notes import parse_mask

SECOND = 1_000_000_000
BEGIN = 10 * SECOND


def layout(event: str, number: int, *own: tuple[str, str, int, bool]) -> Layout:
    """Fields one after the other, as these events have them (tests read the same of a real kernel: 6.12)."""
    fields, at = [], 0
    for what, name, size, signed in (*COMMON, *own):
        fields.append((what, name, at, size, signed))
        at += size
    return Layout("paravirt_cpus", event, number, fields)


MASK = layout(
    "paravirt_cpus_mask",
    90,
    ("__data_loc cpumask_t request", "request", 4, False),
    ("__data_loc cpumask_t mask", "mask", 4, False),
)
PUSH = layout(
    "paravirt_cpus_push",
    89,
    ("char comm[16]", "comm", 16, False),
    ("pid_t pid", "pid", 4, True),
    ("int prio", "prio", 4, True),
    ("int orig_cpu", "orig_cpu", 4, True),
    ("int dest_cpu", "dest_cpu", 4, True),
)
GOVERNOR = layout(
    "paravirt_cpus_governor",
    88,
    ("int ratio", "ratio", 4, True),
    ("unsigned int nr_cpus", "nr_cpus", 4, False),
    ("__data_loc char[] decision", "decision", 4, False),
    ("int core", "core", 4, True),
)


def located(begin: int, size: int) -> int:
    return begin | size << 16


def mask(request: bytes, effective: bytes) -> bytes:
    places = {"request": located(16, len(request)), "mask": located(16 + len(request), len(effective))}
    return MASK.pack({"common_pid": 1, **places}, request + effective)


def push(comm: bytes, pid: int, from_: int, to: int) -> bytes:
    return PUSH.pack({"common_pid": pid, "comm": comm, "pid": pid, "orig_cpu": from_, "dest_cpu": to})


def decode(events: list[tuple[int, bytes]], *known: Layout) -> Trace:
    about = AboutText([(BEGIN, BEGIN, 10), (BEGIN + SECOND, BEGIN + SECOND, 10)], cpus={1: ""}).render()
    shown = formats({one.event: one for one in known})
    raw = {1: b"".join(pages(events))}
    return decode_trace(TraceFiles(about, shown, raw), "guest1", "folded", host_clock(parse_about(about)))


def test_the_series_tells_what_it_does() -> None:
    words = b"fold\0"
    governor = {"common_pid": 3, "ratio": 5123, "nr_cpus": 2, "decision": located(24, len(words)), "core": 1}
    trace = decode(
        [
            (BEGIN + 10, mask(struct.pack("<Q", 0b1110), struct.pack("<Q", 0b1010))),
            (BEGIN + 20, push(b"hackbench", 77, 1, 0)),
            (BEGIN + 30, GOVERNOR.pack(governor, words)),
        ],
        *(MASK, PUSH, GOVERNOR),
    )
    assert trace.damage == ()
    assert trace.notes.text == (
        "avoids 1,3, asked for 1-3",
        "pushes hackbench:77 from 1 to 0",
        "steal governor: fold, core 1, at 5123 of 2",
    )
    assert [at - BEGIN for at in trace.notes.t_ns.tolist()] == [10, 20, 30]
    assert trace.notes.cpu.tolist() == [1, 1, 1]
    assert trace.names[77] == "hackbench"


def test_a_timeline_has_them_as_moments_of_their_vcpu() -> None:
    trace = decode([(BEGIN + 20, push(b"hackbench", 77, 1, 0))], PUSH)
    window = TracedWindow("folded", trace, {"guest1": trace}, {}, ())
    assert list(moments_of_marks(window)) == [
        Moment(int(trace.notes.t_ns[0]), "guest1/1", "pushes hackbench:77 from 1 to 0")
    ]


def test_an_empty_mask_is_said_to_be_none() -> None:
    assert decode([(BEGIN, mask(bytes(8), bytes(8)))], MASK).notes.text == ("avoids none, asked for none",)


def test_what_lies_outside_of_its_record_is_not_made_up() -> None:
    broken = MASK.pack({"common_pid": 1, "request": located(16, 8), "mask": located(4000, 8)}, bytes(8))
    assert decode([(BEGIN, broken)], MASK).notes.text == ("avoids ?, asked for none",)


def test_a_kernel_whose_event_has_other_fields_is_told_so() -> None:
    other = layout("paravirt_cpus_push", 89, ("pid_t pid", "pid", 4, True))
    trace = decode([(BEGIN, other.pack({"common_pid": 1, "pid": 7}))], other)
    assert trace.notes.text == () and len(trace.moments_ns) == 1
    assert any("paravirt_cpus_push has no number comm, orig_cpu, dest_cpu" in one for one in trace.damage)


def test_kernels_without_the_series_tell_nothing() -> None:
    assert decode([], MASK).notes.text == ()


@given(st.sets(st.integers(0, 255)))
def test_masks_of_any_length_are_lists(cpus: set[int]) -> None:
    data = sum(1 << one for one in cpus).to_bytes(32, "little")
    listed = parse_mask(data)
    found: set[int] = set()
    for piece in filter(None, listed.split(",")):
        first, _, last = piece.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    assert found == cpus


@pytest.mark.parametrize(("data", "listed"), [(b"", ""), (b"\x01", "0"), (b"\0\x80", "15")])
def test_short_masks(data: bytes, listed: str) -> None:
    assert parse_mask(data) == listed
