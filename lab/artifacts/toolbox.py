# SPDX-License-Identifier: GPL-2.0-only
"""The emulator toolbox: a QEMU new enough for the host VM, beside whatever this machine has installed."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.artifacts.packages import keep_listing
from lab.artifacts.recipe import recipe_inputs, write_tree
from lab.artifacts.workshop import Workshop
from lab.errors import BuildFailed, CommandFailed

_EMULATOR = "qemu-system-x86_64"


@dataclass(frozen=True)
class Toolbox:
    """`emulator` is a program that any user can run and libvirt takes as <emulator>; `version` is QEMU's."""

    emulator: Path
    version: str


def ensure_toolbox(workshop: Workshop) -> Toolbox:
    """The toolbox, made by `images/toolbox` unless it is in the cache.

    Raises BuildFailed where its QEMU does not run here, CommandFailed where packages cannot be had.
    """
    inputs = recipe_inputs(workshop.images_dir / "toolbox")
    entry = workshop.cache.ensure("toolbox", inputs, lambda directory: _build(workshop, directory))
    return Toolbox(entry / "tree" / _EMULATOR, (entry / "version").read_text().strip())


def parse_qemu_version(text: str) -> str | None:
    """The version in the output of `qemu-system-... --version`, such as 11.1.3."""
    match = re.search(r"QEMU emulator version (\d+(?:\.\d+)+)", text)
    return match[1] if match else None


def _build(workshop: Workshop, directory: Path) -> None:
    workshop.progress.step("making the emulator toolbox")
    log = workshop.build_log("toolbox", directory)
    work = directory / "work"
    work.mkdir()
    write_tree(workshop, workshop.images_dir / "toolbox", directory / "tree", work, log)
    keep_listing(work, directory)
    shutil.rmtree(work)
    emulator = directory / "tree" / _EMULATOR
    try:
        text = workshop.commands.output([emulator, "--version"], what="trying the toolbox's QEMU")
    except CommandFailed as error:
        raise BuildFailed(error.message, f"see {log}") from error
    version = parse_qemu_version(text)
    if version is None:
        raise BuildFailed(f"{emulator} --version names no version: {text.strip()!r}", f"see {log}")
    (directory / "version").write_text(version + "\n")
