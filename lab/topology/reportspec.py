# SPDX-License-Identifier: GPL-2.0-only
"""Model of what is expected of the figures that loads report, and its checks."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from lab.loads.model import Catalogue
from lab.strictyaml.findings import Finding, Loc, unknown
from lab.topology.armspec import InArm
from lab.topology.atoms import LoadName, PhaseName
from lab.topology.loadspec import LoadSpec


class ReportedExpectation(InArm):
    """A figure that a load reports of itself, over all of its guests, in a phase; with `baseline` over that there.

    Without bounds it has to be reported, by runs that nobody doubts.
    """

    load: LoadName
    metric: str = Field(description="one of those that its kind reports (`lab load explain KIND`)")
    phase: PhaseName
    baseline: str | None = Field(None, description="another phase: the bounds are of the ratio")
    min: float | None = Field(None, description="in the metric's unit, or a ratio")
    max: float | None = Field(None, description="in the metric's unit, or a ratio")


def check_metric(
    loads: tuple[LoadSpec, ...], kinds: Catalogue, expect: ReportedExpectation, loc: Loc
) -> Iterator[Finding]:
    """A metric that the load's kind does not report; nothing is said of a load or a kind that is not there."""
    load = next((one for one in loads if one.name == expect.load), None)
    kind = kinds.get(load.kind) if load is not None else None
    if kind is None:
        return
    names = [metric.name for metric in kind.metrics]
    if expect.metric not in names:
        message = unknown(f"metric of {kind.name}", expect.metric, names)
        yield Finding((*loc, "metric"), message, needs=(loc[:2], ("load",), ("load_definitions",)))
