# SPDX-License-Identifier: GPL-2.0-only
"""Models of contention: hogs on the host, and weights, quotas, pins and duties that change over time."""

from __future__ import annotations

from pydantic import Field, model_validator

from lab.topology.armspec import InArm
from lab.topology.atoms import Cpulist, DurationNs, Name, NodeGlob, Percent, Spec, exactly_one

#: Fields of what can be changed on guests, and all that one change may be of.
GUEST_FIELDS = ("weight", "quota", "pinning")
VARIED_FIELDS = ("run", "duty", *GUEST_FIELDS)
#: The most that a hog of real-time priority may demand. The kernel leaves 5 % to everything else at least
#: (Documentation/scheduler/sched-rt-group.rst), which is no time that a hog could have.
MAX_REALTIME_DUTY_PCT = 90


class HogSpec(Spec):
    """Busy threads on the host, one on each of `pcpus`, pinned there. Started and stopped as loads are."""

    name: Name = Field(description="what phases and schedules call it")
    pcpus: Cpulist = Field(description="pCPUs of the host; one thread on each")
    duty: Percent = Field(
        100.0,
        validate_default=False,
        description="share of a pCPU that each thread demands, of its own run time: it gets that wherever it is "
        "less than its fair share, and always wants to run where it is more",
    )
    period: DurationNs = Field(
        10_000_000, validate_default=False, description="how often a thread works and sleeps, 1ms to 10s"
    )
    weight: int = Field(
        100, ge=1, le=10_000, description="against guests, as that of a guest with as many vCPUs"
    )
    realtime: bool = Field(
        False,
        description="SCHED_FIFO: it takes its pCPU at once when its period begins, and keeps it until it has had "
        f"its duty, at most {MAX_REALTIME_DUTY_PCT}%; it has no weight",
    )

    @model_validator(mode="after")
    def _sane(self) -> HogSpec:
        if not 0 <= self.duty <= 100:
            raise ValueError(f"duty is {self.duty:g}% of a pCPU; it must be between 0% and 100%")
        if self.realtime and self.duty > MAX_REALTIME_DUTY_PCT:
            raise ValueError(
                f"duty is {self.duty:g}%; with realtime at most {MAX_REALTIME_DUTY_PCT}% is possible"
            )
        if self.realtime and "weight" in self.model_fields_set:
            raise ValueError(
                "weight is for a fair share, realtime for what comes before all shares; give one of them"
            )
        if not 1_000_000 <= self.period <= 10_000_000_000:
            raise ValueError("period must be between 1ms and 10s")
        return self


