# SPDX-License-Identifier: GPL-2.0-only
"""What the cache holds, for people to look at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.artifacts.cache import Cache, CacheEntry
from lab.artifacts.vagrantbox import VAGRANT_BOX

_TOOLBOX = "toolbox"
_IMAGE = "-image"


@dataclass(frozen=True)
class Listed:
    """One thing in the cache. `title` says what it is in a word: a kernel's release and how many modules it has,
    QEMU's version.

    `age_s` counts from the last use; `inputs` is everything that went in.
    """

    kind: str
    key: str
    title: str
    path: Path
    size_bytes: int
    age_s: float
    inputs: Mapping[str, Any]


def list_kernels(cache: Cache) -> tuple[Listed, ...]:
    """The kernels, the last used first."""
    return tuple(_listed(entry, _release(entry)) for entry in cache.entries("kernel"))


def list_images(cache: Cache) -> tuple[Listed, ...]:
    """Root images, emulator toolboxes and Vagrant boxes, the last used of each kind first."""
    kinds = [*(kind for kind in cache.kinds() if kind.endswith(_IMAGE)), _TOOLBOX, VAGRANT_BOX]
    return tuple(_listed(entry, _title(entry)) for kind in kinds for entry in cache.entries(kind))


def _release(entry: CacheEntry) -> str:
    about = json.loads((entry.path / "about.json").read_text())
    modules = len(about.get("modules", ()))
    return str(about["release"]) + (f" +{modules} module{'s' if modules > 1 else ''}" if modules else "")


def _title(entry: CacheEntry) -> str:
    version = entry.path / "version"
    return f"QEMU {version.read_text().strip()}" if version.is_file() else entry.kind


def _listed(entry: CacheEntry, title: str) -> Listed:
    return Listed(entry.kind, entry.key, title, entry.path, entry.size_bytes, entry.age_s, entry.inputs)
