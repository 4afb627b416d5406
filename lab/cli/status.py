# SPDX-License-Identifier: GPL-2.0-only
"""`lab status`: which labs there are."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import typer

from lab.cli.desk import Desk, desk_of
from lab.cli.parameters import JsonOption
from lab.errors import HostError
from lab.plan.labplan import LabPlan, parse_plan_json
from lab.run.records import LabRecord, LabState


def status(
    ctx: typer.Context,
    as_json: JsonOption = False,
    watch: Annotated[
        bool,
        typer.Option("--watch", "-w", help="Again and again, until Ctrl-C; with --json a line each time."),
    ] = False,
    interval_s: Annotated[
        float, typer.Option("--interval", metavar="SECONDS", min=0.1, help="How often --watch looks.")
    ] = 2.0,
) -> None:
    """List the labs there are.

    Name, id, where, state, nodes with their addresses, age, owner.
    """
    desk = desk_of(ctx)
    if not watch:
        labs = _look(desk)
        if as_json:
            desk.print_json([lab.document() for lab in labs])
        else:
            desk.print(_render(labs))
        return
    for number in count():
        if number:
            time.sleep(interval_s)
        labs = _look(desk)
        if as_json:
            desk.print(json.dumps([lab.document() for lab in labs]))
        else:
            desk.print(f"{_fresh_page(number)}{datetime.now():%H:%M:%S}\n\n{_render(labs)}")


def _fresh_page(number: int) -> str:
    """On a terminal each look replaces the one before it (ECMA-48: cursor home, erase the page); elsewhere a line
    is between."""
    if sys.stdout.isatty():
        return "\x1b[H\x1b[2J"
    return "\n" if number else ""


def _look(desk: Desk) -> list[SeenLab]:
    records = desk.records.all()
    host_vm_runs = _host_vm_runs(desk, records)
    return [_look_at(desk, record, host_vm_runs) for record in records]


def _render(labs: Sequence[SeenLab]) -> str:
    return "\n\n".join(lab.text() for lab in labs) or "no lab"


@dataclass(frozen=True)
class SeenLab:
    """A lab as it stands. `state` is the record's, or what became of it: `orphan`, `host gone`.

    `nodes` are (name, address); the address is empty where the guests never came up.
    """

    record: LabRecord
    state: str
    age_s: float
    nodes: tuple[tuple[str, str], ...]

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "name": self.record.name,
            "lab_id": self.record.lab_id,
            "where": self.record.where,
            "state": self.state,
            "age_s": round(self.age_s, 1),
            "owner_pid": self.record.owner_pid,
            "pcpus": list(self.record.pcpus),
            "nodes": [{"name": name, "address": address or None} for name, address in self.nodes],
        }

    def text(self) -> str:
        """For people."""
        owner = "you" if self.record.state is LabState.UP else f"process {self.record.owner_pid}"
        head = (
            f"{self.record.name} ({self.record.lab_id}) on {self.record.where}: {self.state}, "
            f"{render_age(self.age_s)} old, owned by {owner}"
        )
        return "\n".join([head, *(f"  {name:<16} {address}".rstrip() for name, address in self.nodes)])


def render_age(age_s: float) -> str:
    """``12 s``, ``5 min``, ``3 h``, ``2 d``: the largest unit that is full twice."""
    for unit, seconds in (("d", 86400), ("h", 3600), ("min", 60)):
        if age_s >= 2 * seconds:
            return f"{age_s / seconds:.0f} {unit}"
    return f"{age_s:.0f} s"


def _look_at(desk: Desk, record: LabRecord, host_vm_runs: bool | None) -> SeenLab:
    directory = desk.records.directory(record.lab_id)
    state = record.state.value
    if record.is_orphan():
        state = "orphan (`lab gc` ends it)"
    elif record.state is LabState.UP and record.where == "nested" and host_vm_runs is False:
        state = "gone with its host VM (`lab down` forgets it)"
    return SeenLab(record, state, _age_s(directory), _nodes(record, directory))


def _host_vm_runs(desk: Desk, records: tuple[LabRecord, ...]) -> bool | None:
    """None where it does not matter or cannot be told."""
    if not any(record.where == "nested" and record.state is LabState.UP for record in records):
        return None
    try:
        return desk.wiring.host_vm.is_running()
    except HostError:
        return None


def _age_s(directory: Path) -> float:
    """Since the first file of the lab that still is as it was written."""
    times = [path.stat().st_mtime for path in directory.glob("*") if path.is_file()]
    return max(0.0, time.time() - min(times)) if times else 0.0


def _nodes(record: LabRecord, directory: Path) -> tuple[tuple[str, str], ...]:
    try:
        plan: LabPlan = parse_plan_json((directory / "plan.json").read_bytes())
    except (OSError, ValueError):
        return tuple((domain, "") for domain in record.domains)
    return tuple((node.name, node.address) for node in plan.nodes)
