# SPDX-License-Identifier: GPL-2.0-only
"""The JSON schema says what the models say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from lab.topology.schema import topology_schema
from lab.topology.spec import TopologySpec

SHIPPED = sorted((Path(__file__).parents[3] / "topologies").glob("*.yaml"))


class _Wider(TopologySpec):
    colour: str = "blue"


def _validator() -> jsonschema.Draft202012Validator:
    schema = topology_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def _quickstart() -> Any:
    return yaml.safe_load(next(path for path in SHIPPED if path.stem == "quickstart").read_text())


def test_there_are_topologies_to_check() -> None:
    assert {path.stem for path in SHIPPED} >= {"quickstart", "steal-pair", "weights", "three-on-one"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_topology_validates(path: Path) -> None:
    _validator().validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    ("where", "key", "value"),
    [
        ((), "colour", "blue"),
        (("nodes", 0), "vcpu", 2),
        (("nodes", 0), "memory", 256),
        (("nodes", 0), "pinning", "sprad"),
        (("host",), "pcpus", "a-b"),
        (("phases", 0), "duration", "20"),
    ],
)
def test_what_the_models_refuse_the_schema_refuses(where: tuple[Any, ...], key: str, value: Any) -> None:
    data = _quickstart()
    inner = data
    for part in where:
        inner = inner[part]
    inner[key] = value
    assert not _validator().is_valid(data)
    with pytest.raises(ValueError):
        TopologySpec.model_validate(data)


def test_it_is_made_from_the_models() -> None:
    assert "colour" not in topology_schema()["properties"]
    assert topology_schema(_Wider)["properties"]["colour"]["default"] == "blue"


def test_it_names_itself() -> None:
    schema = topology_schema()
    assert schema["$id"].startswith("urn:")
    assert "version 1" in schema["title"]


def _types(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        own = {schema["type"]} if isinstance(schema.get("type"), str) else set()
        return own.union(*map(_types, schema.values()))
    return set().union(*map(_types, schema)) if isinstance(schema, list) else set()


def _booleans(schema: Any) -> set[str]:
    if not isinstance(schema, dict):
        return set().union(*map(_booleans, schema)) if isinstance(schema, list) else set()
    keys = schema.get("properties", {})
    own = {key for key, value in keys.items() if "boolean" in _types(value)}
    return own.union(*map(_booleans, schema.values()))


def test_keys_that_take_a_boolean_are_few() -> None:
    """Everywhere else YAML's booleans are refused: what was meant is nearly always text."""
    assert _booleans(topology_schema()) == {
        "aa",
        "complement",
        "counted",
        "debug_info",
        "default",
        "inverted",
        "lacks_knobs",
        "optional",
        "parameters",
        "read_only",
        "realtime",
        "reload",
        "unchanged",
        "value",
    }
