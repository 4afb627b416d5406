# SPDX-License-Identifier: GPL-2.0-only
"""The parser of the probe's stream: whole, cut short, damaged."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measuring import World

from lab.measure.probestream import ProbeStream, StreamError, parse_stream

DATA = Path(__file__).parents[2] / "data" / "streams"

GUEST = (
    b"pvprobe 1 guest interval_ms=100 boot_ns=1000 user_hz=100 shoe_size=44\n"
    b"b 0 2000\n"
    b"k cpu0 10 1 2 300 4 5 6 7 8 9\n"
    b"w busy 0 51 1857 1 0-1\n"
    b"e 0 2500 99\n"
    b"m 2600 a mark with words\n"
    b"d 3\n"
    b"b 4 3000\n"
    b"k cpu0 10 1 2 300 4 5 6 8 8 9\n"
    b"e 4 3500 120\n"
)
HOST = (
    b"pvprobe 1 host interval_ms=100 boot_ns=1000\n"
    b"b 0 2000\n"
    b"v guest1 1 900 2100 2200 11 12 13 14 15\n"
    b"e 0 2500 99\n"
    b"a guest1 2600 71\n"
    b"g guest1 2700\n"
)


def test_guest_stream_becomes_data() -> None:
    stream = parse_stream(GUEST)
    assert stream.hello is not None
    assert (stream.hello.side, stream.hello.interval_ms, stream.hello.keys["shoe_size"]) == (
        "guest",
        100,
        "44",
    )
    first, second = stream.samples
    assert (first.t_ns, first.cpus[0].steal, first.cpus[0].guest_nice) == (2250, 7, 9)
    assert (first.tasks[0].work, first.tasks[0].affinity) == (1857, "0-1")
    assert second.seq == 4 and second.end_offset == len(GUEST)
    assert stream.dropped == 3 and stream.marks[0].text == "a mark with words"


def test_host_stream_becomes_data() -> None:
    stream = parse_stream(HOST)
    vcpu = stream.samples[0].vcpus[0]
    assert (vcpu.guest, vcpu.vcpu, vcpu.tid, vcpu.t_ns) == ("guest1", 1, 900, 2150)
    assert (vcpu.run_ns, vcpu.delay_ns, vcpu.slices, vcpu.voluntary, vcpu.involuntary) == (11, 12, 13, 14, 15)
    assert stream.arrivals[0].offset == 71 and stream.gone[0].t_ns == 2700


def test_watched_files_become_data() -> None:
    line = b"f /sys/devices/system/cpu/paravirt 2-3,5\nf /sys/a two words\nf /sys/b -\n"
    sample = parse_stream(GUEST.replace(b"w busy", line + b"w busy")).samples[0]
    assert [(one.path, one.value) for one in sample.files] == [
        ("/sys/devices/system/cpu/paravirt", "2-3,5"),
        ("/sys/a", "two words"),
        ("/sys/b", ""),
    ]


def test_columns_that_a_newer_kernel_adds_are_left_out() -> None:
    longer = GUEST.replace(b"k cpu0 10 1 2 300 4 5 6 7 8 9\n", b"k cpu0 10 1 2 300 4 5 6 7 8 9 10 11\n")
    assert parse_stream(longer).samples[0].cpus == parse_stream(GUEST).samples[0].cpus


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"pvprobe 1", b"pvprobe 2", "version 2"),
        (b"pvprobe 1", b"probe 1", "no first line"),
        (b" guest ", b" spectator ", "unknown side"),
        (b"interval_ms=100 ", b"", "lacks interval_ms"),
        (b"k cpu0 10", b"k cpu0 1x", "'1x' is not a number"),
        (b" 8 9\nw", b"\nw", "no CPU's line"),
        (b"w busy 0", b"z busy 0", "unknown kind"),
        (b"w busy 0 51 1857 1 0-1\n", b"f /sys/a\n", "no line of a watched file"),
        (b"w busy 0 51 1857 1 0-1\n", b"f sys/a 1\n", "no line of a watched file"),
        (b"m 2600 a mark", b"f /sys/a 1\nm 2600 a mark", "outside of a sample"),
        (b"w busy 0", b"w busy", "3 numbers where 4"),
        (b"w busy 0 51 1857 1 0-1\n", b"v g 0 1 1 1 1 1 1 1 1\n", "belongs to a host's stream"),
        (b"e 0 2500 99\n", b"", "inside of a sample"),
        (b"e 0 2500", b"e 1 2500", "ends no sample"),
        (b"e 0 2500", b"e 0 1500", "ends no sample"),
        (b"b 0 2000\n", b"", "outside of a sample"),
        (b"b 4 3000", b"b 0 3000", "does not come after"),
        (b"b 4 3000", b"b 4 2400", "does not come after"),
        (b"d 3\n", b"d 3\nd 2\n", "fewer dropped"),
        (b"d 3\n", b"\xff\xfe\n", "cannot be read"),
    ],
)
def test_damage_is_refused_with_its_place(old: bytes, new: bytes, problem: str) -> None:
    damaged = GUEST.replace(old, new, 1)
    with pytest.raises(StreamError, match=problem) as caught:
        parse_stream(damaged)
    place = caught.value
    assert f"line {place.line_number} (byte {place.offset})" in str(place)
    assert damaged[: place.offset].count(b"\n") == place.line_number - 1


def is_prefix(short: ProbeStream, whole: ProbeStream) -> bool:
    parts = ("samples", "marks", "arrivals", "gone")
    lists = [(getattr(short, part), getattr(whole, part)) for part in parts]
    return all(few == many[: len(few)] for few, many in lists) and short.dropped <= whole.dropped


@given(st.integers(min_value=0), st.sampled_from([GUEST, HOST, World(length_s=2).host_bytes()]))
def test_any_truncation_is_a_prefix(cut: int, data: bytes) -> None:
    cut %= len(data) + 1
    short, whole = parse_stream(data[:cut]), parse_stream(data)
    assert is_prefix(short, whole)
    assert all(sample.end_offset <= cut for sample in short.samples)
    assert len(short.samples) == sum(sample.end_offset <= cut for sample in whole.samples)
    assert (short.hello is None) == (b"\n" not in data[:cut])


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_garbage_is_refused_or_empty_but_never_crashes(data: bytes) -> None:
    with contextlib.suppress(StreamError):
        assert parse_stream(data).samples == ()


@pytest.mark.parametrize("path", sorted(DATA.glob("*.stream")), ids=lambda path: path.name)
def test_captured_streams_parse_and_their_counters_never_fall(path: Path) -> None:
    stream = parse_stream(path.read_bytes())
    assert len(stream.samples) > 50
    counters: dict[object, tuple[int, ...]] = {}
    for sample in stream.samples:
        seen: dict[object, tuple[int, ...]] = {}
        seen |= {("cpu", one.cpu): (one.user, one.system, one.steal) for one in sample.cpus}
        seen |= {(one.load, one.task): (one.work,) for one in sample.tasks}
        seen |= {(one.guest, one.tid): (one.run_ns, one.delay_ns, one.slices) for one in sample.vcpus}
        for key, values in seen.items():
            assert all(new >= old for new, old in zip(values, counters.get(key, values), strict=True)), key
        counters.update(seen)
