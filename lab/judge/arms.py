# SPDX-License-Identifier: GPL-2.0-only
"""Arms of one recording, compared with the baseline: each phase of the topology, metric by metric.

Repeats are interleaved, so what the machine did meanwhile is shared by all arms of one repeat: arms are
compared pair by pair, over the repeats that count in both. Where too few do, all values of either are
compared without pairs.

With A/A, a second arm that is equal to the baseline, the lab's own noise is known. A change is claimed only
where it is larger than what that arm leaves open: the far end of its own interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from lab.judge.evidence import Evidence, join_reasons
from lab.judge.leftout import LeftOut
from lab.judge.metrics import MetricValue, collect_metrics
from lab.plan.labplan import ComparisonPlan, PhasePlan
from lab.stats.change import Samples, Scale
from lab.stats.compare import Better, Change, Comparison, Question, Rule, compare
from lab.stats.defaults import FEWEST
from lab.stats.summary import Summary, summarize

#: A value without its partner is lost to pairs: worth it where repeats share something, but not at any price.
MOST_LOST = 1 / 3

#: Verdicts that say that something is different.
CLAIMS = (Change.IMPROVED, Change.REGRESSED, Change.CHANGED)


@dataclass(frozen=True)
class Metric:
    """A metric of one phase of the topology."""

    phase: str
    name: str
    unit: str
    better: Better

    @property
    def scale(self) -> Scale:
        """Shares of time are compared in points: from 0.5 % to 1 % of steal is no doubling that anybody
        minds."""
        return "points" if self.unit == "%" else "percent"


@dataclass
class Sample:
    """What one arm has of one metric: values by repeat, and what was left out and why, by repeat."""

    values: dict[int, float] = field(default_factory=dict)
    left_out: dict[int, LeftOut] = field(default_factory=dict)

    def summary(self) -> Summary:
        """All values that count."""
        return summarize(list(self.values.values()))


@dataclass(frozen=True)
class ArmComparison:
    """One arm against the baseline in one metric. `left_out` are repeats of either that do not count, with
    reasons."""

    metric: Metric
    arm: str
    comparison: Comparison
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class ArmsReport:
    """Everything that is compared in one report.

    `comparisons` are in the order of phases, then metrics, then arms; `aa` are those of the arm `aa_arm`,
    which is equal to the baseline: a family of their own, and no claim. `baselines` are what the baseline
    came to, over all of its values that count.
    """

    baseline: str
    aa_arm: str | None
    rule: Rule
    comparisons: tuple[ArmComparison, ...]
    aa: tuple[ArmComparison, ...]
    baselines: Mapping[Metric, Sample]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What is compared, in order."""
        return tuple(self.baselines)

    def of(self, metric: Metric) -> tuple[ArmComparison, ...]:
        """The arms in one metric, that of A/A last."""
        return tuple(one for one in (*self.comparisons, *self.aa) if one.metric == metric)

    def find(self, phase: str, metric: str, arm: str) -> ArmComparison | None:
        """One of them; None where the phase has no such metric in that arm, or in the baseline."""
        wanted = (phase, metric, arm)
        every = (*self.comparisons, *self.aa)
        return next((one for one in every if (one.metric.phase, one.metric.name, one.arm) == wanted), None)


def rule_of(plan: ComparisonPlan) -> Rule:
    """When a change counts, as the topology says."""
    return Rule(plan.smallest_change_pct, plan.confidence_pct, plan.seed)


@lru_cache(maxsize=1)  # the table, the document and each expectation ask for the same one
def compare_arms(evidence: Evidence) -> ArmsReport | None:
    """All arms of a recording against the baseline; None where its plan compares nothing.

    Warm-up repeats do not count, and neither does what is doubted: it is left out and told.
    """
    plan = evidence.plan.comparison
    if plan is None:
        return None
    return compare_samples(collect_samples(evidence), plan.baseline, plan.arms, plan.aa_arm, rule_of(plan))


