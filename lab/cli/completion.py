# SPDX-License-Identifier: GPL-2.0-only
"""`lab completion`: what makes a shell complete `lab`'s words."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

from lab.cli.desk import desk_of

#: By this variable a shell's completion asks `lab` what it would offer (Typer's own protocol).
COMPLETE_VARIABLE = "_LAB_COMPLETE"


class Shell(StrEnum):
    """Shells there is a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    ctx: typer.Context, shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")]
) -> None:
    """Print a script that completes verbs, options, labs and nodes.

    \b
    bash:  source <(lab completion bash)
    zsh:   source <(lab completion zsh)      after compinit
    fish:  lab completion fish | source
    """
    from typer._completion_shared import get_completion_script

    script = get_completion_script(prog_name="lab", complete_var=COMPLETE_VARIABLE, shell=shell.value)
    desk_of(ctx).print(script)


def answer_completion() -> None:
    """Get ready to answer a shell, where it is one that calls: Typer does so only for commands with options of its
    own for it."""
    if COMPLETE_VARIABLE in os.environ:
        from typer._completion_classes import completion_init

        completion_init()
