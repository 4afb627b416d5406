# SPDX-License-Identifier: GPL-2.0-only
"""What every build is given: the cache, the door to processes, somebody to tell, and the recipes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lab.artifacts.bench import Bench
from lab.artifacts.cache import Cache
from lab.artifacts.ports import Commands, Progress
from lab.plan.labplan import KernelSourcePlan


@dataclass(frozen=True)
class Workshop:
    """`images_dir` is the project's `images` directory; `bench` is where one tree's kernels are built, if any."""

    cache: Cache
    commands: Commands
    progress: Progress
    images_dir: Path
    bench: Bench | None = None

    def bench_for(self, source: KernelSourcePlan) -> Bench | None:
        """The bench, where kernels of this source are built on it."""
        return self.bench if self.bench is not None and self.bench.serves(source) else None

    def build_log(self, kind: str, directory: Path) -> Path:
        """An empty log for the entry being built in `directory`, named after its key and kept if it fails."""
        key = directory.name.split(".")[1]
        log = self.cache.log(f"{kind}-{key}")
        log.write_text("")
        return log


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def tree_digests(top: Path) -> dict[str, str]:
    """What a tree contains, by relative path: each file's digest and whether it is executable, each link's
    target. Directories count by what is in them."""
    digests: dict[str, str] = {}
    for path in sorted(top.rglob("*")):
        name = str(path.relative_to(top))
        if path.is_symlink():
            digests[name] = f"-> {path.readlink()}"
        elif path.is_file():
            digests[name] = file_digest(path) + ("x" if path.stat().st_mode & 0o100 else "")
    return digests
