# SPDX-License-Identifier: GPL-2.0-only
"""`lab exec`: a command in a guest, its output and its exit status passed through."""

from __future__ import annotations

import shlex
import subprocess
from typing import Annotated

import typer

from lab.cli.desk import desk_of
from lab.cli.parameters import LabOption, NodeArgument
from lab.errors import HostError


def exec_(
    ctx: typer.Context,
    node: NodeArgument,
    command: Annotated[list[str], typer.Argument(metavar="CMD", help="The command and its arguments.")],
    lab: LabOption = None,
) -> int:
    """Run a command in a guest.

    `lab exec NODE -- CMD ARGUMENT...`: arguments arrive as they are; use `sh -c '...'` for a shell's syntax.
    Exits with the command's status, or 255 where ssh fails.
    """
    from lab.cli.running import find_running, write_ssh_config

    desk = desk_of(ctx)
    running = find_running(desk, lab)
    running.check_node(node)
    config = write_ssh_config(desk, running)
    # OpenSSH and not the lab's own connection: output comes as it is made, and stdin goes through.
    argv = ["ssh", "-F", str(config), "-T", "-o", "BatchMode=yes", node, shlex.join(command)]
    try:
        return subprocess.run(argv, check=False).returncode
    except FileNotFoundError:
        raise HostError("ssh is not installed", "apt-get install openssh-client") from None
