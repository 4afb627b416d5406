# SPDX-License-Identifier: GPL-2.0-only
"""Brings a kernel into a bundle: its inputs, and what the cache still has of what came out of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from lab.artifacts.cache import CacheEntry
from lab.bundle.layout import KernelLayout, lay_out_kernel
from lab.bundle.manifest import KernelPart, Part, SourceRef
from lab.bundle.resolved import source_member
from lab.bundle.shelf import Found, Shelf
from lab.bundle.stage import Stage
from lab.plan.labplan import KernelPlan

#: Part, field of KernelPart, and file of what was built.
_BINARIES: tuple[tuple[Part, str, str], ...] = (
    ("kernels", "bzimage", "bzImage"),
    ("vmlinux", "vmlinux", "vmlinux"),
    ("modules", "modules", "modules.cpio"),
)


def add_kernel(stage: Stage, shelf: Shelf, plan: KernelPlan, *, topology: bool = True) -> KernelPart:
    """Add a kernel to the stage. With `topology` its inputs are also put where the bundle's topology looks for
    them."""
    layout, found = lay_out_kernel(plan), shelf.find(plan)
    inputs: Mapping[str, Any] = {} if found.entry is None else found.entry.inputs
    if found.entry is None:
        stage.lack(f"kernel {plan.name}", "it is not in the cache any more")
    fragments = _add_files(stage, layout.fragments, found.fragments)
    patches = _add_inputs(stage, layout, found) if topology else ()
    return KernelPart(
        name=plan.name,
        source=_source(stage, plan, inputs, found, shelf),
        cmdline=_redacted(stage, plan.cmdline),
        key=None if found.entry is None else found.entry.key,
        exact=found.exact,
        compiler=inputs.get("compiler"),
        patches=patches,
        fragments=fragments,
        **({} if found.entry is None else _add_outcome(stage, plan, found.entry)),
    )


def _add_inputs(stage: Stage, layout: KernelLayout, found: Found) -> tuple[str, ...]:
    """What the topology names; the members that are patches."""
    if layout.series is not None:
        stage.write(layout.series_file, layout.series.encode())
    files = dict(zip(layout.fragments.values(), found.fragments, strict=True))
    _add_files(stage, layout.given, [files[path] for path in layout.given.values()])
    return _add_files(stage, layout.patches, found.patches)


def _add_files(stage: Stage, members: Mapping[str, str], files: Iterable[Path | None]) -> tuple[str, ...]:
    """Add those that can be had."""
    added = []
    for (member, path), file in zip(members.items(), files, strict=True):
        if file is None:
            stage.lack(member, f"there is no {PurePosixPath(path).name} any more as it was built in")
        else:
            added.append(stage.copy(member, file))
    return tuple(added)


def _redacted(stage: Stage, text: str) -> str:
    return stage.redact(text.encode()).decode(errors="replace")


def _source(
    stage: Stage, plan: KernelPlan, inputs: Mapping[str, Any], found: Found, shelf: Shelf
) -> SourceRef:
    source = plan.source
    if source.kind == "debian":
        return SourceRef(kind="debian", value=source.value, identity=inputs.get("source"))
    member = source_member(plan.name, source.kind, source.value)
    identity = f"image {inputs['image']}" if "image" in inputs else inputs.get("source")
    if source.kind == "image":
        _add_image(stage, plan, member, found.entry, shelf)
    else:
        stage.lack(f"source of kernel {plan.name}", f"sources are told by reference: {identity}")
    name = _redacted(stage, PurePosixPath(source.value).name)
    ref = None if source.ref is None else _redacted(stage, source.ref)
    return SourceRef(kind=source.kind, value=name, ref=ref, identity=identity, path=member)


def _add_image(stage: Stage, plan: KernelPlan, member: str, entry: CacheEntry | None, shelf: Shelf) -> None:
    """A ready kernel is what the topology names itself."""
    if not stage.wants("kernels", f"the image of kernel {plan.name}"):
        return
    kept = [entry.path / name for name in ("bzImage", "vmlinux")] if entry is not None else []
    image = next((path for path in kept if path.is_file()), None)
    if image is None and entry is None:
        image = shelf.file(plan.source.value)
    if image is not None:
        stage.copy(member, image)


def _add_outcome(stage: Stage, plan: KernelPlan, entry: CacheEntry) -> dict[str, Any]:
    """What was built: fields of KernelPart."""
    where = f"kernels/{plan.name}"
    release = json.loads((entry.path / "about.json").read_text())["release"]
    made: dict[str, Any] = {"release": _redacted(stage, release)}
    if (entry.path / "config").is_file():
        made["config"] = stage.copy_text(f"{where}/config", entry.path / "config")
    log = entry.path / "build.log"
    if log.is_file() and stage.wants("logs", f"build log of kernel {plan.name}"):
        made["log"] = stage.copy_text(f"{where}/build.log", log)
    return made | ({} if plan.source.kind == "image" else _add_binaries(stage, plan, entry))


def _add_binaries(stage: Stage, plan: KernelPlan, entry: CacheEntry) -> dict[str, str]:
    return {
        key: stage.copy(f"kernels/{plan.name}/{name}", entry.path / name)
        for part, key, name in _BINARIES
        if (entry.path / name).is_file() and stage.wants(part, f"{name} of kernel {plan.name}")
    }
