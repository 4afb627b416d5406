# SPDX-License-Identifier: GPL-2.0-only
"""`lab knob watch`: changes of knobs as they happen, on both clocks."""

from __future__ import annotations

import shlex
import subprocess
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.desk import Desk, desk_of
from lab.cli.parameters import LabOption, OfHostOption

if TYPE_CHECKING:
    from lab.cli.knobtarget import Target
    from lab.plan.labplan import KnobCandidate, KnobSetting
    from lab.run.knobmachines import KnobMachine
    from lab.run.pvknob import Line

_Words = Annotated[
    list[str],
    typer.Argument(metavar="NODE KNOB...", help="Names, or absolute paths there. Of --host, leave NODE out."),
]
#: Questions after a clock; the narrowest answer counts.
_CLOCK_QUESTIONS = 5


def watch(
    ctx: typer.Context,
    words: _Words,
    of_host: OfHostOption = False,
    interval_ms: Annotated[
        int, typer.Option("--interval", metavar="MS", min=10, help="How often to look.")
    ] = 100,
    seconds: Annotated[
        float | None, typer.Option("--for", metavar="SECONDS", help="Stop then; else at Ctrl-C.")
    ] = None,
    lab: LabOption = None,
) -> None:
    """Print knobs, and their changes as they happen.

    Each with the host's clock and the machine's own. This goes over ssh and is no measurement: a change that is
    undone between two looks is not seen.
    """
    from lab.cli.knobtarget import find_target
    from lab.plan.knobs import plan_reading_in

    desk = desk_of(ctx)
    target = find_target(desk, "watch", words, of_host, lab, ("KNOB...",))
    settings = [one for name in target.words for one in plan_reading_in(target.lab.plan, target.node, name)]
    _watch(desk, target, settings, interval_ms, seconds)


@dataclass(frozen=True)
class ClockOffset:
    """What to add to a machine's clock to have the host's, give or take `error_ns`."""

    offset_ns: int
    error_ns: int


def _watch(
    desk: Desk, target: Target, settings: Sequence[KnobSetting], interval_ms: int, seconds: float | None
) -> None:
    from lab.cli.knobtarget import open_target_machines
    from lab.cli.running import machine_command
    from lab.plan.labplan import HOST_SCOPE
    from lab.run.knobchoice import backing_places
    from lab.run.pvknob import candidate_word

    over = threading.Event()
    with ExitStack() as stack:
        machines = stack.enter_context(open_target_machines(desk, target))
        threads = []
        for node in dict.fromkeys(one.node for one in settings):
            machine = machines(node)
            places = backing_places(machine, [one for one in settings if one.node == node])
            offset = measure_offset(machine, machines(HOST_SCOPE))
            words = ["watch", str(interval_ms), *(candidate_word(place) for _, place in places)]
            argv = machine_command(desk, target.lab, node, shlex.join([machine.program, *words]))
            child = stack.enter_context(_Child(argv))
            names = {candidate_word(place): (setting, place) for setting, place in places}
            printer = _Printer(desk, target.name, names, offset)
            threads.append(threading.Thread(target=_follow, args=(child, printer, over), daemon=True))
            threads[-1].start()
        over.wait(seconds)


class _Child:
    """pvknob while it watches; it ends when its standard input does."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def __enter__(self) -> subprocess.Popen[str]:
        return self.process

    def __exit__(self, *exc_info: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _follow(child: subprocess.Popen[str], printer: _Printer, over: threading.Event) -> None:
    from lab.run.pvknob import parse_line

    assert child.stdout is not None
    for text in child.stdout:
        printer.tell(parse_line(text.rstrip("\n")))
    over.set()  # a machine that is gone ends the watching


@dataclass(frozen=True)
class _Printer:
    desk: Desk
    name: str
    names: dict[str, tuple[KnobSetting, KnobCandidate]]
    offset: ClockOffset

    def tell(self, line: Line) -> None:
        from lab.cli.knobtarget import vcpu_of
        from lab.run.knobchoice import in_own_unit

        if line.kind not in ("value", "changed"):
            return
        setting, place = self.names[line["word"]]
        old, new = (in_own_unit(place, line[key]) or "empty" for key in ("old", "value"))
        change = new if line.kind == "value" else f"{old} -> {new}"
        times = render_times(int(line["t_ns"]), self.offset)
        self.desk.print(f"{times}  {self.name} {setting.knob}{vcpu_of(setting)}: {change}")


def render_times(t_ns: int, offset: ClockOffset) -> str:
    """Both clocks in seconds, the host's with what it may be off."""
    host_s, error_ms = (t_ns + offset.offset_ns) / 1e9, offset.error_ns / 1e6
    return f"host {host_s:.3f} s (+-{error_ms:.1f} ms)  own {t_ns / 1e9:.3f} s"


def measure_offset(machine: KnobMachine, host: KnobMachine) -> ClockOffset:
    """Ask the host, the machine, the host again: the machine's answer is from between."""
    if machine.name == host.name:
        return ClockOffset(0, 0)
    found = []
    for _ in range(_CLOCK_QUESTIONS):
        before, own, after = (_clock_ns(one) for one in (host, machine, host))
        found.append(ClockOffset((before + after) // 2 - own, (after - before) // 2))
    return min(found, key=lambda one: one.error_ns)


def _clock_ns(machine: KnobMachine) -> int:
    return int(machine.ask(["clock"]).lines[0]["t_ns"])
