# SPDX-License-Identifier: GPL-2.0-only
"""`lab ssh`: OpenSSH into a guest."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from lab.cli.desk import desk_of
from lab.cli.parameters import LabOption, NodeArgument
from lab.errors import HostError


def ssh(
    ctx: typer.Context,
    node: NodeArgument,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[CMD]", help="A command instead of a login shell.")
    ] = None,
    lab: LabOption = None,
) -> None:
    """Open a shell in a guest.

    `lab ssh NODE -- CMD` runs a command instead. This process becomes ssh.
    """
    from lab.cli.running import find_running, write_ssh_config

    desk = desk_of(ctx)
    running = find_running(desk, lab)
    running.check_node(node)
    config = write_ssh_config(desk, running)
    desk.terminal.end_step()
    try:
        os.execvp("ssh", ["ssh", "-F", str(config), node, *(command or [])])
    except FileNotFoundError:
        raise HostError("ssh is not installed", "apt-get install openssh-client") from None
