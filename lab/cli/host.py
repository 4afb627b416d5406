# SPDX-License-Identifier: GPL-2.0-only
"""`lab host`: the host VM."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lab.cli.desk import Desk, desk_of
from lab.cli.parameters import JsonOption
from lab.errors import InputError


def up(ctx: typer.Context) -> None:
    """Have the host VM running, built if need be. It stays until `lab host down`."""
    desk = desk_of(ctx)
    desk.wiring.host_vm.ensure_up(desk.wiring.host_vm_parts())
    desk.print(_text(_document(desk)))


def down(
    ctx: typer.Context,
    force: Annotated[bool, typer.Option("--force", help="Even if labs are on it.")] = False,
) -> None:
    """End the host VM. The saved state stays, so that the next start is quick."""
    desk = desk_of(ctx)
    labs = [record for record in desk.records.all() if record.where == "nested" and not record.is_orphan()]
    if labs and not force:
        names = ", ".join(f"{record.name} ({record.lab_id})" for record in labs)
        raise InputError(f"labs are on the host VM: {names}", "`lab down` them first, or use --force")
    with desk.interrupts.held():
        ended = desk.wiring.host_vm.down()
    desk.print("the host VM is down" if ended else "the host VM was not running")


def status(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Say whether the host VM runs. Starts nothing."""
    desk = desk_of(ctx)
    document = _document(desk)
    if as_json:
        desk.print_json(document)
    else:
        desk.print(_text(document))


def _document(desk: Desk) -> dict[str, Any]:
    vm = desk.wiring.host_vm
    seen = vm.status()
    return {
        "name": seen.name,
        "running": seen.running,
        "port": seen.port,
        "saved": seen.saved,
        "ssh_config": str(vm.ssh_config),
        "console_log": str(vm.console_log),
    }


def _text(document: dict[str, Any]) -> str:
    saved = "a saved state to start from" if document["saved"] else "no saved state"
    if not document["running"]:
        return f"host VM {document['name']}: not running, {saved}"
    return (
        f"host VM {document['name']}: running, {saved}\n"
        f"  ssh -F {document['ssh_config']} lab-host\n  console: {document['console_log']}"
    )
