# SPDX-License-Identifier: GPL-2.0-only
"""`lab preempt`: how often every vCPU lost its pCPU, for how long, and to whom."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.desk import desk_of
from lab.cli.parameters import JsonOption
from lab.errors import ExitCode, InputError

if TYPE_CHECKING:
    from lab.plan.labplan import LabPlan


def preempt(
    ctx: typer.Context,
    recording: Annotated[Path, typer.Argument(metavar="RECORDING", help="The directory of a recording.")],
    phase: Annotated[
        list[str] | None,
        typer.Option("--phase", metavar="GLOB", help="Only these phases; may be given again. Default: all."),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Tell how every vCPU of a recording was preempted.

    Of each phase that was traced (`trace: sched` in the topology): how often and for how long, by whom, how long
    woken vCPUs waited, run delay by trace, schedstat and the guest's steal, what was hit in guests that were traced
    themselves, and how far all that can be trusted. Of other phases: what counters tell.

    Exit status: 0 where it was told, whatever the verdicts are.
    """
    from lab.judge.evidence import Evidence
    from lab.judge.layout import wrap
    from lab.judge.preemptdocument import preempt_document
    from lab.judge.preempttable import LEGEND, render_preempt
    from lab.measure.derive import measure_recording
    from lab.recording import Recording

    desk, source = desk_of(ctx), Recording(recording)
    plan = source.plan()
    phases = select_phases(plan, phase or ["*"])
    evidence = Evidence(plan, measure_recording(source, plan))
    if as_json:
        desk.print_json(preempt_document(evidence, phases))
        return ExitCode.PASSED
    texts = [render_preempt(evidence, name) for name in phases]
    legend = "\n".join(wrap(LEGEND)) if any(evidence.trace(name) for name in phases) else ""
    desk.print("\n".join([*texts, *([f"{legend}\n"] if legend else [])]))
    return ExitCode.PASSED


def select_phases(plan: LabPlan, globs: list[str]) -> list[str]:
    """The phases that any of `globs` matches, in the plan's order. Raises InputError where one matches none."""
    from fnmatch import fnmatchcase

    names = [one.name for one in plan.phases]
    for glob in globs:
        if not any(fnmatchcase(name, glob) for name in names):
            raise InputError(f"--phase {glob}: no phase of that name (there is {', '.join(names) or 'none'})")
    return [name for name in names if any(fnmatchcase(name, glob) for glob in globs)]
