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

#: Values of the header's 5 bits; 1 to 28 is the length of the data in words, 0: the length follows.
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


@dataclass
class _Steps:
    """What the steps found, a piece for each step."""

    page: list[NDArray[np.uint16]]
    start: list[Index]
    length: list[NDArray[np.int32]]
    raw: list[Index]


def _walk(words: Words, pages: _Pages, faults: list[Fault]) -> _Steps:
    """One step for each record of the fullest page. Pages that are through drop out."""
    found = _Steps([], [], [], [])
    page = np.arange(len(pages.begin), dtype=np.int64)
    at, end, now = pages.data, pages.end, pages.time
    while True:
        inside = at < end
        if not inside.all():
            page, at, end, now = page[inside], at[inside], end[inside], now[inside]
        if not len(page):
            return found
        head = words[at]
        kind = (head & 31).astype(np.int64)
        now = now + (head >> 5)
        data, behind = at + 1, at + 1 + kind
        is_data = kind <= 28
        special = np.flatnonzero((kind == 0) | ~is_data)
        if len(special):
            _special(words, special, kind, at, end, now, head, data, behind)
        good = (behind <= end) & (behind > at)
        if not good.all():
            faults += _faults(pages, page[~good], at[~good], kind[~good])
        chosen = good & is_data
        if not chosen.all():
            _keep(found, page[chosen], data[chosen], behind[chosen], now[chosen])
            page, behind, end, now = page[good], behind[good], end[good], now[good]
        else:
            _keep(found, page, data, behind, now)
        at = behind


def _special(
    words: Words,
    rows: Index,
    kind: Index,
    at: Index,
    end: Index,
    now: NDArray[np.uint64],
    head: Words,
    data: Index,
    behind: Index,
) -> None:
    """Corrects `now`, `data` and `behind` of the rows whose length or time is in the word behind the header."""
    kinds, delta = kind[rows], (head[rows] >> 5).astype(np.uint64)
    there = at[rows] + 1 < end[rows]
    word = words[np.where(there, at[rows] + 1, at[rows])]
    # rb_event_length: the length that follows the header counts its own word too.
    nowhere = len(words) + 1
    far = at[rows] + 1 + np.where(word % 4 == 0, word // 4, nowhere)
    far = np.where((kinds == 0) & (word < 4), nowhere, far)
    # A padding without a time goes to the page's end (rb_null_event).
    far = np.where((kinds == PADDING) & (delta == 0), end[rows], far)
    far = np.where(kinds > PADDING, at[rows] + 2, far)
    needs_word = (kinds != PADDING) | (delta != 0)
    behind[rows] = np.where(there | ~needs_word, far, nowhere)
    data[rows] = at[rows] + 2
    now[rows] = _times(kinds, delta, word.astype(np.uint64), now[rows])


def _times(
    kinds: Index, delta: NDArray[np.uint64], word: NDArray[np.uint64], now: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """The time after each special record; `now` has its `delta` added."""
    shift, top = np.uint64(TIME_SHIFT), np.uint64(0xF8 << 56)
    before = now - delta
    long = (word << shift) + delta
    stamp = (long & ~top) | (before & top)
    stamp = np.where(stamp < before, stamp + np.uint64(1 << STAMP_BITS), stamp)
    now = np.where(kinds == TIME_EXTEND, before + long, now)
    now = np.where(kinds == TIME_STAMP, stamp, now)
    # The kernel writes a time of 1 into padding that has none (rb_event_discard; check_buffer leaves it out too).
    return np.where((kinds == PADDING) & (delta <= 1), before, now)


def _keep(found: _Steps, page: Index, data: Index, behind: Index, now: NDArray[np.uint64]) -> None:
    found.page.append(page.astype(np.uint16))
    found.start.append(data * 4)
    found.length.append(((behind - data) * 4).astype(np.int32))
    found.raw.append(now.view(np.int64))


def _faults(pages: _Pages, page: Index, at: Index, kind: Index) -> Iterator[Fault]:
    for row, place, what in zip(page.tolist(), at.tolist(), kind.tolist(), strict=True):
        left = (int(pages.end[row]) - place) * 4
        yield Fault(
            place * 4,
            f"a record of type {what} runs beyond what its page has: the page's last {left} bytes are not read",
        )


def _in_order(found: _Steps) -> Records:
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