def compare_samples(
    samples: Mapping[tuple[Metric, str], Sample],
    baseline: str,
    arms: Sequence[str],
    aa_arm: str | None,
    rule: Rule,
    *,
    paired: bool = True,
) -> ArmsReport:
    """Each of `arms` against `baseline` in every metric that both have.

    With `paired`, values of the same repeat belong together (samples_of). Where there is an `aa_arm`, changes
    that are not larger than what it leaves open are inconclusive.
    """
    metrics = [metric for metric, arm in samples if arm == baseline]

    def against_baseline(names: Sequence[str]) -> tuple[ArmComparison, ...]:
        places = [(metric, arm) for metric in metrics for arm in names if (metric, arm) in samples]
        pairs = [(samples[metric, baseline], samples[metric, arm]) for metric, arm in places]
        questions = [
            Question(samples_of(*pair, metric.scale, paired=paired), metric.better)
            for (metric, _), pair in zip(places, pairs, strict=True)
        ]
        return tuple(
            ArmComparison(metric, arm, done, tuple(_left_out(*pair)))
            for (metric, arm), pair, done in zip(places, pairs, compare(questions, rule), strict=True)
        )

    aa = against_baseline([] if aa_arm is None else [aa_arm])
    found = against_baseline([arm for arm in arms if arm not in (baseline, aa_arm)])
    return ArmsReport(
        baseline=baseline,
        aa_arm=aa_arm,
        rule=rule,
        comparisons=tuple(_above_noise(one, aa) for one in found),
        aa=aa,
        baselines={metric: samples[metric, baseline] for metric in metrics},
    )


def samples_of(baseline: Sample, other: Sample, scale: Scale, *, paired: bool = True) -> Samples:
    """Pairs of the repeats that both have, or all values without pairs: where pairs would cost more than
    MOST_LOST of the smaller sample, or leave too few where there are enough.

    What decides is which repeats count, never what was measured in them.
    """
    common = [repeat for repeat in baseline.values if repeat in other.values]
    every = (tuple(baseline.values.values()), tuple(other.values.values()))
    smaller = min(map(len, every))
    needed = max(FEWEST, (1 - MOST_LOST) * smaller) if smaller >= FEWEST else 0
    if not paired or len(common) < needed:
        return Samples(*every, scale=scale)
    return Samples(
        tuple(baseline.values[repeat] for repeat in common),
        tuple(other.values[repeat] for repeat in common),
        paired=True,
        scale=scale,
    )


def _left_out(*samples: Sample) -> Iterator[LeftOut]:
    for sample in samples:
        yield from (one for _, one in sorted(sample.left_out.items()))


def _above_noise(one: ArmComparison, aa: Iterable[ArmComparison]) -> ArmComparison:
    """`one`, inconclusive where it claims a change no larger than equal arms may differ."""
    done = one.comparison
    noise = next((noise_pct(twin.comparison) for twin in aa if twin.metric == one.metric), None)
    if done.verdict not in CLAIMS or noise is None or done.change is None or abs(done.change) > noise:
        return one
    unit = "points" if done.scale == "points" else "%"
    reason = f"equal arms may differ by as much: A/A leaves up to {noise:.1f} {unit} open"
    return replace(one, comparison=replace(done, verdict=Change.INCONCLUSIVE, reason=reason))


def noise_pct(aa: Comparison) -> float | None:
    """The largest change that an A/A comparison leaves open, in its scale; None where it says nothing."""
    return None if aa.interval is None else max(abs(aa.interval.low), abs(aa.interval.high))


# ---- samples


def collect_samples(evidence: Evidence) -> dict[tuple[Metric, str], Sample]:
    """By metric and arm: what its counted repeats came to.

    A repeat in which a metric is missing that the arm has in others is left out, too, and says so.
    """
    phases = {one.name: one for one in evidence.plan.phases if one.arm is not None and one.repeat}
    samples: dict[tuple[Metric, str], Sample] = {}
    for value in collect_metrics(evidence):
        phase = phases.get(value.phase)
        if phase is not None:
            key = (_metric(value, phase), str(phase.arm))
            _add(samples.setdefault(key, Sample()), value, str(phase.arm), phase.repeat)
    for (metric, arm), sample in samples.items():
        for phase in phases.values():
            if (phase.template, phase.arm) == (metric.phase, arm) and phase.repeat not in sample.values:
                missing = LeftOut(arm, f"repeat {phase.repeat}", _why_missing(evidence, phase))
                sample.left_out.setdefault(phase.repeat, missing)
    return samples


def _metric(value: MetricValue, phase: PhasePlan) -> Metric:
    return Metric(str(phase.template), value.metric, value.unit, value.better)


def _add(sample: Sample, value: MetricValue, arm: str, repeat: int) -> None:
    if value.doubts:
        sample.left_out[repeat] = LeftOut(arm, f"repeat {repeat}", join_reasons(value.doubts))
    else:
        sample.values[repeat] = value.value


def _why_missing(evidence: Evidence, phase: PhasePlan) -> str:
    return join_reasons(evidence.phase_doubts(phase.name)) or "nothing was seen of it"
