# SPDX-License-Identifier: GPL-2.0-only
"""`lab check`: judge a recording again, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.cli.desk import desk_of
from lab.cli.parameters import JsonOption, JunitOption, KtapOption


def check(
    ctx: typer.Context,
    recording: Annotated[Path, typer.Argument(metavar="RECORDING", help="The directory of a recording.")],
    expect: Annotated[
        Path | None,
        typer.Option("--expect", metavar="TOPOLOGY", help="Judge by this topology's expectations instead."),
    ] = None,
    as_json: JsonOption = False,
    junit: JunitOption = None,
    ktap: KtapOption = False,
) -> int:
    """Judge a recording again. Needs neither the host nor the topology."""
    from lab.cli.judging import check_formats, judge_recording, tell
    from lab.cli.unjudged import unjudged_told

    desk = desk_of(ctx)
    check_formats(as_json=as_json, ktap=ktap)
    with unjudged_told(desk, recording.resolve().name, ktap=ktap, junit=junit):
        judged = judge_recording(recording, expect)
    return tell(desk, judged, as_json=as_json, junit=junit, ktap=ktap)
