# SPDX-License-Identifier: GPL-2.0-only
"""What is traced while a window is measured: the key `trace` of a file, a phase and an arm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from lab.strictyaml.findings import Finding, Loc

TraceWord = Literal["sched", "guest"]
Trace = Literal["sched", "guest", "off"] | tuple[TraceWord, ...]

TRACE_DESCRIPTION = (
    "traced while windows are measured. sched: on the host, when and by whom the lab's vCPUs are preempted; guest: "
    "in guests, their tasks, timer interrupts and what loads mark, which tells what a preemption hit; or a list of "
    "both; off: nothing. An arm says it for all phases, a phase for itself, the file for what says nothing"
)


def trace_words(trace: Trace | None) -> tuple[str, ...] | None:
    """What is asked for, each word once: empty for off, None where nothing is said."""
    if trace is None:
        return None
    if isinstance(trace, tuple):
        return tuple(dict.fromkeys(trace))
    return () if trace == "off" else (trace,)


def check_trace(trace: Trace | None, loc: Loc) -> Iterator[Finding]:
    """A list that says nothing, or one thing twice."""
    if not isinstance(trace, tuple):
        return
    if not trace:
        yield Finding(loc, "traces nothing; write off, or a list such as [sched, guest]")
    for place, word in enumerate(trace):
        if word in trace[:place]:
            yield Finding((*loc, place), f"{word!r} stands there already")
