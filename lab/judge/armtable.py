# SPDX-License-Identifier: GPL-2.0-only
"""Arms against their baseline as plain text that pastes into a mail.

Phase four, load in 4 VMs x 2 vCPUs / 2 pCPUs
                   mean +-  stdev  change        95 % CI   N verdict
  busy.throughput, work/s (higher is better)
    baseline    96808.0 +-  312.4                          5
    feature-on 104001.0 +- 1200.2   +7.4%   [+6.0, +8.9]   5 improved
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from lab.judge.arms import CLAIMS, ArmComparison, ArmsReport, Metric, noise_pct
from lab.judge.evidence import Evidence
from lab.judge.layout import MISSING, clip, fit, wrap
from lab.judge.leftout import LeftOut, group_left_out
from lab.judge.machinery import render_machinery
from lab.judge.metrics import busy_nodes
from lab.plan.labplan import ComparisonPlan
from lab.stats.bootstrap import Interval
from lab.stats.compare import Change, Comparison
from lab.stats.morerepeats import MOST
from lab.stats.summary import Summary

#: What is left of 78 columns when a mail quotes it once.
ARMS_WIDTH = 75

_ARM_WIDTHS = (8, 11)
#: From which size on so many decimals are enough.
_DECIMALS = ((1000, 1), (10, 2), (1, 3), (0.1, 4), (0.01, 5))
_PREFIXES = (("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12))
_MEAN, _STDEV, _CHANGE, _INTERVAL, _N = 9, 6, 7, 14, 3


@dataclass(frozen=True)
class Words:
    """`unit`: what each value is one of; `aa_hint`: how to measure A/A."""

    unit: str
    aa_hint: str


_IN_A_RECORDING = Words("repeat", "`repeats: {aa: true}` does it")


def render_arms(report: ArmsReport, evidence: Evidence) -> str:
    """The comparison of a recording's arms, under what ran on what. ASCII, ends in a newline."""
    head = arms_head(evidence.plan.comparison, evidence) if evidence.plan.comparison else []
    return render_comparisons(report, head, lambda phase: arms_title(evidence, phase), _IN_A_RECORDING)


def render_comparisons(
    report: ArmsReport,
    head: Sequence[str],
    title: Callable[[str], str],
    words: Words,
    *,
    details: bool = False,
) -> str:
    """`head`, the table, what was left out, the noise, and what the words mean; lines fit ARMS_WIDTH.

    `title` makes the line above a phase's metrics. With `details` each arm has its median, effect sizes, and
    p values.
    """
    lines = [line for text in head for line in _wrap(text)]
    for phase in dict.fromkeys(metric.phase for metric in report.metrics):
        lines += ["", *_wrap(title(phase)), *_phase(report, phase, words.unit, details)]
    if not report.metrics:
        lines += ["", *_wrap(f"nothing to compare: no {words.unit} of {report.baseline} has any metric", 2)]
    for text in arms_remarks(report, words):
        lines += ["", *_wrap(text)]
    return "\n".join(lines) + "\n"


def _wrap(text: str, indent: int = 0, hang: int | None = None) -> list[str]:
    return wrap(text, indent, hang, ARMS_WIDTH)


def arms_head(plan: ComparisonPlan, evidence: Evidence) -> list[str]:
    """What ran on what, and which arms in which order."""
    lab = evidence.plan
    emulated = ", emulated" if lab.host.emulated else ""
    order = f"order {plan.order}" + (f", seed {plan.seed}" if plan.order == "random" else "")
    warmup = f" after {plan.warmup} of warm-up" if plan.warmup else ""
    what = f"{len(plan.arms)} arms x {plan.count} repeats{warmup}, {order}; baseline: {plan.baseline}"
    return [f"{lab.name}: {render_machinery(lab)} ({lab.host.where}{emulated})", what]


def arms_title(evidence: Evidence, phase: str) -> str:
    """``Phase busy, load in 2 VMs x 2 vCPUs / 2 pCPUs``."""
    ran = [one.name for one in evidence.plan.phases if one.template == phase]
    busy = {node for name in ran for node in busy_nodes(evidence, name)}
    return f"Phase {phase}, load in {render_machinery(evidence.plan, busy or None)}"


