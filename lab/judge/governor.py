# SPDX-License-Identifier: GPL-2.0-only
"""What governors did: how often they stepped, when they came to rest, and whether the recorded steal agrees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from lab.judge.bounds import Finding
from lab.judge.evidence import Evidence, join_reasons
from lab.judge.pervcpu import NOTHING_SEEN
from lab.judge.verdict import Outcome, Verdict
from lab.measure.windows import GovernDecision
from lab.plan.labplan import ExpectationPlan
from lab.units import format_seconds

#: How many wrong decisions a reason lists.
_LISTED = 5

_Decide = Callable[[ExpectationPlan, Sequence[GovernDecision]], Finding]


def evaluate_governor(expectation: ExpectationPlan, evidence: Evidence) -> Iterator[Verdict]:
    """One verdict for each node: its numbers of steps, and when the last was, against `limits`."""
    return _evaluate(expectation, evidence, expectation.phases, _judge_steps)


def evaluate_decisions(expectation: ExpectationPlan, evidence: Evidence) -> Iterator[Verdict]:
    """One verdict for each node and phase in which something governed it, or for each if nothing ever did.

    A decision is right if the recorded steal lies on its side of the threshold, or at most `maximum` per cent on
    the other one. It is wrong only if both sides of the VM boundary say so; where one does, nobody can tell. Hints
    have no threshold, and a step that had no core left was none: neither is judged.
    """
    every = evidence.measurements.decisions
    governed = {(one.node, one.phase) for one in every} & {
        (node, phase) for node, _ in expectation.targets for phase in expectation.phases
    }
    phases = [one for one in expectation.phases if not governed or any(one == phase for _, phase in governed)]
    for verdict in _evaluate(expectation, evidence, phases, _judge_matches):
        if not governed or (verdict.subject, verdict.phase) in governed:
            yield verdict


def _evaluate(
    expectation: ExpectationPlan, evidence: Evidence, phases: Sequence[str], decide: _Decide
) -> Iterator[Verdict]:
    for phase in phases:
        for node, _ in expectation.targets:
            seen = decisions_of(evidence, node, phase)
            doubts = _doubts(evidence, node, phase)
            found = (
                Finding(Outcome.UNDECIDED, render_steps(seen), join_reasons(doubts))
                if doubts
                else decide(expectation, seen)
            )
            yield Verdict(found.outcome, expectation.text, node, phase, found.observed, found.reason)


def decisions_of(evidence: Evidence, node: str, phase: str) -> list[GovernDecision]:
    """The decisions about `node` in `phase` and its settling, by time."""
    return [one for one in evidence.measurements.decisions if (one.node, one.phase) == (node, phase)]


def _doubts(evidence: Evidence, node: str, phase: str) -> tuple[str, ...]:
    """Why nothing of a governor may count: the phase was not measured, or its mask not seen all the time."""
    if evidence.phase(phase) is None:
        return (f"phase {phase} was not measured",)
    own = {govern.node for one in evidence.plan.phases if one.name == phase for govern in one.govern}
    if node not in own and not evidence.plan.measure.watch:
        return ("no file was watched that would show what the kernel's governor does",)
    windows = [evidence.vcpu(node, vcpu, phase) for vcpu in evidence.planned_vcpus(node)]
    return tuple(
        doubt for window in windows if window is not None for doubt in window.doubts if "dropped" in doubt
    )


def steps(decisions: Sequence[GovernDecision], action: str) -> int:
    """How many decisions were this step."""
    return sum(one.action == action for one in decisions)


def changes(decisions: Sequence[GovernDecision]) -> list[GovernDecision]:
    """The decisions that changed something."""
    return [one for one in decisions if one.action != "hold"]


def render_steps(decisions: Sequence[GovernDecision]) -> str:
    """``2 down, 1 up, first after 1.2 s, last after 3.4 s``."""
    made = changes(decisions)
    if not made:
        return f"no step in {len(decisions)} decisions" if decisions else NOTHING_SEEN
    moves = steps(decisions, "move")
    times = [format_seconds(one.since_begin_ns) for one in (made[0], made[-1])]
    return (
        f"{steps(decisions, 'step-down')} down, {steps(decisions, 'step-up')} up"
        f"{f', {moves} moved' if moves else ''}, first after {times[0]}, last after {times[1]}"
    )


def _judge_steps(expectation: ExpectationPlan, seen: Sequence[GovernDecision]) -> Finding:
    broken = [text for name, limit in expectation.limits if (text := _broken(name, limit, seen))]
    if broken:
        return Finding(Outcome.FAILED, render_steps(seen), join_reasons(broken))
    return Finding(Outcome.PASSED, render_steps(seen))


def _broken(name: str, limit: float, seen: Sequence[GovernDecision]) -> str:
    """How `seen` breaks a limit; empty where it does not."""
    if name == "settles_within":
        late = [one for one in changes(seen) if one.since_begin_ns > limit]
        return f"{_told(late[-1])}, later than {limit / 1e9:g} s" if late else ""
    bound, _, way = name.partition("_steps_")
    count = steps(seen, f"step-{way}")
    if bound == "min" and count < limit:
        return f"{count} steps {way}, fewer than the {limit:g} required"
    if bound == "max" and count > limit:
        return f"{count} steps {way}, more than the {limit:g} allowed"
    return ""


# ---- decisions against the recorded steal


def _judge_matches(expectation: ExpectationPlan, seen: Sequence[GovernDecision]) -> Finding:
    tolerance_pct = expectation.maximum or 0.0
    judged = [one for one in seen if one.high_pct is not None and one.low_pct is not None and not one.bound]
    sides = [(one, _wrong_sides(one, tolerance_pct)) for one in judged]
    wrong = [one for one, wrongs in sides if wrongs == {True}]
    torn = [one for one, wrongs in sides if len(wrongs) == 2 or not wrongs]
    observed = f"{len(judged) - len(wrong) - len(torn)} of {len(judged)} decisions match"
    if not judged:
        return _nothing_judged(seen)
    if wrong:
        return Finding(Outcome.FAILED, observed, _list(wrong))
    if torn:
        return Finding(Outcome.UNDECIDED, observed, f"the sides disagree or are missing: {_list(torn)}")
    return Finding(Outcome.PASSED, observed)


def _nothing_judged(seen: Sequence[GovernDecision]) -> Finding:
    if not seen:
        return Finding(Outcome.UNDECIDED, NOTHING_SEEN, "no decision was made")
    if all(one.source == "host" for one in seen):
        return Finding(Outcome.SKIPPED, render_steps(seen), "the host's hint has no threshold to judge by")
    return Finding(Outcome.SKIPPED, render_steps(seen), "no core was left for any step that was due")


def _wrong_sides(one: GovernDecision, tolerance_pct: float) -> set[bool]:
    """For each side that was seen, whether it says that the decision was wrong."""
    ratios = [ratio for ratio in (one.guest_pct, one.host_pct) if ratio is not None]
    return {_is_wrong(one, ratio, tolerance_pct) for ratio in ratios}


def _is_wrong(one: GovernDecision, ratio_pct: float, tolerance_pct: float) -> bool:
    assert one.high_pct is not None and one.low_pct is not None
    too_low, too_high = one.high_pct - tolerance_pct, one.low_pct + tolerance_pct
    if one.action == "step-down":
        return ratio_pct < too_low
    if one.action == "step-up":
        return ratio_pct > too_high
    return ratio_pct > one.high_pct + tolerance_pct or ratio_pct < one.low_pct - tolerance_pct


def _list(wrong: Sequence[GovernDecision]) -> str:
    told = [_told(one) for one in wrong[:_LISTED]]
    more = len(wrong) - len(told)
    return "; ".join([*told, *([f"and {more} more"] if more else [])])


def _told(one: GovernDecision) -> str:
    """``step-down after 1.2 s at guest 3.1 %, host 2.9 % (1.5 % .. 4 %)``."""
    sides = ", ".join(
        f"{name} {'not seen' if value is None else f'{value:.1f} %'}"
        for name, value in (("guest", one.guest_pct), ("host", one.host_pct))
    )
    thresholds = "" if one.high_pct is None else f" ({one.low_pct:g} % .. {one.high_pct:g} %)"
    return f"{one.action} after {format_seconds(one.since_begin_ns)} at {sides}{thresholds}"
