# SPDX-License-Identifier: GPL-2.0-only
"""`lab export`: a recording in the format of another tool."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.desk import desk_of
from lab.errors import InputError

if TYPE_CHECKING:
    from lab.export.perfetto import Exported
    from lab.measure.governed import NodeView

#: Steps of the steal counters: as many as a screen shows, none shorter than the probes' interval.
_STEPS = 2000
_NS_PER_MS = 1_000_000


def export(
    ctx: typer.Context,
    recording: Annotated[Path, typer.Argument(metavar="RECORDING", help="The directory of a recording.")],
    perfetto: Annotated[
        Path,
        typer.Option("--perfetto", metavar="FILE", help="Write a trace for Perfetto here; FILE must be new."),
    ],
) -> None:
    """Export a recording for other tools to look at.

    A trace for Perfetto (open it in its user interface, or with its trace processor) has who ran on each pCPU, what
    each vCPU did with its guest's tasks below, steal over time, and phases, knobs, loads and decisions. Without
    `trace:` in the topology there are no schedules in it; all the rest is.
    """
    desk = desk_of(ctx)
    count, size = _write_new(perfetto, _gather(recording))
    desk.print(f"{perfetto}: {count} events, {size / 2**20:.1f} MiB")


def _gather(directory: Path) -> Exported:
    """Raises RecordingError where the recording cannot be read, InputError where there is nothing to export."""
    from lab.export.perfetto import Exported
    from lab.measure.course import measure_courses, step_edges
    from lab.measure.derive import Derivation
    from lab.recording import Recording

    source = Recording(directory)
    plan, events = source.plan(), source.events()
    derived = Derivation(source, plan)
    views = derived.views.values()
    times = [*_sample_times(views), *(event.t_ns for event in events if event.t_ns)]
    if not times:
        raise InputError(f"{directory}: nothing to export: no event and no sample was recorded")
    edges = step_edges(min(times), max(times), _STEPS, plan.measure.interval_ms * _NS_PER_MS)
    courses = measure_courses(views, edges)
    return Exported(plan.name, events, derived.measurements(), courses, derived.traced_windows())


def _sample_times(views: Iterable[NodeView]) -> Iterator[int]:
    """When the threads of vCPUs were first and last sampled."""
    for thread in (thread for view in views for thread in view.threads.values()):
        for series in (*thread.earlier, thread.series):
            yield from series.times_ns[:1] + series.times_ns[-1:]


def _write_new(path: Path, exported: Exported) -> tuple[int, int]:
    """Events and bytes written. Raises InputError where the file exists, or cannot be written: none is left."""
    from lab.export.perfetto import write_perfetto

    try:
        with path.open("xb") as file:
            try:
                return write_perfetto(exported, file), file.tell()
            except BaseException:
                path.unlink()
                raise
    except FileExistsError:
        raise InputError(
            f"{path}: exists, and is not overwritten", "name a new file, or remove this one"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
