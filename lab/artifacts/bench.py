# SPDX-License-Identifier: GPL-2.0-only
"""A place where kernels of one git tree are built one after the other, each out of what the last one left.

`src` is a git work tree, in which checking a commit out touches only what changed; `obj` is what was compiled.
Such a build takes what a developer's own next build takes. Its kernels are cached apart from those of clean builds.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.artifacts.ports import Commands
from lab.errors import BuildFailed, PatchRejected
from lab.plan.labplan import KernelSourcePlan

_TIMEOUT_S = 1200


@dataclass(frozen=True)
class Bench:
    """`directory` has the work tree `src` of the repository `tree`; the kernel of commit `ref` is built there."""

    directory: Path
    tree: str
    ref: str

    def serves(self, source: KernelSourcePlan) -> bool:
        """Whether a kernel is built here."""
        return (source.kind, source.value, source.ref) == ("tree", self.tree, self.ref)

    @contextmanager
    def opened(self, commands: Commands, log: Path) -> Iterator[Path]:
        """The directory with `src` as the commit has it and `obj` as it was left.

        A compiler that was killed leaves objects that look up to date: then everything is compiled anew. Raises
        CommandFailed where git cannot check the commit out.
        """
        busy = self.directory / "busy"
        if busy.exists():
            shutil.rmtree(self.directory / "obj", ignore_errors=True)
        shutil.rmtree(self.directory / "staged", ignore_errors=True)
        (self.directory / "obj").mkdir(parents=True, exist_ok=True)
        busy.touch()
        self._check_out(commands, log)
        try:
            yield self.directory
        except (BuildFailed, PatchRejected) as error:
            if not _was_killed(error):
                busy.unlink()
            raise
        busy.unlink()

    def _check_out(self, commands: Commands, log: Path) -> None:
        git: list[str | Path] = ["git", "-C", self.directory / "src", "-c", "core.hooksPath=/dev/null"]
        what = f"checking {self.ref[:12]} out"
        commands.run(
            [*git, "checkout", "--quiet", "--force", "--detach", self.ref],
            what=what,
            log=log,
            timeout_s=_TIMEOUT_S,
        )
        commands.run([*git, "clean", "-fdxq"], what=what, log=log, timeout_s=_TIMEOUT_S)


def _was_killed(error: BaseException) -> bool:
    """Whether a build did not end by itself: the cause is what the command said (lab.adapters.commands)."""
    said = str(error.__cause__)
    return "did not end within" in said or "was killed by signal" in said
