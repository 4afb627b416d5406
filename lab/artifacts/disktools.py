# SPDX-License-Identifier: GPL-2.0-only
"""Programs that make disks of virtual machines, newer than the machine's own, in a tree with their libraries."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.artifacts.recipe import recipe_inputs, write_tree
from lab.artifacts.workshop import Workshop

#: The directory of `images` with the recipe.
DISK_TOOLS = "disktools"


@dataclass(frozen=True)
class DiskTools:
    """`tree` is a root directory; `key` names what is in it."""

    tree: Path
    key: str

    @property
    def boot_code(self) -> Path:
        """GRUB's first sector."""
        return self.grub_modules / "boot.img"

    @property
    def grub_modules(self) -> Path:
        """GRUB's parts for a BIOS."""
        return self.tree / "usr/lib/grub/i386-pc"

    def command(self, program: str) -> tuple[str | Path, ...]:
        """The beginning of a command that runs `program`, such as usr/bin/qemu-img, by the tree's own loader."""
        libraries = self.tree / "usr/lib/x86_64-linux-gnu"
        return (libraries / "ld-linux-x86-64.so.2", "--library-path", libraries, self.tree / program)


def ensure_disk_tools(workshop: Workshop) -> DiskTools:
    """The programs, made by `images/disktools` unless they are in the cache.

    Raises CommandFailed where packages cannot be had, BuildFailed where they lack a file.
    """
    inputs = recipe_inputs(workshop.images_dir / DISK_TOOLS)
    entry = workshop.cache.ensure(DISK_TOOLS, inputs, lambda directory: _build(workshop, directory))
    return DiskTools(entry / "tree", entry.name)


def _build(workshop: Workshop, directory: Path) -> None:
    workshop.progress.step("making the programs that make disks")
    log = workshop.build_log(DISK_TOOLS, directory)
    work, tree = directory / "work", directory / "tree"
    work.mkdir()
    tree.mkdir()
    write_tree(workshop, workshop.images_dir / DISK_TOOLS, tree, work, log)
    shutil.rmtree(work)
