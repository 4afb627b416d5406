# SPDX-License-Identifier: GPL-2.0-only
"""What `pvprobe follow` says (images/probe/FOLLOW.md), look by look, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lab.measure.probestream import ProbeStream, StreamError, parse_stream

#: The version of the follower's lines that this parser understands.
VERSION = 1
_HELLO = f"pvfollow {VERSION} "


class FeedError(ValueError):
    """A line that no follower of this version says."""


@dataclass(frozen=True)
class Look:
    """One look of a follower, done at `t_ns` of its machine's clock; `cpu_ns` is what the follower had used then.

    `streams` are by their names: of each that grew its last whole sample, and the marks and ends of guests since
    the look before. `texts` are whole new lines. `damaged` names streams of which this look could not be read.
    """

    t_ns: int
    cpu_ns: int
    streams: Mapping[str, ProbeStream] = field(default_factory=dict)
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()


class LookParser:
    """Takes the follower's lines one after the other."""

    def __init__(self) -> None:
        self._greeted = False
        self._hellos: dict[str, str] = {}
        self._lines: dict[str, list[str]] = {}
        self._texts: dict[str, list[str]] = {}

    def take(self, line: str) -> Look | None:
        """A look where the line ends one. Raises FeedError for what is no follower's line, or another version's."""
        if not self._greeted:
            if not line.startswith(_HELLO):
                raise FeedError(f"expected a line that begins with {_HELLO!r}, got {line[:80]!r}")
            self._greeted = True
            return None
        kind, _, rest = line.partition(" ")
        if kind == "z":
            return self._finish(rest)
        name, _, text = rest.partition(" ")
        if kind == "h":
            self._hellos[name] = text
        elif kind == "s":
            self._lines.setdefault(name, []).append(text)
        elif kind == "c":
            self._texts.setdefault(name, []).append(text)
        else:
            raise FeedError(f"no line of a follower: {line[:80]!r}")
        return None

    def _finish(self, rest: str) -> Look:
        try:
            t_ns, cpu_ns = map(int, rest.split(" "))
        except ValueError:
            raise FeedError(f"a look ends without two numbers: {rest[:80]!r}") from None
        lines, self._lines = self._lines, {}
        texts, self._texts = self._texts, {}
        streams: dict[str, ProbeStream] = {}
        damaged: list[str] = []
        for name, several in lines.items():
            try:
                streams[name] = self._parse(name, several)
            except StreamError:
                damaged.append(name)
        return Look(
            t_ns, cpu_ns, streams, {name: tuple(found) for name, found in texts.items()}, tuple(damaged)
        )

    def _parse(self, name: str, lines: list[str]) -> ProbeStream:
        whole = [self._hellos.get(name, ""), *lines, ""]
        return parse_stream("\n".join(whole).encode("ascii", "replace"))
