# SPDX-License-Identifier: GPL-2.0-only
"""`lab decode`: what kernels reported on the consoles of a recording, with files and lines."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from lab.cli.desk import desk_of
from lab.cli.parameters import JsonOption
from lab.errors import ExitCode, InputError


def decode(
    ctx: typer.Context,
    recording: Annotated[Path, typer.Argument(metavar="RECORDING", help="The directory of a recording.")],
    node: Annotated[
        str | None, typer.Argument(metavar="[NODE]", help="One of its nodes. Default: all, and the host VM.")
    ] = None,
    vmlinux: Annotated[
        Path | None,
        typer.Option(
            "--vmlinux",
            metavar="FILE",
            help="The vmlinux of the kernel's build. Default: what the cache keeps of the kernel that ran.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Show what kernels reported on consoles, decoded.

    Files and lines need a kernel with `debug_info: true`. What was decoded is kept in the recording, where
    `lab check` and `lab report` find it. Exit status: 0, whatever was found.
    """
    from lab.adapters.commands import ProcessCommands
    from lab.cli.decoding import RecordingDecoder, decoded_document, keep_decoded, render_decoded
    from lab.judge.findings import finding_document, headline
    from lab.recording import Recording

    desk = desk_of(ctx)
    opened = Recording(recording)
    plan = opened.plan()
    names = [one.name for one in plan.nodes]
    if node is not None and node not in names:
        raise InputError(f"{recording}: has no node {node!r} (it has: {', '.join(names)})")
    decoder = RecordingDecoder(opened, desk.places.cache_dir, ProcessCommands(), vmlinux)
    decoded = decoder.decode(node)
    with suppress(OSError):  # somebody else's recording may be read-only
        keep_decoded(recording, [*decoder.findings(), *decoded.findings])
    if as_json:
        documents = [finding_document(one, plan) for one in decoded.findings]
        desk.print_json(decoded_document(decoded, documents))
    else:
        desk.print(render_decoded(decoded, [headline(one) for one in decoded.findings]))
    return ExitCode.PASSED
