# SPDX-License-Identifier: GPL-2.0-only
"""`git bisect` in a work tree of its own, on small real repositories."""

from __future__ import annotations

from pathlib import Path

import pytest
from gitrepos import Repository

from lab.adapters.commands import ProcessCommands
from lab.artifacts.bisected import find_bisected
from lab.artifacts.gitbisect import GitBisect, GitTree
from lab.bisect.model import BaseIsBad, Found, Next, OnlySkipped, Position, Term
from lab.errors import InputError

COMMANDS = ProcessCommands()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "tree")


def line_of(repository: Repository, count: int) -> list[str]:
    return [repository.commit(f"change {number}", {"file": f"{number}\n"}) for number in range(count)]


def open_bisect(repository: Repository, work: Path, at: str) -> GitBisect:
    bisect = GitBisect(GitTree(COMMANDS, repository.path), COMMANDS, work)
    bisect.ensure_work_tree(at)
    return bisect


def seen_by_user(repository: Repository) -> list[str]:
    """Everything that a bisection must not touch. Which refs there are counts, not how git packs them."""
    return [
        repository.git("status", "--porcelain", "--branch"),
        repository.git("for-each-ref"),
        repository.git("stash", "list"),
        repository.git("bisect", "log", ok=False),
        (repository.path / "file").read_text(),
        *sorted({path.name for path in (repository.path / ".git").iterdir()} - {"worktrees", "packed-refs"}),
        (repository.path / ".git/index").read_bytes().hex(),
        (repository.path / ".git/config").read_text(),
    ]


def search(
    bisect: GitBisect, bad: str, good: str, terms: dict[str, Term], first_bad: int, line: list[str]
) -> Position:
    position = bisect.start(bad, (good,))
    while isinstance(position, Next):
        truth = Term.BAD if line.index(position.commit) >= first_bad else Term.GOOD
        position = bisect.mark(position.commit, terms.get(position.commit, truth))
    return position


@pytest.mark.parametrize("first_bad", [1, 5, 11])
def test_the_first_bad_commit_is_found_and_the_user_notices_nothing(
    repository: Repository, tmp_path: Path, first_bad: int
) -> None:
    line = line_of(repository, 12)
    (repository.path / "file").write_text("edited, not committed\n")
    before = seen_by_user(repository)
    bisect = open_bisect(repository, tmp_path / "dir/src", line[-1])
    found = search(bisect, line[-1], line[0], {}, first_bad, line)
    assert found == Found(line[first_bad], (line[first_bad - 1],))
    assert list((tmp_path / "dir/src").iterdir()) == [tmp_path / "dir/src/.git"]
    assert seen_by_user(repository) == before
    bisect.remove_work_tree()
    assert not (tmp_path / "dir/src").exists()
    assert repository.git("worktree", "list").count("\n") == 0
    assert seen_by_user(repository) == before


def test_a_bisection_of_the_user_goes_on_beside(repository: Repository, tmp_path: Path) -> None:
    line = line_of(repository, 12)
    repository.git("bisect", "start", line[-1], line[0])
    before = seen_by_user(repository)
    bisect = open_bisect(repository, tmp_path / "src", line[-1])
    assert isinstance(search(bisect, line[-1], line[0], {}, 7, line), Found)
    bisect.remove_work_tree()
    assert seen_by_user(repository) == before
    assert "first bad commit" not in repository.git("bisect", "log")


def test_skipped_commits_leave_a_range(repository: Repository, tmp_path: Path) -> None:
    line = line_of(repository, 9)
    bisect = open_bisect(repository, tmp_path / "src", line[-1])
    terms = {line[4]: Term.SKIP, line[5]: Term.SKIP}
    end = search(bisect, line[-1], line[0], terms, 5, line)
    assert isinstance(end, OnlySkipped)
    assert set(end.commits) == {line[4], line[5], line[6]}
    around = search(bisect, line[-1], line[0], {line[2]: Term.SKIP}, 5, line)
    assert around == Found(line[5], (line[4],))


def test_it_says_how_far_it_is(repository: Repository, tmp_path: Path) -> None:
    line = line_of(repository, 17)
    first = open_bisect(repository, tmp_path / "src", line[-1]).start(line[-1], (line[0],))
    assert isinstance(first, Next)
    assert (first.left, first.steps) == (16, 3)


