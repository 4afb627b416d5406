# SPDX-License-Identifier: GPL-2.0-only
"""What a bundle holds, for people and programs. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab.bundle.manifest import KernelPart, Manifest

_KIB = 1024


def render_size(size_bytes: int) -> str:
    """A size in the unit that suits it."""
    if size_bytes < _KIB:
        return f"{size_bytes} B"
    if size_bytes < 10 * _KIB * _KIB:
        return f"{size_bytes / _KIB:.0f} KiB"
    return f"{size_bytes / _KIB / _KIB:.1f} MiB"


def render_listing(manifest: Manifest, packed_bytes: int, verified: bool) -> str:
    """Everything that a bundle holds: what it is, its members with their sizes, and what is not in it."""
    lines = [
        f"{manifest.name}: version {manifest.version}, made by lab {manifest.lab_version}, recorded "
        f"{manifest.created or 'at an unknown time'}",
        f"{render_size(packed_bytes)}, {len(manifest.files)} files of {render_size(manifest.size_bytes)} "
        f"together, {'every one verified' if verified else 'not verified'}",
        f"verdict: {manifest.verdict or 'not judged'}; {'redacted' if manifest.redacted else 'not redacted'}",
        *(f"seed {place}: {seed}" for place, seed in manifest.seeds.items()),
        *(_kernel(one) for one in manifest.kernels),
        *(f"image {one.kind}: {one.key or 'not known any more'}" for one in manifest.images),
        "",
        *(f"{one.size_bytes:>12}  {one.sha256[:12]}  {one.path}" for one in manifest.files),
    ]
    missing = [f"not in it: {one.what} ({one.why})" for one in manifest.left_out]
    return "\n".join([*lines, *([""] if missing else []), *missing]) + "\n"


def _kernel(kernel: KernelPart) -> str:
    source = kernel.source.identity or f"{kernel.source.kind} {kernel.source.value}"
    patches = f", {len(kernel.patches)} patches" if kernel.patches else ""
    return f"kernel {kernel.name}: {kernel.release or 'not built'}, {source}{patches}"


def listing_json(manifest: Manifest, packed_bytes: int, verified: bool) -> dict[str, Any]:
    """The same for programs: the manifest with `packed_bytes`, `unpacked_bytes` and `verified`."""
    sizes = {"packed_bytes": packed_bytes, "unpacked_bytes": manifest.size_bytes, "verified": verified}
    return {**manifest.model_dump(mode="json"), **sizes}


def summarize_left_out(manifest: Manifest) -> Iterator[str]:
    """A line for each thing that is not in a bundle."""
    yield from (f"left out: {one.what}: {one.why}" for one in manifest.left_out)
