# SPDX-License-Identifier: GPL-2.0-only
"""What the cache holds, printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lab.artifacts.listing import Listed
from lab.cli.desk import Desk
from lab.cli.status import render_age


def print_listed(desk: Desk, things: Sequence[Listed], as_json: bool) -> None:
    """A line for each thing, or a JSON list."""
    if as_json:
        desk.print_json([_document(thing) for thing in things])
    else:
        desk.print("\n".join(map(_line, things)) or "nothing is built yet")


def _line(thing: Listed) -> str:
    size_mib = thing.size_bytes / 2**20
    used = f"used {render_age(thing.age_s)} ago"
    return f"{thing.kind:<17} {thing.title:<24} {size_mib:>6.0f} MiB  {used:<16} {thing.path}"


def _document(thing: Listed) -> dict[str, Any]:
    return {
        "kind": thing.kind,
        "key": thing.key,
        "title": thing.title,
        "path": str(thing.path),
        "size_bytes": thing.size_bytes,
        "age_s": round(thing.age_s, 1),
        "inputs": dict(thing.inputs),
    }
