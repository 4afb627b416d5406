# SPDX-License-Identifier: GPL-2.0-only
"""Every shipped sweep is a grid whose points can be planned."""

from __future__ import annotations

import time
from pathlib import Path

import jsonschema
import pytest
import yaml
from unit.plan.planning import catalogue, facts

from lab.plan.decide import plan_lab
from lab.sweep.decode import point_topology, read_sweep
from lab.sweep.schema import sweep_file_schema

SHIPPED = sorted((Path(__file__).parents[3] / "topologies" / "sweeps").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_schema_says_what_the_models_say(path: Path) -> None:
    schema = sweep_file_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    data = yaml.safe_load(path.read_text())
    assert validator.is_valid(data)
    data["sweep"]["colour"] = "blue"
    assert not validator.is_valid(data)


def test_there_are_some() -> None:
    assert {path.stem for path in SHIPPED} >= {"overcommit", "thresholds"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_point_plans(path: Path) -> None:
    sweep = read_sweep(path)
    assert sweep.name == path.stem
    assert len(sweep.points) > 3
    for point in sweep.points:
        asked = point_topology(sweep, point)
        plan = plan_lab(asked, facts(pcpus=2), "unit0", catalogue(asked))
        assert plan.pcpus == (0, 1)
        assert plan.phases


def test_a_thousand_points_are_planned_in_seconds(tmp_path: Path) -> None:
    """A bound against accidents; about 3 ms each were measured."""
    text = next(path for path in SHIPPED if path.stem == "overcommit").read_text()
    for before, after in (
        ("guests: [1, 2, 4]", "guests: [1, 2, 3, 4, 5]"),
        ("vcpus: [1, 2, 4]", f"vcpus: [1, 2, 3, 4]\n    seconds: {list(range(5, 55))}"),
        ("duration: 6s", "duration: {{ seconds }}s"),
    ):
        assert before in text
        text = text.replace(before, after)
    (tmp_path / "many.yaml").write_text(text)
    started = time.process_time()
    sweep = read_sweep(tmp_path / "many.yaml")
    for point in sweep.points:
        asked = point_topology(sweep, point)
        plan_lab(asked, facts(pcpus=2), "unit0", catalogue(asked))
    assert len(sweep.points) == 1000
    assert time.process_time() - started < 20