def _phase(report: ArmsReport, phase: str, unit: str, details: bool) -> list[str]:
    metrics = [metric for metric in report.metrics if metric.phase == phase]
    compared = [one for metric in metrics for one in report.of(metric)]
    width = fit([report.baseline, *(one.arm for one in compared)], *_ARM_WIDTHS)
    lines = [_headings(width, report.rule.confidence_pct)]
    for metric in metrics:
        lines += _metric(report, metric, width, unit, details)
    return lines + [line for text in left_out_texts(compared) for line in _wrap(f"! {text}", 2, 4)]


def _metric(report: ArmsReport, metric: Metric, width: int, unit: str, details: bool) -> list[str]:
    compared = report.of(metric)
    baseline = report.baselines[metric].summary()
    decimals = decimals_for([baseline.mean, *(one.comparison.other.mean for one in compared)])
    lines = [*_wrap(metric_title(metric), 2), _row(report.baseline, width, baseline, decimals)]
    for one in compared:
        done = one.comparison
        lines.append(_row(one.arm, width, done.other, decimals, done))
        told = [why_inconclusive(done, unit), *(render_details(done, decimals) if details else ())]
        lines += [line for text in told if text for line in _wrap(text, width + 5, width + 5)]
    return lines


def metric_title(metric: Metric) -> str:
    """``busy.throughput, work/s (higher is better)``."""
    unit = f", {metric.unit}" if metric.unit else ""
    better = "" if metric.better == "neither" else f" ({metric.better} is better)"
    return f"{metric.name}{unit}{better}"


def decimals_for(means: Sequence[float | None]) -> int:
    """Decimals that show about five digits of the largest mean."""
    largest = max((abs(mean) for mean in means if mean is not None), default=0.0)
    return next((places for bound, places in _DECIMALS if largest >= bound), 6)


def _headings(width: int, confidence_pct: float) -> str:
    interval = f"{confidence_pct:g} % CI"
    return (
        f"    {'':<{width}} {'mean':>{_MEAN}} +- {'stdev':>{_STDEV}} {'change':>{_CHANGE}} "
        f"{interval:>{_INTERVAL}} {'N':>{_N}} verdict"
    )


def _row(arm: str, width: int, seen: Summary, decimals: int, done: Comparison | None = None) -> str:
    start = (
        f"    {clip(arm, width):<{width}} {figure(seen.mean, _MEAN, decimals)} +- "
        f"{figure(seen.stdev, _STDEV, decimals)}"
    )
    if done is None:
        return f"{start} {'':>{_CHANGE}} {'':>{_INTERVAL}} {seen.n:>{_N}}"
    return (
        f"{start} {render_change(done):>{_CHANGE}} {render_interval(done.interval):>{_INTERVAL}} "
        f"{done.n:>{_N}} {done.verdict.value}"
    )


def figure(value: float | None, width: int, decimals: int) -> str:
    """`value` right-aligned, with fewer digits where it does not fit."""
    if value is None:
        return MISSING.rjust(width)
    forms = [f"{value:.{places}f}" for places in range(decimals, -1, -1)]
    forms += [f"{value / factor:.0f}{prefix}" for prefix, factor in _PREFIXES]
    return next((form for form in forms if len(form) <= width), "#" * width).rjust(width)


def render_change(done: Comparison) -> str:
    """``+7.4%``, or ``-12.0pt`` for the difference of two percentages."""
    if done.change is None:
        return MISSING
    unit = "pt" if done.scale == "points" else "%"
    forms = (f"{done.change:+.1f}{unit}", f"{done.change:+.0f}{unit}", f"{done.change:+.0e}")
    return next((form for form in forms if len(form) <= _CHANGE), forms[-1])


def render_interval(interval: Interval | None) -> str:
    """``[+6.0, +8.9]``."""
    if interval is None:
        return MISSING
    forms = (f"[{interval.low:+.1f}, {interval.high:+.1f}]", f"[{interval.low:+.0f}, {interval.high:+.0f}]")
    return next((form for form in forms if len(form) <= _INTERVAL), "[too wide]")


def why_inconclusive(done: Comparison, unit: str = "repeat") -> str:
    """What would decide it; empty for every other verdict."""
    if done.verdict is not Change.INCONCLUSIVE:
        return ""
    needs = "" if done.more_repeats is None else render_more(done.more_repeats, unit)
    return "; ".join(filter(None, (done.reason, needs)))


def render_more(repeats: int, unit: str = "repeat") -> str:
    """``needs about 12 more repeats``, or whatever a value is one of."""
    if repeats >= MOST / 2:
        return f"no number of {unit}s that anybody runs would tell"
    return f"needs about {repeats} more {unit if repeats == 1 else f'{unit}s'}"


