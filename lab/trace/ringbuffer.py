# SPDX-License-Identifier: GPL-2.0-only
"""Pages of the kernel's trace ring buffer, as trace_pipe_raw gives them: where each record lies, and when it was.

A page is a time (u64), a count of committed bytes (with two flags on top), and records, each with a 32-bit header:
5 bits of type or length, 27 bits of time since the record before (kernel/trace/ring_buffer.c,
include/linux/ring_buffer.h, and events/header_event, which has said the same since 2.6.30). Little-endian only.

A minute of sixteen vCPUs is millions of records on tens of thousands of pages. So they are not walked one by one:
step k looks at the k-th record of every page at once, and what Python does is paid once per step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lab.trace.formats import PageHeader

#: Values of the header's 5 bits; up to LAST_DATA it is the length of the data in words, 0: the length follows.
LAST_DATA = 28
PADDING, TIME_EXTEND, TIME_STAMP = 29, 30, 31
TIME_SHIFT = 27
#: Flags of the count of committed bytes: events before this page are missing; how many stands behind its last one.
MISSED_EVENTS, MISSED_STORED = 1 << 31, 1 << 30
#: An absolute time stamp has 59 bits; the others are those of the time before (rb_fix_abs_ts).
STAMP_BITS = 59
#: So many pages are walked at once: their columns stay in the processor's cache.
PAGES_AT_ONCE = 4096

Words = NDArray[np.uint32]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Records:
    """Records with data, in the order of the buffer. `start` and `length` (bytes, both multiples of 4) say where in
    the file the data is, `raw` when it was, in ticks of the trace's clock."""

    start: Index
    length: NDArray[np.int32]
    raw: Index

    def __len__(self) -> int:
        return len(self.start)

    def where(self, chosen: NDArray[np.bool_] | Index) -> Records:
        """Those chosen by a mask or by their places."""
        return Records(self.start[chosen], self.length[chosen], self.raw[chosen])


@dataclass(frozen=True)
class Fault:
    """What is wrong at byte `at` of the file."""

    at: int
    what: str


@dataclass(frozen=True)
class Buffer:
    """All pages of one CPU: `words` is the file, filled up with zeros to whole pages.

    `missed` is how many events were overwritten before they were read: what the pages say; where one does not say
    how many, one.
    """

    words: Words
    records: Records
    missed: int
    faults: tuple[Fault, ...]


def read_buffer(raw: bytes | memoryview, header: PageHeader, page_size: int) -> Buffer:
    """Every record in `raw`; never raises: a page is read up to where it makes no sense, which `faults` says."""
    faults: list[Fault] = []
    page_words = page_size // 4
    words = _whole_pages(raw, page_size)
    if header.data.offset >= page_size:
        return Buffer(words, NO_RECORDS, 0, (Fault(0, "the page header is larger than a page"),))
    pieces: list[Records] = []
    missed = 0
    for first in range(0, len(words) // page_words, PAGES_AT_ONCE):
        chunk = _Pages(words, first, header, page_words, len(raw))
        missed += chunk.missed()
        faults += chunk.cut_or_overlong()
        pieces.append(_in_order(_walk(words, chunk, faults)))
    return Buffer(words, _joined(pieces), missed, tuple(sorted(faults, key=lambda fault: fault.at)))


NO_RECORDS = Records(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int64))


