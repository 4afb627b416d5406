# SPDX-License-Identifier: GPL-2.0-only
"""Brings a root image, or the emulator's toolbox, into a bundle: by its recipe, not by its bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.artifacts.cache import Cache, CacheEntry
from lab.artifacts.packages import PACKAGES
from lab.artifacts.recipe import recipe_inputs
from lab.artifacts.workshop import file_digest
from lab.bundle.manifest import ImagePart
from lab.bundle.stage import Stage
from lab.errors import InputError
from lab.plan.labplan import LabPlan

TOOLBOX = "toolbox"
_GUEST, _HOST = "guest", "host"
_IMAGE = "root.erofs"


@dataclass(frozen=True)
class ImageShelf:
    """Where images come from: the cache, and this checkout's recipes. `keys` are the entries that the recording
    itself names, by kind; empty for recordings of older labs."""

    cache: Cache
    images_dir: Path
    keys: Mapping[str, str]

    def find(self, kind: str) -> tuple[CacheEntry | None, bool]:
        """The entry of an image, and whether that is sure."""
        entries = self.cache.entries(kind if kind == TOOLBOX else f"{kind}-image")
        if kind in self.keys:
            return next((one for one in entries if one.key == self.keys[kind]), None), True
        try:
            wanted = recipe_inputs(self.images_dir / kind)
        except InputError:
            return None, False
        fitting = (one for one in entries if wanted.items() <= one.inputs.items())
        return next(fitting, None), False


def image_kinds_of(plan: LabPlan) -> tuple[str, ...]:
    """The images that a plan needs, by the names of their recipes."""
    own_host = (_HOST, TOOLBOX) if plan.host.where == "nested" else ()
    return tuple(sorted({_GUEST, *(node.image for node in plan.nodes), *own_host}))


def add_image(stage: Stage, shelf: ImageShelf, kind: str) -> ImagePart:
    """Add what is known of an image to the stage."""
    entry, exact = shelf.find(kind)
    if entry is None:
        stage.lack(f"image {kind}", "it is not in the cache any more")
        return ImagePart(kind=kind, recipe=_add_recipe(stage, shelf, kind, None))
    image = entry.path / _IMAGE
    return ImagePart(
        kind=kind,
        key=entry.key,
        exact=exact,
        inputs=dict(entry.inputs),
        sha256=file_digest(image) if image.is_file() else None,
        size_bytes=image.stat().st_size if image.is_file() else None,
        recipe=_add_recipe(stage, shelf, kind, entry),
        packages=_add_packages(stage, kind, entry),
        log=_add_log(stage, kind, entry),
    )


def _add_packages(stage: Stage, kind: str, entry: CacheEntry) -> str | None:
    if not (entry.path / PACKAGES).is_file():
        stage.lack(f"versions of the packages in image {kind}", "it was made before the lab kept them")
        return None
    return stage.copy(f"images/{kind}/{PACKAGES}", entry.path / PACKAGES)


def _add_log(stage: Stage, kind: str, entry: CacheEntry) -> str | None:
    log = entry.path / "build.log"
    if not log.is_file() or not stage.wants("logs", f"build log of image {kind}"):
        return None
    return stage.copy_text(f"images/{kind}/build.log", log)


def _add_recipe(stage: Stage, shelf: ImageShelf, kind: str, entry: CacheEntry | None) -> tuple[str, ...]:
    """The recipe as it is in this checkout, unless it is another one by now: then its inputs tell what it was."""
    directory = shelf.images_dir / kind
    if not _is_same_recipe(directory, entry):
        stage.lack(f"recipe of image {kind}", "it is another one in this checkout by now")
        return ()
    where = f"images/{kind}/recipe"
    files = sorted(_regular_files(directory))
    return tuple(stage.copy(f"{where}/{path.relative_to(directory).as_posix()}", path) for path in files)


def _is_same_recipe(directory: Path, entry: CacheEntry | None) -> bool:
    try:
        wanted = recipe_inputs(directory)
    except InputError:
        return False
    return entry is None or wanted.items() <= entry.inputs.items()


def _regular_files(directory: Path) -> Iterator[Path]:
    """recipe.yaml and what is put on top; links in it are told by the inputs."""
    yield directory / "recipe.yaml"
    files = directory / "files"
    yield from (path for path in files.rglob("*") if path.is_file() and not path.is_symlink())
