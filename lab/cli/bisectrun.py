# SPDX-License-Identifier: GPL-2.0-only
"""`lab run --bisect`: one commit for `git bisect run`, run until it is decided."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.adapters.commands import ProcessCommands
from lab.artifacts.bisected import BisectedTree, find_bisected
from lab.bisect.model import Attempt, Decision, Ending, Rules, count_attempts, decide
from lab.bisect.text import render_decision
from lab.cli.asked import read_asked
from lab.cli.bisectcodes import CODES, SKIP, STOP
from lab.cli.bisecttrial import Trial, check_rules
from lab.cli.desk import Desk
from lab.cli.endings import run_to_end
from lab.errors import ExitCode, LabError
from lab.run.bisectjournal import BisectJournal, open_journal
from lab.topology.model import Topology


@dataclass(frozen=True)
class BisectRun:
    """What the command line asks for; `directory` is None for one that belongs to git's bisection."""

    topology: Path
    directory: Path | None
    host: str | None
    rules: Rules
    lost_is_bad: bool


@dataclass(frozen=True)
class _Settled:
    """What is run; `tree` is the work tree that is bisected, None where none is known."""

    trial: Trial
    tree: BisectedTree | None
    directory: Path


def run_for_bisect(desk: Desk, asked: BisectRun) -> int:
    """The exit code for git; see `lab.cli.bisectcodes`."""
    settled: list[_Settled] = []
    code = run_to_end(desk, lambda: settled.append(_settle(desk, asked)))
    if not settled:
        return _unsettled(desk, asked, code)
    decided: list[tuple[Decision, str]] = []
    code = run_to_end(desk, lambda: decided.append(_decide(desk, asked, settled[0])))
    if not decided:
        return ExitCode.INTERRUPTED if code == ExitCode.INTERRUPTED else SKIP
    decision, told = decided[0]
    run_to_end(desk, lambda: desk.print(told))  # the verdict counts even where nobody reads
    return CODES[decision.term]


def _unsettled(desk: Desk, asked: BisectRun, code: int) -> int:
    """Bad input is wrong at every commit, unless it comes with the commits."""
    if code == ExitCode.INTERRUPTED:
        return code
    if code == ExitCode.BAD_INPUT and not _comes_with_commits(asked.topology):
        desk.terminal.error("lab: this would be so at every commit: the bisection is stopped")
        return STOP
    return SKIP


def _comes_with_commits(path: Path) -> bool:
    tree = find_bisected(ProcessCommands(), [Path.cwd()])
    return tree is not None and tree.is_bisected and tree.has_tracked(path)


def _settle(desk: Desk, asked: BisectRun) -> _Settled:
    check_rules(asked.rules)
    topology = read_asked(asked.topology, desk.places)
    trial = Trial(topology, asked.host, asked.lost_is_bad)
    trial.check(desk)
    tree = find_bisected(ProcessCommands(), [*_trees_of(topology), Path.cwd()])
    directory = asked.directory or _default_directory(desk.places.state_dir, topology.name, tree)
    with open_journal(directory.absolute(), _about(topology, asked, tree)):
        pass
    return _Settled(trial, tree, directory.absolute())


def _trees_of(topology: Topology) -> Iterator[Path]:
    """Work trees that kernels are built from as they are."""
    for spec in topology.kernels.values():
        if spec.source.tree is not None and spec.source.ref in (None, "HEAD"):
            yield topology.directory / spec.source.tree


def _about(topology: Topology, asked: BisectRun, tree: BisectedTree | None) -> dict[str, Any]:
    return {
        "topology": topology.name,
        "tree": str(tree.top) if tree else None,
        "bisection": tree.bisection if tree else None,
        "host": asked.host,
        "lost_is_bad": asked.lost_is_bad,
        "rules": asdict(asked.rules),
    }


def _default_directory(state_dir: Path, name: str, tree: BisectedTree | None) -> Path:
    """The same for all commits of one bisection; a fresh one where there is none."""
    if tree is None or not tree.is_bisected:
        return state_dir / "bisections" / f"{name}-{datetime.now():%Y%m%d-%H%M%S-%f}"
    digest = hashlib.sha256(f"{tree.top}\0{tree.bisection}".encode()).hexdigest()
    return state_dir / "bisections" / f"{name}-{digest[:12]}"


def _decide(desk: Desk, asked: BisectRun, settled: _Settled) -> tuple[Decision, str]:
    """Run until decided; runs of the same commit with the same topology, in this bisection, count."""
    key = settled.tree.key() if settled.tree else "unknown"
    subject = settled.tree.subject() if settled.tree else ""
    digest = settled.trial.digest()
    with open_journal(settled.directory, _about(settled.trial.topology, asked, settled.tree)) as journal:
        while (decision := decide(mine := _mine(journal, digest), key, asked.rules)) is None:
            journal.add(_attempt(desk, settled, journal, key, subject))
    count = count_attempts(mine, key)
    told = render_decision(key, subject, decision.term, count, decision.reason)
    return decision, f"{told}\nbisection: {settled.directory} (`lab bisect -o` tells what was tried there)"


def _mine(journal: BisectJournal, digest: str) -> tuple[Attempt, ...]:
    return tuple(one for one in journal.attempts if one.topology_sha256 == digest)


def _attempt(desk: Desk, settled: _Settled, journal: BisectJournal, key: str, subject: str) -> Attempt:
    """A host that is unfit is written down, too, and then told: the next start may find it mended."""
    blank = Attempt(
        key,
        subject,
        Ending.FAILED,
        recording=journal.new_recording(key),
        topology_sha256=settled.trial.digest(),
    )
    try:
        return settled.trial.run(desk, blank, journal.directory)
    except LabError as error:
        unfit = Attempt(key, subject, Ending.UNFIT, error.message, topology_sha256=settled.trial.digest())
        journal.add(unfit)
        raise
