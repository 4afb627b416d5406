# SPDX-License-Identifier: GPL-2.0-only
"""Parameters that several verbs share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.cli.completing import complete_labs, complete_nodes

TopologyFile = Annotated[Path, typer.Argument(metavar="TOPOLOGY", help="A topology file.")]
HostOption = Annotated[
    str | None,
    typer.Option(
        "--host",
        metavar="WHERE",
        help="Where the guests run: auto, local, nested or ssh://user@host. Default: what the topology says.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
JunitOption = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Also write the verdicts as JUnit XML.")
]
KtapOption = Annotated[
    bool, typer.Option("--ktap", help="Print KTAP (the kernel's format of test results) instead of tables.")
]
LabOption = Annotated[
    str | None,
    typer.Option(
        "--lab",
        metavar="NAME",
        help="Name or id of the lab. Default: the only one that is up.",
        autocompletion=complete_labs,
    ),
]
OfHostOption = Annotated[bool, typer.Option("--host", help="The host's knob instead of a node's.")]
NodeArgument = Annotated[
    str, typer.Argument(metavar="NODE", help="A node of the lab.", autocompletion=complete_nodes)
]
RecordOption = Annotated[
    Path | None,
    typer.Option(
        "--record",
        metavar="DIR",
        help="Directory of the recording, new or empty. Default: a fresh one under the state directory.",
    ),
]
VotesOption = Annotated[
    int,
    typer.Option(
        "--votes", metavar="N", help="Runs with a verdict whose majority decides a commit (bisecting)."
    ),
]
AttemptsOption = Annotated[
    int,
    typer.Option(
        "--attempts", metavar="N", help="Runs without a verdict after which a commit is skipped (bisecting)."
    ),
]
LostIsBadOption = Annotated[
    bool,
    typer.Option(
        "--lost-is-bad",
        help="A guest that dies or does not boot is what is looked for: such a commit is bad (bisecting).",
    ),
]