def _whole_pages(raw: bytes | memoryview, page_size: int) -> Words:
    if len(raw) % page_size == 0:
        return np.frombuffer(raw, "<u4")
    filled = np.zeros(-(-len(raw) // page_size) * page_size, np.uint8)
    filled[: len(raw)] = np.frombuffer(raw, np.uint8)
    return filled.view("<u4")


class _Pages:
    """The heads of some pages that follow each other: columns with one row a page, places in words of the file."""

    def __init__(
        self, words: Words, first: int, header: PageHeader, page_words: int, file_bytes: int
    ) -> None:
        count = min(PAGES_AT_ONCE, len(words) // page_words - first)
        self.begin: Index = (first + np.arange(count, dtype=np.int64)) * page_words
        self.words = words
        self.time = _u64(words, self.begin + header.timestamp.offset // 4)
        self._commit = words[self.begin + header.commit.offset // 4].astype(np.int64)
        self._committed = self._commit & (MISSED_STORED - 1)
        self.data: Index = self.begin + header.data.offset // 4
        self._room = page_words * 4 - header.data.offset
        # Behind the end of a file that was cut there are zeros, which must not be read as anything.
        self._there = np.clip(file_bytes - self.data * 4, 0, self._room)
        self.end: Index = self.data + np.minimum(self._committed, self._there) // 4

    def missed(self) -> int:
        """How many events were lost before these pages."""
        flagged = (self._commit & MISSED_EVENTS) != 0
        stored = flagged & ((self._commit & MISSED_STORED) != 0) & (self._committed + 8 <= self._there)
        counts = _u64(self.words, (self.data + self._committed // 4)[stored])
        # A count that no buffer could have held is not believed.
        believed = int(counts[(counts > 0) & (counts < 1 << 40)].sum())
        unknown = int(flagged.sum() - stored.sum() + ((counts == 0) | (counts >= 1 << 40)).sum())
        return believed + unknown

    def cut_or_overlong(self) -> Iterator[Fault]:
        """Pages that are not all there, and such as claim to have more than a page."""
        for row in np.flatnonzero(self._committed > self._there):
            at, committed, room = int(self.begin[row]) * 4, int(self._committed[row]), int(self._there[row])
            if room < self._room:
                yield Fault(at, f"the file ends in this page: {room} of its {committed} bytes are there")
            else:
                yield Fault(
                    at,
                    f"the page says that it has {committed} bytes of {room}: read as far as it makes sense",
                )


@dataclass(frozen=True)
class _Front:
    """The next record of each page that has one: its page, where its header is, where the page's records end, and
    the time of the record before it."""

    page: Index
    at: Index
    end: Index
    time: NDArray[np.uint64]

    def where(self, chosen: NDArray[np.bool_]) -> _Front:
        """The pages chosen."""
        if chosen.all():
            return self
        return _Front(self.page[chosen], self.at[chosen], self.end[chosen], self.time[chosen])


@dataclass(frozen=True)
class _Step:
    """What the headers of a front say: the type, where the record's data is, what is behind it, and its time."""

    kind: Index
    data: Index
    behind: Index
    time: NDArray[np.uint64]


class _Found:
    """Records, a piece for each step."""

    def __init__(self) -> None:
        self.page: list[NDArray[np.uint16]] = []
        self.start: list[Index] = []
        self.length: list[NDArray[np.int32]] = []
        self.raw: list[Index] = []

    def keep(self, page: Index, step: _Step, chosen: NDArray[np.bool_]) -> None:
        """The records chosen of a step."""
        self.page.append(page[chosen].astype(np.uint16))
        self.start.append(step.data[chosen] * 4)
        self.length.append(((step.behind - step.data)[chosen] * 4).astype(np.int32))
        self.raw.append(step.time[chosen].view(np.int64))


def _walk(words: Words, pages: _Pages, faults: list[Fault]) -> _Found:
    """One step for each record of the fullest page. Pages that are through drop out."""
    found = _Found()
    front = _Front(np.arange(len(pages.begin), dtype=np.int64), pages.data, pages.end, pages.time)
    while len((front := front.where(front.at < front.end)).page):
        step = _read_heads(words, front)
        good = step.behind <= front.end
        found.keep(front.page, step, good & (step.kind <= LAST_DATA))
        if not good.all():
            faults += _faults(front.where(~good), step.kind[~good])
        front = _Front(front.page, step.behind, front.end, step.time).where(good)
    return found


def _read_heads(words: Words, front: _Front) -> _Step:
    head = words[front.at]
    kind = (head & 31).astype(np.int64)
    delta = (head >> 5).astype(np.uint64)
    step = _Step(kind, front.at + 1, front.at + 1 + kind, front.time + delta)
    special = np.flatnonzero((kind == 0) | (kind > LAST_DATA))
    if len(special):
        _correct(words, front, step, delta, special)
    return step


def _correct(words: Words, front: _Front, step: _Step, delta: NDArray[np.uint64], rows: Index) -> None:
    """Those rows whose length or time is in the word behind the header; it counts as 0 where it is beyond the end,
    and so does the record."""
    kind, at, end = step.kind[rows], front.at[rows], front.end[rows]
    there = at + 1 < end
    word = np.where(there, words[np.where(there, at + 1, at)], 0)
    step.data[rows] = at + 2
    step.behind[rows] = np.where(
        (kind == PADDING) & (delta[rows] == 0),
        end,  # padding without a time goes to the page's end (rb_null_event)
        np.where(there, at + _lengths(kind, word, len(words)), len(words) + 1),
    )
    step.time[rows] = _times(kind, delta[rows], word.astype(np.uint64), front.time[rows])


def _lengths(kind: Index, word: Words, nowhere: int) -> Index:
    """Of whole records, in words, by the word behind the header; `nowhere` and more where it makes no sense.

    A length that follows the header counts its own word, but not the header (rb_event_length).
    """
    length = 1 + word.astype(np.int64) // 4
    nonsense = (word % 4 != 0) | ((kind == 0) & (word < 4))
    return np.where(kind > PADDING, 2, np.where(nonsense, nowhere + 1, length))


def _times(
    kind: Index, delta: NDArray[np.uint64], word: NDArray[np.uint64], before: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """The time of each special record."""
    long, top = (word << np.uint64(TIME_SHIFT)) + delta, np.uint64(0xF8 << 56)
    stamp = (long & ~top) | (before & top)
    stamp = np.where(stamp < before, stamp + np.uint64(1 << STAMP_BITS), stamp)
    # The kernel writes a time of 1 into padding that has none (rb_event_discard; check_buffer leaves it out too).
    untimed = (kind == PADDING) & (delta <= 1)
    return np.select(
        [kind == TIME_EXTEND, kind == TIME_STAMP, untimed], [before + long, stamp, before], before + delta
    )


def _faults(front: _Front, kind: Index) -> Iterator[Fault]:
    for place, end, what in zip(front.at.tolist(), front.end.tolist(), kind.tolist(), strict=True):
        yield Fault(
            place * 4,
            f"a record of type {what} runs beyond what its page has: the page's last {(end - place) * 4} bytes "
            "are not read",
        )


def _in_order(found: _Found) -> Records:
    """By page. The key has 16 bits, for which numpy's stable sort takes linear time."""
    if not found.page:
        return NO_RECORDS
    order = np.argsort(np.concatenate(found.page), kind="stable")
    return Records(
        np.concatenate(found.start)[order],
        np.concatenate(found.length)[order],
        np.concatenate(found.raw)[order],
    )


def _joined(pieces: Sequence[Records]) -> Records:
    if len(pieces) == 1:
        return pieces[0]
    if not pieces:
        return NO_RECORDS
    return Records(
        np.concatenate([piece.start for piece in pieces]),
        np.concatenate([piece.length for piece in pieces]),
        np.concatenate([piece.raw for piece in pieces]),
    )


def _u64(words: Words, at: Index) -> NDArray[np.uint64]:
    return words[at].astype(np.uint64) | (words[at + 1].astype(np.uint64) << np.uint64(32))
