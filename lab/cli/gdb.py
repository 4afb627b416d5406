# SPDX-License-Identifier: GPL-2.0-only
"""`lab gdb`: a debugger on the kernel of a running guest."""

from __future__ import annotations

import os
import shlex
from typing import Annotated

import typer

from lab.cli.desk import desk_of
from lab.cli.parameters import LabOption, NodeArgument
from lab.errors import ExitCode, HostError


def gdb(
    ctx: typer.Context,
    node: NodeArgument,
    lab: LabOption = None,
    show: Annotated[
        bool, typer.Option("--print", help="Print the command that attaches instead of running it.")
    ] = False,
) -> int:
    """Attach gdb to a guest's kernel.

    The guest stands still until gdb detaches. This process becomes gdb. Symbols are those of the kernel in the
    cache; types, files and lines need `debug_info: true` under it in the topology.
    """
    from lab.cli.debugging import gdb_words, symbols_note
    from lab.cli.running import find_running, open_running_host

    desk = desk_of(ctx)
    running = find_running(desk, lab)
    running.check_node(node)
    with open_running_host(desk, running) as host:
        words = gdb_words(desk, running, host, node)
    if words[-2] == "-ex":
        desk.terminal.say(symbols_note(running.plan, node))
    if show:
        desk.print(shlex.join(words) + "\n")
        return ExitCode.PASSED
    desk.terminal.end_step()
    try:
        os.execvp("gdb", words)
    except FileNotFoundError:
        raise HostError("gdb is not installed", "apt-get install gdb") from None
