# SPDX-License-Identifier: GPL-2.0-only
"""Schedules, expanded into single changes: steps, square waves, ramps and seeded random."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import chain

from lab.plan.changes import plan_change, plan_run
from lab.plan.labplan import ChangePlan
from lab.topology.contentionspec import (
    ContentionSpec,
    RampSpec,
    RandomSpec,
    ScheduleSpec,
    SquareSpec,
    VariedSpec,
)
from lab.topology.model import Node

#: A moment, and what is varied then: 0.0 is the first of its two states, 1.0 the second.
_Point = tuple[int, float]


def plan_schedule(
    entries: Sequence[ScheduleSpec], duration_ns: int, nodes: Sequence[Node]
) -> tuple[ChangePlan, ...]:
    """The changes of one phase, all of them before `duration_ns`, in order of time; at one time as they stand."""
    changes = chain.from_iterable(_entry(entry, duration_ns, nodes) for entry in entries)
    return tuple(sorted(changes, key=lambda one: one.at_ns))


def _entry(entry: ScheduleSpec, duration_ns: int, nodes: Sequence[Node]) -> Iterator[ChangePlan]:
    shape = entry.shape
    if shape is None:
        assert entry.at is not None, "without a shape it is a step"
        yield from plan_run("stop", entry.stop, entry.at)
        yield from plan_change(entry, nodes, entry.at)
        yield from plan_run("start", entry.start, entry.at)
        return
    last: float | None = None
    for at_ns, state in _points(shape, duration_ns):
        if state != last:
            yield from _state(shape, state, nodes, at_ns)
        last = state


def _points(shape: SquareSpec | RampSpec | RandomSpec, duration_ns: int) -> Iterator[_Point]:
    end_ns = duration_ns if shape.end is None else shape.end
    if isinstance(shape, SquareSpec):
        yield from _square(shape, end_ns)
        if end_ns < duration_ns:
            yield end_ns, 1.0
    elif isinstance(shape, RampSpec):
        for step in range(shape.steps):
            yield shape.begin + (end_ns - shape.begin) * step // shape.steps, step / (shape.steps - 1)
    else:
        yield from _random(shape, end_ns)


def _square(shape: SquareSpec, end_ns: int) -> Iterator[_Point]:
    on_ns = round(shape.period * shape.on / 100)
    for begin_ns in range(shape.begin, end_ns, shape.period):
        yield begin_ns, 0.0
        if begin_ns + on_ns < end_ns:
            yield begin_ns + on_ns, 1.0


def _random(shape: RandomSpec, end_ns: int) -> Iterator[_Point]:
    """Of all that a Random does, only random() is promised to stay the same in all versions of Python."""
    draw = random.Random(shape.seed).random
    between = shape.varied() not in ("run", "pinning")
    for at_ns in range(shape.begin, end_ns, shape.every):
        drawn = draw()
        yield at_ns, drawn if between else float(drawn >= 0.5)


def _state(shape: VariedSpec, state: float, nodes: Sequence[Node], at_ns: int) -> Iterator[ChangePlan]:
    if shape.run is not None:
        yield from plan_run("start" if state == 0.0 else "stop", shape.run, at_ns)
        return
    yield from plan_change(_between(shape, state), nodes, at_ns)


def _between(shape: VariedSpec, state: float) -> ContentionSpec:
    """What a shape says of one moment, as if it stood there as a step."""
    return ContentionSpec.model_construct(
        nodes=shape.nodes,
        vcpus=shape.vcpus,
        hog=shape.hog,
        weight=None if shape.weight is None else round(_mixed(*shape.weight, state)),
        quota=None if shape.quota is None else _mixed(*shape.quota, state),
        duty=None if shape.duty is None else round(_mixed(*shape.duty, state), 2),
        pinning=None if shape.pinning is None else shape.pinning[round(state)],
    )


def _mixed(first: float, second: float, state: float) -> float:
    return first + (second - first) * state
