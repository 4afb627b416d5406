# SPDX-License-Identifier: GPL-2.0-only
"""`lab run`: the whole experiment, from topology to verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.desk import Desk, desk_of
from lab.cli.parameters import (
    AttemptsOption,
    HostOption,
    JsonOption,
    JunitOption,
    KtapOption,
    LostIsBadOption,
    RecordOption,
    TopologyFile,
    VotesOption,
)

if TYPE_CHECKING:
    from lab.cli.judging import Judged
    from lab.plan.facts import HostFacts
    from lab.plan.labplan import LabPlan
    from lab.run.lab import Surroundings
    from lab.run.ports import Host
    from lab.topology.model import Topology


def run(
    ctx: typer.Context,
    topology: TopologyFile,
    record: RecordOption = None,
    host: HostOption = None,
    as_json: JsonOption = False,
    junit: JunitOption = None,
    ktap: KtapOption = False,
    bisect: Annotated[
        bool,
        typer.Option(
            "--bisect", help="Exit for `git bisect run`: 0 good, 1 bad, 125 skip, 128 and more stop."
        ),
    ] = False,
    votes: VotesOption = 1,
    attempts: AttemptsOption = 3,
    lost_is_bad: LostIsBadOption = False,
) -> int:
    """Run an experiment and judge it.

    Brings the topology up, runs its phases, records, judges, and takes everything down again.

    With --bisect it is run until it is decided, and --record names the directory of all runs of the bisection. 125
    is a kernel that does not build or boot, a run that decides nothing, an unfit host, anything unexpected. Bad
    input, which would be bad at every commit, ends in 255 and Ctrl-C in 130: both stop git. `lab bisect` needs no
    `git bisect run`.
    """
    if bisect:
        return _for_bisect(
            desk_of(ctx),
            topology,
            record,
            host,
            (votes, attempts),
            lost_is_bad,
            as_json or ktap or bool(junit),
        )
    from lab.cli.judging import check_formats, tell
    from lab.cli.unjudged import unjudged_told

    desk = desk_of(ctx)
    check_formats(as_json=as_json, ktap=ktap)
    with unjudged_told(desk, topology.stem, ktap=ktap, junit=junit):
        judged = _run(desk, topology, record, host)
    return tell(desk, judged, as_json=as_json, junit=junit, ktap=ktap)


def _for_bisect(
    desk: Desk,
    topology: Path,
    record: Path | None,
    host: str | None,
    rules: tuple[int, int],
    lost_is_bad: bool,
    other_output: bool,
) -> int:
    from lab.bisect.model import Rules
    from lab.cli.bisectcodes import STOP
    from lab.cli.bisectrun import BisectRun, run_for_bisect

    if other_output:
        desk.terminal.error("lab: error: --bisect excludes --json, --ktap and --junit")
        return STOP
    return run_for_bisect(desk, BisectRun(topology, record, host, Rules(*rules), lost_is_bad))


def _run(desk: Desk, topology: Path, record: Path | None, host: str | None) -> Judged:
    from lab.cli.asked import asked_where, read_asked
    from lab.cli.judging import judge_recording
    from lab.recording import claim_directory

    asked = read_asked(topology, desk.places)
    where = asked_where(host, asked)
    directory = record or fresh_directory(desk.places.state_dir, asked.name)
    claim_directory(directory)
    desk.terminal.say(f"recording: {directory}")
    run_topology(desk, asked, desk.wiring.resolve_where(where), directory)
    return judge_recording(directory)


def run_topology(
    desk: Desk,
    topology: Topology,
    where: str,
    directory: Path,
    make_plan: Callable[[HostFacts], LabPlan] | None = None,
) -> None:
    """Carry a topology out on the host `where` (never auto) and leave a recording in `directory`. `make_plan` makes
    its plan, where that is not what follows from the topology alone."""
    from lab.adapters.commands import ProcessCommands
    from lab.cli.decoding import decode_quietly
    from lab.run.definitions import keep_inputs
    from lab.run.experiment import run_experiment

    @contextmanager
    def open_host() -> Iterator[tuple[Host, LabPlan, Surroundings]]:
        """What is built depends on the host: its facts decide how guest kernels are configured."""
        with desk.wiring.open_host(where) as host:
            plan = make_plan(host.facts) if make_plan else desk.wiring.plan(topology, host.facts)
            yield host, plan, desk.surroundings(desk.wiring.launch(plan))

    try:
        run_experiment(open_host, desk.narrator, topology.text, directory)
    finally:
        keep_inputs(topology, directory, desk.places.images_dir)
    desk.terminal.end_step()
    decode_quietly(directory, desk.places.cache_dir, ProcessCommands())


def fresh_directory(state_dir: Path, name: str) -> Path:
    """A directory for a recording that nobody named, which is not there yet."""
    stem = state_dir / "recordings" / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    candidate, number = stem, 1
    while candidate.exists():
        number += 1
        candidate = stem.with_name(f"{stem.name}-{number}")
    return candidate
