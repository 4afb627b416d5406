# SPDX-License-Identifier: GPL-2.0-only
"""The governor that goes by steal: one core down above the high threshold, one up at or below the low one.

The rule is the kernel's steal governor's: the ratio is steal summed over the guest, over elapsed time times
*active* vCPUs, whether folded or not, so that the thresholds mean the same here and there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lab.govern.cores import Core, Policy, folding_order, vcpus_of

Action = Literal["step-down", "step-up", "move", "hold"]


@dataclass(frozen=True)
class StealRule:
    """How one guest is governed by its steal.

    `high_pct` and `low_pct` are in per cent of elapsed time times active vCPUs, high >= low. At least `min_vcpus`
    vCPUs stay, and always the first core.
    """

    cores: tuple[Core, ...]
    high_pct: float
    low_pct: float
    policy: Policy = "last"
    min_vcpus: int = 1


@dataclass(frozen=True)
class Decision:
    """What to do: `folded` are the vCPUs that the guest should not use from now on.

    `bound` says that a step was due, but there is no core left for it.
    """

    action: Action
    folded: frozenset[int]
    bound: bool = False


def decide_by_steal(rule: StealRule, folded: frozenset[int], ratio_pct: float) -> Decision:
    """One step down above `high_pct`, one up at or below `low_pct`, nothing between; `folded` is as it is now.

    The result is a set of whole cores without the first, whatever `folded` was, unless it is `folded` itself.
    """
    if ratio_pct > rule.high_pct:
        return _step_down(rule, folded)
    if ratio_pct <= rule.low_pct:
        return _step_up(rule, folded)
    return Decision("hold", folded)


def _whole(rule: StealRule, folded: frozenset[int]) -> list[Core]:
    """The cores of the folding order that are folded as a whole, first folded first."""
    return [core for core in folding_order(rule.cores, rule.policy) if folded.issuperset(core.vcpus)]


def _step_down(rule: StealRule, folded: frozenset[int]) -> Decision:
    done = _whole(rule, folded)
    left = len(vcpus_of(rule.cores)) - len(vcpus_of(done))
    for core in folding_order(rule.cores, rule.policy):
        if core not in done and left - len(core.vcpus) >= max(1, rule.min_vcpus):
            return Decision("step-down", vcpus_of([*done, core]))
    return Decision("hold", folded, bound=True)


def _step_up(rule: StealRule, folded: frozenset[int]) -> Decision:
    done = _whole(rule, folded)
    if done:
        return Decision("step-up", vcpus_of(done[:-1]))
    return Decision("hold", folded, bound=True)


def steal_ratio_pct(before: Mapping[int, int], after: Mapping[int, int], elapsed_ns: int) -> float | None:
    """Steal of a guest in per cent of `elapsed_ns` times its active vCPUs.

    `before` and `after` are cumulative steal in ns by vCPU; active are those of `after`, since an offline vCPU
    has no line in /proc/stat. One that came online in between is taken to have lost nothing. None where there is
    nothing to divide by.
    """
    if elapsed_ns <= 0 or not after:
        return None
    # A vCPU that was offline starts again from where it stopped; steal never runs backwards otherwise.
    grown = sum(max(0, ns - before[vcpu]) for vcpu, ns in after.items() if vcpu in before)
    return 100 * grown / (elapsed_ns * len(after))
