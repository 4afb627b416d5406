# SPDX-License-Identifier: GPL-2.0-only
"""What a shell offers for words that only this machine knows: labs that are up, and their nodes.

Read from records alone: no host is asked, and whatever goes wrong offers nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import typer

from lab.places import find_places
from lab.run.records import LabRecord, LabRecords, LabState


def complete_labs(incomplete: str) -> list[str]:
    """Names of the labs that are up."""
    return [one.name for one in _up() if one.name.startswith(incomplete)]


def complete_nodes(ctx: typer.Context, incomplete: str) -> list[str]:
    """Nodes of the lab that `--lab` names, or of all that are up."""
    nodes = dict.fromkeys(_nodes(ctx.params.get("lab")))
    return [name for name in nodes if name.startswith(incomplete)]


def complete_nodes_first(ctx: typer.Context, args: list[str], incomplete: str) -> list[str]:
    """Nodes as the first of several words; the words after it are not the lab's."""
    return [] if ctx.params.get("words") or args else complete_nodes(ctx, incomplete)


def complete_keys(incomplete: str) -> list[str]:
    """Keys of topologies, one more segment at a time."""
    from lab.topology.explain import UnknownKeyError, explain_key
    from lab.topology.schema import topology_schema

    way, dot, begun = incomplete.rpartition(".")
    try:
        keys = explain_key(topology_schema(), way).keys
    except UnknownKeyError:
        return []
    return [f"{way}{dot}{name}" for name, _ in keys if name.startswith(begun)]


def _up() -> tuple[LabRecord, ...]:
    records = LabRecords(find_places(os.environ).state_dir).all()
    return tuple(one for one in records if one.state is LabState.UP and not one.is_orphan())


def _nodes(lab: object) -> Iterator[str]:
    records = LabRecords(find_places(os.environ).state_dir)
    for record in _up():
        if lab in (None, record.name, record.lab_id):
            try:
                plan = json.loads((records.directory(record.lab_id) / "plan.json").read_bytes())
                yield from (str(node["name"]) for node in plan["nodes"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
