# SPDX-License-Identifier: GPL-2.0-only
"""`lab load`: loads of a running lab's topology."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from lab.cli.desk import Desk, desk_of
from lab.cli.parameters import LabOption
from lab.errors import InputError

if TYPE_CHECKING:
    from lab.plan.labplan import HogPlan, LoadPlan
    from lab.run.hogcontrol import HogControl
    from lab.run.ports import Shell

_Result = TypeVar("_Result")

LoadArgument = Annotated[str, typer.Argument(metavar="NAME", help="A load or hog of the lab's topology.")]


def start(ctx: typer.Context, name: LoadArgument, lab: LabOption = None) -> None:
    """Start a load on all the nodes that the topology gives it to, or a hog on the host."""
    from lab.run.guestctl import start_by_hand

    desk = desk_of(ctx)
    if _on_host(desk, lab, name, lambda control, hog: control.launch(hog, hog.duty_pct), "started"):
        return
    loads = _on_each(desk, lab, name, start_by_hand)
    desk.print(f"started {name} on {', '.join(load.node for load, _ in loads)}")


def stop(ctx: typer.Context, name: LoadArgument, lab: LabOption = None) -> None:
    """Stop a load, and tell what it reported, if it does; or a hog."""
    from lab.run.guestctl import stop_by_hand

    desk = desk_of(ctx)
    if _on_host(desk, lab, name, lambda control, hog: control.stop(hog.name), "stopped"):
        return
    loads = _on_each(desk, lab, name, stop_by_hand)
    lines = [line for load, said in loads if said is not None for line in _figures(load, said)]
    desk.print("\n".join([f"stopped {name} on {', '.join(load.node for load, _ in loads)}", *lines]))


def _figures(load: LoadPlan, said: str) -> Iterator[str]:
    from lab.measure.loadparsers import OutputError, read_metric

    for metric in load.metrics:
        try:
            yield f"  {load.node} {metric.name} {read_metric(metric, said):g} {metric.unit}"
        except OutputError as error:
            yield f"  {load.node} {metric.name}: {error}"


def _on_host(
    desk: Desk, lab: str | None, name: str, work: Callable[[HogControl, HogPlan], None], done: str
) -> bool:
    """Whether the name is a hog's; then `work` is done with it."""
    from lab.cli.running import find_running, open_running_host
    from lab.run.hogcontrol import HogControl
    from lab.units import format_cpulist

    running = find_running(desk, lab)
    hog = next((one for one in running.plan.hogs if one.name == name), None)
    if hog is None:
        return False
    with open_running_host(desk, running) as host:
        work(HogControl(host, running.plan, running.record.remote_dir), hog)
    desk.print(f"{done} {name} on pCPU {format_cpulist(hog.pcpus)} of the host")
    return True


def _on_each(
    desk: Desk, lab: str | None, name: str, work: Callable[[Shell, LoadPlan], _Result]
) -> list[tuple[LoadPlan, _Result]]:
    """Each of the nodes that have the load, with what `work` came to there."""
    from lab.cli.running import find_running, open_running_host

    running = find_running(desk, lab)
    loads = [load for load in running.plan.loads if load.name == name]
    if not loads:
        names = [*(load.name for load in running.plan.loads), *(hog.name for hog in running.plan.hogs)]
        known = ", ".join(dict.fromkeys(names)) or "none"
        raise InputError(f"lab {running.plan.name} has no load {name!r} (it has: {known})")

    with open_running_host(desk, running) as host, ThreadPoolExecutor(len(loads)) as pool:

        def work_on(load: LoadPlan) -> _Result:
            shell = running.shell(host, load.node)
            try:
                return work(shell, load)
            finally:
                shell.close()

        return list(zip(loads, pool.map(work_on, loads), strict=True))
