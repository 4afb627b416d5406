# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own description of its events."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tracepages import PREEMPTED, formats, layouts

from lab.trace.formats import Field, Kind, parse_formats, preempted_bit

REAL = Path(__file__).parents[2] / "data/traces/host-6.18-tsc/formats"


def test_a_real_kernels_formats_are_read() -> None:
    parsed = parse_formats(REAL.read_bytes())
    assert parsed.damage == ()
    assert parsed.header.data == Field("data", 16, 4080)
    switch = parsed.by_name("sched:sched_switch")
    assert switch is not None
    assert switch.fields["prev_comm"] == Field("prev_comm", 8, 16, False, Kind.ARRAY)
    assert switch.fields["next_pid"] == Field("next_pid", 56, 4, True)
    assert preempted_bit(switch) == 0x100
    migrate, text = parsed.by_name("sched:sched_migrate_task"), parsed.by_name("ftrace:print")
    assert migrate is not None
    assert migrate.fields["comm"].kind is Kind.DATA_LOC
    assert text is not None
    assert text.fields["buf"] == Field("buf", 16, 0, False, Kind.REST)


def test_names_are_read_with_their_spaces() -> None:
    parsed = parse_formats(formats({}, "7 CPU 0/KVM\n  12 kworker/0:1\nno number\n"))
    assert parsed.names == {7: "CPU 0/KVM", 12: "kworker/0:1"}


def test_older_kernels_have_a_higher_bit_for_preempted() -> None:
    text = (
        '__print_flags(REC->prev_state & (2048-1), "|", { 1, "S"} , { 2, "D" }, { 1024, "N" }) : "R", '
        'REC->prev_state & 2048 ? "+" : ""'
    )
    switch = layouts()["sched_switch"]
    older = parse_formats(formats({"sched_switch": type(switch)(**{**vars(switch), "print_format": text})}))
    event = older.by_name("sched:sched_switch")
    assert event is not None
    assert preempted_bit(event) == 2048


def test_a_length_that_is_wrong_costs_no_other_piece() -> None:
    whole = formats(layouts(), "7 hog\n")
    wrong = whole.replace(b"== events/sched/sched_wakeup/format ", b"== events/sched/sched_wakeup/format 9")
    parsed = parse_formats(wrong)
    assert {event.name for event in parsed.events.values()} == {
        event.name for event in parse_formats(whole).events.values()
    }
    assert parsed.names == {7: "hog"}
    (damage,) = parsed.damage
    assert damage.startswith("formats: events/sched/sched_wakeup/format has not the 9")


def test_a_piece_that_is_broken_costs_only_itself() -> None:
    whole = formats(layouts())
    parsed = parse_formats(whole.replace(b"name: sched_wakeup\nID: ", b"name: sched_wakeup\nXX: "))
    assert parsed.by_name("sched:sched_wakeup") is None
    assert parsed.by_name("sched:sched_switch") is not None
    assert parsed.damage == (
        "formats: events/sched/sched_wakeup/format cannot be read: its events are not told apart",
    )


def test_without_the_page_header_pages_are_as_on_other_64_bit_kernels() -> None:
    parsed = parse_formats(b"")
    assert parsed.header.commit == Field("commit", 8, 8)
    assert "no usable events/header_page" in parsed.damage[0]


@settings(deadline=None)
@given(st.data())
def test_mutilated_formats_never_raise(data: st.DataObject) -> None:
    whole = bytearray(formats(layouts(), "7 hog\n"))
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=20)):
        whole[place] = data.draw(st.integers(0, 255))
    parsed = parse_formats(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    for event in parsed.events.values():
        preempted_bit(event)


def test_the_bit_of_what_is_made_here_is_what_it_should_be() -> None:
    event = parse_formats(formats(layouts())).by_name("sched:sched_switch")
    assert event is not None
    assert preempted_bit(event) == PREEMPTED
