# SPDX-License-Identifier: GPL-2.0-only
"""`git bisect`, driven in a work tree of its own: the user's checkout, index and bisection are never touched.

Everything that git keeps of a bisection (BISECT_LOG, refs/bisect/) is kept for each work tree apart
(gitrepository-layout(5), git-worktree(1)). Hooks of the repository do not run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.artifacts.ports import Commands
from lab.bisect.model import BaseIsBad, Found, Next, OnlySkipped, Position, Term
from lab.errors import CommandFailed, InputError, LabFailure

_TIMEOUT_S = 600
#: Whatever the user's configuration says: no hooks, and output that programs can read.
_SETTINGS = ("-c", "core.hooksPath=/dev/null", "-c", "color.ui=false", "-c", "log.showSignature=false")
#: Lines that git writes into BISECT_LOG for whoever reads it (builtin/bisect--helper.c).
_FOUND = re.compile(r"^# first bad commit: \[([0-9a-f]+)\]", re.MULTILINE)
_POSSIBLE = re.compile(r"^# possible first bad commit: \[([0-9a-f]+)\]", re.MULTILINE)
_ONLY_SKIPPED = "# only skipped commits left to test"


@dataclass(frozen=True)
class Commit:
    """A commit: its full name, and the first line of its message."""

    name: str
    subject: str


class GitTree:
    """The user's repository, for reading."""

    def __init__(self, commands: Commands, path: Path) -> None:
        self.path = path
        self._commands = commands

    def git(self, *words: str | Path, what: str) -> str:
        """What a git command says. Raises CommandFailed."""
        argv = ["git", "-C", self.path, *_SETTINGS, *words]
        return self._commands.output(argv, what=what, timeout_s=_TIMEOUT_S)

    def check(self) -> None:
        """Raise InputError, with git's reason, unless it is a repository that may be read."""
        try:
            self.git("rev-parse", "--git-dir", what=f"opening {self.path}")
        except CommandFailed as error:
            reason = error.message.splitlines()[-1]
            raise InputError(f"{self.path} cannot be used as a git repository: {reason}") from None

    def commit(self, revision: str) -> Commit:
        """The commit that a revision names. Raises InputError."""
        words = ("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
        try:
            name = self.git(*words, what=f"looking up {revision}").strip()
        except CommandFailed:
            raise InputError(
                f"{self.path}: there is no commit {revision!r}", f"`git -C {self.path} log` shows them"
            ) from None
        return Commit(name, self.git("show", "-s", "--format=%s", name, what="reading a commit").strip())

    def parents(self, name: str) -> tuple[str, ...]:
        """The parents of a commit."""
        return tuple(self.git("show", "-s", "--format=%P", name, what="reading a commit").split())

    def check_range(self, bad: str, goods: Sequence[str]) -> int:
        """How many commits may be the first bad one. Raises InputError where the ends cannot be ends."""
        for good in goods:
            if good == bad:
                raise InputError(f"the good and the bad commit are the same one, {bad[:12]}")
            bases = self._bases(good, bad)
            if not bases:
                raise InputError(f"{good[:12]} (good) and {bad[:12]} (bad) have no history in common")
            if bad in bases:
                raise InputError(
                    f"{bad[:12]} (bad) is older than {good[:12]} (good): nothing can have broken in between",
                    "exchange them to look for what mended it, with a topology that fails where it is mended",
                )
        return int(self.git("rev-list", "--count", bad, "--not", *goods, what="counting commits"))

    def _bases(self, one: str, other: str) -> list[str]:
        try:
            return self.git("merge-base", "--all", one, other, what="comparing histories").split()
        except CommandFailed:
            return []


class GitBisect:
    """A bisection in the work tree `work`, which is made where it is missing."""

    def __init__(self, tree: GitTree, commands: Commands, work: Path) -> None:
        self.tree = tree
        self._commands = commands
        self._inside = GitTree(commands, work)

    def ensure_work_tree(self, commit: str) -> None:
        """Make the work tree, without any file in it: builds check out what they need.

        Raises InputError where the repository does not take one.
        """
        if self._is_work_tree():
            return
        self._inside.path.parent.mkdir(parents=True, exist_ok=True)
        # Forced: a directory that somebody removed is still registered with the repository.
        words = ("worktree", "add", "--force", "--detach", "--no-checkout", self._inside.path, commit)
        try:
            self.tree.git(*words, what="making a work tree")
        except CommandFailed as error:
            raise InputError(f"{self.tree.path}: {error.message}") from error

    def _is_work_tree(self) -> bool:
        if not (self._inside.path / ".git").exists():
            return False
        try:
            top = self._inside.git("rev-parse", "--show-toplevel", what="looking at the work tree")
        except CommandFailed:
            return False
        return Path(top.strip()) == self._inside.path.resolve()

    def remove_work_tree(self) -> None:
        """Remove the work tree and what the repository knows of it; the objects stay the repository's."""
        if self._is_work_tree():
            words = ("worktree", "remove", "--force", self._inside.path)
            self.tree.git(*words, what="removing the work tree")

    def start(self, bad: str, goods: Sequence[str]) -> Position:
        """Begin anew between the ends, whatever the work tree was in the middle of."""
        return self._bisect("start", "--no-checkout", bad, *goods)

    def mark(self, commit: str, term: Term) -> Position:
        """Tell git what a commit is; where that leads."""
        return self._bisect(term.value, commit)

    def _bisect(self, *words: str) -> Position:
        failure = None
        try:
            self._inside.git("bisect", *words, what=f"git bisect {words[0]}")
        except CommandFailed as error:
            # Also how git ends where only skipped commits are left, or where a merge base is bad.
            failure = error
        return self._ended(failure) or self._next(failure)

    def _ended(self, failure: CommandFailed | None) -> Position | None:
        log = self._inside.git("bisect", "log", what="reading git's log")
        if found := _FOUND.search(log):
            return Found(found[1], self.tree.parents(found[1]))
        if _ONLY_SKIPPED in log:
            return OnlySkipped(tuple(dict.fromkeys(_POSSIBLE.findall(log))))
        if failure is not None and "The merge base " in failure.message:
            lines = failure.message.splitlines()
            first = next(place for place, line in enumerate(lines) if line.startswith("The merge base "))
            return BaseIsBad(" ".join(lines[first:]))
        return None

    def _next(self, failure: CommandFailed | None) -> Next:
        if failure is not None:
            raise LabFailure(failure.message, failure.hint) from failure
        commit = self._inside.git("rev-parse", "BISECT_HEAD", what="asking what is next").strip()
        words = ("rev-list", "--bisect", "--bisect-vars")
        lines = self._inside.git(*words, what="asking how far it is").splitlines()
        told = {name: value.strip("'") for name, _, value in (line.partition("=") for line in lines)}
        return Next(commit, int(told["bisect_all"]), int(told["bisect_steps"]))
