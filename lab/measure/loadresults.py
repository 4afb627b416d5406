# SPDX-License-Identifier: GPL-2.0-only
"""What each run of a load came to: when it ran by the host's clock, in which phase, and its figures.

Only loads with a command have runs; the work of spin is counted by the probe.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lab.measure.happened import ClockNear, EventLike, PhaseLike
from lab.measure.ktap import SelfTest, parse_ktap
from lab.measure.loadparsers import OutputError, read_metric
from lab.measure.loadruns import LoadOutput, RunStatus, RunStatusError, parse_status
from lab.measure.windows import ClockMatch, LoadResult
from lab.plan.labplan import LoadPlan
from lab.units import format_seconds

#: Runs of one load that begin further apart than this part of the shortest of them have not met the same contention
#: for as long as they say ...
SKEW_PCT = 5.0
#: ... and what the match of the clocks may be off by anyway.
SKEW_NS = 50_000_000
#: A run counts as one of a phase's while this part of it, at least, is in its window.
PART_PCT = 5.0
#: What is said to be tried again where a guest was lost among arms (lab.run.phases); warm-up is repeat 0.
_RETRY = re.compile(r"repeat (\d+) of arm (\S+)")
#: 128 + SIGTERM: how a load that runs until it is stopped ends well, beside 0.
_TERMINATED = 143


@dataclass(frozen=True)
class _Run:
    """A run as the events have it: when it was to begin, and when it was over at the latest."""

    load: LoadPlan
    number: int
    start_ns: int
    over_ns: int


def load_results(
    loads: Sequence[LoadPlan],
    events: Sequence[EventLike],
    outputs: Mapping[str, Sequence[LoadOutput]],
    phases: Sequence[PhaseLike],
    clock_near: ClockNear,
) -> tuple[LoadResult, ...]:
    """Every run of a load with a command, in the order in which they were started; `outputs` are by node.

    Without those of a repeat that was measured again because a guest was lost: its windows do not count either.
    """
    found = {(node, one.load, one.number): one for node, several in outputs.items() for one in several}
    results = [
        _result(run, found.get((run.load.node, run.load.name, run.number)), phases, clock_near)
        for run in _runs(loads, events)
    ]
    return tuple(_with_skew(one, results) for one in results)


def _runs(loads: Sequence[LoadPlan], events: Sequence[EventLike]) -> Iterator[_Run]:
    by_key = {(load.name, load.node): load for load in loads if load.command}
    last_ns = max((event.t_ns for event in events), default=0)
    lost = _lost(events)
    for index, event in enumerate(events):
        key = (event.data.get("load"), event.data.get("node"))
        if event.kind != "load-start" or "number" not in event.data or key not in by_key or index in lost:
            continue
        over_ns = next(
            (
                later.t_ns
                for later in events[index + 1 :]
                if later.kind == "load-stop" and (later.data.get("load"), later.data.get("node")) == key
            ),
            last_ns,
        )
        yield _Run(by_key[key], int(event.data["number"]), event.t_ns, max(event.t_ns, over_ns))


def _lost(events: Sequence[EventLike]) -> set[int]:
    """Places of the events of repeats that were measured again: since the last window of another repeat, each."""
    lost: set[int] = set()
    for place, event in enumerate(events):
        match = _RETRY.fullmatch(str(event.data.get("what"))) if event.kind == "retry" else None
        if match is not None:
            number = r"w\d+" if match[1] == "0" else match[1]
            own = re.compile(rf".*\.{re.escape(match[2])}\.{number}")
            others = (n for n in range(place - 1, -1, -1) if _is_other(events[n], own))
            lost.update(range(next(others, -1) + 1, place))
    return lost


def _is_other(event: EventLike, own: re.Pattern[str]) -> bool:
    return event.kind == "phase" and own.fullmatch(str(event.data.get("phase"))) is None


def _result(
    run: _Run, output: LoadOutput | None, phases: Sequence[PhaseLike], clock_near: ClockNear
) -> LoadResult:
    load = run.load
    if output is None:
        return _place(run, run.start_ns, run.over_ns, phases, ("its output was not brought home",))
    try:
        status = parse_status(output.status)
    except RunStatusError as error:
        return _place(run, run.start_ns, run.over_ns, phases, (f"how it ended cannot be read: {error}",))
    clock = clock_near(load.node, run.start_ns)
    begin_ns, end_ns = _times(run, status, clock)
    values, missing = _values(load, output.output.decode(errors="replace"))
    unknown = () if clock else (f"the clock of {load.node} is not known, nor when exactly it ran",)
    doubts = (*unknown, *_ending_doubts(load, status, end_ns - begin_ns), *_loss(load, status), *missing)
    placed = _place(run, begin_ns, end_ns, phases, doubts)
    return replace(placed, status=status.status, values=values, tests=_tests(load, output.output))


def _times(run: _Run, status: RunStatus, clock: ClockMatch | None) -> tuple[int, int]:
    if clock is None or not status.begin_ns:
        return run.start_ns, run.over_ns
    return status.begin_ns + clock.offset_ns, status.end_ns + clock.offset_ns


def _values(load: LoadPlan, text: str) -> tuple[tuple[tuple[str, float], ...], tuple[str, ...]]:
    values, missing = [], []
    for metric in load.metrics:
        try:
            values.append((metric.name, read_metric(metric, text)))
        except OutputError as error:
            missing.append(f"its output does not tell {metric.name}: {error}")
    return tuple(values), tuple(missing)


def _tests(load: LoadPlan, output: bytes) -> tuple[SelfTest, ...]:
    if not any(metric.parser == "ktap" for metric in load.metrics):
        return ()
    found = parse_ktap(output.decode(errors="replace"))
    return found.results if found else ()


def _ending_doubts(load: LoadPlan, status: RunStatus, ran_ns: int) -> Iterator[str]:
    if not status.begin_ns:
        yield "it was stopped before it began"
    elif status.stopped and load.ends == "itself":
        yield f"it did not finish: it was stopped after {format_seconds(ran_ns)}"
    elif not status.stopped and load.ends == "stopped":
        yield f"it ended by itself after {format_seconds(ran_ns)}, with status {status.status}"
    elif status.status not in ((0, _TERMINATED) if load.ends == "stopped" else (0,)):
        yield f"it ended with status {status.status}"


def _loss(load: LoadPlan, status: RunStatus) -> Iterator[str]:
    """A parser needs all of the output; a pattern finds its line or does not."""
    if status.lost and any(metric.parser is not None for metric in load.metrics):
        yield f"{status.lost} of {status.written} bytes of its output were not kept"


def _place(
    run: _Run, begin_ns: int, end_ns: int, phases: Sequence[PhaseLike], doubts: Sequence[str]
) -> LoadResult:
    """The result in the phase whose window has most of it; of one in no window, in that whose window came next."""
    shared = {phase.name: min(end_ns, phase.end_ns) - max(begin_ns, phase.start_ns) for phase in phases}
    inside = {name: ns for name, ns in shared.items() if ns > 0}
    several = [name for name, ns in inside.items() if 100 * ns >= PART_PCT * (end_ns - begin_ns)]
    if inside:
        phase = max(inside, key=lambda name: inside[name])
        more = (
            [f"it ran through {', '.join(several)}: its figures are of all of them"]
            if len(several) > 1
            else []
        )
    else:
        phase = next((one.name for one in phases if one.end_ns > begin_ns), phases[-1].name if phases else "")
        more = [f"nothing of it was in the window of {phase}"]
    return LoadResult(run.load.node, run.load.name, phase, begin_ns, end_ns, None, (), (*doubts, *more))


def _with_skew(result: LoadResult, results: Sequence[LoadResult]) -> LoadResult:
    together = [one for one in results if (one.load, one.phase) == (result.load, result.phase)]
    late_ns = result.begin_ns - min(one.begin_ns for one in together)
    # The same node's runs in one phase follow each other.
    if [one.node for one in together].count(result.node) > 1:
        return result
    shortest_ns = min(one.end_ns - one.begin_ns for one in together)
    if late_ns <= SKEW_NS or 100 * late_ns <= SKEW_PCT * shortest_ns:
        return result
    doubt = f"it began {late_ns / 1e6:.0f} ms after the first, which ran for {format_seconds(shortest_ns)}"
    return replace(result, doubts=(*result.doubts, doubt))


def start_skew_ns(results: Sequence[LoadResult]) -> int | None:
    """How far apart runs of one load in one phase began; None for less than two nodes."""
    begins = [one.begin_ns for one in results]
    return max(begins) - min(begins) if len({one.node for one in results}) > 1 else None