class ContentionSpec(Spec):
    """What is changed at one moment, of the guests that `nodes` matches or of a hog, until changed again."""

    nodes: str = Field("*", description="node name or glob; for weight, quota and pinning")
    vcpus: Cpulist | None = Field(None, description="for quota and pinning: of these vCPUs; default: of all")
    weight: int | None = Field(None, ge=1, le=10_000, description="CPU weight of the guest")
    quota: Percent | None = Field(
        None, description="at most this share of a pCPU for each vCPU; 100% is no limit"
    )
    pinning: Cpulist | None = Field(None, description="pCPUs that each of the vCPUs may run on")
    hog: str | None = Field(None, description="name of a hog, for duty")
    duty: Percent | None = Field(None, description="share of a pCPU that each thread of the hog demands")

    def said(self) -> tuple[str, ...]:
        """Which of the things that can be changed it names."""
        return tuple(name for name in ("duty", *GUEST_FIELDS) if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _belongs_together(self) -> ContentionSpec:
        _check_duty(self.hog, self.duty)
        if self.hog is not None and {"nodes", "vcpus", *GUEST_FIELDS} & self.model_fields_set:
            raise ValueError("a hog has only a duty that can be changed; guests go in an entry of their own")
        if self.vcpus is not None and self.weight is not None:
            raise ValueError("weight is the guest's, not a vCPU's; it goes in an entry without vcpus")
        return self


class PhaseContentionSpec(ContentionSpec):
    """What a phase changes at its start."""

    @model_validator(mode="after")
    def _changes(self) -> PhaseContentionSpec:
        if not self.said():
            raise ValueError(f"changes nothing; give {', '.join(GUEST_FIELDS)}, or a hog's duty")
        return self


class VariedSpec(Spec):
    """One thing that goes back and forth between two states, the first and the second of each pair."""

    begin: DurationNs = Field(0, validate_default=False, description="from this offset in the window on")
    end: DurationNs | None = Field(None, description="until this offset; default: the end of the window")
    run: tuple[str, ...] | None = Field(
        None, description="loads and hogs that run in the first state and do not run in the second"
    )
    hog: str | None = Field(None, description="name of a hog, for duty")
    duty: tuple[Percent, Percent] | None = Field(None, description="of the hog, in both states")
    nodes: str = Field("*", description="node name or glob; for weight, quota and pinning")
    vcpus: Cpulist | None = Field(None, description="for quota and pinning: of these vCPUs; default: of all")
    weight: tuple[int, int] | None = Field(None, description="CPU weight of the guests, in both states")
    quota: tuple[Percent, Percent] | None = Field(None, description="of a pCPU for each vCPU, in both states")
    pinning: tuple[Cpulist, Cpulist] | None = Field(
        None, description="pCPUs that each of the vCPUs may run on, in both states"
    )

    def varied(self) -> str:
        """Which field it varies."""
        return next(name for name in VARIED_FIELDS if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _one_thing(self) -> VariedSpec:
        exactly_one(self, VARIED_FIELDS)
        _check_duty(self.hog, self.duty)
        if "nodes" in self.model_fields_set and self.varied() not in GUEST_FIELDS:
            raise ValueError(f"nodes are for {', '.join(GUEST_FIELDS)}")
        if self.vcpus is not None and self.varied() not in ("quota", "pinning"):
            raise ValueError("vcpus are for quota and pinning")
        if self.end is not None and self.end <= self.begin:
            raise ValueError("end must be later than begin")
        return self


class SquareSpec(VariedSpec):
    """A square wave: the first state for `on` of each period, then the second."""

    period: DurationNs = Field(description="of both states together")
    on: Percent = Field(50.0, validate_default=False, description="share of a period in the first state")

    @model_validator(mode="after")
    def _sane(self) -> SquareSpec:
        if not 0 < self.on < 100:
            raise ValueError(f"on is {self.on:g}%; it must be between 0% and 100%, and neither of them")
        return self


class RampSpec(VariedSpec):
    """From the first value to the second in equal steps: the first at `begin`, the last one step before `end`."""

    steps: int = Field(ge=2, le=1000, description="how many values, both ends included")

    @model_validator(mode="after")
    def _has_between(self) -> RampSpec:
        if self.varied() in ("run", "pinning"):
            raise ValueError(f"there is nothing between two states of {self.varied()}; use square or random")
        return self


class RandomSpec(VariedSpec):
    """A new state every so often, drawn by `seed`: any value between the two, or one of both."""

    every: DurationNs = Field(description="how often a new state is drawn")
    seed: int = Field(1, ge=0, description="the same seed gives the same states")


#: The shapes of what a schedule may have besides steps.
SHAPES = ("square", "ramp", "random")


class ScheduleSpec(ContentionSpec):
    """Changes while a phase is measured: a step at an offset, or a shape that is made of many."""

    at: DurationNs | None = Field(None, description="offset of a step from the start of the measured window")
    start: tuple[str, ...] = Field((), description="loads and hogs started then")
    stop: tuple[str, ...] = Field((), description="loads and hogs stopped then")
    square: SquareSpec | None = None
    ramp: RampSpec | None = None
    random: RandomSpec | None = None

    @property
    def shape(self) -> SquareSpec | RampSpec | RandomSpec | None:
        """The shape; None where it is a step."""
        return self.square or self.ramp or self.random

    @model_validator(mode="after")
    def _one_shape(self) -> ScheduleSpec:
        exactly_one(self, ("at", *SHAPES))
        if self.shape is not None and self.model_fields_set - set(SHAPES):
            raise ValueError("what a shape varies stands inside of it")
        if self.at is not None and not (self.said() or self.start or self.stop):
            raise ValueError(f"changes nothing; give start, stop, {', '.join(GUEST_FIELDS)}, or a hog's duty")
        return self


class PredictionExpectation(InArm):
    """Seen steal of every busy vCPU in the phase is at most `max` away from what was predicted, on both sides."""

    nodes: NodeGlob = "*"
    phase: str | None = Field(None, description="default: every phase for which there is a prediction")
    max: Percent = Field(description="of elapsed time")


def _check_duty(hog: str | None, duty: object) -> None:
    if (hog is None) != (duty is None):
        raise ValueError("hog and duty belong together")
