# SPDX-License-Identifier: GPL-2.0-only
"""Recordings compared with each other: phases of the same name, metric by metric.

Each recording gives one value of each metric and phase; one with arms inside gives as many as it has repeats,
and its arms are compared with the same arms of the others. Nothing is paired: recordings are made one after
the other, and whatever changed on the host in between is part of what is seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from lab.judge.arms import ArmsReport, Metric, Sample, compare_samples, rule_of
from lab.judge.evidence import join_reasons
from lab.judge.leftout import LeftOut
from lab.judge.recorded import Recorded, RecordedWindow
from lab.stats.compare import Rule

SamplesByArm = dict[tuple[Metric, str], Sample]


@dataclass(frozen=True)
class Side:
    """Recordings of one and the same thing, each with what to call it."""

    name: str
    recordings: tuple[tuple[str, Recorded], ...]


def select_metrics(side: Side, phases: Sequence[str], metrics: Sequence[str]) -> Side:
    """`side` with those phases and metrics that match any of these globs."""

    def chosen(window: RecordedWindow) -> RecordedWindow:
        return replace(window, metrics=tuple(one for one in window.metrics if _matches(one.metric, metrics)))

    def reduced(recorded: Recorded) -> Recorded:
        kept = tuple(chosen(one) for one in recorded.windows if _matches(one.phase, phases))
        return replace(recorded, windows=kept)

    return replace(side, recordings=tuple((label, reduced(one)) for label, one in side.recordings))


def _matches(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def compare_sides(sides: Sequence[Side], baseline: str, aa: str | None, rule: Rule) -> ArmsReport:
    """All other sides against `baseline`. `aa` is the name of one that is equal to it, if any."""
    samples: SamplesByArm = {}
    for side in sides:
        for number, (label, window) in enumerate(_windows(side)):
            _add(samples, side.name, _phase(window), number, label, window)
    _note_missing(samples, sides)
    return compare_samples(samples, baseline, [side.name for side in sides], aa, rule, paired=False)


def compare_inside(recorded: Recorded, rule: Rule | None = None) -> ArmsReport | None:
    """The arms of one recording against its baseline, by pairs; None where it has none."""
    plan = recorded.comparison
    if plan is None:
        return None
    samples: SamplesByArm = {}
    for window in recorded.windows:
        _add(samples, str(window.arm), window.phase, window.repeat, f"repeat {window.repeat}", window)
    for (metric, arm), sample in samples.items():
        for window in recorded.windows:
            if (window.phase, window.arm) == (metric.phase, arm) and window.repeat not in sample.values:
                missing = LeftOut(arm, f"repeat {window.repeat}", _why(window))
                sample.left_out.setdefault(window.repeat, missing)
    return compare_samples(samples, plan.baseline, plan.arms, plan.aa_arm, rule or rule_of(plan))


def _windows(side: Side) -> Iterator[tuple[str, RecordedWindow]]:
    for label, recorded in side.recordings:
        for window in recorded.windows:
            yield (label if window.arm is None else f"{label}, repeat {window.repeat}"), window


def _phase(window: RecordedWindow) -> str:
    return window.phase if window.arm is None else f"{window.phase}.{window.arm}"


def _add(
    samples: SamplesByArm, arm: str, phase: str, number: int, label: str, window: RecordedWindow
) -> None:
    for value in window.metrics:
        metric = Metric(phase, value.metric, value.unit, value.better)
        sample = samples.setdefault((metric, arm), Sample())
        if value.doubts:
            sample.left_out[number] = LeftOut(arm, label, join_reasons(value.doubts))
        else:
            sample.values[number] = value.value


def _note_missing(samples: SamplesByArm, sides: Sequence[Side]) -> None:
    """Windows of a side that lack a metric that others of the side have."""
    of_phase: dict[tuple[str, str], list[Sample]] = {}
    for (metric, side_name), sample in samples.items():
        of_phase.setdefault((side_name, metric.phase), []).append(sample)
    for side in sides:
        for number, (label, window) in enumerate(_windows(side)):
            for sample in of_phase.get((side.name, _phase(window)), ()):
                if number not in sample.values:
                    sample.left_out.setdefault(number, LeftOut(side.name, label, _why(window)))


def _why(window: RecordedWindow) -> str:
    return window.missing or "this was not seen"
