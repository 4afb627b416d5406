# SPDX-License-Identifier: GPL-2.0-only
"""Finds the kernel of a plan in the cache, and the files that it was built from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path, PurePosixPath

from lab.artifacts.cache import Cache, CacheEntry
from lab.artifacts.given import kept_fragment, kept_patch
from lab.artifacts.patches import patch_digest, read_patches
from lab.artifacts.workshop import file_digest
from lab.errors import InputError
from lab.plan.labplan import KernelPlan
from lab.recording import KEPT_KERNELS as KEPT

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
    """Where kernels come from: the cache, this checkout's `images`, and what the recording itself (its directory)
    kept. `keys` are the entries that the recording names, by kernel; empty for recordings of older labs."""

    cache: Cache
    images_dir: Path
    recording: Path
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
        return next(self._present(path), None)

    def _present(self, path: str) -> Iterator[Path]:
        """Files that may be what a plan names: itself, or one that ships with this checkout."""
        candidates = [Path(path)]
        if _IMAGES in path:
            candidates.append(self.images_dir / path.rpartition(_IMAGES)[2])
        shipped = sorted((self.images_dir / "kernels").glob(f"*/{escape(PurePosixPath(path).name)}"))
        yield from (one for one in (*candidates, *shipped) if one.is_file())

    def _fits(self, entry: CacheEntry, plan: KernelPlan) -> bool:
        """Whether it was built from what the plan names, as far as that is still there."""
        if plan.source.kind == "image":
            image = self.file(plan.source.value)
            return image is not None and entry.inputs.get("image") == file_digest(image)
        fragments = self._fragments(plan, entry)
        return (
            _source_fits(str(entry.inputs.get("source", "")), plan)
            and [name for name, _ in entry.inputs.get("fragments", ())] == [*map(_name, plan.fragments)]
            and None not in fragments
            and None not in self._patches(plan, entry)
        )

    def _patches(self, plan: KernelPlan, entry: CacheEntry | None) -> tuple[Path | None, ...]:
        """The first set of files that is whole, and is what went in where that is known."""
        for files in self._patch_sets(plan, entry):
            present = [file for file in files if file is not None]
            if len(present) == len(plan.patches) and (entry is None or _is_in(entry, plan, present)):
                return tuple(present)
        if entry is None:
            return tuple(self.file(path) for path in plan.patches)
        return (None,) * len(plan.patches)

    def _patch_sets(self, plan: KernelPlan, entry: CacheEntry | None) -> Iterator[list[Path | None]]:
        kept = [self.recording / KEPT / plan.name, *([entry.path] if entry is not None else [])]
        yield [kept_patch(kept[0], number, path) for number, path in enumerate(plan.patches, 1)]
        yield [self.file(path) for path in plan.patches]
        yield [kept_patch(kept[-1], number, path) for number, path in enumerate(plan.patches, 1)]

    def _fragments(self, plan: KernelPlan, entry: CacheEntry | None) -> tuple[Path | None, ...]:
        known = entry.inputs.get("fragments", ()) if entry is not None else ()
        digests = {number: one[1] for number, one in enumerate(known, 1)}
        return tuple(
            self._fragment(plan, number, digests.get(number), entry)
            for number in range(1, len(plan.fragments) + 1)
        )

    def _fragment(
        self, plan: KernelPlan, number: int, digest: str | None, entry: CacheEntry | None
    ) -> Path | None:
        path = plan.fragments[number - 1]
        kept = kept_fragment(self.recording / KEPT / plan.name, number, path)
        built = None if entry is None else kept_fragment(entry.path, number, path)
        files: list[Path | None] = [kept, *self._present(path), built]
        for file in files:
            if file is not None and digest in (None, file_digest(file)):
                return file
        return None


def _name(path: str) -> str:
    return PurePosixPath(path).name


def _is_in(entry: CacheEntry, plan: KernelPlan, files: Sequence[Path]) -> bool:
    """Whether these files are the patches that are in an entry."""
    known = entry.inputs.get("patches")
    return known == _digests(files) or known == _digests_by_name(plan.patches, files)


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
