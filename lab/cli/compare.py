# SPDX-License-Identifier: GPL-2.0-only
"""`lab compare`: statistics between recordings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.desk import desk_of
from lab.cli.parameters import JsonOption
from lab.errors import ExitCode, InputError
from lab.stats.defaults import CONFIDENCE_PCT, SMALLEST_CHANGE_PCT

if TYPE_CHECKING:
    from lab.judge.acrossrecordings import Side
    from lab.judge.arms import ArmsReport
    from lab.stats.compare import Rule


def compare(
    ctx: typer.Context,
    recordings: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]RECORDING...",
            help="A recording, a directory of recordings, or a quoted pattern of either. What has the same NAME is "
            "one side: repeats of the same thing. Without a NAME, each word is a side of its own.",
            show_default=False,
        ),
    ],
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline", metavar="NAME", help="The side that others are compared with. Default: the first."
        ),
    ] = None,
    aa: Annotated[
        str | None,
        typer.Option(
            "--aa",
            metavar="NAME",
            help="A side that is equal to the baseline: it shows how much equal things differ.",
        ),
    ] = None,
    phase: Annotated[
        list[str] | None,
        typer.Option("--phase", metavar="GLOB", help="Only these phases; may be given again. Default: all."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="GLOB",
            help="Only these metrics (steal, LOAD.throughput, LOAD.fairness, LOAD.METRIC). Default: all.",
        ),
    ] = None,
    smallest_change: Annotated[
        str | None,
        typer.Option(
            "--smallest-change",
            metavar="PERCENT",
            help=f"Changes smaller than this are of no interest. Default: {SMALLEST_CHANGE_PCT:g}%, or what the "
            "arms of a single recording were measured with.",
        ),
    ] = None,
    confidence: Annotated[
        str | None,
        typer.Option("--confidence", metavar="PERCENT", help=f"Default: {CONFIDENCE_PCT:g}%, or as above."),
    ] = None,
    details: Annotated[
        bool, typer.Option("--details", help="Also medians, effect sizes, and the p values of all tests.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Compare recordings, or the arms of one.

    Phases of the same name, metric by metric, with error bars.

    \b
    lab compare before/ after/                two recordings, or two directories full of them
    lab compare old=r1 old=r2 new=r3 new=r4   two recordings of each side
    lab compare RECORDING                     the arms inside of one recording

    A recording gives one value of each metric and phase, so three of each side are the least from which anything
    can be said. Of a recording with arms inside each counted repeat is a value, and its arms are compared with the
    same arms of the other side.

    Exit status: 0 nothing regressed, 1 something did, 5 nothing did, but something is inconclusive. With nothing
    but A/A: 0 all of it is the same, 5 it is not.
    """
    from lab.cli.sides import find_sides, read_sides
    from lab.judge.acrossrecordings import select_metrics

    desk = desk_of(ctx)
    asked = find_sides(recordings)
    names = [side.name for side in asked]
    _check_names({"--baseline": baseline, "--aa": aa}, names)
    chosen = baseline or names[0]
    if aa == chosen:
        raise InputError(f"--aa {aa}: is the baseline itself")
    sides = tuple(select_metrics(side, phase or ["*"], metric or ["*"]) for side in read_sides(asked, desk))
    rule = _rule(sides, smallest_change, confidence)
    report, text = (
        _alone(sides[0], rule, details) if len(sides) == 1 else _between(sides, chosen, aa, rule, details)
    )
    if not report.comparisons and not report.aa:
        raise InputError("nothing to compare: no phase and metric is in the baseline and in another side")
    if as_json:
        from lab.judge.armdocument import compared_document

        desk.print_json(compared_document(report, sides))
    else:
        desk.print(text)
    return _exit_code(report)


def _check_names(options: dict[str, str | None], names: list[str]) -> None:
    for option, name in options.items():
        if name is not None and name not in names:
            raise InputError(f"{option} {name}: no side has that name (there is {', '.join(names)})")


def _rule(sides: tuple[Side, ...], smallest_change: str | None, confidence: str | None) -> Rule:
    from lab.judge.arms import rule_of
    from lab.stats.compare import Rule

    inside = sides[0].recordings[0][1].comparison if len(sides) == 1 else None
    rule = Rule() if inside is None else rule_of(inside)
    smallest = (
        rule.smallest_change_pct
        if smallest_change is None
        else _percent("--smallest-change", smallest_change)
    )
    held = rule.confidence_pct if confidence is None else _percent("--confidence", confidence)
    if not 0 < smallest <= 100:
        raise InputError(f"--smallest-change {smallest:g}%: must be above 0% and at most 100%")
    if not 50 <= held < 100:
        raise InputError(f"--confidence {held:g}%: must be at least 50% and less than 100%")
    return replace(rule, smallest_change_pct=smallest, confidence_pct=held)


def _percent(option: str, text: str) -> float:
    from lab.units import parse_percent

    try:
        return parse_percent(text)
    except ValueError as error:
        raise InputError(f"{option}: {error}") from None


def _alone(side: Side, rule: Rule, details: bool) -> tuple[ArmsReport, str]:
    from lab.judge.acrossrecordings import compare_inside
    from lab.judge.acrosstable import render_inside

    report = compare_inside(side.recordings[0][1], rule) if len(side.recordings) == 1 else None
    if report is None:
        raise InputError(
            f"{side.name} is the only side, and there are no arms to compare inside",
            "lab compare BEFORE AFTER",
        )
    return report, render_inside(report, *side.recordings[0], details=details)


def _between(
    sides: tuple[Side, ...], baseline: str, aa: str | None, rule: Rule, details: bool
) -> tuple[ArmsReport, str]:
    from lab.judge.acrossrecordings import compare_sides
    from lab.judge.acrosstable import render_sides

    report = compare_sides(sides, baseline, aa, rule)
    return report, render_sides(report, sides, details=details)


def _exit_code(report: ArmsReport) -> ExitCode:
    if not report.comparisons:
        same = all(one.comparison.verdict.value == "same" for one in report.aa)
        return ExitCode.PASSED if same else ExitCode.UNDECIDED
    verdicts = {one.comparison.verdict.value for one in report.comparisons}
    if "regressed" in verdicts:
        return ExitCode.FAILED
    return ExitCode.UNDECIDED if "inconclusive" in verdicts else ExitCode.PASSED
