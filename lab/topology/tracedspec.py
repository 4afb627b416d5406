# SPDX-License-Identifier: GPL-2.0-only
"""Models of what is expected of a traced phase: preemptions one by one, rather than their sum."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, WithJsonSchema, field_validator, model_validator

from lab.topology.armspec import InArm
from lab.topology.atoms import DurationNs, NodeGlob, OfVcpus, Percent, PhaseName
from lab.units import parse_duration_ns, parse_percent

#: What a bound is, by what kind of figure it is of.
_BOUNDS = {
    "rate": "a number per second; write for example 100",
    "length": "a length; write for example 5ms",
    "share": "a share of the window; write for example 10%",
}

#: A bound whose unit depends on the statistic: per second, a duration, or a share. A plain number in that unit
#: once it is read: per second, ms, per cent.
StatisticBound = Annotated[
    float,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {
                    "type": "string",
                    "pattern": r"^\s*\d+(\.\d+)?\s*(ns|us|ms|s|min|%)\s*$",
                    "examples": ["5ms"],
                },
            ]
        }
    ),
]


def quantity(statistic: str) -> str:
    """What kind of figure a statistic is: rate (per second), length (ms), or share (per cent of the window)."""
    return statistic if statistic in ("rate", "share") else "length"


def _parse_bound(value: Any, statistic: str) -> float | None:
    kind = quantity(statistic)
    if value is None:
        return None
    if kind == "rate" and isinstance(value, (int, float)) and not isinstance(value, bool):
        if not 0 <= value < float("inf"):
            raise ValueError(f"a rate is 0 or more, not {value:g}")
        return float(value)
    if kind != "rate" and isinstance(value, str):
        return parse_percent(value) if kind == "share" else parse_duration_ns(value) / 1e6
    raise ValueError(f"a bound of {statistic} is {_BOUNDS[kind]}")


class PreemptedExpectation(InArm):
    """How often every matching vCPU was preempted in the phase, for how long, or for what share of it.

    `rate` is per second, p50, p90, p99 and `max` are of the lengths of its preemptions, `share` is of the window.
    """

    nodes: NodeGlob = "*"
    vcpus: OfVcpus = None
    phase: PhaseName
    statistic: Literal["rate", "p50", "p90", "p99", "max", "share"] = Field(
        description="rate: per second; p50 .. max: of their lengths; share: of the window"
    )
    min: StatisticBound | None = Field(
        None, description="per second for rate (100), a duration for lengths (5ms), per cent for share (10%)"
    )
    max: StatisticBound | None = Field(None, description="greatest value, in the same unit")

    @field_validator("min", "max", mode="before")
    @classmethod
    def _in_its_unit(cls, value: Any, info: ValidationInfo) -> float | None:
        statistic = info.data.get("statistic")  # missing where it is malformed itself, and told already
        return None if statistic is None else _parse_bound(value, statistic)


class WakeupLatencyExpectation(InArm):
    """How long every matching vCPU waited for a pCPU after it was woken in the phase."""

    nodes: NodeGlob = "*"
    vcpus: OfVcpus = None
    phase: PhaseName
    statistic: Literal["p50", "p90", "p99", "max"] = Field(description="of the waits' lengths")
    min: DurationNs | None = Field(None, description="least wait")
    max: DurationNs | None = Field(None, description="longest wait")


class PreemptedWhileExpectation(InArm):
    """What the preemptions of each matching node hit in the guest: in per cent of those that could be told, or how
    many such there were per second, over all vCPUs.

    `lock`: a task that held a lock; `no_preempt`: a section that must not be preempted; `irqs_off`: interrupts
    were off; `avoided`: a vCPU that was to be avoided then.
    """

    nodes: NodeGlob = "*"
    phase: PhaseName
    state: Literal["lock", "no_preempt", "irqs_off", "avoided"] = Field(description="what was hit")
    min: Percent | None = Field(None, description="least share of the preemptions that could be told")
    max: Percent | None = Field(None, description="greatest share of them")
    min_per_s: float | None = Field(None, ge=0, description="in place of min")
    max_per_s: float | None = Field(None, ge=0, description="in place of max")

    @model_validator(mode="after")
    def _one_unit(self) -> PreemptedWhileExpectation:
        if (self.min, self.max) != (None, None) and (self.min_per_s, self.max_per_s) != (None, None):
            raise ValueError(
                "give bounds in per cent (min, max) or per second (min_per_s, max_per_s), not both"
            )
        return self


class PreemptedByExpectation(InArm):
    """How often every matching vCPU was preempted by one taker in the phase, per second."""

    nodes: NodeGlob = "*"
    vcpus: OfVcpus = None
    phase: PhaseName
    taker: str = Field(
        min_length=1,
        description="how its name begins: 'guest2' or 'guest2 vcpu 1', 'guest2 emulator', 'hog noisy', 'kernel', "
        "'foreign'",
    )
    min: float | None = Field(None, ge=0, description="per second")
    max: float | None = Field(None, ge=0, description="per second")


class DirectedYieldExpectation(InArm):
    """Directed yields of each matching node in the phase that succeeded, in per cent of those attempted, by KVM's
    own statistics."""

    nodes: NodeGlob = "*"
    phase: PhaseName
    min: Percent | None = Field(None, description="least share of those attempted")
    max: Percent | None = Field(None, description="greatest share of those attempted")


class FairnessExpectation(InArm):
    """Jain's index of the host's run time over the busy vCPUs of all matching nodes: 1 where all got the same."""

    nodes: NodeGlob = "*"
    phase: PhaseName
    min: float = Field(ge=0, le=1, description="least index, 0 to 1")


class PhysicsExpectation(InArm):
    """No guest does anything while its vCPU does not run on the host, by more than the clocks' error."""

    phase: PhaseName


#: The kinds of this module, by the key that introduces each, and the words of `trace:` that each needs.
TRACED_KINDS: dict[str, tuple[str, ...]] = {
    "preempted": ("sched",),
    "wakeup_latency": ("sched",),
    "preempted_while": ("sched", "guest"),
    "preempted_by": ("sched",),
    "directed_yield": (),
    "fairness": (),
    "physics": ("sched", "guest"),
}

TracedExpectation = (
    PreemptedExpectation
    | WakeupLatencyExpectation
    | PreemptedWhileExpectation
    | PreemptedByExpectation
    | DirectedYieldExpectation
    | FairnessExpectation
    | PhysicsExpectation
)
