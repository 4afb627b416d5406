# SPDX-License-Identifier: GPL-2.0-only
"""From a sweep file to a checked grid, or to all of its problems with their lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lab.errors import SweepFileError, TopologyError
from lab.strictyaml.decode import Format, decode, read_text
from lab.strictyaml.findings import Finding
from lab.sweep.grid import MAX_RUNS, Point, Sweep, plan_points, template_problem
from lab.sweep.spec import PARAMETER_PATTERN, PARAMETER_RULE, SweepFileSpec, SweepSpec
from lab.topology.decode import TOPOLOGY_FORMAT, topology_of
from lab.topology.model import Topology
from lab.topology.spec import NAME_PATTERN, NAME_RULE

SWEEP_FORMAT = Format(
    what="sweep file",
    model=SweepFileSpec,
    error=SweepFileError,
    hint="`lab schema --sweeps` prints the format; `lab sweep --help` has an example",
    needed="version and sweep",
    example="give the path of a sweep file",
    rules={f"^{NAME_PATTERN}$": NAME_RULE, f"^{PARAMETER_PATTERN}$": PARAMETER_RULE},
)


def read_sweep(path: Path) -> Sweep:
    """The sweep in the file `path`, with the topology that it names.

    Raises InputError where a file cannot be read or a point of the grid cannot be made, SweepFileError (a child of
    it) where the file is malformed. Whether each point is a topology, `point_topology` tells.
    """
    text = read_text(path, SWEEP_FORMAT)
    outside: dict[str, str] = {}

    def check(spec: SweepFileSpec) -> list[Finding]:
        if spec.sweep.topology is not None:
            outside["template"] = read_text(path.parent / spec.sweep.topology, TOPOLOGY_FORMAT)
        return list(_check(spec.sweep, outside.get("template")))

    spec = decode(text, path, SWEEP_FORMAT, check).sweep
    template = outside.get("template", spec.template or "")
    base = path if spec.topology is None else path.parent / spec.topology
    points = plan_points(spec, template)
    return Sweep(spec.name, base, text, dict(spec.parameters), spec.repeats, points)


def point_topology(sweep: Sweep, point: Point) -> Topology:
    """The topology of one point. Raises TopologyError, whose lines are those of the text at that point."""
    try:
        return topology_of(point.text, sweep.path)
    except TopologyError as error:
        raise TopologyError(
            error.problems, f"at {point.title}; lines are those of the text at this point"
        ) from error


def _check(sweep: SweepSpec, template: str | None) -> Iterator[Finding]:
    runs = sweep.repeats
    for name, values in sweep.parameters.items():
        runs *= len(values)
        if not values:
            yield Finding(("sweep", "parameters", name), "has no value")
        twice = next((value for place, value in enumerate(values) if value in values[:place]), None)
        if twice is not None:
            yield Finding(("sweep", "parameters", name), f"has the value {twice!r} twice")
    if runs > MAX_RUNS:
        yield Finding(("sweep", "parameters"), f"{runs} runs; at most {MAX_RUNS} are possible")
    wrong = template_problem(template or sweep.template or "", tuple(sweep.parameters))
    if wrong is not None:
        key = "template" if sweep.topology is None else "topology"
        yield Finding(("sweep", key), f"line {wrong[0]}: {wrong[1]}" if wrong[0] > 1 else wrong[1])
