# SPDX-License-Identifier: GPL-2.0-only
"""A Perfetto trace being written: tracks as they are met, each with the texts that it was told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lab.export.blocks import Slices, counter_packets, instant_packets, slice_packets
from lab.export.packets import (
    EventType,
    Interned,
    Track,
    clock_packet,
    event_packet,
    texts_packet,
    track_packets,
)
from lab.trace.model import Times

#: Sequence 1 is that of the clock, which no track has.
_FIRST_SEQUENCE = 2


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> object: ...


class TraceWriter:
    """Writes a trace to `sink`, whose times are the host's CLOCK_MONOTONIC. `t_ns` is any moment of it."""

    def __init__(self, sink: Sink, t_ns: int) -> None:
        self._sink = sink
        self._tracks: dict[tuple[int | None, str], Track] = {}
        self._texts: dict[tuple[int, Interned], dict[str, int]] = {}
        self.events = 0
        sink.write(clock_packet(t_ns))

    def track(
        self, parent: Track | None, name: str, *, rank: int = 0, unit: str | None = None, about: str = ""
    ) -> Track:
        """The track of that name below `parent`, made when it is first asked for."""
        above = None if parent is None else parent.sequence
        if (above, name) not in self._tracks:
            made = Track(_FIRST_SEQUENCE + len(self._tracks), name, above, rank, unit, about)
            self._tracks[above, name] = made
            self._sink.write(track_packets(made))
        return self._tracks[above, name]

    def slices(
        self,
        track: Track,
        start_ns: Times,
        end_ns: Times,
        names: Sequence[str],
        name: NDArray[np.integer],
        detail: tuple[str, Sequence[str], NDArray[np.integer]] | None = None,
    ) -> None:
        """Slices that do not overlap, sorted; slice i is called `names[name[i]]`. `detail` says one thing more
        about each: what it is called, the texts that there are, and which of them slice i has. One track has one
        sort of detail."""
        texts = None
        if detail is not None:
            self._intern(track, Interned.ANNOTATION_NAME, [detail[0]])
            texts = self._intern(track, Interned.ANNOTATION_TEXT, detail[1])[detail[2]]
        numbers = self._intern(track, Interned.EVENT_NAME, names)[name]
        self.events += 2 * len(start_ns)
        for block in slice_packets(track.sequence, Slices(start_ns, end_ns, numbers, texts)):
            self._sink.write(block)

    def instants(self, track: Track, t_ns: Times, names: Sequence[str], name: NDArray[np.integer]) -> None:
        """Moments in order; moment i is called `names[name[i]]`."""
        numbers = self._intern(track, Interned.EVENT_NAME, names)[name]
        self.events += len(t_ns)
        for block in instant_packets(track.sequence, t_ns, numbers):
            self._sink.write(block)

    def counts(self, track: Track, t_ns: Times, values: NDArray[np.float64]) -> None:
        """Values of a counter from each time on, in the unit of its track."""
        self.events += len(t_ns)
        for block in counter_packets(track.sequence, t_ns, values):
            self._sink.write(block)

    def span(self, track: Track, start_ns: int, end_ns: int, name: str, about: Mapping[str, str]) -> None:
        """One slice with all that is to be said about it."""
        self.events += 2
        self._sink.write(event_packet(track.sequence, EventType.SLICE_BEGIN, start_ns, name, about))
        self._sink.write(event_packet(track.sequence, EventType.SLICE_END, end_ns, "", {}))

    def moment(self, track: Track, t_ns: int, name: str, about: Mapping[str, str]) -> None:
        """One instant with all that is to be said about it."""
        self.events += 1
        self._sink.write(event_packet(track.sequence, EventType.INSTANT, t_ns, name, about))

    def _intern(self, track: Track, kind: Interned, texts: Sequence[str]) -> NDArray[np.int64]:
        """The numbers of `texts` in the sequence of `track`, from 1; those that are new there are written."""
        known = self._texts.setdefault((track.sequence, kind), {})
        new = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(new, range(len(known) + 1, len(known) + len(new) + 1), strict=True))
        if new:
            self._sink.write(texts_packet(track.sequence, [(kind, known[text], text) for text in new]))
        return np.array([known[text] for text in texts], dtype=np.int64)