def render_details(done: Comparison, decimals: int) -> Iterator[str]:
    """Medians; then Hedges' g, Cliff's delta, and the p values of the rank test, the t test, and TOST."""
    medians = (done.baseline.median, done.other.median)
    before, after = (MISSING if one is None else f"{one:.{decimals}f}" for one in medians)
    yield f"median {after} against {before}"
    effects = (("g", done.hedges_g, "+.2f"), ("delta", done.cliffs_delta, "+.2f"))
    chances = (
        (f"p {done.rank_test}", done.rank_p, ".2g"),
        ("t", done.p, ".2g"),
        ("Holm", done.p_adjusted, ".2g"),
        ("TOST", done.p_same, ".2g"),
    )
    every = (*effects, *chances)
    yield ", ".join(
        f"{name} {MISSING if value is None else format(value, how)}" for name, value, how in every
    )


# ---- below the table


def left_out_texts(compared: Iterable[ArmComparison]) -> Iterator[str]:
    """What is left out, with the metrics that it is left out of where that is not all of them."""
    metrics: dict[LeftOut, list[str]] = {}
    for one in compared:
        for left_out in one.left_out:
            metrics.setdefault(left_out, []).append(one.metric.name)
    every = {one.metric.name for one in compared}
    groups: dict[tuple[str, ...], list[LeftOut]] = {}
    for left_out, names in metrics.items():
        groups.setdefault(tuple(dict.fromkeys(names)), []).append(left_out)
    for cost, alike in groups.items():
        of = "" if len(cost) == len(every) else f" of {', '.join(cost)}"
        yield from (f"left out{of}: {text}" for text in group_left_out(alike))


def arms_remarks(report: ArmsReport, words: Words = _IN_A_RECORDING) -> Iterator[str]:
    """How large the noise is, and what the words of the table mean."""
    yield from _noise(report, words)
    yield _legend(report, words.unit)


def _noise(report: ArmsReport, words: Words) -> Iterator[str]:
    if report.aa_arm is None:
        claims = sum(one.comparison.verdict in CLAIMS for one in report.comparisons)
        yield (
            f"No A/A: how much two equal arms differ was not measured ({words.aa_hint})"
            + (f", so that the {_changes(claims)} found may be the lab's own." if claims else ".")
        )
        return
    if not report.aa:
        yield f"A/A: nothing of {report.aa_arm!r} was measured."
        return
    verdicts = Counter(one.comparison.verdict for one in report.aa)
    yield (
        f"A/A: {report.aa_arm!r} is equal to the baseline. It came out as the same in "
        f"{verdicts[Change.SAME]} of {len(report.aa)} metrics{_widest(report.aa)}."
    )
    wrong = [one for one in report.aa if one.comparison.verdict in CLAIMS]
    if wrong:
        names = ", ".join(f"{one.metric.name} in {one.metric.phase}" for one in wrong)
        yield f"Equal arms differ in {names}: something but the arms makes a difference there."


def _changes(number: int) -> str:
    return "change" if number == 1 else f"{number} changes"


def _widest(aa: Sequence[ArmComparison]) -> str:
    known = [(noise, one) for one in aa if (noise := noise_pct(one.comparison)) is not None]
    if not known:
        return ""
    noise, one = max(known, key=lambda pair: pair[0])
    unit = "points" if one.comparison.scale == "points" else "%"
    return f"; it leaves at most {noise:.1f} {unit} open ({one.metric.name} in {one.metric.phase})"


def _legend(report: ArmsReport, unit: str) -> str:
    rule, every = report.rule, report.comparisons or report.aa
    paired = sum(one.comparison.paired for one in every)
    how = f" by pairs of the same {unit}" if paired else ""
    if 0 < paired < len(every):
        how += f" ({len(every) - paired} of {len(every)}: not by pairs)"
    family = f"{len(every)} comparison{'' if len(every) == 1 else 's'}"
    counted = f"{unit}s that are valid{' in both' if paired else ', of the side that has fewer'}"
    return (
        f"change: of the mean against {report.baseline}{how} (pt: points); CI: bootstrap; N: {counted}; "
        f"improved, regressed: t test, p < {rule.alpha:.3g} after Holm for {family}, and the CI "
        f"without 0; same: the {100 - 200 * rule.alpha:.3g} % CI and two one-sided t tests within "
        f"+-{rule.smallest_change_pct:g} % (or pt)"
    )
