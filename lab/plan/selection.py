# SPDX-License-Identifier: GPL-2.0-only
"""Which nodes a topology's globs mean."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from lab.topology.model import Node


def matching(nodes: Sequence[Node], glob: str) -> tuple[Node, ...]:
    """The nodes whose name `glob` matches, in their order."""
    return tuple(node for node in nodes if fnmatchcase(node.name, glob))
