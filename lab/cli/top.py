# SPDX-License-Identifier: GPL-2.0-only
"""`lab top`: a running lab, full screen, or as one frame of text."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.desk import Desk, desk_of
from lab.errors import LabFailure

if TYPE_CHECKING:
    from lab.cli.running import RunningLab
    from lab.cli.topports import Source
    from lab.live.state import LiveState

#: The longest that one frame waits for everybody to be heard, and for anybody.
_ALL_S = 8.0
_ANYBODY_S = 40.0
_POLL_S = 0.1


def top(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Name or id of the lab. Default: the only one.")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Print one frame as text; so it is wherever stdout is no terminal.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for a lab where there is none yet.")] = False,
    interval: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.5, max=10, help="How often to look.")
    ] = 1.0,
) -> int:
    """Watch a running lab: pCPUs, vCPUs, steal, loads, knobs.

    Of `lab up`, or of a run in another terminal. Keys: ? shows them.
    """
    from lab.cli.toplabs import find_seen

    desk = desk_of(ctx)
    lab = find_seen(desk, name, wait)
    if once or not (sys.stdout.isatty() and sys.stdin.isatty()):
        return _print_frame(desk, lab, interval)
    return _show(desk, lab, interval)


def _print_frame(desk: Desk, lab: RunningLab, interval_s: float) -> int:
    from lab.cli.topsource import LabSource
    from lab.live.text import render_frame

    source = LabSource(desk, lab, round(1000 * interval_s))
    source.start()
    try:
        state = collect(source, _ALL_S + 3 * interval_s, _ANYBODY_S)
    finally:
        source.close()
    width = shutil.get_terminal_size((80, 24)).columns
    lines = render_frame(state, width, title=source.title)
    desk.print("\n".join(line.text.rstrip() for line in lines))
    return 0


def collect(source: Source, all_s: float, anybody_s: float) -> LiveState:
    """A state in which everybody has been heard long enough for rates; after `all_s` one in which the host has.

    Raises LabFailure where nothing was heard for `anybody_s`.
    """
    from lab.live.state import LiveState
    from lab.live.step import advance

    state, started = LiveState(source.plan), time.monotonic()
    while True:
        for update in source.news():
            state = advance(state, update)
        waited_s = time.monotonic() - started
        if _has_rates(state, everybody=waited_s < all_s):
            return state
        if waited_s > anybody_s:
            why = f": {state.trouble}" if state.trouble else ""
            raise LabFailure(
                f"nothing was heard of lab {source.plan.name} within {anybody_s:.0f} s{why}",
                "`lab status` says whether it is up",
            )
        time.sleep(_POLL_S)


def _has_rates(state: LiveState, *, everybody: bool) -> bool:
    """Of all vCPUs both sides, unless they are gone or offline; or else of anything."""
    from lab.live.rows import pcpu_rows, vcpu_rows

    if not everybody:
        return any(row.busy_pct is not None for row in pcpu_rows(state))
    return all(
        row.state in ("gone", "offline") or None not in (row.runs_pct, row.guest_steal_pct)
        for row in vcpu_rows(state)
    )


def _show(desk: Desk, lab: RunningLab, interval_s: float) -> int:
    from lab.cli.topapp import TopApp
    from lab.cli.topknobs import LabBench
    from lab.cli.topsource import LabSource
    from lab.live.state import Happening

    source = LabSource(desk, lab, round(1000 * interval_s))
    app = TopApp(source, LabBench(desk, lab, lambda text: source.tell(Happening(0, text, "good"))))
    source.start()
    try:
        app.run()
    finally:
        desk.interrupts.install()  # textual's loop had taken signals over
        source.close()
    return int(app.return_code or 0)
