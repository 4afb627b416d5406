# SPDX-License-Identifier: GPL-2.0-only
"""The work tree that somebody else's `git bisect` is working on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.artifacts.gitbisect import GitTree
from lab.artifacts.ports import Commands
from lab.errors import CommandFailed


@dataclass(frozen=True)
class BisectedTree:
    """A work tree with its top directory. `bisection` tells one bisection of it from the next; None where none is
    under way."""

    git: GitTree
    top: Path
    bisection: str | None

    @property
    def is_bisected(self) -> bool:
        """Whether a bisection is under way."""
        return self.bisection is not None

    def key(self) -> str:
        """The commit, and a hash of what differs from it where something does."""
        commit = self.git.git("rev-parse", "HEAD", what="asking for the commit").strip()
        status = self.git.git("status", "--porcelain", what="asking what differs")
        if not status:
            return commit
        diff = self.git.git("diff", "HEAD", "--binary", "--no-ext-diff", what="asking what differs")
        return f"{commit}+{hashlib.sha256((status + diff).encode()).hexdigest()[:12]}"

    def subject(self) -> str:
        """The first line of the commit's message."""
        return self.git.git("show", "-s", "--format=%s", "HEAD", what="reading a commit").strip()

    def has_tracked(self, path: Path) -> bool:
        """Whether a file comes with the commits: it is tracked here or in the bad commit."""
        target = path.absolute()
        if not target.is_relative_to(self.top):
            return False
        name = target.relative_to(self.top)
        return any(self._knows(f"{commit}:{name}") for commit in ("HEAD", "refs/bisect/bad"))

    def _knows(self, thing: str) -> bool:
        try:
            self.git.git("cat-file", "-e", thing, what=f"looking for {thing}")
        except CommandFailed:
            return False
        return True


def find_bisected(commands: Commands, directories: Iterable[Path]) -> BisectedTree | None:
    """The first work tree among `directories` that is bisected, else the first one; None where there is none."""
    trees = [tree for directory in directories if (tree := _open(commands, directory)) is not None]
    return next((tree for tree in trees if tree.is_bisected), trees[0] if trees else None)


def _open(commands: Commands, directory: Path) -> BisectedTree | None:
    try:
        top = Path(GitTree(commands, directory).git("rev-parse", "--show-toplevel", what="looking").strip())
        git = GitTree(commands, top)
        start = top / git.git("rev-parse", "--git-path", "BISECT_START", what="looking").strip()
    except CommandFailed:
        return None
    if not start.is_file():
        return BisectedTree(git, top, None)
    return BisectedTree(git, top, f"{start.read_text().strip()} {start.stat().st_mtime_ns}")
