# SPDX-License-Identifier: GPL-2.0-only
"""`lab govern`: governors of a running lab's guests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli.desk import Desk, desk_of
from lab.cli.parameters import LabOption
from lab.errors import InputError
from lab.units import parse_duration_ns

if TYPE_CHECKING:
    from lab.cli.running import RunningLab
    from lab.plan.labplan import GovernPlan

_Said = dict[str, str | int | None]


def govern(
    ctx: typer.Context,
    nodes: Annotated[list[str] | None, typer.Argument(metavar="NODE...", help="Nodes of the lab.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All nodes.")] = False,
    source: Annotated[
        str,
        typer.Option(
            help="steal: what each guest counts itself; host: the host says how many vCPUs, and which."
        ),
    ] = "steal",
    high: Annotated[
        str | None, typer.Option(help="Steal above which a core is given up. [default: 4%]")
    ] = None,
    low: Annotated[
        str | None, typer.Option(help="Steal at or below which one is taken back. [default: 1.5%]")
    ] = None,
    period: Annotated[str, typer.Option(help="Time that a decision is made from.")] = "1s",
    policy: Annotated[
        str | None, typer.Option(help="last: highest core first; numa: from all cells. [default: last]")
    ] = None,
    by: Annotated[str, typer.Option(help="How vCPUs are folded: mask, preferred, hotplug, cpuset.")] = "mask",
    min_vcpus: Annotated[int, typer.Option(help="So many vCPUs always stay.")] = 1,
    seconds: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="How long. Default: until Ctrl-C.")
    ] = None,
    lab: LabOption = None,
) -> None:
    """Fold and unfold vCPUs by steal or the host's hint.

    Prints a line for each decision, and unfolds all at the end.
    """
    from lab.cli.running import find_running

    desk = desk_of(ctx)
    said: _Said = {"source": source, "high": high, "low": low, "period": period, "policy": policy, "by": by}
    running = find_running(desk, lab)
    governs = plan_governs(running, nodes or [], every, {**said, "min_vcpus": min_vcpus})
    length_s = None if seconds is None else _seconds(seconds)
    _govern(desk, running, governs, length_s)


def _seconds(text: str) -> float:
    try:
        return parse_duration_ns(text) / 1e9
    except ValueError as error:
        raise InputError(f"--for: {error}") from None


def plan_governs(running: RunningLab, nodes: Sequence[str], every: bool, said: _Said) -> list[GovernPlan]:
    """The governors that were asked for. Raises InputError for what a topology could not say either."""
    from pydantic import ValidationError

    from lab.plan.governing import govern_node, node_cores
    from lab.topology.governspec import GovernSpec

    names = [node.name for node in running.plan.nodes] if every else list(dict.fromkeys(nodes))
    if bool(nodes) == every:
        raise InputError("lab govern: name nodes, or say --all")
    for name in names:
        running.check_node(name)
    try:
        spec = GovernSpec.model_validate({key: value for key, value in said.items() if value is not None})
    except ValidationError as error:
        raise InputError("; ".join(_problem(one) for one in error.errors(include_url=False))) from None
    for name in names:
        node = running.plan.node(name)
        if len(node_cores(node)) < 2:
            raise InputError(f"{name} has one core only; there is nothing to give up")
        if spec.min_vcpus > len(node.vcpus):
            raise InputError(f"--min-vcpus is {spec.min_vcpus}, but {name} has {len(node.vcpus)}")
    return [govern_node(spec, name) for name in names]


def _problem(error: Any) -> str:
    option = f"--{str(error['loc'][0]).replace('_', '-')}: " if error["loc"] else ""
    return option + str(error["msg"]).removeprefix("Value error, ")


def _govern(desk: Desk, running: RunningLab, governs: Sequence[GovernPlan], seconds: float | None) -> None:
    from lab.cli.running import open_running_host, open_running_knobs
    from lab.run.boot import read_guests
    from lab.run.governkept import govern_kept
    from lab.run.records import this_process

    with (
        open_running_host(desk, running) as host,
        open_running_knobs(desk, running, host, this_process()) as knobs,
    ):
        govern_kept(
            host,
            running.plan,
            read_guests(running.directory),
            knobs,
            governs,
            _teller(desk.print),
            seconds,
            desk.interrupts.held,
        )


def _teller(say: Callable[[str], None]) -> Callable[..., None]:
    """Prints every decision, timed from the first on."""
    first_ns: list[int] = []

    def tell(t_ns: int, _kind: str, **data: Any) -> None:
        first_ns.append(t_ns)
        say(render_decision((t_ns - first_ns[0]) / 1e9, data))

    return tell


def render_decision(after_s: float, data: dict[str, Any]) -> str:
    """One decision as a line (lab.recording.Event, `govern`)."""
    words = [f"{after_s:8.1f} s  {data['node']:<16} {data['action']:<9}"]
    if data["source"] == "steal":
        words.append(f"steal {data['seen_pct']:5.1f} % ({data['low_pct']:g} % .. {data['high_pct']:g} %)")
    else:
        words.append(f"wants {data['seen_pct']:5.0f} % of a vCPU")
    words += list(_folding(data))
    return "  ".join(words)


def _folding(data: dict[str, Any]) -> Iterable[str]:
    before, after = (data[key] or "none" for key in ("before", "after"))
    if before != after:
        yield f"folded {before} -> {after}, written in {data['write_ns'] / 1e9:.2f} s"
    else:
        yield f"folded {after}{', no core left for a step' if data['bound'] else ''}"
