# SPDX-License-Identifier: GPL-2.0-only
"""What a recorder says of its work."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from lab.trace.about import ClockPair, CpuCounts, parse_about

REAL = (Path(__file__).parents[2] / "data/traces/host-6.18-tsc/about").read_bytes()


def test_a_real_recording_is_read() -> None:
    about = parse_about(REAL)
    assert about.damage == ()
    assert (about.clock, about.page_size, about.cpus, about.complete) == ("x86-tsc", 4096, (0, 1), True)
    assert about.events["sched:sched_switch"]
    assert not about.events["kvm:no_such_event"]
    assert len(about.pairs) == 10
    assert about.pairs[0] == ClockPair(108495157792282, 41791178187021, 20)
    assert about.counts[1] == CpuCounts(entries=664, bytes=40960)
    assert about.cost_ns == 5683335


def test_what_was_lost_is_summed() -> None:
    about = parse_about(b"cpu 3 entries 10 overrun 1 dropped 20 commit_overrun 300 later_word 7\ncost_ns 0\n")
    assert about.counts[3].lost == 321
    assert about.damage == ()


def test_keys_of_later_versions_are_left_out() -> None:
    about = parse_about(REAL + b"weather fine today\n")
    assert about == parse_about(REAL)


def test_lines_that_make_no_sense_are_named_and_cost_no_other() -> None:
    about = parse_about(REAL.replace(b"pair 108495157800160 ", b"pair 1084951578x0160 "))
    assert len(about.pairs) == 9
    assert about.counts == parse_about(REAL).counts
    assert about.damage == (
        "about: line 13 cannot be read and is left out: 'pair 1084951578x0160 41791178190060 15'",
    )


def test_another_version_is_damage() -> None:
    assert "line 1 cannot be read" in parse_about(REAL.replace(b"version 1", b"version 2")).damage[0]


def test_a_recording_that_was_cut_short_says_so() -> None:
    about = parse_about(REAL[: REAL.index(b"cpu 0 ")])
    assert not about.complete
    assert len(about.pairs) == 10
    assert about.damage == (
        "about: its end is not there: recording did not end as it should",
        "about: no counts of CPU 0: how many of its events are lost is not known",
        "about: no counts of CPU 1: how many of its events are lost is not known",
    )


@settings(deadline=None)
@given(st.integers(0, len(REAL) - 1))
def test_a_number_that_is_cut_is_not_taken_for_a_shorter_one(cut: int) -> None:
    whole, about = parse_about(REAL), parse_about(REAL[:cut])
    assert about.pairs == whole.pairs[: len(about.pairs)]
    assert about.damage


@settings(deadline=None)
@given(st.data())
def test_mutilated_files_never_raise(data: st.DataObject) -> None:
    whole = bytearray(REAL)
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=20)):
        whole[place] = data.draw(st.integers(0, 255))
    parse_about(bytes(whole))
