# SPDX-License-Identifier: GPL-2.0-only
"""Kernels: every patch and config fragment by absolute path, in the order in which it applies."""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.errors import InputError
from lab.plan.labplan import KernelPlan, KernelSourcePlan
from lab.topology.model import Topology
from lab.topology.spec import KernelSourceSpec


@dataclass(frozen=True)
class PatchSet:
    """What one entry of a kernel's `patches` stands for: files (patches or mboxes) in the order in which they
    apply, and the config fragments that come with them. Absolute paths."""

    patches: tuple[str, ...]
    fragments: tuple[str, ...] = ()


@dataclass(frozen=True)
class KernelCatalogue:
    """What planning has to know about files: read by `lab.artifacts.catalogue`, plain data here.

    `directory` is where relative paths of the topology start, absolute. `patch_sets` is keyed by the entries
    as the topology writes them. `base_fragments` are the lab's own config for every kernel; on top come
    `emulated_fragments` where the host is emulated, `native_fragments` where it is not; `debug_fragments` are for
    kernels with debug information.
    """

    directory: Path
    patch_sets: Mapping[str, PatchSet]
    base_fragments: tuple[str, ...] = ()
    emulated_fragments: tuple[str, ...] = ()
    native_fragments: tuple[str, ...] = ()
    debug_fragments: tuple[str, ...] = ()


def parse_series(text: str) -> tuple[str, ...]:
    """Patch names in a quilt `series` file: one a line, `#` starts a comment.

    Raises ValueError for options: patches apply with -p1, like the kernel's own.
    """
    names: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if len(words) > 1 and words[1:] != ["-p1"]:
            raise ValueError(
                f"line {number}: {' '.join(words[1:])!r}: patches apply with -p1, without other options"
            )
        names += words[:1]
    return tuple(names)


def absolute(directory: Path, path: str) -> str:
    """A path of the topology file, absolute if `directory`, in which it lies, is."""
    return os.path.normpath(directory / path)


def plan_kernel(topology: Topology, name: str, catalogue: KernelCatalogue, emulated: bool) -> KernelPlan:
    """The kernel `name` of `topology`. Raises InputError for patches that the catalogue does not know."""
    spec = topology.kernels[name]
    sets = [_patch_set(topology, name, entry, catalogue) for entry in spec.patches]
    shipped = [fragment for patches in sets for fragment in patches.fragments]
    given = [absolute(catalogue.directory, fragment) for fragment in spec.config]
    own = catalogue.base_fragments + (
        catalogue.emulated_fragments if emulated else catalogue.native_fragments
    )
    if spec.debug_info:
        own += catalogue.debug_fragments
    return KernelPlan(
        name=name,
        source=_plan_source(catalogue.directory, spec.source),
        patches=tuple(patch for patches in sets for patch in patches.patches),
        fragments=() if spec.source.image else (*own, *shipped, *given),
        cmdline=" ".join(spec.cmdline.split()),
    )


def _patch_set(topology: Topology, kernel: str, entry: str, catalogue: KernelCatalogue) -> PatchSet:
    try:
        return catalogue.patch_sets[entry]
    except KeyError:
        raise InputError(f"{topology.path}: kernels.{kernel}.patches: {entry!r} is not known") from None


def _plan_source(directory: Path, source: KernelSourceSpec) -> KernelSourcePlan:
    if source.debian is not None:
        return KernelSourcePlan("debian", source.debian)
    if source.tarball is not None:
        return KernelSourcePlan("tarball", absolute(directory, source.tarball))
    if source.tree is not None:
        return KernelSourcePlan("tree", absolute(directory, source.tree), source.ref)
    assert source.image is not None, "KernelSourceSpec has exactly one source"
    return KernelSourcePlan("image", absolute(directory, source.image))
