# SPDX-License-Identifier: GPL-2.0-only
"""Models of what governs and of what is expected of that."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from lab.topology.armspec import InArm
from lab.topology.atoms import DurationNs, FoldMechanism, NodeGlob, Percent, PhaseName, Spec

#: Thresholds of the kernel's own governor (steal.high, steal.low) where nothing is said.
DEFAULT_HIGH_PCT, DEFAULT_LOW_PCT = 4.0, 1.5
#: What a GovernorExpectation may bound.
GOVERNOR_LIMITS = ("min_steps_down", "max_steps_down", "min_steps_up", "max_steps_up", "settles_within")


class GovernSpec(Spec):
    """A governor outside of the guests: each period it folds one more core, takes one back, or leaves it."""

    nodes: str = Field("*", description="node name or glob")
    source: Literal["steal", "host"] = Field(
        "steal",
        description="steal: by the steal that the guest counts; host: the host says how many vCPUs, and which",
    )
    high: Percent | None = Field(
        None, description="steal: above it one core is given up; of elapsed time x active vCPUs (default 4%)"
    )
    low: Percent | None = Field(
        None, description="steal: at or below it one core is taken back (default 1.5%)"
    )
    period: DurationNs = Field(
        1_000_000_000, validate_default=False, description="time that a decision is made from"
    )
    policy: Literal["last", "numa"] | None = Field(
        None,
        description="steal: last gives up the highest core first (default), numa takes from all NUMA cells in "
        "proportion to their size",
    )
    by: FoldMechanism = Field("mask", description="how vCPUs are folded, as in `fold`")
    min_vcpus: int = Field(1, ge=1, description="so many vCPUs always stay; the first core does anyway")

    @model_validator(mode="after")
    def _sane(self) -> GovernSpec:
        high, low = self.high or DEFAULT_HIGH_PCT, self.low or DEFAULT_LOW_PCT
        if low > high:
            raise ValueError(f"low ({low:g}%) is larger than high ({high:g}%)")
        if not 100_000_000 <= self.period <= 100_000_000_000:
            raise ValueError("period must be between 100ms and 100s")
        said = [name for name in ("high", "low", "policy") if getattr(self, name) is not None]
        if self.source == "host" and said:
            raise ValueError(
                f"{said[0]} is for source steal; a hint of the host has no thresholds and no policy"
            )
        return self


class GovernorExpectation(InArm):
    """Steps of whatever governs each matching node, own or the kernel's, from the phase's changes to its end."""

    nodes: NodeGlob = "*"
    phase: PhaseName
    min_steps_down: int | None = Field(
        None, ge=0, description="least number of steps in which a core is given up"
    )
    max_steps_down: int | None = Field(
        None, ge=0, description="greatest number of steps in which a core is given up"
    )
    min_steps_up: int | None = Field(
        None, ge=0, description="least number of steps in which a core is taken back"
    )
    max_steps_up: int | None = Field(
        None, ge=0, description="greatest number of steps in which a core is taken back"
    )
    settles_within: DurationNs | None = Field(
        None, description="no step later than this after the phase's changes"
    )

    @model_validator(mode="after")
    def _expects(self) -> GovernorExpectation:
        if all(getattr(self, name) is None for name in GOVERNOR_LIMITS):
            raise ValueError(f"expects nothing; give one or more of {', '.join(GOVERNOR_LIMITS)}")
        for way in ("down", "up"):
            low, high = getattr(self, f"min_steps_{way}"), getattr(self, f"max_steps_{way}")
            if low is not None and high is not None and low > high:
                raise ValueError(f"min_steps_{way} ({low}) is larger than max_steps_{way} ({high})")
        return self


class DecisionsExpectation(InArm):
    """Every decision of a governor by steal was on the right side of its thresholds, by the recorded steal."""

    nodes: NodeGlob = "*"
    phase: str | None = Field(None, description="default: every phase in which there is a governor")
    tolerance: Percent = Field(
        3.0, validate_default=False, description="how far the recorded ratio may lie on the wrong side"
    )
