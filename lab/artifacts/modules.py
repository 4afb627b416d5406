# SPDX-License-Identifier: GPL-2.0-only
"""Kernel modules: what `make modules_install` staged, as an archive that follows a guest's initramfs."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from lab.artifacts.initrd import CpioEntry, cpio_newc
from lab.errors import BuildFailed

#: Where modprobe looks, below the staging tree as below the guest's root.
MODULES = Path("lib", "modules")


def has_modules(config: Mapping[str, str]) -> bool:
    """Whether a kernel of this .config (`parse_config`) has modules to build."""
    return "m" in config.values()


def module_names(staged: Path) -> tuple[str, ...]:
    """The modules in a staging tree by the names that modprobe knows, sorted."""
    return tuple(sorted(path.stem.replace("-", "_") for path in (staged / MODULES).rglob("*.ko")))


def read_modules_archive(staged: Path) -> bytes:
    """Everything below lib/modules of a staging tree as a cpio archive, equal for equal trees.

    Links are left out: `build` and `source` name directories of the building machine. Raises BuildFailed where
    depmod did not run, without which modprobe finds nothing.
    """
    if not list((staged / MODULES).glob("*/modules.dep")):
        raise BuildFailed("installing modules: depmod left no modules.dep", "install kmod: `make setup` does")
    return cpio_newc(_entries(staged))


def _entries(staged: Path) -> Iterator[CpioEntry]:
    for path in (staged / MODULES.parts[0], *sorted((staged / MODULES.parts[0]).rglob("*"))):
        name = str(path.relative_to(staged))
        if path.is_symlink():
            continue
        if path.is_dir():
            yield CpioEntry(name, stat.S_IFDIR | 0o755)
        else:
            yield CpioEntry(name, stat.S_IFREG | 0o644, path.read_bytes())
