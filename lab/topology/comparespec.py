# SPDX-License-Identifier: GPL-2.0-only
"""Model of what is expected of an arm against the baseline."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from lab.topology.atoms import PhaseName, Spec, exactly_one

CompareVerdict = Literal["improved", "regressed", "changed", "same"]


class CompareExpectation(Spec):
    """How an arm did in a phase, over all of its counted repeats, against the baseline.

    A comparison that is inconclusive leaves it undecided.
    """

    phase: PhaseName
    arm: str = Field(description="the arm that is compared with the baseline")
    load: str | None = Field(None, description="by what this load is about: its work, or its first metric")
    metric: str | None = Field(
        None, description="by this metric: steal, LOAD.throughput, LOAD.fairness, LOAD.METRIC"
    )
    verdict: tuple[CompareVerdict, ...] = Field(min_length=1, description="any of these is as expected")

    @model_validator(mode="after")
    def _one_metric(self) -> CompareExpectation:
        exactly_one(self, ("load", "metric"))
        return self
