# SPDX-License-Identifier: GPL-2.0-only
"""Short ways to a topology and to its problems."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.errors import Problem, TopologyError
from lab.topology.decode import decode_topology
from lab.topology.model import Topology

HEAD = 'version: 1\nname: t\nkernels: {k: {source: {debian: "6.12"}}}\n'


@pytest.fixture
def topology() -> Callable[[str], Topology]:
    """Decodes a topology that has one kernel `k`; the text begins on line 4."""
    return lambda text: decode_topology(HEAD + text, Path("labs/t.yaml"))


@pytest.fixture
def problems() -> Callable[[str], list[Problem]]:
    """The problems of such a topology; empty where it is sound."""

    def decode(text: str) -> list[Problem]:
        try:
            decode_topology(HEAD + text, Path("t.yaml"))
        except TopologyError as error:
            return list(error.problems)
        return []

    return decode
