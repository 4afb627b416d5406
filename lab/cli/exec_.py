# SPDX-License-Identifier: GPL-2.0-only
"""`lab exec`: a command in one guest, or in several at the same time."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import Annotated

import typer

from lab.cli.completing import complete_nodes_first
from lab.cli.desk import desk_of
from lab.cli.parameters import LabOption
from lab.errors import HostError, InputError

_Words = Annotated[
    list[str],
    typer.Argument(
        metavar="NODES CMD",
        help="A node, a glob of nodes or several with commas between; the command and its arguments. With --all, "
        "the command only.",
        autocompletion=complete_nodes_first,
    ),
]


def exec_(
    ctx: typer.Context,
    words: _Words,
    everywhere: Annotated[bool, typer.Option("--all", help="In all guests of the lab.")] = False,
    lab: LabOption = None,
) -> int:
    """Run a command in guests.

    `lab exec NODE -- CMD ARGUMENT...`: arguments arrive as they are; use `sh -c '...'` for a shell's syntax.
    In one guest, input and output are the command's, and so is the exit status; 255 where ssh fails. In several
    (`--all`, `'guest*'`, `guest1,guest2`) it runs at the same time, without input, every line comes after its
    node's name, and the exit status is the highest.
    """
    from lab.cli.running import find_running, machine_command

    desk = desk_of(ctx)
    running = find_running(desk, lab)
    nodes = running.node_names() if everywhere else running.select(words[0])
    command = words if everywhere else words[1:]
    if not command:
        raise InputError("lab exec: there is no command", "lab exec NODE -- CMD ARGUMENT...")
    argvs = {node: machine_command(desk, running, node, shlex.join(command)) for node in nodes}
    if everywhere or len(argvs) > 1:
        return _side_by_side(argvs)
    try:
        # OpenSSH and not the lab's own connection: output comes as it is made, and stdin goes through.
        return subprocess.run(argvs[nodes[0]], check=False).returncode
    except FileNotFoundError:
        raise HostError("ssh is not installed", "apt-get install openssh-client") from None


def _side_by_side(argvs: dict[str, list[str]]) -> int:
    from lab.cli.sidebyside import Labelled, run_side_by_side

    commands = [Labelled(node, argv) for node, argv in argvs.items()]
    return max(run_side_by_side(commands, sys.stdout.buffer, sys.stderr.buffer))
