# SPDX-License-Identifier: GPL-2.0-only
"""A topology with kernels built from one commit of a git tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lab.errors import InputError
from lab.topology.model import Topology
from lab.topology.spec import KernelSourceSpec


def at_commit(topology: Topology, kernels: tuple[str, ...], tree: Path, commit: str) -> Topology:
    """`topology` with the source of `kernels` replaced; its text says so in its first line. `tree` is absolute."""
    source = KernelSourceSpec(tree=str(tree), ref=commit)
    specs = {
        name: spec.model_copy(update={"source": source}) if name in kernels else spec
        for name, spec in topology.kernels.items()
    }
    note = f"# The source of kernel {', '.join(kernels)} was commit {commit} of a git tree.\n"
    return replace(topology, kernels=specs, text=note + topology.text)


def without_patches(
    topology: Topology, kernels: tuple[str, ...], fragments: Mapping[str, tuple[str, ...]]
) -> Topology:
    """`topology` with no patches for `kernels`; the config that came with a patch entry, by `fragments`, stays."""
    specs = dict(topology.kernels)
    for name in kernels:
        spec = specs[name]
        shipped = tuple(path for entry in spec.patches for path in fragments.get(entry, ()))
        specs[name] = spec.model_copy(update={"patches": (), "config": (*shipped, *spec.config)})
    return replace(topology, kernels=specs)


def bisected_kernels(topology: Topology, asked: tuple[str, ...], tree: Path) -> tuple[str, ...]:
    """The kernels that are meant: those asked for, else the only one, else those that are built from `tree`.

    Raises InputError where that leaves a doubt.
    """
    known = ", ".join(topology.kernels)
    for name in asked:
        if name not in topology.kernels:
            raise InputError(f"{topology.path}: there is no kernel {name!r} (it has: {known})")
    if asked:
        return tuple(dict.fromkeys(asked))
    if len(topology.kernels) == 1:
        return tuple(topology.kernels)
    ours = tuple(
        name for name, spec in topology.kernels.items() if _is_from(topology, spec.source.tree, tree)
    )
    if not ours:
        raise InputError(
            f"{topology.path}: which kernel is built from {tree}? (it has: {known})", "say it: --kernel NAME"
        )
    return ours


def _is_from(topology: Topology, source: str | None, tree: Path) -> bool:
    return source is not None and (topology.directory / source).resolve() == tree.resolve()
