# SPDX-License-Identifier: GPL-2.0-only
"""The project's own small static programs: what samples, loads, drives knobs, records traces, and init."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.artifacts.workshop import Workshop, tree_digests
from lab.errors import BuildFailed, CommandFailed

_TIMEOUT_S = 300
#: Directories below `images` with a Makefile that puts programs into $(OUT), and what they are to make.
_SOURCES = {"probe": ("pvprobe", "pvspin", "pvknob", "pvload", "pvlock", "pvtrace"), "guest/init": ("init",)}

_COMPILED = (".c", ".h")


@dataclass(frozen=True)
class Probe:
    """Static programs of this machine's architecture."""

    pvprobe: Path
    pvspin: Path
    pvknob: Path
    pvload: Path
    pvlock: Path
    pvtrace: Path
    init: Path


def ensure_probe(workshop: Workshop) -> Probe:
    """The programs, compiled unless they are in the cache. Raises BuildFailed with the compiler's words."""
    compiler = workshop.commands.output(["gcc", "-dumpfullversion", "-dumpmachine"], what="asking for gcc")
    sources = {name: _source_digests(workshop.images_dir / name) for name in _SOURCES}
    inputs = {"compiler": compiler.split(), "sources": sources}
    entry = workshop.cache.ensure("probe", inputs, lambda directory: _compile(workshop, directory))
    return Probe(*(entry / program for programs in _SOURCES.values() for program in programs))


def _source_digests(directory: Path) -> dict[str, str]:
    """Of what the compiler reads: documents, and what somebody compiled in place, do not count."""
    digests = tree_digests(directory)
    return {
        name: digest
        for name, digest in digests.items()
        if Path(name).suffix in _COMPILED or name == "Makefile"
    }


def _compile(workshop: Workshop, directory: Path) -> None:
    workshop.progress.step("compiling the probe")
    log = workshop.build_log("probe", directory)
    for name, programs in _SOURCES.items():
        out = directory / "out"
        argv: list[str | Path] = ["make", "-C", workshop.images_dir / name, f"OUT={out}", "all"]
        try:
            workshop.commands.run(argv, what=f"compiling images/{name}", log=log, timeout_s=_TIMEOUT_S)
        except CommandFailed as error:
            raise BuildFailed(error.message, error.hint) from error
        for program in programs:
            shutil.copy2(out / program, directory / program)
        shutil.rmtree(out)
