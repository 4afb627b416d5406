# SPDX-License-Identifier: GPL-2.0-only
"""`lab bisect`: the commit of a kernel tree that changed the verdict of a topology."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli.desk import Desk, desk_of
from lab.cli.parameters import AttemptsOption, HostOption, JsonOption, LostIsBadOption, VotesOption
from lab.errors import ExitCode, InputError

if TYPE_CHECKING:
    from lab.artifacts.gitbisect import GitTree
    from lab.bisect.model import Attempt, Rules
    from lab.cli.bisecttrial import Trial
    from lab.run.bisectjournal import BisectJournal
    from lab.topology.model import Topology


_GOES_ON = "the same command goes on where it was left off"


@dataclass(frozen=True)
class Words:
    """What the command line says of what is bisected."""

    tree: Path | None
    bad: str | None
    goods: tuple[str, ...]
    kernels: tuple[str, ...]
    host: str | None
    no_patches: bool
    lost_is_bad: bool


@dataclass(frozen=True)
class Ends:
    """What is bisected: the tree, full names of its commits, the kernels that are built from it."""

    tree: GitTree
    bad: str
    goods: tuple[str, ...]
    kernels: tuple[str, ...]


def bisect(
    ctx: typer.Context,
    topology: Annotated[
        Path | None,
        typer.Argument(metavar="[TOPOLOGY]", help="A topology file. Without it, only tells what was tried."),
    ] = None,
    tree: Annotated[
        Path | None, typer.Option("--tree", metavar="DIR", help="The git tree of the kernel.")
    ] = None,
    good: Annotated[
        list[str] | None, typer.Option("--good", metavar="REV", help="A good commit; may be repeated.")
    ] = None,
    bad: Annotated[str | None, typer.Option("--bad", metavar="REV", help="A bad commit.")] = None,
    kernel: Annotated[
        list[str] | None,
        typer.Option(
            "--kernel",
            metavar="NAME",
            help="The kernel of the topology that is built from the tree; may be repeated. Default: the only one.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Directory of state and recordings. Default: one under the state directory, the same for the same "
            "question.",
        ),
    ] = None,
    host: HostOption = None,
    votes: VotesOption = 1,
    attempts: AttemptsOption = 3,
    confirm: Annotated[
        int,
        typer.Option(
            "--confirm", metavar="N", help="Runs that the first bad commit and its parents get in the end."
        ),
    ] = 2,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Do not check first that good is good and bad is bad.")
    ] = False,
    no_patches: Annotated[
        bool,
        typer.Option(
            "--no-patches", help="The tree has the patches of the topology already; their config is kept."
        ),
    ] = False,
    lost_is_bad: LostIsBadOption = False,
    keep_tree: Annotated[
        bool, typer.Option("--keep-tree", help="Keep the work tree and what was compiled in it.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Find the commit that made a topology's expectations fail.

    The kernel of the topology is built at each commit that `git bisect` asks for, in a work tree of its own, and
    the topology is run: good where every expectation holds, bad where one fails. A run that decides nothing is
    repeated; a commit that does not build or boot is skipped.

    Interrupted, the same command goes on where it was left off. `lab bisect -o DIR` tells what was tried there.

    Exit status: 0 found; 5 only a range of commits, or contradicting runs; 2 an end is not what it was said to be;
    3 and 4 stop it: once that is mended, the same command goes on.
    """
    from lab.bisect.model import Rules
    from lab.bisect.steps import EXIT_CODES
    from lab.cli.bisecttrial import check_rules
    from lab.run.bisectjournal import open_journal, read_journal

    desk = desk_of(ctx)
    if topology is None:
        journal = read_journal(_needed(output, "-o DIR, or a TOPOLOGY"))
        _tell(desk, journal, as_json)
        return ExitCode.PASSED
    rules = check_rules(Rules(votes, attempts, confirm, check_ends=not no_check))
    words = Words(tree, bad, tuple(good or ()), tuple(kernel or ()), host, no_patches, lost_is_bad)
    trial, ends = _ask(desk, topology, words)
    about = _about(trial, ends, rules)
    directory = output or _default_directory(desk.places.state_dir, about)
    with open_journal(directory.absolute(), about) as opened:
        conclusion = opened.conclusion()
        on = "finished before; -o with another directory begins anew" if conclusion else _GOES_ON
        desk.terminal.say(f"bisection: {directory} ({on})")
        conclusion = conclusion or _bisect(desk, trial, ends, rules, opened, keep_tree)
        _tell(desk, opened, as_json)
    return EXIT_CODES[conclusion.kind]


def _needed(value: Any, what: str) -> Any:
    if not value:
        raise InputError(
            f"{what} is missing", "`lab bisect TOPOLOGY --tree GIT_TREE --good REV --bad REV` bisects"
        )
    return value


# ---- what is asked


