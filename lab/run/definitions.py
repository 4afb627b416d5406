# SPDX-License-Identifier: GPL-2.0-only
"""The files of definitions that a topology names, kept with its recording: they may be others the next day.

definitions/knob_files/N/FILE, definitions/load_files/N/FILE
                entry number N (from 1) of the topology's key: a file, or the *.yaml of a directory
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lab.artifacts.given import keep_given
from lab.errors import RecordingError
from lab.plan.labplan import KernelPlan
from lab.recording import DEFINITIONS, KEPT_KERNELS, Recording
from lab.topology.definitionfiles import files_of
from lab.topology.model import Topology

KEYS = ("knob_files", "load_files")


def keep_inputs(topology: Topology, recording: Path, images_dir: Path) -> None:
    """Copy them into a recording; nothing where there is no recording, or where there is no such file any more.
    What lies in `images_dir` comes with the lab."""
    with suppress(OSError, RecordingError):
        keep_definitions(topology, recording)
        for kernel in Recording(recording).plan().kernels:
            if not _is_shipped(kernel, images_dir):
                keep_given(kernel, recording / KEPT_KERNELS / kernel.name)


def _is_shipped(kernel: KernelPlan, images_dir: Path) -> bool:
    return all(Path(path).is_relative_to(images_dir) for path in (*kernel.patches, *kernel.fragments))


def keep_definitions(topology: Topology, recording: Path) -> None:
    """Copy the files of definitions."""
    if not recording.is_dir():
        return
    for key in KEYS:
        for number, name in enumerate(files_of(topology.text, key), 1):
            for file in _files(topology.directory / name):
                target = recording / DEFINITIONS / key / str(number) / file.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)


def _files(path: Path) -> Iterator[Path]:
    found = path.glob("*.yaml") if path.is_dir() else [path]
    yield from (file for file in found if file.is_file())
