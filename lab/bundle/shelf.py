# SPDX-License-Identifier: GPL-2.0-only
"""Finds the kernel of a plan in the cache, and the files that it was built from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lab.artifacts.cache import Cache, CacheEntry
from lab.artifacts.given import kept_fragment, kept_patch
from lab.artifacts.patches import patch_digest, read_patches
from lab.artifacts.workshop import file_digest
from lab.errors import InputError
from lab.plan.labplan import KernelPlan

_KIND = "kernel"
_IMAGES = "/images/"


@dataclass(frozen=True)
class Found:
    """What is known of a kernel: its entry in the cache, None where there is none any more; `exact` where the
    recording itself named it; and its patches and fragments as they went in, None for those that cannot be had."""

    entry: CacheEntry | None
    exact: bool
    patches: tuple[Path | None, ...]
    fragments: tuple[Path | None, ...]


@dataclass(frozen=True)
class Shelf:
    """Where kernels come from: the cache, and this checkout's `images`. `keys` are the entries that the recording
    itself names, by kernel; empty for recordings of older labs."""

    cache: Cache
    images_dir: Path
    keys: Mapping[str, str]

    def find(self, plan: KernelPlan) -> Found:
        """The kernel of a plan."""
        exact = plan.name in self.keys
        fitting = (
            one
            for one in self.cache.entries(_KIND)
            if (one.key == self.keys[plan.name] if exact else self._fits(one, plan))
        )
        entry = next(fitting, None)
        return Found(
            entry, exact and entry is not None, self._patches(plan, entry), self._fragments(plan, entry)
        )

    def file(self, path: str) -> Path | None:
        """The file that a plan names; where it came from another checkout, this one's."""
        return next((one for one in self._candidates(path) if one.is_file()), None)

    def _candidates(self, path: str) -> Iterator[Path]:
        yield Path(path)
        if _IMAGES in path:
            yield self.images_dir / path.rpartition(_IMAGES)[2]

    def _fits(self, entry: CacheEntry, plan: KernelPlan) -> bool:
        """Whether it was built from what the plan names, as that is on disk now."""
        if plan.source.kind == "image":
            image = self.file(plan.source.value)
            return image is not None and entry.inputs.get("image") == file_digest(image)
        fragments = [
            [PurePosixPath(path).name, None if (file := self.file(path)) is None else file_digest(file)]
            for path in plan.fragments
        ]
        return (
            _source_fits(str(entry.inputs.get("source", "")), plan)
            and self._has_patches(entry, plan)
            and entry.inputs.get("fragments") == fragments
        )

    def _has_patches(self, entry: CacheEntry, plan: KernelPlan) -> bool:
        """Whether the files of the plan still are the patches that are in an entry."""
        files = [self.file(path) for path in plan.patches]
        known = entry.inputs.get("patches")
        present = [file for file in files if file is not None]
        if len(present) < len(files):
            return False
        return known == _digests(present) or known == _digests_by_name(plan.patches, present)

    def _patches(self, plan: KernelPlan, entry: CacheEntry | None) -> tuple[Path | None, ...]:
        if entry is None or self._has_patches(entry, plan):
            return tuple(self.file(path) for path in plan.patches)
        return tuple(kept_patch(entry.path, number, path) for number, path in enumerate(plan.patches, 1))

    def _fragments(self, plan: KernelPlan, entry: CacheEntry | None) -> tuple[Path | None, ...]:
        known = entry.inputs.get("fragments", ()) if entry is not None else ()
        digests = {number: one[1] for number, one in enumerate(known, 1)}
        return tuple(
            self._fragment(number, path, digests.get(number), entry)
            for number, path in enumerate(plan.fragments, 1)
        )

    def _fragment(self, number: int, path: str, digest: str | None, entry: CacheEntry | None) -> Path | None:
        file = self.file(path)
        if file is not None and digest in (None, file_digest(file)):
            return file
        return None if entry is None else kept_fragment(entry.path, number, path)


def _digests(files: Sequence[Path]) -> list[str] | None:
    """How kernels are known now: by what their patches do."""
    try:
        return [patch_digest(patch) for patch in read_patches(tuple(files))]
    except InputError:
        return None


def _digests_by_name(paths: Sequence[str], files: Sequence[Path]) -> list[list[str]]:
    """How older labs knew them."""
    return [[PurePosixPath(path).name, file_digest(file)] for path, file in zip(paths, files, strict=True)]


def _source_fits(identity: str, plan: KernelPlan) -> bool:
    if plan.source.kind == "debian":
        return identity.startswith(f"debian linux-source-{plan.source.value} ")
    if plan.source.kind == "tarball":
        path = Path(plan.source.value)
        return path.is_file() and identity == f"tarball {file_digest(path)}"
    return identity.startswith(("git ", "listing "))
