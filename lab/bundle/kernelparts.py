# SPDX-License-Identifier: GPL-2.0-only
"""Brings a kernel into a bundle: its inputs, and what the cache still has of what came out of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lab.artifacts.cache import Cache, CacheEntry
from lab.artifacts.workshop import file_digest
from lab.bundle.layout import KernelLayout, lay_out_kernel
from lab.bundle.manifest import KernelPart, SourceRef
from lab.bundle.resolved import source_member
from lab.bundle.stage import Stage
from lab.plan.labplan import KernelPlan

_KIND = "kernel"
#: Copies of a kernel's patches and fragments in its entry (lab.artifacts.kernels).
_KEPT = "given"
_IMAGES = "/images/"


@dataclass(frozen=True)
class Shelf:
    """Where kernels come from: the cache, and this checkout's `images`. `keys` are the entries that the recording
    itself names, by kernel; empty for recordings of older labs."""

    cache: Cache
    images_dir: Path
    keys: Mapping[str, str]

    def find(self, plan: KernelPlan) -> tuple[CacheEntry | None, bool]:
        """The entry of a kernel, and whether that is sure."""
        entries = self.cache.entries(_KIND)
        if plan.name in self.keys:
            return next((one for one in entries if one.key == self.keys[plan.name]), None), True
        return next((one for one in entries if self._fits(one, plan)), None), False

    def _fits(self, entry: CacheEntry, plan: KernelPlan) -> bool:
        if plan.source.kind == "image":
            found = self.file(plan.source.value)
            return found is not None and entry.inputs.get("image") == file_digest(found)
        return (
            _source_fits(str(entry.inputs.get("source", "")), plan)
            and self._same(entry.inputs.get("patches", ()), plan.patches)
            and self._same(entry.inputs.get("fragments", ()), plan.fragments)
        )

    def _same(self, known: Iterable[tuple[str, str]], paths: tuple[str, ...]) -> bool:
        return [list(one) for one in known] == [[PurePosixPath(one).name, self._digest(one)] for one in paths]

    def _digest(self, path: str) -> str | None:
        found = self.file(path)
        return None if found is None else file_digest(found)

    def file(self, path: str, digest: str | None = None, entry: CacheEntry | None = None) -> Path | None:
        """The file that a plan calls `path`, with that digest where one is known: the copy that its kernel has, the
        file itself, or, where it came from another checkout, this one's."""
        for candidate in self._candidates(path, digest, entry):
            if candidate.is_file() and (digest is None or file_digest(candidate) == digest):
                return candidate
        return None

    def _candidates(self, path: str, digest: str | None, entry: CacheEntry | None) -> Iterable[Path]:
        if entry is not None and digest is not None:
            yield entry.path / _KEPT / digest
        yield Path(path)
        if _IMAGES in path:
            yield self.images_dir / path.rpartition(_IMAGES)[2]


def _source_fits(identity: str, plan: KernelPlan) -> bool:
    if plan.source.kind == "debian":
        return identity.startswith(f"debian linux-source-{plan.source.value} ")
    if plan.source.kind == "tarball":
        path = Path(plan.source.value)
        return path.is_file() and identity == f"tarball {file_digest(path)}"
    return identity.startswith(("git ", "listing "))


def add_kernel(stage: Stage, shelf: Shelf, plan: KernelPlan, *, topology: bool = True) -> KernelPart:
    """Add a kernel to the stage. With `topology` its inputs are also put where the bundle's topology looks for
    them."""
    layout = lay_out_kernel(plan)
    entry, exact = shelf.find(plan)
    inputs: Mapping[str, Any] = {} if entry is None else entry.inputs
    if entry is None:
        stage.lack(f"kernel {plan.name}", "it is not in the cache any more")
    patches = _add_files(stage, shelf, layout.patches, inputs.get("patches", ()), entry) if topology else ()
    fragments = _add_files(stage, shelf, layout.fragments, inputs.get("fragments", ()), entry)
    if topology:
        _add_series(stage, layout)
        digests = _digests(layout.fragments, inputs.get("fragments", ()))
        _add_files(
            stage, shelf, layout.given, [("", digests.get(path)) for path in layout.given.values()], entry
        )
    outcome = {} if entry is None else _add_outcome(stage, plan, entry)
    return KernelPart(
        name=plan.name,
        source=_source(stage, plan, inputs, entry, shelf),
        cmdline=stage.redact(plan.cmdline.encode()).decode(errors="replace"),
        key=None if entry is None else entry.key,
        exact=exact and entry is not None,
        compiler=inputs.get("compiler"),
        patches=patches,
        fragments=fragments,
        **outcome,
    )


