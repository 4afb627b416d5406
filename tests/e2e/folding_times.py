# SPDX-License-Identifier: GPL-2.0-only
"""How long vCPUs take to become empty, and to fill again, after their mask was written: out of a recording.

Both ends stand on the guest's own clock: a knob's change carries it, and so does every sample of the load. A time
starts before the write and ends with the first sample that shows the new state, so it is never too short, and too
long by up to the interval of the samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.measure.probestream import Sample, parse_stream
from lab.recording import Event, Recording
from lab.units import parse_cpulist


@dataclass(frozen=True)
class FoldingTimes:
    """In ms, for each time that the vCPUs were avoided (`empty_ms`) and no longer were (`full_ms`); None: it never
    came, or did not last until the next change."""

    empty_ms: tuple[float | None, ...]
    full_ms: tuple[float | None, ...]


def read_folding_times(recording: Path, node: str, load: str, vcpus: set[int], changes: int) -> FoldingTimes:
    """For the last `changes` changes of `avoid_cpus` on `node`, each to nothing or to `vcpus`."""
    kept = Recording(recording)
    events = [one for one in kept.events() if one.kind == "knob" and one.data["knob"] == "avoid_cpus"]
    samples = [one for one in parse_stream(kept.guest_stream(node)).samples if _places(one, load)]
    return evaluate_folding(
        [one for one in events if one.data["node"] == node][-changes:], samples, load, vcpus
    )


def evaluate_folding(
    changes: Sequence[Event], samples: Sequence[Sample], load: str, vcpus: set[int]
) -> FoldingTimes:
    """The times; see `read_folding_times`."""
    empty: list[float | None] = []
    full: list[float | None] = []
    for change, stretch in _stretches(changes, samples):
        avoided = set(parse_cpulist(change.data["new"]))
        assert avoided in (vcpus, set()), f"a mask that the times say nothing about: {sorted(avoided)}"
        states = [(one.t_ns, _places(one, load) & vcpus) for one in stretch]
        start_ns = change.data["guest_t0_ns"]
        if avoided:
            empty.append(_ms_until_lasting([(t_ns, not used) for t_ns, used in states], start_ns))
        else:
            full.append(_ms_until([(t_ns, used == vcpus) for t_ns, used in states], start_ns))
    return FoldingTimes(tuple(empty), tuple(full))


def _stretches(changes: Sequence[Event], samples: Sequence[Sample]) -> Iterator[tuple[Event, list[Sample]]]:
    """Each change with the samples from then until the next."""
    starts = [change.data["guest_t0_ns"] for change in changes]
    ends = [*starts[1:], samples[-1].t_ns + 1 if samples else 0]
    for change, start_ns, end_ns in zip(changes, starts, ends, strict=True):
        yield change, [one for one in samples if start_ns <= one.t_ns < end_ns]


def _places(sample: Sample, load: str) -> set[int]:
    return {task.vcpu for task in sample.tasks if task.load == load}


def _ms_until(states: list[tuple[int, bool]], start_ns: int) -> float | None:
    """When it first was so: tasks of a filled vCPU move on as they like."""
    return next(((t_ns - start_ns) / 1e6 for t_ns, good in states if good), None)


def _ms_until_lasting(states: list[tuple[int, bool]], start_ns: int) -> float | None:
    """When it was so for good."""
    if not states or not states[-1][1]:
        return None
    last_bad = max((index for index, (_, good) in enumerate(states) if not good), default=-1)
    return (states[last_bad + 1][0] - start_ns) / 1e6
