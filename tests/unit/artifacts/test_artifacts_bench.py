# SPDX-License-Identifier: GPL-2.0-only
"""Kernels built one after the other in one place: what is kept between two of them, and when it is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes import FakeCommands, RecordedProgress
from gitrepos import Repository
from unit.artifacts.test_artifacts_kernels import Kbuild

from lab.adapters.commands import ProcessCommands
from lab.artifacts.bench import Bench
from lab.artifacts.cache import Cache
from lab.artifacts.gitbisect import GitBisect, GitTree
from lab.artifacts.kernels import BuiltKernel, ensure_kernel
from lab.artifacts.workshop import Workshop
from lab.errors import BuildFailed, CommandFailed
from lab.plan.labplan import KernelPlan, KernelSourcePlan

KCONFIG = "config KNOWN\n\tbool\n"
#: Longer than any name of a command in a message.
TIMED_OUT = "compiling: the command did not end within 10800 s:\n  make"


class Place:
    """A bench with kernels of `tree`; what a compilation finds of the one before it is in `found`."""

    def __init__(self, directory: Path) -> None:
        self.tree = Repository(directory / "linux")
        self.place = directory / "place"
        self.found: list[str] = []
        self.kbuild = Kbuild()
        self.failure: Exception | None = None
        commands = FakeCommands(
            {
                "make": self._make,
                "git": self._git,
                "patch": self._patch,
                "objcopy": self.kbuild.objcopy,
                "gcc": "gcc 12\n",
                "tar": self._git,
            }
        )
        (directory / "images/kernels/configs").mkdir(parents=True)
        progress = RecordedProgress()
        self.workshop = Workshop(
            Cache(directory / "cache", progress), commands, progress, directory / "images"
        )

    def _git(self, words: list[str]) -> str:
        return ProcessCommands().output(words, what="git")

    def _patch(self, words: list[str]) -> str:
        return ProcessCommands().output(words, what="patch", cwd=self.place / "src")

    def _make(self, words: list[str]) -> str:
        obj = Path(next(word for word in words if word.startswith("O=")).removeprefix("O="))
        if words[-1] == "allnoconfig":
            return self.kbuild.make(words)
        kept = obj / "kept"
        self.found.append(kept.read_text() if kept.exists() else "nothing")
        if self.failure is not None:
            raise self.failure
        kept.write_text((self.kbuild.tree / "init.c").read_text())
        return self.kbuild.make(words)

    def build(self, commit: str, *patches: Path, clean: bool = False) -> BuiltKernel:
        source = KernelSourcePlan("tree", str(self.tree.path), commit)
        plan = KernelPlan("mine", source, tuple(map(str, patches)), (), "")
        bench = Bench(self.place, str(self.tree.path), commit)
        return ensure_kernel(self.workshop if clean else replace(self.workshop, bench=bench), plan)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.tree.commit("one", {"Kconfig": KCONFIG, "init.c": "one\n"})
    real = ProcessCommands()
    GitBisect(GitTree(real, made.tree.path), real, made.place / "src").ensure_work_tree("main")
    return made


def test_the_next_kernel_is_made_out_of_what_the_last_one_left(place: Place) -> None:
    commits = ["main", place.tree.commit("two", {"init.c": "two\n"})]
    commits[0] = place.tree.git("rev-parse", "main~1")
    before = (place.place / "src/Kconfig").exists()
    place.build(commits[0])
    changed_ns = (place.place / "src/Kconfig").stat().st_mtime_ns
    place.build(commits[1])
    assert place.found == ["nothing", "one\n"]
    assert not before
    assert (place.place / "src/Kconfig").stat().st_mtime_ns == changed_ns  # make has no reason to look at it
    assert (place.tree.path / "init.c").read_text() == "two\n"
    assert place.build(commits[0]).key != place.build(commits[1]).key
    assert len(place.found) == 2  # both were in the cache


def test_clean_builds_never_get_what_was_made_of_leftovers(place: Place) -> None:
    commit = place.tree.git("rev-parse", "main")
    on_bench = place.build(commit)
    clean = place.build(commit, clean=True)
    assert clean.key != on_bench.key
    other = place.tree.commit("two", {"init.c": "two\n"})
    assert place.build(other, clean=True).key == place.build(other).key


def test_patches_on_top_of_one_commit_do_not_reach_the_next(place: Place, tmp_path: Path) -> None:
    patch = tmp_path / "0001.patch"
    patch.write_text(
        "--- a/init.c\n+++ b/init.c\n@@ -1 +1 @@\n-one\n+patched\n--- /dev/null\n+++ b/new.c\n@@ -0,0 +1 @@\n+n\n"
    )
    first = place.tree.git("rev-parse", "main")
    second = place.tree.commit("two", {"other.c": "two\n"})
    place.build(first, patch)
    assert (place.place / "src/new.c").exists()
    place.build(second)
    place.build(first)
    assert place.found == ["nothing", "patched\n", "one\n"]
    assert not (place.place / "src/new.c").exists()


def test_a_compilation_that_failed_by_itself_leaves_what_it_made(place: Place) -> None:
    first = place.tree.git("rev-parse", "main")
    second, third = (place.tree.commit(name, {"init.c": f"{name}\n"}) for name in ("two", "three"))
    place.build(first)
    place.failure = CommandFailed("compiling: the command exited with status 2:\n  make")
    with pytest.raises(BuildFailed):
        place.build(second)
    place.failure = None
    place.build(third)
    assert place.found == ["nothing", "one\n", "one\n"]


@pytest.mark.parametrize("failure", [CommandFailed(TIMED_OUT), KeyboardInterrupt()])
def test_after_one_that_was_killed_everything_is_made_anew(place: Place, failure: Exception) -> None:
    first = place.tree.git("rev-parse", "main")
    second = place.tree.commit("two", {"init.c": "two\n"})
    place.build(first)
    place.failure = failure
    with pytest.raises((BuildFailed, KeyboardInterrupt)):
        place.build(second)
    place.failure = None
    place.build(second)
    assert place.found == ["nothing", "one\n", "nothing"]
