# SPDX-License-Identifier: GPL-2.0-only
"""`lab dump`: the memory and registers of a guest, as a file for debuggers."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.desk import desk_of
from lab.cli.parameters import LabOption, NodeArgument
from lab.errors import ExitCode, InputError

if TYPE_CHECKING:
    from lab.cli.running import RunningLab
    from lab.run.ports import Host

_REMOVE_TIMEOUT_S = 60


class DumpForm(StrEnum):
    """How memory is written down."""

    ELF = "elf"
    KDUMP_ZLIB = "kdump-zlib"


def dump(
    ctx: typer.Context,
    node: NodeArgument,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where to; a new file.")],
    form: Annotated[
        DumpForm,
        typer.Option(
            "--format", help="elf: what gdb opens; kdump-zlib: compressed, in makedumpfile's format."
        ),
    ] = DumpForm.ELF,
    lab: LabOption = None,
) -> int:
    """Write a guest's memory and registers into a file.

    The guest stands still meanwhile and goes on then. `gdb VMLINUX FILE` opens an ELF dump: the kernel's addresses
    are in it.
    """
    from lab.cli.debugging import find_symbols, symbols_note
    from lab.cli.running import find_running, open_running_host
    from lab.run.coredump import add_kernel_addresses

    desk = desk_of(ctx)
    running = find_running(desk, lab)
    running.check_node(node)
    if output.exists():
        raise InputError(f"{output}: exists already", "-o names a new file")
    if not output.absolute().parent.is_dir():
        raise InputError(f"{output}: its directory does not exist")
    desk.terminal.step(f"dumping {node}")
    with open_running_host(desk, running) as host:
        _fetch_dump(running, host, node, output, form)
    desk.terminal.end_step()
    told = form is DumpForm.ELF and running.plan.host.arch == "x86_64" and add_kernel_addresses(output)
    symbols = find_symbols(desk, running.plan, node)
    if symbols is None:
        desk.terminal.say(symbols_note(running.plan, node))
    desk.print(f"{output}: {output.stat().st_size / 2**20:.0f} MiB\n")
    if told:
        desk.print(f"gdb {shlex.join([str(symbols or 'VMLINUX'), str(output)])}\n")
    return ExitCode.PASSED


def _fetch_dump(lab: RunningLab, host: Host, node: str, output: Path, form: DumpForm) -> None:
    """A file that is there is whole."""
    there = f"{lab.record.remote_dir}/{node}.dump"
    part = output.with_name(f"{output.name}.part")
    try:
        host.hypervisor.dump_memory(lab.plan.node(node).domain, there, compressed=form is not DumpForm.ELF)
        host.shell.fetch(there, part)
        part.rename(output)
    finally:
        part.unlink(missing_ok=True)
        host.shell.run(f"rm -f {shlex.quote(there)}", timeout_s=_REMOVE_TIMEOUT_S, check=False)
