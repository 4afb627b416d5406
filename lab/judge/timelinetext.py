# SPDX-License-Identifier: GPL-2.0-only
"""A stretch of a traced window as text for a mail: a strip for each vCPU, and a line for each change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lab.judge.layout import MISSING, WIDTH, Column, fit, heading, row, wrap
from lab.judge.moments import Moment, moments_of_marks
from lab.judge.stripchart import render_strips, vcpu_name
from lab.trace.model import State, TracedWindow, VcpuTimeline
from lab.trace.takers import name_taker

#: More changes than this are no text for a mail.
MOST_LINES = 400

_WORDS = {
    State.RUNNING: "runs",
    State.PREEMPTED: "preempted by",
    State.WAKING: "woken, waits for",
    State.BLOCKED: "blocks",
    State.UNKNOWN: "not known",
}


@dataclass(frozen=True)
class Excerpt:
    """What is shown: from `from_ns` to `to_ns` after the start of the window, all vCPUs or those of `node`."""

    from_ns: int
    to_ns: int
    node: str | None = None


@dataclass(frozen=True)
class _Line:
    t_ns: int
    pcpu: int | None
    subject: str
    text: str
    length_ns: int | None = None


def render_timeline(
    window: TracedWindow, excerpt: Excerpt, moments: Iterable[Moment] = (), *, most: int = MOST_LINES
) -> str:
    """The excerpt as text, times in ms after the start of the window. ASCII, at most 75 columns, ends in a newline.

    Of each change: when, on which pCPU, which vCPU, what happened and who took its place, and how long that lasted,
    to its end even where that lies outside. Between them are `moments`, and what loads marked.
    """
    vcpus = [one for one in window.vcpus if excerpt.node in (None, one.node)]
    begin_ns, end_ns = (window.host.start_ns + one for one in (excerpt.from_ns, excerpt.to_ns))
    head = (
        f"Phase {window.phase}, {excerpt.from_ns / 1e6:.3f} .. {excerpt.to_ns / 1e6:.3f} ms after its start"
    )
    lines = [*wrap(head), *render_strips(vcpus, begin_ns, end_ns), ""]
    changes = [line for one in vcpus for line in _changes(window, one, begin_ns, end_ns)]
    every = [*moments, *moments_of_marks(window)]
    changes += [_moment(one) for one in every if begin_ns <= one.t_ns < end_ns and _about(one, excerpt.node)]
    changes.sort(key=lambda line: line.t_ns)
    lines += _table(changes[:most], window.host.start_ns)
    if len(changes) > most:
        lines += wrap(f"{len(changes) - most} more changes: ask for less time, or for one node")
    return "\n".join([*lines, *_trust(window, excerpt)]) + "\n"


def _about(moment: Moment, node: str | None) -> bool:
    """Whether it is about `node`, or about the host, which is everybody's."""
    owner = moment.subject.partition("/")[0]
    return node is None or owner in (node, "host")


def _changes(window: TracedWindow, vcpu: VcpuTimeline, begin_ns: int, end_ns: int) -> Iterator[_Line]:
    """The stretches that begin between the two times; that with which the window begins is no change."""
    first, last = np.searchsorted(vcpu.start_ns, [begin_ns, end_ns])
    for at in range(max(int(first), 1), int(last)):
        state, pcpu = State(int(vcpu.state[at])), int(vcpu.pcpu[at])
        length_ns = int(vcpu.end_ns[at] - vcpu.start_ns[at])
        text = _WORDS[state]
        if state in (State.PREEMPTED, State.WAKING):
            text = f"{text} {name_taker(int(vcpu.taker[at]), window.host.names, window.threads)}"
        elif state is State.RUNNING and at:
            text = f"{text}, {_after(vcpu, at)}"
        yield _Line(int(vcpu.start_ns[at]), pcpu if pcpu >= 0 else None, vcpu_name(vcpu), text, length_ns)


def _after(vcpu: VcpuTimeline, at: int) -> str:
    """What it did before it ran, and where, if that was elsewhere."""
    before = State(int(vcpu.state[at - 1]))
    words = {State.PREEMPTED: "preempted before", State.WAKING: "woken before"}.get(before, "blocked before")
    if before in (State.RUNNING, State.UNKNOWN):
        words = "as far as is known" if before is State.UNKNOWN else "still"
    moved = int(vcpu.pcpu[at - 1]) not in (-1, int(vcpu.pcpu[at]))
    return f"{words}, on pCPU {int(vcpu.pcpu[at - 1])}" if moved else words


def _moment(moment: Moment) -> _Line:
    return _Line(moment.t_ns, None, moment.subject, f"* {moment.text}")


def _table(changes: Sequence[_Line], start_ns: int) -> list[str]:
    if not changes:
        return ["  nothing changes"]
    subjects = fit([one.subject for one in changes], 4, 14)
    left = WIDTH - 2 - (12 + 1) - (4 + 1) - (subjects + 1) - (1 + 10)
    columns = [
        Column("ms", 12),
        Column("pCPU", 4),
        Column("vCPU", subjects, text=True),
        Column("what", left, text=True),
        Column("for ms", 10),
    ]
    return [heading(columns), *(row(_cells(one, start_ns), columns) for one in changes)]


def _cells(line: _Line, start_ns: int) -> list[str | float | None]:
    return [
        f"{(line.t_ns - start_ns) / 1e6:.3f}",
        MISSING if line.pcpu is None else line.pcpu,
        line.subject,
        line.text,
        "" if line.length_ns is None else f"{line.length_ns / 1e6:.3f}",
    ]


def _trust(window: TracedWindow, excerpt: Excerpt) -> Iterator[str]:
    """How far times may be off, and what is missing."""
    nodes = [node for node in window.guests if excerpt.node in (None, node)]
    errors = [f"{window.host.error_ns / 1e3:.3g} us on the host"]
    errors += [f"{window.guests[node].error_ns / 1e3:.3g} us in {node}" for node in nodes]
    yield ""
    yield from wrap(f"times may be off by {', '.join(errors)}")
    for trace, name in ((window.host, "the host"), *((window.guests[node], node) for node in nodes)):
        lost = sum(trace.lost.values())
        if lost:
            yield from wrap(f"! {lost} events of {name} were lost", 0, 2)
    yield from (line for doubt in window.doubts for line in wrap(f"! {doubt}", 0, 2))
