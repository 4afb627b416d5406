# SPDX-License-Identifier: GPL-2.0-only
"""Read-only root images: the guests' and the host VM's."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.artifacts.disktools import DISK_TOOLS
from lab.artifacts.kernelpart import add_kernel_part, open_kernel_source
from lab.artifacts.packages import keep_listing
from lab.artifacts.probe import Probe, ensure_probe
from lab.artifacts.recipe import check_needs, read_recipe, recipe_inputs, write_tree
from lab.artifacts.source import Source
from lab.artifacts.vagrantbox import VAGRANT_BOX
from lab.artifacts.workshop import Workshop, file_digest
from lab.errors import BuildFailed, CommandFailed, InputError

#: The root image of guests without loads that need more.
GUEST = "guest"
HOST = "host"
#: Directories of `images` with a recipe of something else than a root image.
_OTHERS = ("toolbox", DISK_TOOLS, VAGRANT_BOX)

#: All images carry the same, so that the same tree gives the same bytes.
_FILESYSTEM_UUID = "00000000-0000-0000-0000-000000000000"
_MKFS_TIMEOUT_S = 600


@dataclass(frozen=True)
class RootImage:
    """A root file system: `image` is an erofs file; `init` starts it from the initramfs."""

    image: Path
    init: Path
    key: str


def image_kinds(images_dir: Path) -> tuple[str, ...]:
    """The root images that there are recipes of: directories of the project's `images`."""
    found = (path.parent.name for path in images_dir.glob("*/recipe.yaml"))
    return tuple(sorted(set(found) - set(_OTHERS)))


def ensure_image(workshop: Workshop, kind: str) -> RootImage:
    """The root image of guests (any of those that begin with guest) or of the host VM, made by `images/<kind>`
    unless it is in the cache.

    Raises InputError where there is no recipe of it or a file that it leaves to the user is missing, CommandFailed
    or BuildFailed where it cannot be made, HostError where this machine lacks a tool or a Debian mirror.
    """
    known = image_kinds(workshop.images_dir)
    if kind not in known:
        raise InputError(f"there is no root image {kind!r}; there is {', '.join(known)}", "`lab image list`")
    recipe = workshop.images_dir / kind
    check_needs(recipe)
    probe = ensure_probe(workshop)
    programs = {name: _program(probe, name) for name in read_recipe(recipe).programs}
    kernel = _kernel_of(workshop, recipe)
    inputs = {
        **recipe_inputs(recipe),
        "programs": {name: file_digest(path) for name, path in programs.items()},
        **({"kernel": kernel.identity} if kernel else {}),
    }
    entry = workshop.cache.ensure(
        f"{kind}-image", inputs, lambda directory: _build(workshop, kind, programs, kernel, directory)
    )
    return RootImage(entry / "root.erofs", probe.init, entry.name)


def _kernel_of(workshop: Workshop, recipe: Path) -> Source | None:
    version = read_recipe(recipe).kernel_source
    return open_kernel_source(workshop, version) if version else None


def _program(probe: Probe, name: str) -> Path:
    programs = {
        "pvprobe": probe.pvprobe,
        "pvspin": probe.pvspin,
        "pvknob": probe.pvknob,
        "pvload": probe.pvload,
        "pvlock": probe.pvlock,
        "pvtrace": probe.pvtrace,
    }
    if name not in programs:
        raise BuildFailed(f"a recipe wants the program {name}; there are {', '.join(programs)}")
    return programs[name]


def _build(
    workshop: Workshop, kind: str, programs: dict[str, Path], kernel: Source | None, directory: Path
) -> None:
    workshop.progress.step(f"making the {kind} image")
    log = workshop.build_log(f"{kind}-image", directory)
    work, tree = directory / "work", directory / "tree"
    work.mkdir()
    tree.mkdir()
    workshop.progress.update(0.0, "packages")
    write_tree(workshop, workshop.images_dir / kind, tree, work, log)
    for name, program in programs.items():
        shutil.copy2(program, tree / "usr/bin" / name)
    if kernel:
        add_kernel_part(kernel, read_recipe(workshop.images_dir / kind).kernel_keep, tree, work, log)
    _link_applets(workshop, tree)
    _set_modes(tree)
    workshop.progress.update(0.7, "file system")
    _make_erofs(workshop, tree, directory / "root.erofs", log)
    shutil.rmtree(tree)
    keep_listing(work, directory)
    shutil.rmtree(work)
    shutil.copyfile(log, directory / "build.log")


def _link_applets(workshop: Workshop, tree: Path) -> None:
    """Give every program that busybox can be, and that the image does not have, its name."""
    busybox = tree / "usr/bin/busybox"
    names = workshop.commands.output([busybox, "--list"], what="asking busybox for its applets").split()
    for name in names:
        if not any(os.path.lexists(tree / place / name) for place in ("usr/bin", "usr/sbin")):
            (tree / "usr/bin" / name).symlink_to("busybox")


def _set_modes(tree: Path) -> None:
    """Permissions that a checkout under another umask cannot carry."""
    for path in tree.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    (tree / "tmp").chmod(0o1777)
    (tree / "root").chmod(0o700)
    (tree / "etc/shadow").chmod(0o600)


def _make_erofs(workshop: Workshop, tree: Path, image: Path, log: Path) -> None:
    options = ["-zlz4hc", "-T0", f"-U{_FILESYSTEM_UUID}", "--all-root", "--quiet"]
    argv: list[str | Path] = ["mkfs.erofs", *options, image, tree]
    try:
        workshop.commands.run(argv, what="making the file system", log=log, timeout_s=_MKFS_TIMEOUT_S)
    except CommandFailed as error:
        raise BuildFailed(error.message, error.hint) from error
