# SPDX-License-Identifier: GPL-2.0-only
"""Pages of the ring buffer: what was encoded is found, and what is damaged costs no more than itself."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tracepages import HEAD, PADDING, PAGE, discarded, head, page, pages, record, stamp

from lab.trace.formats import PageHeader
from lab.trace.ringbuffer import Buffer, read_buffer

HEADER = PageHeader()
Found = list[tuple[int, bytes]]


def read(raw: bytes) -> Buffer:
    return read_buffer(raw, HEADER, PAGE)


def found(raw: bytes) -> Found:
    """(time, data) of every record."""
    records = read(raw).records
    rows = zip(records.raw.tolist(), records.start.tolist(), records.length.tolist(), strict=True)
    return [(time, raw[start : start + length]) for time, start, length in rows]


@dataclass(frozen=True)
class Piece:
    """A record, what it adds to the time before it, and its data, if it is one that is found."""

    encoded: bytes
    delta: int
    data: bytes | None


@dataclass(frozen=True)
class Made:
    """A page, and what is on it."""

    raw: bytes = field(repr=False)
    rows: Found


short = st.integers(0, 2**27 - 1)
deltas = short | st.integers(2**27, 2**40)
datas = st.integers(1, 40).flatmap(lambda words: st.binary(min_size=4 * words, max_size=4 * words))
with_data = st.builds(
    lambda delta, data, long: Piece(record(delta, data, long), delta, data), deltas, datas, st.booleans()
)
thrown_away = st.builds(
    lambda delta, words: Piece(discarded(delta, words), delta if delta > 1 else 0, None),
    st.integers(1, 2**27 - 1),
    st.integers(1, 8),
)
times = st.integers(0, 2**58)


@st.composite
def any_page(draw: st.DrawFn) -> Made:
    now = begin = draw(times)
    body, rows = b"", []
    for piece in draw(st.lists(with_data | thrown_away, max_size=30)):
        if len(body) + len(piece.encoded) > PAGE - HEAD:
            break
        body, now = body + piece.encoded, now + piece.delta
        rows += [] if piece.data is None else [(now, piece.data)]
    return Made(page(begin, body), rows)


some_pages = st.lists(any_page(), min_size=1, max_size=6)


@settings(deadline=None)
@given(some_pages)
def test_what_was_encoded_is_found(made: list[Made]) -> None:
    raw = b"".join(one.raw for one in made)
    assert found(raw) == [row for one in made for row in one.rows]
    assert read(raw).faults == ()


@settings(deadline=None)
@given(some_pages, st.data())
def test_a_file_that_is_cut_loses_what_is_behind_the_cut_and_says_so(
    made: list[Made], data: st.DataObject
) -> None:
    raw = b"".join(one.raw for one in made)
    cut = data.draw(st.integers(0, len(raw)))
    whole, rest = divmod(cut, PAGE)
    everything = found(raw)
    starts = read(raw).records
    ends = (starts.start + starts.length).tolist()
    assert found(raw[:cut]) == [row for row, end in zip(everything, ends, strict=True) if end <= cut]
    committed = int.from_bytes(raw[whole * PAGE + 8 : whole * PAGE + 12], "little") if rest else 0
    # Where even the count is cut there is nothing to say yet; behind the committed bytes nothing is missing.
    if rest >= HEAD and committed > rest - HEAD:
        assert any("the file ends in this page" in fault.what for fault in read(raw[:cut]).faults)


@settings(deadline=None)
@given(some_pages, st.data())
def test_flipped_bits_never_raise_and_leave_other_pages_alone(made: list[Made], data: st.DataObject) -> None:
    raw = bytearray(b"".join(one.raw for one in made))
    hit = data.draw(st.integers(0, len(made) - 1))
    for place in data.draw(st.lists(st.integers(0, PAGE - 1), min_size=1, max_size=8)):
        raw[hit * PAGE + place] ^= data.draw(st.integers(1, 255))
    rows = read(bytes(raw)).records
    others = [
        (time, bytes(raw[start : start + length]))
        for time, start, length in zip(
            rows.raw.tolist(), rows.start.tolist(), rows.length.tolist(), strict=True
        )
        if start // PAGE != hit
    ]
    assert others == [row for at, one in enumerate(made) if at != hit for row in one.rows]


@settings(deadline=None)
@given(st.binary(max_size=3 * PAGE))
def test_noise_never_raises(noise: bytes) -> None:
    read(noise)


def test_a_count_that_no_page_can_have_is_not_believed_and_loses_nothing() -> None:
    data = b"abcd"
    raw = page(100, record(0, data) + record(7, data), commit=0x3FFFFFF0)
    assert found(raw) == [(100, data), (107, data)]
    first, *_ = read(raw).faults
    assert first.at == 0
    assert "says that it has 1073741808 bytes of 4080" in first.what


def test_a_record_that_runs_beyond_its_page_keeps_what_is_before_it() -> None:
    raw = page(5, record(0, b"good") + head(28, 1) + b"bad!") + page(9, record(0, b"next"))
    assert found(raw) == [(5, b"good"), (9, b"next")]
    (fault,) = read(raw).faults
    assert fault.at == HEAD + 8
    assert "type 28 runs beyond" in fault.what


@pytest.mark.parametrize("length", [0, 3, 6, 2**32 - 4])
def test_a_length_that_makes_no_sense_ends_its_page(length: int) -> None:
    raw = page(5, record(0, b"good") + head(0, 1) + length.to_bytes(4, "little") + b"bad!")
    assert found(raw) == [(5, b"good")]
    assert len(read(raw).faults) == 1


def test_padding_without_a_time_ends_a_page_as_it_should() -> None:
    raw = page(5, record(0, b"good") + head(PADDING, 0) + b"\xff" * 40)
    assert found(raw) == [(5, b"good")]
    assert read(raw).faults == ()


def test_padding_with_a_time_of_one_takes_no_time() -> None:
    """The kernel writes the 1 where there was none; any other is real."""
    data = b"abcd"
    raw = page(
        100, record(0, data) + discarded(1, 3) + record(10, data) + discarded(20, 3) + record(10, data)
    )
    assert [time for time, _ in found(raw)] == [100, 110, 140]


def test_absolute_times_take_their_highest_bits_from_the_time_before() -> None:
    base = 0b10101 << 59
    raw = page(
        base + 1000, record(0, b"abcd") + stamp(5000) + record(3, b"efgh") + stamp(4000) + record(0, b"ijkl")
    )
    assert [time % 2**64 for time, _ in found(raw)] == [base + 1000, base + 5003, base + 4000 + 2**59]


def test_lost_events_are_counted_as_far_as_pages_tell() -> None:
    made = [page(1, record(0, b"abcd"), missed=number) for number in (None, 12, 0, 30)]
    assert read(b"".join(made)).missed == 12 + 1 + 30


def test_a_full_page_has_no_room_for_how_many_were_lost() -> None:
    body = record(0, b"x" * (PAGE - HEAD - 8), long=True)
    raw = page(1, body)
    flagged = raw[:8] + (len(body) | 3 << 30).to_bytes(8, "little") + raw[16:]
    assert read(flagged).missed == 1


def test_the_page_header_is_where_the_kernel_says() -> None:
    from lab.trace.formats import Field

    raw = page(77, record(0, b"abcd"))
    moved = raw[8:16] + raw[:8] + bytes(8) + raw[16:-8]
    other = PageHeader(Field("timestamp", 8, 8), Field("commit", 0, 8), Field("data", 24, PAGE - 24))
    records = read_buffer(moved, other, PAGE).records
    assert records.raw.tolist() == [77]
    assert moved[int(records.start[0]) :][:4] == b"abcd"


def test_many_pages_keep_their_order() -> None:
    """More than are walked at once."""
    events = [(number * 3, number.to_bytes(4, "little")) for number in range(30_000)]
    made = pages(events, room=32)
    assert len(made) > 4096
    raw = b"".join(made)
    assert found(raw) == events
