# SPDX-License-Identifier: GPL-2.0-only
"""`lab sweep`: one topology at every point of a grid, and what came out as tables, plots and a default."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.desk import Desk, desk_of
from lab.cli.parameters import HostOption
from lab.errors import ExitCode, InputError

if TYPE_CHECKING:
    from lab.run.sweepindex import SweepIndex
    from lab.run.sweeping import Done
    from lab.sweep.grid import Run, Sweep


def sweep(
    ctx: typer.Context,
    grid: Annotated[
        Path | None,
        typer.Argument(metavar="[GRID]", help="A sweep file. Without it, only tells what was run."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Directory of recordings and index.")
    ] = None,
    host: HostOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs and how long they take.")] = False,
    table: Annotated[
        str | None,
        typer.Option(
            "--table",
            metavar="METRIC",
            help="Print a metric over the grid: [PHASE[.ARM]:]METRIC, such as steal.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="With --table: also as a picture (.png, .svg)."),
    ] = None,
    default_by: Annotated[
        str | None,
        typer.Option(
            "--find-default", metavar="METRIC", help="Print the best point by a metric, and how sure that is."
        ),
    ] = None,
) -> int:
    """Run a topology at every point of a grid, one recording each.

    Runs that are finished are not run again: after an interruption the same command goes on where it was left off.

    A sweep file:

    \b
        version: 1
        sweep:
          name: guests-by-vcpus
          topology: pair.yaml      # has {{ guests }} and {{ vcpus }} in its text; or `template: |`
          parameters: {guests: [1, 2, 4], vcpus: [1, 2]}
          repeats: 3               # runs of each point
    """
    if plot is not None and table is None:
        raise InputError("--plot needs --table METRIC: of which metric?")
    desk = desk_of(ctx)
    if dry_run:
        return _tell_runs(desk, _needed(grid), host)
    if output is None:
        raise InputError(
            "-o DIR is missing: where recordings and index go, or are", "`lab sweep GRID.yaml -o DIR`"
        )
    code = ExitCode.PASSED if grid is None else _run(desk, grid, output, host)
    _tell_results(desk, output, table, plot, default_by)
    return code


def _needed(grid: Path | None) -> Path:
    if grid is None:
        raise InputError("--dry-run needs a sweep file", "`lab sweep GRID.yaml --dry-run`")
    return grid


# ---- running


def _run(desk: Desk, path: Path, directory: Path, host: str | None) -> ExitCode:
    from lab.run.sweepindex import open_index
    from lab.run.sweeping import SweepRunner
    from lab.sweep.decode import read_sweep

    sweep = read_sweep(path)
    expect = _expect(desk, sweep, host)
    for point in sweep.points:
        expect(point.key)  # every point is a topology that can be planned, before the first runs
    with open_index(directory, to_run=True) as index:
        index.begin(sweep.name, sweep.parameters)
        runner = SweepRunner(
            sweep,
            directory,
            index,
            desk.narrator,
            lambda run, recording: _carry(desk, sweep, run, recording, host),
            lambda run: expect(run.point.key),
        )
        end = runner.run()
    desk.terminal.say(
        f"{end.total} runs, {end.found} of them found done, {len(end.failed)} failed: {directory}"
    )
    return ExitCode.LAB_FAILED if end.failed else ExitCode.PASSED


def _expect(desk: Desk, sweep: Sweep, host: str | None) -> Callable[[str], float]:
    """About how many seconds the run of a point takes, by its key. Raises TopologyError for what is none."""
    from lab.cli.asked import asked_where, guess_where, plan_by_guess
    from lab.plan.runtime import estimate_run_ns
    from lab.sweep.decode import point_topology

    points = {point.key: point for point in sweep.points}

    @cache
    def expect(key: str) -> float:
        topology = point_topology(sweep, points[key])
        guess = guess_where(asked_where(host, topology), desk.places)
        return estimate_run_ns(plan_by_guess(topology, guess.where, desk.places)) / 1e9

    return expect


def _carry(desk: Desk, sweep: Sweep, run: Run, recording: Path, host: str | None) -> Done:
    from lab.cli.asked import asked_where
    from lab.cli.judging import judge_recording, keep_judged
    from lab.cli.run_ import run_topology
    from lab.judge.evidence import Evidence
    from lab.judge.exitcode import exit_code_for
    from lab.judge.metrics import collect_metrics
    from lab.recording import claim_directory
    from lab.run.sweeping import Done
    from lab.sweep.decode import point_topology
    from lab.sweep.outcome import metric_rows

    topology = point_topology(sweep, run.point)
    where = desk.wiring.resolve_where(asked_where(host, topology))
    claim_directory(recording)
    run_topology(desk, topology, where, recording)
    judged = judge_recording(recording)
    keep_judged(desk, judged)
    metrics = collect_metrics(Evidence(judged.plan, judged.measurements))
    return Done(int(exit_code_for(judged.judgement.outcome)), metric_rows(judged.plan, metrics))


# ---- telling


def _tell_runs(desk: Desk, path: Path, host: str | None) -> int:
    from lab.run.sweeping import render_time
    from lab.sweep.decode import read_sweep

    sweep = read_sweep(path)
    expect = _expect(desk, sweep, host)
    times = [(run, expect(run.point.key)) for run in sweep.runs()]
    lines = [f"{run.name}  {render_time(seconds)}" for run, seconds in times]
    total = render_time(sum(seconds for _, seconds in times))
    desk.print("\n".join([*lines, f"{len(times)} runs, about {total} once everything is built"]))
    return ExitCode.PASSED


def _tell_results(
    desk: Desk, directory: Path, table: str | None, plot: Path | None, default_by: str | None
) -> None:
    from lab.run.sweepindex import open_index

    with open_index(directory, to_run=False) as index:
        if table is not None:
            _tell_table(desk, index, table, plot)
        if default_by is not None:
            _tell_default(desk, index, default_by)
        if table is None and default_by is None:
            _tell_status(desk, index)


def _tell_status(desk: Desk, index: SweepIndex) -> None:
    from lab.sweep.status import render_status

    desk.print(render_status(*index.about(), index.all()))


def _tell_table(desk: Desk, index: SweepIndex, metric: str, plot: Path | None) -> None:
    from lab.sweep.heat import render_heat
    from lab.sweep.outcome import parse_sought, select_metric

    parameters = index.about()[1]
    measured = select_metric(index.all(), parse_sought(metric))
    desk.print(render_heat(parameters, measured))
    if plot is not None:
        from lab.cli.sweepplot import write_heat_map

        write_heat_map(parameters, measured, plot)
        desk.terminal.say(f"plot: {plot}")


def _tell_default(desk: Desk, index: SweepIndex, metric: str) -> None:
    from lab.sweep.best import find_default, render_default
    from lab.sweep.outcome import parse_sought, select_metric

    measured = select_metric(index.all(), parse_sought(metric))
    desk.print(render_default(find_default(index.about()[1], measured)))
