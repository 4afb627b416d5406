# SPDX-License-Identifier: GPL-2.0-only
"""Small real git repositories."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_IDENTITY = {
    "GIT_AUTHOR_NAME": "Somebody",
    "GIT_AUTHOR_EMAIL": "somebody@example.org",
    "GIT_COMMITTER_NAME": "Somebody",
    "GIT_COMMITTER_EMAIL": "somebody@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
}


class Repository:
    """A repository with a work tree at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *words: str, ok: bool = True) -> str:
        """What a git command says."""
        done = self.run(["git", *words])
        assert done.returncode == 0 or not ok, f"git {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def run(
        self, command: list[str], env: Mapping[str, str] | None = None, timeout_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the work tree."""
        return subprocess.run(
            command,
            cwd=self.path,
            env={**os.environ, **_IDENTITY, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def commit(self, subject: str, files: Mapping[str, str]) -> str:
        """Write files and commit them; the commit's full name."""
        for name, text in files.items():
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", subject)
        return self.git("rev-parse", "HEAD")

    def merge(self, other: str, subject: str) -> str:
        """Merge another branch; the commit's full name."""
        self.git("merge", "--quiet", "--no-ff", "-s", "ours", "-m", subject, other)
        return self.git("rev-parse", "HEAD")
