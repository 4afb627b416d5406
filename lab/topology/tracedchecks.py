# SPDX-License-Identifier: GPL-2.0-only
"""Checks of what is expected of traced phases: names and bounds that make sense."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from lab.strictyaml.findings import Finding, Loc
from lab.topology.spec import TopologySpec
from lab.topology.tracedspec import (
    TRACED_KINDS,
    DirectedYieldExpectation,
    FairnessExpectation,
    PhysicsExpectation,
    PreemptedByExpectation,
    PreemptedExpectation,
    PreemptedWhileExpectation,
    WakeupLatencyExpectation,
    quantity,
)
from lab.topology.tracespec import trace_words


class Checker(Protocol):
    """What lab.topology.checks has for all kinds of expectations."""

    @property
    def spec(self) -> TopologySpec: ...
    @property
    def arm(self) -> str | None: ...
    def glob(self, glob: str, loc: Loc) -> Iterator[Finding]: ...
    def vcpus(self, glob: str, vcpus: Sequence[int] | None, loc: Loc) -> Iterator[Finding]: ...
    def phase(self, name: str | None, loc: Loc) -> Iterator[Finding]: ...
    def bounds(
        self, low: float | None, high: float | None, names: tuple[str, str], loc: Loc
    ) -> Iterator[Finding]: ...
    def percentages(self, bounds: dict[str, float | None], loc: Loc) -> Iterator[Finding]: ...


def _traced(checker: Checker, kind: str, phase: str, loc: Loc) -> Iterator[Finding]:
    """What the kind needs has to be traced in the phase, which has what the arm that is checked says."""
    for one in checker.spec.phases:
        words = trace_words(checker.spec.trace if one.trace is None else one.trace) or ()
        missing = [word for word in TRACED_KINDS[kind] if word not in words]
        if one.name == phase and missing:
            wanted = missing[0] if TRACED_KINDS[kind] == ("sched",) else f"[{', '.join(TRACED_KINDS[kind])}]"
            where = "is missing in the phase, or at top level"
            message = f"needs a trace of phase {phase!r}: `trace: {wanted}` {where}"
            yield Finding(loc, message, needs=(loc[:2], ("phases",), ("trace",), ("arms",)))


def _of_nodes(
    checker: Checker,
    expect: PreemptedWhileExpectation | DirectedYieldExpectation | FairnessExpectation,
    loc: Loc,
) -> Iterator[Finding]:
    yield from checker.glob(expect.nodes, (*loc, "nodes"))
    yield from checker.phase(expect.phase, (*loc, "phase"))


def _of_vcpus(
    checker: Checker,
    expect: PreemptedExpectation | WakeupLatencyExpectation | PreemptedByExpectation,
    loc: Loc,
) -> Iterator[Finding]:
    yield from checker.glob(expect.nodes, (*loc, "nodes"))
    yield from checker.vcpus(expect.nodes, expect.vcpus, (*loc, "vcpus"))
    yield from checker.phase(expect.phase, (*loc, "phase"))
    yield from checker.bounds(expect.min, expect.max, ("min", "max"), loc)


def _of_traced_vcpus(
    checker: Checker,
    expect: PreemptedExpectation | WakeupLatencyExpectation | PreemptedByExpectation,
    loc: Loc,
) -> Iterator[Finding]:
    yield from _of_vcpus(checker, expect, loc)
    yield from _traced(checker, str(loc[-1]), expect.phase, loc)


def _preempted(checker: Checker, expect: PreemptedExpectation, loc: Loc) -> Iterator[Finding]:
    yield from _of_traced_vcpus(checker, expect, loc)
    if quantity(expect.statistic) == "share":
        yield from checker.percentages({"min": expect.min, "max": expect.max}, loc)


def _shares(
    checker: Checker, expect: PreemptedWhileExpectation | DirectedYieldExpectation, loc: Loc
) -> Iterator[Finding]:
    yield from _of_nodes(checker, expect, loc)
    yield from checker.bounds(expect.min, expect.max, ("min", "max"), loc)
    for name, value in (("min", expect.min), ("max", expect.max)):
        if value is not None and value > 100:
            yield Finding((*loc, name), f"{value:g}% is more than all of them")


def _preempted_while(checker: Checker, expect: PreemptedWhileExpectation, loc: Loc) -> Iterator[Finding]:
    if expect.min_per_s is None and expect.max_per_s is None:
        yield from _shares(checker, expect, loc)
    else:
        yield from _of_nodes(checker, expect, loc)
        yield from checker.bounds(expect.min_per_s, expect.max_per_s, ("min_per_s", "max_per_s"), loc)
    yield from _traced(checker, str(loc[-1]), expect.phase, loc)


def _physics(checker: Checker, expect: PhysicsExpectation, loc: Loc) -> Iterator[Finding]:
    yield from checker.phase(expect.phase, (*loc, "phase"))
    yield from _traced(checker, str(loc[-1]), expect.phase, loc)


#: By the key of the kind, as lab.topology.checks has them.
TRACED_CHECKS: dict[str, Callable[[Checker, Any, Loc], Iterator[Finding]]] = {
    "preempted": _preempted,
    "wakeup_latency": _of_traced_vcpus,
    "preempted_while": _preempted_while,
    "preempted_by": _of_traced_vcpus,
    "directed_yield": _shares,
    "fairness": _of_nodes,
    "physics": _physics,
}
