# SPDX-License-Identifier: GPL-2.0-only
"""Whatever a file holds, it is a topology or a TopologyError with lines: never another exception."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import TopologyError
from lab.topology.decode import decode_topology
from lab.topology.schema import topology_schema


def _keys(schema: Any) -> set[str]:
    """Every key that the format knows."""
    if isinstance(schema, list):
        return set().union(*map(_keys, schema))
    if not isinstance(schema, dict):
        return set()
    return set(schema.get("properties", ())).union(*map(_keys, schema.values()))


_VALUES = ["spread", "stack", "0-1", "20s", "256MiB", "50%", "busy", "guest*", "contended", "avoid_cpus"]
_WORDS = sorted(_keys(topology_schema())) + _VALUES
_SCALARS = st.one_of(
    st.sampled_from(_WORDS),
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.dates(),
)
_STRUCTURES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(_WORDS) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=25,
)
_SHIPPED = (Path(__file__).parents[3] / "topologies" / "quickstart.yaml").read_text()


def _decode(text: str) -> None:
    try:
        decode_topology(text, Path("t.yaml"))
    except TopologyError as error:
        lines = len(text.splitlines()) + 1
        assert error.problems
        assert all(1 <= problem.line <= lines and problem.message for problem in error.problems)
        assert len(str(error).splitlines()) == len(error.problems)


@settings(deadline=None)
@given(st.text(alphabet=st.characters()))
def test_any_text(text: str) -> None:
    _decode(text)


@settings(deadline=None)
@given(st.text(alphabet="[]{}:,-&*!|>'\"#%@`? \n\tab0"))
def test_text_of_yaml_punctuation(text: str) -> None:
    _decode(text)


@settings(deadline=None)
@given(_STRUCTURES)
def test_any_structure(value: Any) -> None:
    _decode(yaml.safe_dump(value, allow_unicode=True))


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) inside of `value`."""
    if not isinstance(value, (dict, list)):
        return []
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    return [place for key in keys for place in [(value, key), *_places(value[key])]]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_sound_topology_with_some_values_replaced(data: st.DataObject) -> None:
    value = yaml.safe_load(_SHIPPED)
    for _ in range(data.draw(st.integers(1, 4))):
        container, key = data.draw(st.sampled_from(_places(value)))
        with contextlib.suppress(KeyError, IndexError):
            container[key] = data.draw(_STRUCTURES)
    _decode(yaml.safe_dump(value, allow_unicode=True))


@settings(deadline=None)
@given(st.integers(0, len(_SHIPPED)), st.integers(0, 12), st.text(max_size=4))
def test_a_sound_text_with_a_piece_replaced(start: int, length: int, piece: str) -> None:
    _decode(_SHIPPED[:start] + piece + _SHIPPED[start + length :])