def _ask(desk: Desk, path: Path, words: Words) -> tuple[Trial, Ends]:
    """Everything that can be known to be wrong is found out here, before anything is built."""
    from lab.cli.asked import read_asked
    from lab.cli.bisecttrial import Trial
    from lab.topology.atcommit import at_commit, without_patches

    asked = read_asked(path, desk.places)
    ends = _find_ends(desk, asked, words)
    if words.no_patches:
        asked = without_patches(asked, ends.kernels, _fragments(desk, path))
    trial = Trial(asked, words.host, words.lost_is_bad)
    at_bad = at_commit(asked, ends.kernels, ends.tree.path, ends.bad)
    replace(trial, topology=at_bad).check(desk)
    return trial, ends


def _find_ends(desk: Desk, topology: Topology, words: Words) -> Ends:
    from lab.adapters.commands import ProcessCommands
    from lab.artifacts.gitbisect import GitTree
    from lab.topology.atcommit import bisected_kernels

    tree = GitTree(ProcessCommands(), Path(_needed(words.tree, "--tree")).absolute())
    tree.check()
    kernels = bisected_kernels(topology, words.kernels, tree.path)
    bad = tree.commit(_needed(words.bad, "--bad")).name
    goods = tuple(dict.fromkeys(tree.commit(one).name for one in _needed(words.goods, "--good")))
    count = tree.check_range(bad, goods)
    desk.terminal.say(f"{count} {'commit' if count == 1 else 'commits'} may be the first bad one")
    return Ends(tree, bad, goods, kernels)


def _fragments(desk: Desk, path: Path) -> dict[str, tuple[str, ...]]:
    """The config that comes with each entry of a kernel's `patches`."""
    from lab.artifacts.catalogue import read_kernel_catalogue
    from lab.topology.decode import read_topology

    catalogue = read_kernel_catalogue(read_topology(path), desk.places.images_dir)
    return {entry: patches.fragments for entry, patches in catalogue.patch_sets.items()}


def _about(trial: Trial, ends: Ends, rules: Rules) -> dict[str, Any]:
    kernels = {name: trial.topology.kernels[name].model_dump(mode="json") for name in ends.kernels}
    return {
        "topology": trial.topology.name,
        "topology_sha256": trial.digest(),
        "tree": str(ends.tree.path),
        "bad": ends.bad,
        "goods": list(ends.goods),
        "kernels": kernels,
        "host": trial.host,
        "lost_is_bad": trial.lost_is_bad,
        "rules": asdict(rules),
    }


def _default_directory(state_dir: Path, about: dict[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    return state_dir / "bisections" / f"{about['topology']}-{digest[:12]}"


# ---- carrying it out


def _bisect(
    desk: Desk, trial: Trial, ends: Ends, rules: Rules, journal: BisectJournal, keep_tree: bool
) -> Any:
    from lab.adapters.commands import ProcessCommands
    from lab.artifacts.gitbisect import GitBisect
    from lab.bisect.steps import Asked
    from lab.run.bisecting import BisectRunner

    place = journal.directory / "build"
    git = GitBisect(ends.tree, ProcessCommands(), place / "src")
    git.ensure_work_tree(ends.bad)
    runner = BisectRunner(
        Asked(ends.bad, ends.goods, rules),
        git,
        journal,
        lambda commit: _carry(desk, trial, ends, commit, journal),
        desk.narrator,
    )
    conclusion = runner.run()
    if not keep_tree:
        _clear(git, place)
    return conclusion


def _carry(desk: Desk, trial: Trial, ends: Ends, commit: str, journal: BisectJournal) -> Attempt:
    from lab.artifacts.bench import Bench
    from lab.bisect.model import Attempt, Ending
    from lab.topology.atcommit import at_commit

    bench = Bench(journal.directory / "build", str(ends.tree.path), commit)
    wiring = desk.wiring.building_on(bench)
    benched = replace(desk, make_wiring=lambda *_: wiring)
    here = replace(trial, topology=at_commit(trial.topology, ends.kernels, ends.tree.path, commit))
    subject = ends.tree.commit(commit).subject
    blank = Attempt(commit, subject, Ending.FAILED, recording=journal.new_recording(commit))
    return here.run(benched, blank, journal.directory)


def _clear(git: Any, place: Path) -> None:
    import shutil

    git.remove_work_tree()
    shutil.rmtree(place, ignore_errors=True)


# ---- telling


def _tell(desk: Desk, journal: BisectJournal, as_json: bool) -> None:
    from lab.bisect.document import report_document
    from lab.bisect.model import Rules
    from lab.bisect.text import render_tried

    rules = Rules(**journal.about["rules"])
    what = (journal.about, journal.attempts, rules, journal.conclusion())
    if as_json:
        desk.print_json({**report_document(*what), "directory": str(journal.directory)})
    else:
        desk.print(render_tried(*what) + f"bisection: {journal.directory}\n")
