# SPDX-License-Identifier: GPL-2.0-only
"""What is done on several nodes at the same time, on each of them in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

_Item = TypeVar("_Item")


def by_node(items: Iterable[_Item], node_of: Callable[[_Item], str]) -> dict[str, list[_Item]]:
    """`items` by the node that each is about: nodes as they first appear, each one's items in their order."""
    groups: dict[str, list[_Item]] = {}
    for item in items:
        groups.setdefault(node_of(item), []).append(item)
    return groups
