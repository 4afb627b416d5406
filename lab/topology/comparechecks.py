# SPDX-License-Identifier: GPL-2.0-only
"""Checks of what is expected of arms: of another one than the baseline, and of a metric that there is."""

from __future__ import annotations

from collections.abc import Iterator

from lab.loads.catalogue import shipped_loads
from lab.loads.model import SPIN
from lab.strictyaml.findings import Finding, Loc, unknown
from lab.topology.comparespec import CompareExpectation
from lab.topology.loadspec import LoadSpec
from lab.topology.spec import TopologySpec


def check_compare_expected(spec: TopologySpec, expect: CompareExpectation, loc: Loc) -> Iterator[Finding]:
    """Everything wrong with one but for names of phases, loads and arms, which there are."""
    baseline = (spec.repeats.baseline if spec.repeats is not None else None) or spec.arms[0].name
    if expect.arm == baseline:
        message = f"{baseline!r} is the baseline itself"
        yield Finding((*loc, "arm"), message, needs=(loc[:2], ("arms",), ("repeats",)))
    if expect.metric is not None:
        known = [name for load in spec.load for name in load_metrics(load)]
        # What a kind of the user's own reports is known later; its load's name is enough here.
        own = tuple(f"{load.name}." for load in spec.load if load.kind not in shipped_loads())
        if expect.metric not in ("steal", *known) and not expect.metric.startswith(own):
            message = unknown("metric", expect.metric, ("steal", *known))
            yield Finding((*loc, "metric"), message, needs=(loc[:2], ("load", "*")))


def load_metrics(load: LoadSpec) -> Iterator[str]:
    """Names of the metrics of a load of a shipped kind, as lab.judge.metrics has them."""
    kind = shipped_loads().get(load.kind)
    if kind is None or kind.name == SPIN or kind.counted:
        yield from (f"{load.name}.throughput", f"{load.name}.fairness")
    for metric in kind.metrics if kind is not None else ():
        yield f"{load.name}.{metric.name}"
        if metric.over_guests == "sum":
            yield f"{load.name}.{metric.name}.fairness"
