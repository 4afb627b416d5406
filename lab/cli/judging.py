# SPDX-License-Identifier: GPL-2.0-only
"""Judging a recording and telling what came out: the end of `lab run`, and all of `lab check`."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab.cli.desk import Desk
from lab.cli.metricfile import keep_recorded
from lab.errors import ExitCode, InputError
from lab.judge.arms import compare_arms
from lab.judge.armtable import render_arms
from lab.judge.armverdicts import render_short_verdicts, render_windows
from lab.judge.document import judgement_json
from lab.judge.evaluate import judge
from lab.judge.evidence import Evidence
from lab.judge.exitcode import exit_code_for
from lab.judge.foldtable import render_fold_table
from lab.judge.junit import render_junit
from lab.judge.ktap import render_ktap
from lab.judge.table import render_phase_table, render_summary, render_verdicts
from lab.judge.verdict import Judgement
from lab.measure.derive import measure_recording
from lab.measure.windows import Measurements
from lab.plan.expectations import plan_expectation
from lab.plan.labplan import LabPlan
from lab.recording import Recording
from lab.topology.decode import read_topology


@dataclass(frozen=True)
class Judged:
    """A recording and what the judge said about it."""

    directory: Path
    plan: LabPlan
    measurements: Measurements
    judgement: Judgement


def judge_recording(directory: Path, expect: Path | None = None) -> Judged:
    """Judge the recording by its own plan, or by the expectations of the topology `expect`.

    Raises RecordingError where it cannot be read.
    """
    recording = Recording(directory)
    plan = recording.plan()
    if expect is not None:
        plan = _with_expectations(plan, expect)
    measurements = measure_recording(recording, plan)
    if expect is None:  # what is kept for `lab compare` is by the recording's own plan
        keep_recorded(directory, plan, measurements)
    return Judged(directory, plan, measurements, judge(plan, measurements))


def _with_expectations(plan: LabPlan, path: Path) -> LabPlan:
    topology = read_topology(path)
    expectations = tuple(plan_expectation(topology, spec) for spec in topology.expectations)
    measure = replace(plan.measure, disagreement_pct=topology.measure.disagreement)
    return replace(plan, expectations=expectations, measure=measure)


def check_formats(*, as_json: bool, ktap: bool) -> None:
    """Raise InputError where more than one format is wanted on stdout."""
    if as_json and ktap:
        raise InputError("--json and --ktap exclude each other")


def tell(desk: Desk, judged: Judged, *, as_json: bool, junit: Path | None, ktap: bool = False) -> ExitCode:
    """Print the judgement, keep it in the recording, write JUnit where it is wanted; the exit code."""
    document = keep_judged(desk, judged)
    if junit is not None:
        _write(junit, render_junit(judged.plan, judged.judgement))
    if as_json:
        desk.print_json({**document, "recording": str(judged.directory)})
    elif ktap:
        desk.print(render_ktap(judged.plan, judged.judgement))
    else:
        desk.print(render_judged(judged))
    return exit_code_for(judged.judgement.outcome)


def keep_judged(desk: Desk, judged: Judged) -> dict[str, Any]:
    """Keep the judgement in the recording; what is kept."""
    document = judgement_json(judged.plan, judged.measurements, judged.judgement)
    _keep(desk, judged.directory / "verdicts.json", json.dumps(document, indent=2) + "\n")
    return document


def render_judged(judged: Judged) -> str:
    """Tables, verdicts and summary as text. Of a recording with arms: their comparison, the rest in short."""
    evidence = Evidence(judged.plan, judged.measurements)
    parts = _compared(evidence, judged.judgement) or _every_phase(evidence, judged.judgement)
    shown = "\n".join([*filter(None, parts), render_summary(judged.judgement)])
    return f"{shown}\nrecording: {judged.directory}\n"


def _compared(evidence: Evidence, judgement: Judgement) -> list[str]:
    """Nothing where the plan compares nothing."""
    report = compare_arms(evidence)
    if report is None:
        return []
    return [render_arms(report, evidence), render_windows(evidence), render_short_verdicts(judgement)]


def _every_phase(evidence: Evidence, judgement: Judgement) -> list[str]:
    table = render_phase_table(evidence.plan, evidence.measurements)
    return [table, render_fold_table(evidence), render_verdicts(judgement)]


def _keep(desk: Desk, path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:  # somebody else's recording may be read-only; judging it is fine all the same
        desk.terminal.say(f"{path}: not written: {error.strerror}")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
