# SPDX-License-Identifier: GPL-2.0-only
"""What came of running a bundle again: the reporter's run beside those here, as text and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lab.cli.judging import Judged
from lab.cli.metricfile import read_recorded
from lab.cli.replay import Scenario
from lab.cli.replayparts import list_differences
from lab.cli.replaytext import render_differences, render_skipped
from lab.errors import ExitCode
from lab.judge.acrossrecordings import Side, compare_sides
from lab.judge.acrosstable import render_sides
from lab.judge.armdocument import compared_document
from lab.judge.arms import ArmsReport, rule_of
from lab.judge.besides import Figure, collect_figures, render_besides
from lab.judge.document import judgement_json
from lab.judge.evidence import Evidence
from lab.judge.exitcode import exit_code_for
from lab.judge.layout import wrap
from lab.judge.reproduced import Reproduction, match_verdicts
from lab.judge.reprotable import (
    figure_document,
    render_differing,
    render_headline,
    reproduction_document,
)
from lab.judge.table import render_summary
from lab.judge.verdict import Outcome
from lab.plan.hostdiff import Difference
from lab.recording import Recording
from lab.stats.compare import Rule
from lab.stats.defaults import FEWEST

if TYPE_CHECKING:
    from lab.cli.repro import Job
    from lab.wiring import Wiring

REPORTER, HERE = "reporter", "here"
ONE_REPORT = (
    "The bundle has one run, from which no test can tell a change from chance: `next run` is all there is to say. "
    "Arms with repeats in the topology would have made it a sample."
)
#: The worst first.
_ORDER = (Outcome.FAILED, Outcome.UNDECIDED, Outcome.PASSED, Outcome.SKIPPED)


@dataclass(frozen=True)
class Result:
    """`there` is the reporter's recording as this lab judges it. `figures` are empty where arms are compared inside
    of the recordings: then `report` has all there is. `lacking` says what a swapped kernel did not have."""

    scenario: Scenario
    there: Judged
    runs: tuple[Judged, ...]
    reproduction: Reproduction
    figures: tuple[Figure, ...]
    sides: tuple[Side, ...]
    report: ArmsReport
    differences: tuple[Difference, ...]
    lacking: tuple[str, ...]


def compare_runs(scenario: Scenario, there: Judged, runs: Sequence[Judged], wiring: Wiring) -> Result:
    """The reporter's recording and the runs here, side by side."""
    plan = there.plan
    sides = (
        Side(REPORTER, (("the bundle", read_recorded(there.directory)),)),
        Side(HERE, tuple((one.directory.name, read_recorded(one.directory)) for one in runs)),
    )
    rule = Rule() if plan.comparison is None else rule_of(plan.comparison)
    evidence = [Evidence(one.plan, one.measurements) for one in (there, *runs)]
    return Result(
        scenario=scenario,
        there=there,
        runs=tuple(runs),
        reproduction=match_verdicts(there.judgement, [one.judgement for one in runs]),
        figures=collect_figures(evidence[0], evidence[1:]) if plan.comparison is None else (),
        sides=sides,
        report=compare_sides(sides, REPORTER, None, rule),
        differences=list_differences(
            scenario.bundle, scenario.recorded, runs[-1].plan, wiring.only_built().workshop
        ),
        lacking=tuple(dict.fromkeys(reason for one in runs for reason in _lacking(one))),
    )


def _lacking(run: Judged) -> list[str]:
    events = Recording(run.directory).events()
    return [str(one.data["reason"]) for one in events if one.kind == "knob-skipped"]


def worst_exit_code(runs: Sequence[Judged]) -> ExitCode:
    """As `lab run` would end, for the worst of them."""
    outcomes = {one.judgement.outcome for one in runs}
    return exit_code_for(next(one for one in _ORDER if one in outcomes))


def render_result(result: Result) -> str:
    """The headline first: whether verdicts are the reporter's."""
    parts = [
        render_headline(result.reproduction),
        _other_lab(result),
        render_differing(result.reproduction),
        render_skipped(result.lacking) if result.scenario.swap is not None else "",
        render_besides(result.figures, len(result.runs)),
        _statistics(result),
        render_differences(result.differences),
        _ends(result),
    ]
    return "\n".join(filter(None, parts))


def _other_lab(result: Result) -> str:
    """The bundle has verdicts too, but of the reporter's lab; what is compared is what one lab makes of both."""
    told, judged = result.scenario.bundle.manifest.verdict, result.there.judgement.outcome.value
    if told is None or told == judged:
        return ""
    return f"! the reporter's lab judged its recording {told}; this one judges it {judged}\n"


def _statistics(result: Result) -> str:
    """The comparison, where both sides have enough values for one: the reporter's has by arms with repeats."""
    if any(one.comparison.n >= FEWEST for one in result.report.comparisons):
        return render_sides(result.report, result.sides)
    return "\n".join(wrap(ONE_REPORT)) + "\n" if len(result.runs) > 1 else ""


def _ends(result: Result) -> str:
    lines = []
    for number, one in enumerate(result.runs, 1):
        which = f" {number}" if len(result.runs) > 1 else ""
        lines += [line for retry in one.measurements.retries for line in wrap(f"! retried: {retry}")]
        lines += [f"here{which}: {render_summary(one.judgement).strip()}", f"recording: {one.directory}"]
    return "\n".join(lines) + "\n"


# ---- for programs


def result_document(result: Result) -> dict[str, Any]:
    """Keys: bundle, reproduced, runs_reproduced[], verdicts[], figures[], comparison, differences[], kernels,
    lacking[], runs[] (each as `lab run --json`)."""
    return {
        "bundle": bundle_document(result.scenario),
        **reproduction_document(result.reproduction),
        "figures": [figure_document(one) for one in result.figures],
        "comparison": compared_document(result.report, result.sides),
        "differences": [{**asdict(one), "differs": one.differs} for one in result.differences],
        "kernels": dict(result.scenario.told),
        "lacking": list(result.lacking),
        "runs": [
            {
                **judgement_json(one.plan, one.measurements, one.judgement),
                "recording": str(one.directory),
            }
            for one in result.runs
        ],
    }


def bundle_document(scenario: Scenario) -> dict[str, Any]:
    """What the bundle is, without its files."""
    manifest = scenario.bundle.manifest.model_dump(mode="json", exclude={"files", "kernels", "images"})
    return {**manifest, "where": scenario.recorded.host.where}


def job_document(job: Job) -> dict[str, Any]:
    """What would be done. Keys: bundle, where, fits, checks[], remapped, kernels, builds[], host_effects[]."""
    remapping = job.fitting.remapping
    return {
        "bundle": bundle_document(job.scenario),
        "where": job.guess,
        "fits": not job.fitting.problems,
        "checks": [asdict(one) for one in job.fitting.checks],
        "remapped": None
        if remapping is None
        else {str(there): here for there, here in remapping.pcpus.items()},
        "kernels": dict(job.scenario.told),
        "builds": [{**asdict(one.artifact), "built": one.is_built} for one in job.builds],
        "host_effects": list(job.effects),
    }
