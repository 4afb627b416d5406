# SPDX-License-Identifier: GPL-2.0-only
"""`lab report`: a recording as one page, or as text for a mail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.desk import desk_of
from lab.errors import ExitCode, InputError, RecordingError

if TYPE_CHECKING:
    from lab.measure.course import VcpuCourse
    from lab.plan.labplan import LabPlan
    from lab.recording import Event, Recording
    from lab.report.console import Console
    from lab.report.material import Material

#: Points of all lines in all charts together, which is what makes a page large; and of one line, at most and least.
_ALL_POINTS, _MOST_POINTS, _FEWEST_POINTS = 30_000, 400, 60


def report(
    ctx: typer.Context,
    recording: Annotated[Path, typer.Argument(metavar="RECORDING", help="The directory of a recording.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Where to. Default: report.html in the recording; - is stdout.",
        ),
    ] = None,
    text: Annotated[
        bool,
        typer.Option("--text", help="Plain text of 75 columns for a mail, to stdout unless -o is given."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE where it exists.")] = False,
) -> int:
    """Write a report of a recording.

    It is one HTML file that needs nothing else, no network and no script.

    Verdicts first, then the topology drawn, steal over time, preemptions, loads, arms, what was changed and when,
    doubts, consoles and environment. Exit status: 0 where it was written, whatever the verdicts are.
    """
    from lab.report.mail import render_mail

    desk = desk_of(ctx)
    target = output or (None if text else recording / "report.html")
    if target == Path("-"):
        target = None
    # Only a report in the recording itself is known to be one, and made anew.
    _check_target(target, replace=force or (output is None))
    material = read_material(recording)
    made = render_mail(material) if text else _html(material)
    if target is None:
        desk.print(made)
        return ExitCode.PASSED
    _write(target, made)
    desk.terminal.say(f"{target}: {len(made.encode()) / 1024:.0f} KiB")
    return ExitCode.PASSED


def _html(material: Material) -> str:
    from lab.report.compose import compose_page
    from lab.report.html import render_page

    return render_page(compose_page(material))


def _check_target(target: Path | None, replace: bool) -> None:
    if target is not None and target.exists() and not replace:
        raise InputError(f"{target}: exists already", "--force replaces it")


def _write(target: Path, made: str) -> None:
    try:
        target.write_text(made, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror}", "-o names another file") from None


def read_material(directory: Path) -> Material:
    """A recording, measured and judged. Raises RecordingError where it cannot be read."""
    from lab.cli.judging import judge_recording
    from lab.recording import Recording
    from lab.report.material import Material

    recording = Recording(directory)
    judged, events = judge_recording(directory), recording.events()
    return Material(
        plan=judged.plan,
        measurements=judged.measurements,
        judgement=judged.judgement,
        about=recording.about,
        topology_text=recording.topology_text(),
        events=events,
        courses=_courses(recording, judged.plan, events),
        consoles=tuple(_consoles(recording, judged.plan)),
    )


def _courses(recording: Recording, plan: LabPlan, events: tuple[Event, ...]) -> tuple[VcpuCourse, ...]:
    from lab.measure.course import measure_courses, step_edges
    from lab.measure.derive import node_views
    from lab.report.material import chart_limits_ns

    lines = 2 * max(1, sum(len(node.vcpus) for node in plan.nodes))
    points = max(_FEWEST_POINTS, min(_MOST_POINTS, _ALL_POINTS // lines))
    # Of a few samples steal is mostly the size of a tick.
    least_ns = 5 * plan.measure.interval_ms * 1_000_000
    edges = step_edges(*chart_limits_ns(events), points, least_ns)
    return measure_courses(node_views(recording, plan).values(), edges)


def _consoles(recording: Recording, plan: LabPlan) -> Iterator[Console]:
    """The host VM's, the guests', and those of attempts that were lost; none that said nothing."""
    from lab.recording import Recording
    from lab.report.console import Console

    yield from _consoles_of(recording, plan, "")
    for path in recording.lost_attempts():
        try:
            lost = Recording(path)
        except RecordingError as error:
            yield Console(f"lost attempt {path.name}", str(error))
        else:
            yield from _consoles_of(lost, plan, f", lost attempt {path.name}")


def _consoles_of(recording: Recording, plan: LabPlan, which: str) -> Iterator[Console]:
    from lab.report.console import Console

    texts = [
        ("host VM", recording.host_console()),
        *((one.name, recording.console(one.name)) for one in plan.nodes),
    ]
    yield from (Console(f"{name}{which}", text) for name, text in texts if text.strip())
