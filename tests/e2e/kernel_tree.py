# SPDX-License-Identifier: GPL-2.0-only
"""A git tree of the kernel: the lab's own source and series, and a handful of commits on top."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.adapters.commands import ProcessCommands
from lab.artifacts.cache import Cache
from lab.artifacts.ports import Silence
from lab.artifacts.source import open_source
from lab.artifacts.workshop import Workshop
from lab.places import Places
from lab.plan.kernels import parse_series
from lab.plan.labplan import KernelSourcePlan

SERIES = "paravirt-cpus"
#: Big, and not compiled: of these only what kconfig and kbuild read. The first stands for all arch/ but x86.
LEFT_OUT = (
    *(
        "arch/[a-wyz]*",
        "arch/xtensa",
        "drivers/gpu",
        "drivers/infiniband",
        "drivers/media",
        "drivers/staging",
    ),
    *("drivers/net/ethernet", "drivers/net/wireless", "drivers/usb", "Documentation", "sound"),
    *("tools/perf", "tools/testing"),
)
#: Kconfig, Kbuild and Makefile, with what follows in their names.
READ_ANYWHERE = "[KM][abc]*"
IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Somebody"), ("EMAIL", "somebody@example.org"))
}


@dataclass(frozen=True)
class Edit:
    """One commit: in `path`, `old` becomes `new` where it stands, once; an empty `old` stands at the end."""

    subject: str
    path: str
    old: str
    new: str


class KernelTree:
    """A bare repository, written to without any file of the tree ever being checked out."""

    def __init__(self, places: Places, path: Path) -> None:
        self.path = path
        self.commits: list[str] = []
        commands = ProcessCommands()
        workshop = Workshop(Cache(places.cache_dir, Silence()), commands, Silence(), places.images_dir)
        open_source(workshop, KernelSourcePlan("debian", "6.12"))
        (source,) = (
            entry.path / "tree"
            for entry in workshop.cache.entries("source")
            if entry.inputs.get("package") == "linux-source-6.12"
        )
        subprocess.run(["git", "init", "--quiet", "--bare", str(path)], check=True)
        self._add_source(source)
        self.commit("The kernel as Debian has it")
        self._apply(places.images_dir / "kernels" / SERIES)
        self.commit("The reference series")

    def _add_source(self, source: Path) -> None:
        """Straight into one pack: 60,000 files apart would take minutes."""
        adding = ["-c", "core.bigFileThreshold=1", "-c", "core.compression=1", f"--work-tree={source}"]
        self.git(*adding, "add", "--force", "--", ".", *(f":(exclude){name}" for name in LEFT_OUT))
        places = ("arch", *(name for name in LEFT_OUT if not name.startswith("arch")))
        wanted = [f":(glob){name}/**/{READ_ANYWHERE}" for name in places]
        self.git(*adding, "add", "--force", "--", *wanted)

    def _apply(self, series: Path) -> None:
        for name in parse_series((series / "series").read_text()):
            excluded = [f"--exclude={one}/*" for one in LEFT_OUT]
            self.git("apply", "--cached", "--whitespace=nowarn", *excluded, str(series / name))

    def edit(self, edits: Sequence[Edit]) -> None:
        """One commit for each."""
        for one in edits:
            text = self.git("show", f":{one.path}", strip=False)
            if one.old:
                assert text.count(one.old) == 1, (
                    f"{one.path}: {one.old!r} stands there {text.count(one.old)} times"
                )
            changed = text.replace(one.old, one.new) if one.old else text + one.new
            blob = self.git("hash-object", "-w", "--stdin", data=changed)
            self.git("update-index", "--cacheinfo", f"100644,{blob},{one.path}")
            self.commit(one.subject)

    def commit(self, subject: str) -> None:
        """Commit what is in the index."""
        parents = ["-p", self.commits[-1]] if self.commits else []
        name = self.git("commit-tree", self.git("write-tree"), *parents, "-m", subject)
        self.git("update-ref", "HEAD", name)
        self.commits.append(name)

    def git(self, *words: str, data: str | None = None, strip: bool = True) -> str:
        """What a git command says."""
        done = subprocess.run(
            ["git", f"--git-dir={self.path}", *words],
            env={**os.environ, **IDENTITY},
            input=data or "",
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, f"git {' '.join(words)}: {done.stderr}"
        return done.stdout.strip() if strip else done.stdout
