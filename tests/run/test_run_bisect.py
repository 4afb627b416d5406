# SPDX-License-Identifier: GPL-2.0-only
"""A bisection on random histories with a planted first bad commit: found, or an honest range, however often it is
interrupted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fakegit import FakeGit
from fakeworld import SaidNothing
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.bisect.model import Attempt, Ending, Rules
from lab.bisect.steps import Asked, Conclusion, Kind
from lab.errors import HostError, InputError, LabFailure
from lab.run.bisecting import BisectRunner
from lab.run.bisectjournal import ATTEMPTS, BisectJournal, open_journal, read_journal

ABOUT = {"topology": "t", "rules": {}}


@dataclass
class Kernels:
    """Runs commits: bad are those that the planted one went into. `moods` has what runs of a commit end by before
    they tell the truth; `broken` commits never do. Every run whose number is in `interrupted` ends by Ctrl-C."""

    git: FakeGit
    planted: str
    broken: frozenset[str] = frozenset()
    moods: dict[str, list[Ending]] = field(default_factory=dict)
    interrupted: frozenset[int] = frozenset()
    runs: int = 0

    def carry(self, commit: str) -> Attempt:
        self.runs += 1
        if self.runs - 1 in self.interrupted:
            raise KeyboardInterrupt
        return Attempt(commit, f"subject of {commit}", self._ending(commit))

    def _ending(self, commit: str) -> Ending:
        if commit in self.broken:
            return Ending.BROKEN
        if moods := self.moods.get(commit):
            return moods.pop(0)
        return Ending.BAD if self.planted in self.git.closure(commit) else Ending.GOOD


def bisect(directory: Path, git: FakeGit, kernels: Kernels, asked: Asked) -> Conclusion:
    """Start it again as long as it is interrupted."""
    while True:
        try:
            with open_journal(directory, ABOUT) as journal:
                runner = BisectRunner(asked, FakeGit(git.history), journal, kernels.carry, SaidNothing())
                return runner.run()
        except KeyboardInterrupt:
            continue


@st.composite
def histories(draw: st.DrawFn) -> FakeGit:
    """Two to 40 commits. Commit 0 went into all, all went into the last one; some are merges."""
    count = draw(st.integers(2, 40))
    parents: dict[str, tuple[str, ...]] = {"c0": ()}
    for number in range(1, count):
        reach = draw(st.integers(1, min(3, number)))
        chosen = {f"c{number - reach}"}
        if draw(st.integers(0, 3)) == 0:
            chosen.add(f"c{draw(st.integers(0, number - 1))}")
        parents[f"c{number}"] = tuple(sorted(chosen))
    heads = set(parents) - {one for of in parents.values() for one in of}
    parents["tip"] = tuple(sorted(heads))
    return FakeGit(parents)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[FakeGit, Kernels]:
    git = draw(histories())
    commits = list(git.history)
    planted = draw(st.sampled_from(commits[1:]))
    broken = draw(st.frozensets(st.sampled_from(commits[1:-1]))) if len(commits) > 2 else frozenset[str]()
    vain = st.lists(st.sampled_from([Ending.UNDECIDED, Ending.FAILED]), max_size=2)
    moods = draw(st.dictionaries(st.sampled_from(commits), vain))
    interrupted = draw(st.frozensets(st.integers(0, 60), max_size=20))
    return git, Kernels(git, planted, broken, moods, interrupted)


@settings(max_examples=300, deadline=None)
@given(world=worlds(), confirm=st.integers(0, 2), check=st.booleans())
def test_the_planted_commit_is_found_or_in_the_range(
    world: tuple[FakeGit, Kernels], confirm: int, check: bool
) -> None:
    git, kernels = world
    asked = Asked("tip", ("c0",), Rules(confirm=confirm, check_ends=check))
    with TemporaryDirectory() as directory:
        end = bisect(Path(directory), git, kernels, asked)
        attempts = read_journal(Path(directory)).attempts
    if end.kind is Kind.RANGE:
        assert kernels.planted in end.commits
        assert all(one in kernels.broken for one in end.commits[:-1])
    else:
        assert (end.kind, end.commits) == (Kind.FOUND, (kernels.planted,))
        assert end.parents == git.history[kernels.planted]
        if confirm and not kernels.broken:
            assert end.sure
    assert not any(one.key in kernels.broken and one.is_verdict for one in attempts)


@settings(max_examples=100, deadline=None)
@given(world=worlds(), data=st.data())
def test_interruptions_change_nothing(world: tuple[FakeGit, Kernels], data: st.DataObject) -> None:
    git, kernels = world
    asked = Asked("tip", ("c0",), Rules())
    copies = {one: list(endings) for one, endings in kernels.moods.items()}
    straight = Kernels(git, kernels.planted, kernels.broken, copies)
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        assert bisect(Path(one), git, kernels, asked) == bisect(Path(other), git, straight, asked)
        tried = [read_journal(Path(directory)).attempts for directory in (one, other)]
    assert tried[0] == tried[1]


def linear(count: int) -> FakeGit:
    return FakeGit({f"c{number}": (f"c{number - 1}",) if number else () for number in range(count)})


def test_a_thousand_commits_take_ten_steps(tmp_path: Path) -> None:
    git = linear(1025)
    kernels = Kernels(git, "c700")
    end = bisect(tmp_path, git, kernels, Asked("c1024", ("c0",), Rules(confirm=1)))
    assert (end.commits, end.sure) == (("c700",), True)
    assert kernels.runs <= 2 + 11


@pytest.mark.parametrize("wrong", range(12))
def test_a_run_that_lied_is_found_out(tmp_path: Path, wrong: int) -> None:
    """One lie anywhere on the way may lead astray, but not to a commit that is called sure."""
    git = linear(33)
    kernels = Kernels(git, "c17")
    truth = kernels.carry
    calls = 0

    def carry(commit: str) -> Attempt:
        nonlocal calls
        calls += 1
        said = truth(commit)
        if calls - 1 != wrong:
            return said
        lie = Ending.GOOD if said.ending is Ending.BAD else Ending.BAD
        return Attempt(commit, said.subject, lie)

    with open_journal(tmp_path, ABOUT) as journal:
        runner = BisectRunner(Asked("c32", ("c0",), Rules()), git, journal, carry, SaidNothing())
        end = runner.run()
    assert not end.sure or end.commits == ("c17",)


@pytest.mark.parametrize("votes", [3, 5])
def test_votes_outvote_a_lie(tmp_path: Path, votes: int) -> None:
    git = linear(33)
    kernels = Kernels(git, "c17", moods={f"c{number}": [Ending.BAD] for number in range(33)})
    end = bisect(tmp_path, git, kernels, Asked("c32", ("c0",), Rules(votes=votes)))
    assert (end.kind, end.commits, end.sure) == (Kind.FOUND, ("c17",), False)


def test_what_says_nothing_of_a_commit_stops_it_and_it_goes_on_later(tmp_path: Path) -> None:
    git = linear(9)
    kernels = Kernels(git, "c5")

    def unfit(_commit: str) -> Attempt:
        raise HostError("no KVM today")

    asked = Asked("c8", ("c0",), Rules())
    with pytest.raises(HostError), open_journal(tmp_path, ABOUT) as journal:
        BisectRunner(asked, git, journal, unfit, SaidNothing()).run()
    assert read_journal(tmp_path).attempts == ()
    assert bisect(tmp_path, git, kernels, asked).commits == ("c5",)


def test_a_line_that_was_cut_short_did_not_happen(tmp_path: Path) -> None:
    add = Attempt("c1", "s", Ending.GOOD)
    with open_journal(tmp_path, ABOUT) as journal:
        journal.add(add)
    with (tmp_path / ATTEMPTS).open("a") as sink:
        sink.write('{"key": "c2", "sub')
    assert read_journal(tmp_path).attempts == (add,)
    with open_journal(tmp_path, ABOUT) as journal:
        journal.add(Attempt("c3", "s", Ending.BAD))
    assert [one.key for one in read_journal(tmp_path).attempts] == ["c1", "c3"]


def damage_head(directory: Path) -> None:
    (directory / "bisection.json").write_text("{")


def age_head(directory: Path) -> None:
    (directory / "bisection.json").write_text('{"format": 99}')


def damage_attempts(directory: Path) -> None:
    (directory / ATTEMPTS).write_text("[]\n")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damage_head, "cannot be read"),
        (age_head, "format 99, this lab reads format 1"),
        (damage_attempts, "cannot be read"),
    ],
)
def test_damage_is_told(tmp_path: Path, damage: Callable[[Path], None], said: str) -> None:
    with open_journal(tmp_path, ABOUT):
        pass
    damage(tmp_path)
    with pytest.raises(InputError, match=said):
        read_journal(tmp_path)


def test_a_directory_has_one_bisection_and_one_process(tmp_path: Path) -> None:
    with open_journal(tmp_path, ABOUT):
        with pytest.raises(LabFailure, match="another process"), open_journal(tmp_path, ABOUT):
            pass
        with pytest.raises(InputError, match="no bisection was carried out there"):
            read_journal(tmp_path / "elsewhere")
    with (
        pytest.raises(InputError, match="topology was t, now u"),
        open_journal(tmp_path, {**ABOUT, "topology": "u"}),
    ):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"), open_journal(tmp_path / "file/x", ABOUT):
        pass


def test_recordings_of_interrupted_runs_stay(tmp_path: Path) -> None:
    journal = BisectJournal(tmp_path, ABOUT, ())
    assert journal.new_recording("a" * 40) == "runs/aaaaaaaaaaaa-1"
    (tmp_path / "runs/aaaaaaaaaaaa-1").mkdir(parents=True)
    assert journal.new_recording("a" * 40) == "runs/aaaaaaaaaaaa-2"
