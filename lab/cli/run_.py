# SPDX-License-Identifier: GPL-2.0-only
"""`lab run`: the whole experiment, from topology to verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.desk import Desk, desk_of
from lab.cli.parameters import HostOption, JsonOption, JunitOption, KtapOption, TopologyFile

if TYPE_CHECKING:
    from lab.cli.judging import Judged
    from lab.plan.labplan import LabPlan
    from lab.run.lab import Surroundings
    from lab.run.ports import Host
    from lab.topology.model import Topology


def run(
    ctx: typer.Context,
    topology: TopologyFile,
    record: Annotated[
        Path | None,
        typer.Option(
            "--record",
            metavar="DIR",
            help="Directory of the recording, new or empty. Default: a fresh one under the state directory.",
        ),
    ] = None,
    host: HostOption = None,
    as_json: JsonOption = False,
    junit: JunitOption = None,
    ktap: KtapOption = False,
) -> int:
    """Run an experiment and judge it.

    Brings the topology up, runs its phases, records, judges, and takes everything down again.
    """
    from lab.cli.judging import check_formats, tell
    from lab.cli.unjudged import unjudged_told

    desk = desk_of(ctx)
    check_formats(as_json=as_json, ktap=ktap)
    with unjudged_told(desk, topology.stem, ktap=ktap, junit=junit):
        judged = _run(desk, topology, record, host)
    return tell(desk, judged, as_json=as_json, junit=junit, ktap=ktap)


def _run(desk: Desk, topology: Path, record: Path | None, host: str | None) -> Judged:
    from lab.cli.asked import asked_where, read_asked
    from lab.cli.judging import judge_recording
    from lab.recording import claim_directory

    asked = read_asked(topology, desk.places)
    where = asked_where(host, asked)
    directory = record or _fresh_directory(desk.places.state_dir, asked.name)
    claim_directory(directory)
    desk.terminal.say(f"recording: {directory}")
    run_topology(desk, asked, desk.wiring.resolve_where(where), directory)
    return judge_recording(directory)


def run_topology(desk: Desk, topology: Topology, where: str, directory: Path) -> None:
    """Carry a topology out on the host `where` (never auto) and leave a recording in `directory`."""
    from lab.run.experiment import run_experiment

    @contextmanager
    def open_host() -> Iterator[tuple[Host, LabPlan, Surroundings]]:
        """What is built depends on the host: its facts decide how guest kernels are configured."""
        with desk.wiring.open_host(where) as host:
            plan = desk.wiring.plan(topology, host.facts)
            yield host, plan, desk.surroundings(desk.wiring.launch(plan))

    run_experiment(open_host, desk.narrator, topology.text, directory)
    desk.terminal.end_step()


def _fresh_directory(state_dir: Path, name: str) -> Path:
    stem = state_dir / "recordings" / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    candidate, number = stem, 1
    while candidate.exists():
        number += 1
        candidate = stem.with_name(f"{stem.name}-{number}")
    return candidate
