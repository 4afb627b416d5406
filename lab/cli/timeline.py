# SPDX-License-Identifier: GPL-2.0-only
"""`lab timeline`: a stretch of a traced phase, change by change, as text for a mail."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.desk import desk_of
from lab.errors import ExitCode, InputError, RecordingError

if TYPE_CHECKING:
    from lab.judge.timelinetext import Excerpt
    from lab.plan.labplan import LabPlan
    from lab.recording import Recording
    from lab.trace.model import TracedWindow

    ReadWindows = Callable[[Recording, LabPlan], Iterable[TracedWindow]]

#: Shown where nothing is said.
_DEFAULT_NS = 100_000_000


def timeline(
    ctx: typer.Context,
    recording: Annotated[Path, typer.Argument(metavar="RECORDING", help="The directory of a recording.")],
    phase: Annotated[
        str | None,
        typer.Option("--phase", metavar="PHASE", help="Default: the only one that was traced."),
    ] = None,
    begin: Annotated[
        str, typer.Option("--from", metavar="TIME", help="After the start of the phase's window: 1.2s.")
    ] = "0s",
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Likewise. Default: 100ms after --from.")
    ] = None,
    node: Annotated[
        str | None, typer.Option("--node", metavar="NODE", help="Its vCPUs only. Default: all.")
    ] = None,
) -> int:
    """Show what every vCPU did in a stretch of a traced phase.

    A strip for each vCPU, then a line for each change: when a vCPU lost its pCPU and to whom, when it ran again,
    was woken or blocked, and for how long; between them changes of knobs and contention, and what loads marked.

    \b
    lab timeline RECORDING --phase contended --from 1.2s --to 1.3s

    Exit status: 0 where it was shown.
    """
    from lab.judge.moments import moments_of_events
    from lab.judge.timelinetext import render_timeline
    from lab.measure.derive import traced_windows
    from lab.recording import Recording

    desk, source = desk_of(ctx), Recording(recording)
    plan = source.plan()
    excerpt = _excerpt(begin, end, node, plan)
    window = read_window(source, plan, _chosen(plan, phase), traced_windows)
    _check_reaches(excerpt, window)
    desk.print(render_timeline(window, excerpt, moments_of_events(source.events())))
    return ExitCode.PASSED


def read_window(source: Recording, plan: LabPlan, phase: str, read: ReadWindows) -> TracedWindow:
    """The traced window of one phase, and no other one is read. Raises RecordingError where it was not measured."""
    others = tuple(one if one.name == phase else replace(one, trace=None) for one in plan.phases)
    for window in read(source, replace(plan, phases=others)):
        if window.phase == phase:
            return window
    raise RecordingError(f"{source.directory}: phase {phase} was to be traced, but was not measured")


def _chosen(plan: LabPlan, phase: str | None) -> str:
    """Raises InputError where it was not traced, or where it is not clear which is meant."""
    traced = [one.name for one in plan.phases if one.trace is not None]
    names = ", ".join(traced)
    if phase in traced:
        return str(phase)
    if phase is not None and phase not in [one.name for one in plan.phases]:
        known = ", ".join(one.name for one in plan.phases) or "none"
        raise InputError(f"--phase {phase}: no phase of that name (there is {known})")
    if not traced:
        raise InputError(
            "no phase of this recording was traced",
            "`trace: sched` in the topology traces; `lab preempt` tells what counters say",
        )
    if phase is not None:
        raise InputError(f"phase {phase} was not traced", f"traced were: {names}")
    if len(traced) > 1:
        raise InputError(f"several phases were traced ({names}): say which", f"--phase {traced[0]}")
    return traced[0]


def _excerpt(begin: str, end: str | None, node: str | None, plan: LabPlan) -> Excerpt:
    from lab.judge.timelinetext import Excerpt

    names = [one.name for one in plan.nodes]
    if node is not None and node not in names:
        raise InputError(f"--node {node}: no node of that name (there is {', '.join(names)})")
    from_ns = _duration("--from", begin)
    to_ns = from_ns + _DEFAULT_NS if end is None else _duration("--to", end)
    if to_ns <= from_ns:
        raise InputError(f"--to {end}: is not after --from {begin}")
    return Excerpt(from_ns, to_ns, node)


def _duration(option: str, text: str) -> int:
    from lab.units import parse_duration_ns

    try:
        return parse_duration_ns(text)
    except ValueError as error:
        raise InputError(f"{option}: {error}") from None


def _check_reaches(excerpt: Excerpt, window: TracedWindow) -> None:
    length_ns = window.host.end_ns - window.host.start_ns
    if excerpt.from_ns >= length_ns:
        raise InputError(
            f"--from {excerpt.from_ns / 1e9:g}s: phase {window.phase} was measured for {length_ns / 1e9:.3f} s"
        )