def test_merges_are_followed_and_a_bad_merge_base_is_told(repository: Repository, tmp_path: Path) -> None:
    base = repository.commit("base", {"file": "0\n"})
    repository.git("checkout", "--quiet", "-b", "side")
    side = [repository.commit(f"side {number}", {"side": f"{number}\n"}) for number in range(4)]
    repository.git("checkout", "--quiet", "main")
    main = [repository.commit(f"main {number}", {"file": f"{number}\n"}) for number in range(4)]
    merged = repository.merge("side", "merge")
    bisect = open_bisect(repository, tmp_path / "src", merged)
    bad = {*side[2:], merged}
    position = bisect.start(merged, (base,))
    while isinstance(position, Next):
        position = bisect.mark(position.commit, Term.BAD if position.commit in bad else Term.GOOD)
    assert position == Found(side[2], (side[1],))

    position = bisect.start(main[-1], (side[-1],))
    assert isinstance(position, Next)
    assert position.commit == base
    end = bisect.mark(base, Term.BAD)
    assert isinstance(end, BaseIsBad)
    assert end.text.startswith(f"The merge base {base} is bad.")


def test_an_interrupted_one_is_started_anew(repository: Repository, tmp_path: Path) -> None:
    line = line_of(repository, 12)
    half_way = open_bisect(repository, tmp_path / "src", line[-1])
    half_way.start(line[-1], (line[0],))
    again = open_bisect(repository, tmp_path / "src", line[-1])
    assert search(again, line[-1], line[0], {}, 3, line) == Found(line[3], (line[2],))


def test_a_work_tree_that_somebody_removed_is_made_again(repository: Repository, tmp_path: Path) -> None:
    line = line_of(repository, 3)
    open_bisect(repository, tmp_path / "src", line[-1])
    (tmp_path / "src/.git").unlink()
    (tmp_path / "src").rmdir()
    bisect = open_bisect(repository, tmp_path / "src", line[-1])
    assert isinstance(search(bisect, line[-1], line[0], {}, 1, line), Found)


def test_hooks_do_not_run(repository: Repository, tmp_path: Path) -> None:
    line = line_of(repository, 4)
    hook = repository.path / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    hook.chmod(0o755)
    bisect = open_bisect(repository, tmp_path / "src", line[-1])
    search(bisect, line[-1], line[0], {}, 1, line)
    assert not (tmp_path / "hooked").exists()


def test_ends_that_cannot_be_ends_are_refused(repository: Repository, tmp_path: Path) -> None:
    line = line_of(repository, 4)
    repository.git("checkout", "--quiet", "--orphan", "island")
    island = repository.commit("island", {"file": "?\n"})
    tree = GitTree(COMMANDS, repository.path)
    assert tree.check_range(line[3], (line[0],)) == 3
    assert tree.commit("main").name == line[3]
    assert tree.commit("main").subject == "change 3"
    for bad, good, said in (
        (line[1], line[1], "are the same one"),
        (line[0], line[3], "is older than"),
        (line[3], island, "no history in common"),
    ):
        with pytest.raises(InputError, match=said):
            tree.check_range(bad, (good,))
    for revision in ("nothing", "--all", "", "main:file"):
        with pytest.raises(InputError, match="there is no commit"):
            tree.commit(revision)
    with pytest.raises(InputError, match="cannot be used as a git repository"):
        GitTree(COMMANDS, tmp_path / "nowhere").check()


# ---- somebody else's bisection


def test_the_bisected_tree_is_found(repository: Repository, tmp_path: Path) -> None:
    line = line_of(repository, 9)
    other = Repository(tmp_path / "other")
    other.commit("other", {"x": "y"})
    where = [tmp_path / "nowhere", other.path, repository.path]
    tree = find_bisected(COMMANDS, where)
    assert tree is not None
    assert (tree.top, tree.is_bisected) == (other.path, False)
    assert find_bisected(COMMANDS, [tmp_path / "nowhere"]) is None

    repository.git("bisect", "start", line[-1], line[0])
    (repository.path / "sub").mkdir()
    tree = find_bisected(COMMANDS, [other.path, repository.path / "sub"])
    assert tree is not None
    assert (tree.top, tree.is_bisected) == (repository.path, True)
    assert tree.key() == repository.git("rev-parse", "HEAD")
    assert tree.subject() == repository.git("show", "-s", "--format=%s")
    (repository.path / "file").write_text("patched on top\n")
    assert tree.key().startswith(repository.git("rev-parse", "HEAD") + "+")
    assert tree.has_tracked(repository.path / "file")
    assert not tree.has_tracked(repository.path / "typo")
    assert not tree.has_tracked(other.path / "x")
