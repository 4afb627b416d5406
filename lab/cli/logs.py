# SPDX-License-Identifier: GPL-2.0-only
"""`lab logs`: what guests and the lab said."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.completing import complete_nodes
from lab.cli.desk import Desk, desk_of
from lab.cli.parameters import LabOption
from lab.errors import InputError

if TYPE_CHECKING:
    from lab.cli.running import RunningLab
    from lab.cli.sidebyside import Labelled
    from lab.measure.happened import EventLike

_Nodes = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NODE", help="Nodes, or globs of them. Default: all.", autocompletion=complete_nodes
    ),
]
#: A record of /dev/kmsg (Documentation/ABI/testing/dev-kmsg): priority, sequence, microseconds, flags; message.
_KMSG = re.compile(rb"\d+,\d+,(\d+),[^;]*;(.*)", re.DOTALL)


def logs(
    ctx: typer.Context,
    nodes: _Nodes = None,
    kernel: Annotated[
        bool, typer.Option("--kernel", help="The guests' kernel logs, over ssh, instead of their consoles.")
    ] = False,
    events: Annotated[
        bool, typer.Option("--events", help="What the lab did, instead of what guests said.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[
        int | None, typer.Option("--lines", "-n", metavar="N", min=0, help="Only the last N lines of each.")
    ] = None,
    recording: Annotated[
        Path | None,
        typer.Option("--recording", metavar="DIR", help="Of a recording instead of a running lab."),
    ] = None,
    lab: LabOption = None,
) -> int:
    """Print consoles, kernel logs or events.

    Of several nodes, each line comes after its node's name.
    """
    if kernel and events:
        raise InputError("lab logs: --kernel and --events exclude each other")
    desk = desk_of(ctx)
    if recording is not None:
        if kernel or follow:
            raise InputError("lab logs: a recording has consoles and events, and neither grows")
        return _of_recording(desk, recording, nodes or ["*"], events, lines)
    from lab.cli.running import find_running

    running = find_running(desk, lab)
    if events:
        return _events(desk, running, follow, lines)
    chosen = running.select(",".join(nodes or ["*"]))
    source = _kernel_logs if kernel else _consoles
    return _print(source(desk, running, chosen, follow, lines), follow)


def _print(commands: Sequence[Labelled], follow: bool) -> int:
    from lab.cli.sidebyside import AT_ONCE, run_side_by_side

    # What follows never makes room for another.
    at_once = len(commands) if follow else AT_ONCE
    return max(run_side_by_side(commands, sys.stdout.buffer, sys.stderr.buffer, at_once))


def _consoles(
    desk: Desk, running: RunningLab, nodes: Sequence[str], follow: bool, lines: int | None
) -> list[Labelled]:
    from lab.cli.running import machine_command
    from lab.cli.sidebyside import Labelled
    from lab.plan.labplan import HOST_SCOPE
    from lab.run.boot import read_guests

    guests = read_guests(running.directory)

    def command(node: str) -> list[str]:
        words = _tail(guests[node].paths.console_log, follow, lines)
        return machine_command(desk, running, HOST_SCOPE, shlex.join(words))

    return [Labelled(_label(node, nodes), command(node), without_return) for node in nodes]


def _kernel_logs(
    desk: Desk, running: RunningLab, nodes: Sequence[str], follow: bool, lines: int | None
) -> list[Labelled]:
    """/dev/kmsg never ends: who does not follow it asks dmesg."""
    from lab.cli.running import machine_command
    from lab.cli.sidebyside import Labelled

    if follow and lines is not None:
        raise InputError("lab logs: --kernel --follow prints all of a kernel's log; leave --lines out")
    last = "cat /dev/kmsg" if follow else "dmesg" if lines is None else f"dmesg | tail -n {lines}"
    return [
        Labelled(_label(node, nodes), machine_command(desk, running, node, last), kmsg_line) for node in nodes
    ]


def _events(desk: Desk, running: RunningLab, follow: bool, lines: int | None) -> int:
    """Of a lab that is up: what happened until it was."""
    if follow:
        raise InputError("lab logs: the events of a lab that is up do not grow: they are of its coming up")
    _print_events(desk, running.directory, lines)
    return 0


def _of_recording(desk: Desk, directory: Path, wanted: Sequence[str], events: bool, lines: int | None) -> int:
    from fnmatch import fnmatchcase

    from lab.recording import Recording

    recording = Recording(directory)
    if events:
        _print_events(desk, directory, lines)
        return 0
    names = [node.name for node in recording.plan().nodes]
    chosen = [name for name in names if any(fnmatchcase(name, glob) for glob in wanted)]
    if not chosen:
        raise InputError(f"{directory}: no node fits {' '.join(wanted)} (it has: {', '.join(names)})")
    width = max(map(len, chosen))
    for name in chosen:
        prefix = f"{name:<{width}} | " if len(chosen) > 1 else ""
        said = [f"{prefix}{line}\n" for line in recording.console(name).splitlines()]
        if shown := said[_from(said, lines) :]:
            desk.print("".join(shown))
    return 0


def _print_events(desk: Desk, directory: Path, lines: int | None) -> None:
    from lab.recording import EVENTS_FILE, read_events

    said = [event_line(event) for event in read_events(directory / EVENTS_FILE)]
    if shown := said[_from(said, lines) :]:
        desk.print("\n".join(shown))


def _from(said: Sequence[str], lines: int | None) -> int:
    return 0 if lines is None else max(0, len(said) - lines)


def event_line(event: EventLike) -> str:
    """``    12.345 s  load-start   load busy, node guest1``: the host's clock, the kind, what it is about."""
    about = ", ".join(f"{key} {value}" for key, value in event.data.items() if value not in (None, ""))
    when = f"{event.t_ns / 1e9:10.3f} s" if event.t_ns else f"{'':10}  "
    return f"{when}  {event.kind:<12}  {about}".rstrip()


def _tail(path: str, follow: bool, lines: int | None) -> list[str]:
    if not follow and lines is None:
        return ["cat", path]
    return ["tail", "-n", "+1" if lines is None else str(lines), *(["-f"] if follow else []), path]


def _label(node: str, nodes: Sequence[str]) -> str:
    return node if len(nodes) > 1 else ""


def without_return(line: bytes) -> bytes:
    """A line of a console: serial ones end lines by two bytes."""
    return line.rstrip(b"\r")


def kmsg_line(line: bytes) -> bytes:
    """A record of /dev/kmsg as dmesg prints it; other lines as they are."""
    match = _KMSG.fullmatch(line)
    if match is None:
        return line
    seconds, micros = divmod(int(match[1]), 1_000_000)
    return b"[%5d.%06d] %s" % (seconds, micros, match[2])
