# SPDX-License-Identifier: GPL-2.0-only
"""Reads what planning has to know about a topology's kernels: which patch files there are, and that every
path it names exists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lab.errors import InputError
from lab.plan.kernels import KernelCatalogue, PatchSet, absolute, parse_series
from lab.topology.model import Topology
from lab.topology.spec import KernelSpec

#: A series' own config, beside its patches.
FRAGMENT = "fragment.config"
#: Under `images/kernels/configs`: the lab's config for every kernel, and what depends on where it runs.
BASE_FRAGMENTS = ("base.config",)
EMULATED_FRAGMENTS = ("emulated.config",)
NATIVE_FRAGMENTS = ("native.config",)
DEBUG_FRAGMENTS = ("debug-info.config",)


def read_kernel_catalogue(topology: Topology, images_dir: Path) -> KernelCatalogue:
    """The patches and fragments behind the names in `topology`; `images_dir` is the project's `images`.

    Raises InputError, naming the topology and the path, for whatever does not exist or cannot be read.
    """
    directory, kernels_dir = topology.directory.absolute(), images_dir.absolute() / "kernels"
    for name, spec in topology.kernels.items():
        _check_paths(topology, directory, name, spec)
    return KernelCatalogue(
        directory=directory,
        patch_sets=_read_patch_sets(topology, directory, kernels_dir),
        base_fragments=_own_fragments(kernels_dir, BASE_FRAGMENTS),
        emulated_fragments=_own_fragments(kernels_dir, EMULATED_FRAGMENTS),
        native_fragments=_own_fragments(kernels_dir, NATIVE_FRAGMENTS),
        debug_fragments=_own_fragments(kernels_dir, DEBUG_FRAGMENTS),
    )


def _read_patch_sets(topology: Topology, directory: Path, kernels_dir: Path) -> dict[str, PatchSet]:
    shipped = shipped_series(kernels_dir.parent)
    return {
        entry: _read_patch_set(
            topology, f"kernels.{name}.patches", _find_patches(entry, directory, kernels_dir), shipped
        )
        for name, spec in topology.kernels.items()
        for entry in spec.patches
    }


def shipped_series(images_dir: Path) -> tuple[str, ...]:
    """Names of the patch series that come with the lab, sorted."""
    return tuple(sorted(series.parent.name for series in (images_dir / "kernels").glob("*/series")))


def _own_fragments(kernels_dir: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(kernels_dir / "configs" / name) for name in names)


def _check_paths(topology: Topology, directory: Path, name: str, spec: KernelSpec) -> None:
    for what, path in _given_paths(spec):
        target = Path(absolute(directory, path))
        wanted = target.is_dir() if what == "source.tree" else target.is_file()
        if not wanted:
            kind = "directory" if what == "source.tree" else "file"
            raise InputError(f"{topology.path}: kernels.{name}.{what}: there is no {kind} {target}")


def _given_paths(spec: KernelSpec) -> Iterator[tuple[str, str]]:
    for what in ("tarball", "tree", "image"):
        path = getattr(spec.source, what)
        if path is not None:
            yield f"source.{what}", path
    for fragment in spec.config:
        yield "config", fragment


def _find_patches(entry: str, directory: Path, kernels_dir: Path) -> Path:
    """A plain name is a shipped series first; `./NAME` means the file or directory beside the topology."""
    shipped = kernels_dir / entry
    if "/" not in entry and (shipped / "series").is_file():
        return shipped
    return Path(absolute(directory, entry))


def _read_patch_set(topology: Topology, what: str, path: Path, shipped: tuple[str, ...]) -> PatchSet:
    if path.is_dir():
        return _read_series(topology, what, path)
    if path.is_file():
        return PatchSet((str(path),))
    raise InputError(
        f"{topology.path}: {what}: {path.name!r} is no shipped series ({', '.join(shipped) or 'none'}), "
        f"and there is no {path}"
    )


def _read_series(topology: Topology, what: str, directory: Path) -> PatchSet:
    series = directory / "series"
    try:
        names = parse_series(series.read_text())
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{topology.path}: {what}: {series}: cannot be read: {reason}") from None
    except ValueError as error:
        raise InputError(f"{topology.path}: {what}: {series}: {error}") from None
    missing = [name for name in names if not (directory / name).is_file()]
    if missing:
        raise InputError(f"{topology.path}: {what}: {series} lists {missing[0]}, which is not there")
    fragment = directory / FRAGMENT
    return PatchSet(
        patches=tuple(str(directory / name) for name in names),
        fragments=(str(fragment),) if fragment.is_file() else (),
    )
