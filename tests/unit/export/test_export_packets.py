# SPDX-License-Identifier: GPL-2.0-only
"""The bytes of a trace, read with Perfetto's own messages."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from exporting import T0, FakeEvent, later, perfetto, switches, traced_window
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.export import blocks, wire
from lab.export.blocks import Slices, slice_packets
from lab.export.whoran import runs_on

messages = pytest.importorskip(
    "perfetto.protos.perfetto.trace.perfetto_trace_pb2", reason="pip install perfetto"
)
MONOTONIC, CLEARED, NEEDED = 3, 1, 2


def parse(data: bytes) -> list[Any]:
    trace = messages.Trace()
    trace.ParseFromString(data)
    assert trace.SerializeToString(), "it is a trace"
    return list(trace.packet)


def test_every_sequence_begins_with_its_track_and_says_which_clock_it_goes_by() -> None:
    clock, *packets = parse(perfetto([FakeEvent(T0, "note", {"text": "hi"})], windows=[traced_window()]))
    assert clock.clock_snapshot.primary_trace_clock == MONOTONIC
    assert [(one.clock_id, one.timestamp) for one in clock.clock_snapshot.clocks] == [(MONOTONIC, T0)]
    tracks: set[int] = set()
    for packet in packets:
        sequence = packet.trusted_packet_sequence_id
        if sequence in tracks:
            assert packet.sequence_flags == NEEDED
            assert not packet.HasField("track_descriptor")
            continue
        tracks.add(sequence)
        assert packet.sequence_flags == CLEARED | NEEDED
        assert packet.track_descriptor.uuid == sequence
        assert packet.trace_packet_defaults.timestamp_clock_id == MONOTONIC
        assert packet.trace_packet_defaults.track_event_defaults.track_uuid == sequence
        parent = packet.track_descriptor.parent_uuid
        assert not parent or parent in tracks, "parents come first"
    assert clock.trusted_packet_sequence_id not in tracks


def test_texts_are_told_once_a_sequence_before_they_are_used() -> None:
    told: dict[int, dict[int, str]] = {}
    used: Counter[str] = Counter()
    for packet in parse(perfetto(windows=[traced_window(), later(traced_window(), 2_000_000)])):
        known = told.setdefault(packet.trusted_packet_sequence_id, {})
        for entry in packet.interned_data.event_names:
            assert entry.iid not in known
            assert entry.name not in known.values()
            known[entry.iid] = entry.name
        if packet.track_event.name_iid:
            used[known[packet.track_event.name_iid]] += 1
    assert used["running"] == 2 * 5
    assert used["preempted by hog noisy"] == 2


def test_what_lies_below_what_is_sorted_as_it_was_asked_for() -> None:
    descriptors = [one.track_descriptor for one in parse(perfetto(windows=[traced_window()]))]
    ranks = {one.name: one.sibling_order_rank for one in descriptors if one.name}
    assert ranks["vCPU 0"] < ranks["vCPU 1"] < ranks["locks"]
    assert ranks["tasks"] < ranks["marks"]
    assert {one.child_ordering for one in descriptors if one.name} == {3}


def test_rows_made_in_several_parts_are_those_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    start_ns = np.arange(10, dtype=np.int64) * 100
    slices = Slices(start_ns, start_ns + 50, np.arange(1, 11), np.arange(1, 11))
    whole = b"".join(slice_packets(7, slices))
    monkeypatch.setattr(blocks, "ROWS", 3)
    parts = list(slice_packets(7, slices))
    assert len(parts) == 4
    assert b"".join(parts) == whole
    events = [(one.timestamp, one.track_event.type, one.track_event.name_iid) for one in parse(whole)]
    assert events == [one for n in range(10) for one in ((100 * n, 1, n + 1), (100 * n + 50, 2, 0))]
    begins = [one.track_event for one in parse(whole) if one.track_event.type == 1]
    assert [one.debug_annotations[0].string_value_iid for one in begins] == list(range(1, 11))


@settings(deadline=None)  # the first example pays for imports
@given(st.lists(st.integers(0, 2**63 - 1), max_size=20))
def test_a_padded_number_is_the_same_number(numbers: list[int]) -> None:
    rows = wire.padded_varints(np.array(numbers, dtype=np.int64), 9)
    for number, row in zip(numbers, rows, strict=True):
        packet = messages.TracePacket()
        packet.ParseFromString(wire.tag(8, 0) + row.tobytes())
        assert packet.timestamp == number


@settings(deadline=None)  # the first example pays for imports
@given(st.integers(0, 2**64 - 1), st.text(), st.floats(allow_nan=False))
def test_fields_are_what_any_protocol_buffer_has(number: int, text: str, value: float) -> None:
    annotation = messages.DebugAnnotation()
    annotation.ParseFromString(wire.text_field(10, text) + wire.number_field(3, number))
    assert (annotation.name, annotation.uint_value) == (text, number)
    annotation.ParseFromString(wire.double_field(5, value))
    assert annotation.double_value == value


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="too large for 4 bytes"):
        wire.padded_varints(np.array([1 << 28]), 4)
    with pytest.raises(ValueError, match="negative"):
        wire.padded_varints(np.array([-1]), 4)


ROWS = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 3), st.integers(0, 3)), max_size=30)


@settings(deadline=None)  # the first example pays for imports
@given(ROWS)
def test_runs_on_a_cpu_fill_the_window_and_do_not_overlap(rows: list[tuple[int, int, int]]) -> None:
    """Whatever the switches: where nobody is said to have run, the idle task did."""
    ordered = [(t_ns, 0, left, True, came) for t_ns, left, came in sorted(rows)]
    runs = runs_on(switches(ordered), 0, (T0, T0 + 100))
    assert np.all(runs.start_ns < runs.end_ns)
    assert np.all(runs.start_ns[1:] >= runs.end_ns[:-1])
    ran_ns = int(np.sum(runs.end_ns - runs.start_ns))
    edges = [0, *(row[0] for row in ordered), 100]
    idle_ns = 0
    came = [ordered[0][2], *(row[4] for row in ordered)] if ordered else []
    left = [*(row[2] for row in ordered), came[-1]] if ordered else []
    for place, (one, other) in enumerate(zip(came, left, strict=True)):
        if one == 0 and other == 0:
            idle_ns += edges[place + 1] - edges[place]
    assert ran_ns + idle_ns == (100 if ordered else 0)
