# SPDX-License-Identifier: GPL-2.0-only
"""`lab up`: guests that stay until `lab down`."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.desk import Desk, desk_of
from lab.cli.parameters import HostOption, TopologyFile
from lab.errors import GuestPanicked, InputError, Lost

if TYPE_CHECKING:
    from lab.plan.facts import HostFacts
    from lab.plan.labplan import LabPlan
    from lab.recording import Event
    from lab.run.events import Journal
    from lab.topology.model import Topology

#: Labs lost while they come up before this gives in.
_ATTEMPTS = 3


def up(
    ctx: typer.Context,
    topology: TopologyFile,
    host: HostOption = None,
    gdb: Annotated[
        list[str] | None,
        typer.Option("--gdb", metavar="NODE", help="Let a debugger attach to this guest. May be repeated."),
    ] = None,
) -> None:
    """Bring a topology up to work with.

    It stays until `lab down`. Its knobs are set; loads and phases are yours.
    """
    from lab.cli.asked import asked_where, read_asked

    desk = desk_of(ctx)
    asked = read_asked(topology, desk.places)
    _check_nodes(asked, gdb or [])
    where = asked_where(host, asked)
    where = desk.wiring.resolve_where(where)
    plan = bring_up(desk, where, lambda facts: desk.wiring.plan(asked, facts))
    desk.print(render_next_steps(plan))
    for node in gdb or []:
        desk.print(_gdb_lines(desk, plan, node))


def _check_nodes(asked: Topology, nodes: list[str]) -> None:
    known = [node.name for node in asked.nodes]
    for node in nodes:
        if node not in known:
            raise InputError(
                f"--gdb {node}: topology {asked.name} has no such node (it has: {', '.join(known)})"
            )


def _gdb_lines(desk: Desk, plan: LabPlan, node: str) -> str:
    """How to attach, now that QEMU listens."""
    from lab.cli.debugging import gdb_words
    from lab.cli.running import find_running, open_running_host

    running = find_running(desk, plan.lab_id)
    with open_running_host(desk, running) as host:
        words = gdb_words(desk, running, host, node)
    return f"\n  lab gdb {node}\n  {shlex.join(words)}\n"


def bring_up(desk: Desk, where: str, make_plan: Callable[[HostFacts], LabPlan]) -> LabPlan:
    """Bring up what is planned for the host `where` (never auto), again if it is lost meanwhile; it stays."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return _up_once(desk, where, make_plan)
        except GuestPanicked:
            raise  # its kernel would again
        except Lost as error:
            desk.terminal.say(f"{error.message.splitlines()[0]}: trying again")
    return _up_once(desk, where, make_plan)


def _up_once(desk: Desk, where: str, make_plan: Callable[[HostFacts], LabPlan]) -> LabPlan:
    from lab.run.events import write_events
    from lab.run.lab import keep_lab, open_lab
    from lab.run.phases import PhaseRunner

    with desk.wiring.open_host(where) as host:
        plan = make_plan(host.facts)
        for node in plan.nodes:
            desk.terminal.stage(node.name, f"needs kernel {node.kernel}")
        around = desk.surroundings(desk.wiring.launch(plan))
        with open_lab(host, plan, around, _told_journal(desk, plan)) as lab:
            PhaseRunner(lab, desk.narrator, lambda _stats: None).set_knobs(plan.knobs)
            write_events(lab.directory, lab.journal.events)
            keep_lab(around, lab)
    desk.terminal.forget_stages()
    return plan


def _told_journal(desk: Desk, plan: LabPlan) -> Journal:
    """A journal whose news of booting nodes is told to whoever looks."""
    from lab.run.events import Journal

    def tell(event: Event) -> None:
        if event.kind == "ready":
            desk.terminal.stage(event.data["node"], f"its probe spoke after {event.data['boot_s']} s", True)
        elif event.kind == "retry" and event.data["what"] in boots:
            desk.terminal.stage(boots[event.data["what"]], f"boots again: {event.data['reason']}")

    boots = {f"boot of guest {node.name}": node.name for node in plan.nodes}
    desk.terminal.step(f"bringing up {plan.name}")
    for node in plan.nodes:
        desk.terminal.stage(node.name, "boots")
    journal = Journal()
    journal.attach(tell)
    return journal


def render_next_steps(plan: LabPlan) -> str:
    """What is up, and what can be done with it."""
    node = plan.nodes[0].name
    lines = [f"lab {plan.name} ({plan.lab_id}) is up on {plan.host.where}", ""]
    lines += [f"  {one.name:<16} {one.address}" for one in plan.nodes]
    lines += ["", f"  lab ssh {node}", f"  lab exec {node} -- cat /proc/stat", f"  lab knob list {node}"]
    lines += [f"  lab load start {name}" for name in dict.fromkeys(load.name for load in plan.loads)]
    return "\n".join([*lines, f"  lab top {plan.name}", f"  lab down {plan.name}"]) + "\n"