def _add_files(
    stage: Stage,
    shelf: Shelf,
    files: Mapping[str, str],
    known: Iterable[tuple[str, str | None]],
    entry: CacheEntry | None,
) -> tuple[str, ...]:
    """Those of `files` (members to paths) that can be had, as they were where that is known."""
    digests = [digest for _, digest in known]
    added = []
    for number, (member, path) in enumerate(files.items()):
        digest = digests[number] if number < len(digests) else None
        found = shelf.file(path, digest, entry)
        if found is None:
            name = PurePosixPath(path).name
            why = (
                "there is none with the content that was built"
                if digest
                else "there is no such file any more"
            )
            stage.lack(f"{name} ({member})", why)
        else:
            added.append(stage.copy(member, found))
    return tuple(added)


def _digests(fragments: Mapping[str, str], known: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {path: digest for path, (_, digest) in zip(fragments.values(), known, strict=False)}


def _add_series(stage: Stage, layout: KernelLayout) -> None:
    if layout.series is not None:
        stage.write(layout.series_file, layout.series.encode())


def _source(
    stage: Stage, plan: KernelPlan, inputs: Mapping[str, Any], entry: CacheEntry | None, shelf: Shelf
) -> SourceRef:
    source = plan.source
    if source.kind == "debian":
        return SourceRef(kind="debian", value=source.value, identity=inputs.get("source"))
    member = source_member(plan.name, source.kind, source.value)
    identity = f"image {inputs['image']}" if "image" in inputs else inputs.get("source")
    if source.kind == "image":
        _add_image(stage, plan, member, entry, shelf)
    name = stage.redact(PurePosixPath(source.value).name.encode()).decode(errors="replace")
    return SourceRef(kind=source.kind, value=name, ref=source.ref, identity=identity, path=member)


def _add_image(stage: Stage, plan: KernelPlan, member: str, entry: CacheEntry | None, shelf: Shelf) -> None:
    """A ready kernel is what the topology names itself."""
    if not stage.wants("kernels", f"the image of kernel {plan.name}"):
        return
    kept = [entry.path / name for name in ("bzImage", "vmlinux")] if entry is not None else []
    found = next((path for path in kept if path.is_file()), None)
    found = found or (shelf.file(plan.source.value) if entry is None else None)
    if found is not None:
        stage.copy(member, found)


def _add_outcome(stage: Stage, plan: KernelPlan, entry: CacheEntry) -> dict[str, Any]:
    """What was built: fields of KernelPart."""
    where = f"kernels/{plan.name}"
    about = json.loads((entry.path / "about.json").read_text())
    made: dict[str, Any] = {"release": about["release"]}
    if (entry.path / "config").is_file():
        made["config"] = stage.copy_text(f"{where}/config", entry.path / "config")
    log = entry.path / "build.log"
    if log.is_file() and stage.wants("logs", f"build log of kernel {plan.name}"):
        made["log"] = stage.copy_text(f"{where}/build.log", log)
    if plan.source.kind != "image":
        made |= _add_binaries(stage, plan, entry)
    return made


def _add_binaries(stage: Stage, plan: KernelPlan, entry: CacheEntry) -> dict[str, str]:
    binaries = (
        ("kernels", "bzimage", "bzImage"),
        ("vmlinux", "vmlinux", "vmlinux"),
        ("modules", "modules", "modules.cpio"),
    )
    return {
        key: stage.copy(f"kernels/{plan.name}/{name}", entry.path / name)
        for part, key, name in binaries
        if (entry.path / name).is_file() and stage.wants(part, f"{name} of kernel {plan.name}")  # type: ignore[arg-type]
    }
