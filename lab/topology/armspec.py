# SPDX-License-Identifier: GPL-2.0-only
"""Models of arms, which are compared with each other, and of how often and in which order each is measured."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from lab.stats.defaults import CONFIDENCE_PCT, SMALLEST_CHANGE_PCT
from lab.topology.atoms import Name, Percent, Spec
from lab.topology.changespec import FoldSpec, KnobSetSpec
from lab.topology.tracespec import TRACE_DESCRIPTION, Trace

#: The name of the arm that `aa` adds, equal to the baseline.
AA_ARM = "aa"
MAX_REPEATS, MAX_WARMUP = 1000, 100


class InArm(Spec):
    """What every expectation about phases may say where arms are compared."""

    arm: str | None = Field(
        None, description="the arm in which it is expected, of every counted repeat; default: in every arm"
    )


class ArmKernelSpec(Spec):
    """The kernel that some nodes boot in an arm."""

    nodes: str = Field("*", description="node name or glob")
    kernel: str = Field(description="name out of `kernels`")


class ArmSpec(Spec):
    """One of the things to compare: all phases of the topology with these changes made before the first."""

    name: Name = Field(description="what expectations and tables call it")
    set: tuple[KnobSetSpec, ...] = Field((), description="knobs set in this arm")
    fold: tuple[FoldSpec, ...] = Field((), description="vCPUs folded in this arm, after `set`")
    kernel: str | tuple[ArmKernelSpec, ...] | None = Field(
        None,
        description="name out of `kernels` that all nodes boot in this arm, or a list of {nodes, kernel}; default: "
        "each node's own. Guests are started anew only where the kernel differs from the one that runs",
    )
    lacks_knobs: bool = Field(
        False,
        description="in this arm knobs and ways to fold that the kernel does not have are skipped, and what is "
        "measured without them counts: so a kernel that has them is compared with one that has not",
    )
    start: tuple[str, ...] = Field((), description="loads that run in this arm besides those of the phases")
    stop: tuple[str, ...] = Field((), description="loads that phases start, but that do not run in this arm")
    trace: Trace | None = Field(None, description=TRACE_DESCRIPTION)


class RepeatsSpec(Spec):
    """How often each arm is measured, in which order, and what counts as a change."""

    count: int = Field(10, ge=1, le=MAX_REPEATS, description="counted repeats of every arm")
    warmup: int = Field(1, ge=0, le=MAX_WARMUP, description="repeats before those, measured but not counted")
    order: Literal["random", "abba"] = Field(
        "random",
        description="of the arms within a repeat. random: drawn anew for each, by `seed`; abba: as they stand in "
        "the file, in every second repeat backwards",
    )
    seed: int = Field(1, ge=0, description="the same seed gives the same order")
    baseline: str | None = Field(
        None, description="the arm that all others are compared with; default: the first"
    )
    aa: bool = Field(
        False,
        description=f"measure one more arm, {AA_ARM!r}, equal to the baseline: it shows how much equal arms differ",
    )
    smallest_change: Percent = Field(
        SMALLEST_CHANGE_PCT,
        validate_default=False,
        description="changes smaller than this are of no interest",
    )
    confidence: Percent = Field(
        CONFIDENCE_PCT,
        validate_default=False,
        description="of what is said, all comparisons together",
    )

    @model_validator(mode="after")
    def _sane(self) -> RepeatsSpec:
        if not 50 <= self.confidence < 100:
            raise ValueError(
                f"confidence is {self.confidence:g}%; it must be at least 50% and less than 100%"
            )
        if not 0 < self.smallest_change <= 100:
            raise ValueError(
                f"smallest_change is {self.smallest_change:g}%; it must be above 0% and at most 100%"
            )
        return self
