# SPDX-License-Identifier: GPL-2.0-only
"""Cutting a small tree out of a large one: named files, and the libraries they are linked with."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lab.artifacts.ports import Commands
from lab.errors import BuildFailed

_NEEDED = re.compile(r"\(NEEDED\)\s+Shared library: \[(.+)\]")
_INTERPRETER = re.compile(r"Requesting program interpreter: (.+)\]")


@dataclass(frozen=True)
class Linkage:
    """What a dynamically linked file asks for: names of libraries, paths of program interpreters."""

    libraries: tuple[str, ...]
    interpreters: tuple[str, ...]


def parse_linkage(text: str) -> Linkage:
    """The linkage of all files in the output of `readelf --dynamic --program-headers --wide FILE...`."""
    return Linkage(
        libraries=tuple(dict.fromkeys(_NEEDED.findall(text))),
        interpreters=tuple(dict.fromkeys(_INTERPRETER.findall(text))),
    )


def cut_tree(commands: Commands, source: Path, keep: Iterable[str], target: Path) -> None:
    """Copy the files and directories `keep` (relative to `source`), and every library that a copied file is
    linked with, into `target`. Links are copied with what they point to.

    Raises BuildFailed that names what `source` does not have.
    """
    cutter = _Cutter(source)
    for name in keep:
        cutter.keep(PurePosixPath(name))
    while pending := cutter.take_unresolved():
        linkage = _read_linkage(commands, [source / name for name in pending])
        cutter.keep_linked(linkage)
    _copy(source, cutter.kept, target)


class _Cutter:
    """The set of paths kept so far, and the programs among them whose libraries were not looked up yet."""

    def __init__(self, source: Path) -> None:
        self.kept: set[PurePosixPath] = set()
        self._source = source
        self._unresolved: list[PurePosixPath] = []

    def take_unresolved(self) -> list[PurePosixPath]:
        taken, self._unresolved = sorted(self._unresolved), []
        return taken

    def keep(self, name: PurePosixPath) -> None:
        name = merge_usr(name)
        if name in self.kept:
            return
        self.kept.add(name)
        path = self._source / name
        if path.is_symlink():
            self.keep(_link_target(name, str(path.readlink())))
        elif path.is_dir():
            for child in sorted(path.iterdir()):
                self.keep(name / child.name)
        elif not path.is_file():
            raise BuildFailed(f"the packages have no {name}, which the recipe keeps")
        elif _is_elf(path):
            self._unresolved.append(name)

    def keep_linked(self, linkage: Linkage) -> None:
        for interpreter in linkage.interpreters:
            self.keep(PurePosixPath(interpreter.lstrip("/")))
        for library in linkage.libraries:
            found = next(self._find_library(library), None)
            if found is None:
                raise BuildFailed(f"the packages have no library {library}, with which a kept file is linked")
            self.keep(found)

    def _find_library(self, library: str) -> Iterator[PurePosixPath]:
        """Candidates in the loader's own directories, then in packages' private ones (RUNPATH)."""
        for pattern in (f"usr/lib/*-linux-*/{library}", f"usr/lib/{library}", f"usr/lib/**/{library}"):
            for path in sorted(self._source.glob(pattern)):
                yield PurePosixPath(path.relative_to(self._source))


def merge_usr(name: PurePosixPath) -> PurePosixPath:
    """`name` in a file system whose /bin, /sbin, /lib and /lib64 are links into /usr."""
    return PurePosixPath("usr", name) if name.parts[:1] and name.parts[0] in _MERGED else name


_MERGED = ("bin", "sbin", "lib", "lib64")


def _link_target(link: PurePosixPath, target: str) -> PurePosixPath:
    return PurePosixPath(os.path.normpath(f"/{link.parent}/{target}" if target[0] != "/" else target)[1:])


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _read_linkage(commands: Commands, files: list[Path]) -> Linkage:
    argv: list[str | Path] = ["readelf", "--dynamic", "--program-headers", "--wide", *files]
    return parse_linkage(commands.output(argv, what="looking up shared libraries"))


def _copy(source: Path, names: Iterable[PurePosixPath], target: Path) -> None:
    for name in sorted(names):
        path, copy = source / name, target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() and not path.is_symlink():
            copy.mkdir(exist_ok=True)
        else:
            shutil.copy2(path, copy, follow_symlinks=False)
