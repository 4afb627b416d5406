# SPDX-License-Identifier: GPL-2.0-only
"""Which kernel is meant by a word of the user's, in place of a kernel of a topology: told by what it is.

    a kernel of the topology itself, by its name
    X.Y                     Debian's linux-source-X.Y, without patches
    a shipped series        the topology's source (or Debian's) with that series
    a directory             a source tree, with the config that the topology has for the kernel that is swapped
    a file                  a ready bzImage or ELF kernel, or a tarball of sources

A plain word is a name first; `./WORD` is the file or directory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lab.artifacts.catalogue import FRAGMENT, shipped_series
from lab.artifacts.kernels import HOST_KERNEL_SOURCE, image_name, image_release
from lab.errors import InputError
from lab.topology.spec import KernelSpec

_VERSION = re.compile(r"\d+\.\d+")
_TARBALL = re.compile(r"\.(?:tar(?:\.(?:gz|xz|bz2|zst))?|tgz|txz)$")
_PATCH = re.compile(r"^(?:From |diff --git |--- \S|Index: )", re.MULTILINE)
#: A bzImage is known by what is at 0x202, and its release by what is within its first sectors.
_HEAD_BYTES = 64 * 1024


@dataclass(frozen=True)
class Swap:
    """`kernel` of the topology is replaced by `entry`, an entry of a topology's `kernels`; `told` says what that
    is. `foreign_config` is config that was written for the kernel replaced, whose symbols this one may lack."""

    kernel: str
    entry: Mapping[str, Any] = field(default_factory=dict)
    told: str = ""
    foreign_config: tuple[str, ...] = ()


@dataclass(frozen=True)
class Swapped:
    """The kernel that is swapped: its name, what the topology says of it, where its paths start, and config that
    comes with its patches."""

    name: str
    spec: KernelSpec
    directory: Path
    series_config: tuple[Path, ...] = ()

    def config(self) -> tuple[str, ...]:
        """Its own config fragments, absolute."""
        return tuple(str(self.directory / path) for path in self.spec.config)


def split_swap(word: str, kernels: Mapping[str, KernelSpec]) -> tuple[str, str]:
    """Which kernel a word ``[KERNEL=]WHAT`` is to replace, and WHAT. Raises InputError where it must say which."""
    name, separator, what = word.partition("=")
    if separator and name in kernels:
        return name, what
    if len(kernels) == 1:
        return next(iter(kernels)), word
    raise InputError(
        f"--kernel {word}: the scenario boots {len(kernels)} kernels ({', '.join(kernels)}); say which is swapped",
        f"for example --kernel {next(iter(kernels))}={word}",
    )


def find_swap(
    what: str, swapped: Swapped, kernels: Mapping[str, KernelSpec], images_dir: Path, cwd: Path
) -> Swap:
    """The kernel that `what` means. Raises InputError where it means none."""
    if "/" not in what:
        named = _by_name(what, swapped, kernels, images_dir)
        if named is not None:
            return named
    path = cwd / what
    if path.is_dir():
        return _of_tree(path, swapped)
    if path.is_file():
        return _of_file(path, swapped)
    raise InputError(
        f"--kernel {what}: there is no such file or directory, and it is none of the kernels {', '.join(kernels)}, "
        f"none of the shipped series {', '.join(shipped_series(images_dir)) or '(none)'}, and no version X.Y",
        "give a source tree, a bzImage, or one of those names",
    )


def _by_name(what: str, swapped: Swapped, kernels: Mapping[str, KernelSpec], images_dir: Path) -> Swap | None:
    if what in kernels:
        return Swap(swapped.name, _entry(kernels[what]), f"the scenario's own kernel {what}")
    config = swapped.config()
    if _VERSION.fullmatch(what):
        told = f"Debian's linux-source-{what}, without patches"
        return _built(swapped, {"source": {"debian": what}}, told, config)
    if what in shipped_series(images_dir):
        source = _source(swapped.spec)
        if "image" in source:
            source = {HOST_KERNEL_SOURCE.kind: HOST_KERNEL_SOURCE.value}
        told = f"{_tell_source(source)} with the shipped series {what}"
        return _built(swapped, {"source": source, "patches": [what]}, told, config)
    return None


def _of_tree(path: Path, swapped: Swapped) -> Swap:
    if not (path / "Kconfig").is_file():
        hint = "it has a `series`: --patches takes it" if (path / "series").is_file() else None
        raise InputError(f"--kernel {path}: has no Kconfig: it is not a kernel's source tree", hint)
    config = (*map(str, swapped.series_config), *swapped.config())
    return _built(swapped, {"source": {"tree": str(path.absolute())}}, f"the source tree {path}", config)


def _of_file(path: Path, swapped: Swapped) -> Swap:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise InputError(f"--kernel {path}: cannot be read: {error.strerror}") from None
    kind = image_name(head)
    if kind is not None:
        entry = {"source": {"image": str(path.absolute())}}
        release = f", release {image_release(head)}" if image_release(head) else ""
        return _built(swapped, entry, f"the {kind} {path}{release}, taken as it is", ())
    if _TARBALL.search(path.name):
        config = (*map(str, swapped.series_config), *swapped.config())
        return _built(
            swapped, {"source": {"tarball": str(path.absolute())}}, f"the source tarball {path}", config
        )
    hint = (
        "it looks like patches: --patches takes it" if _PATCH.search(head.decode(errors="replace")) else None
    )
    raise InputError(
        f"--kernel {path}: is neither a bzImage nor an ELF kernel, nor a tarball of sources", hint
    )


def _built(swapped: Swapped, entry: Mapping[str, Any], told: str, config: tuple[str, ...]) -> Swap:
    """With the command line of the kernel that is swapped, and config whose symbols this one may lack."""
    whole = {**entry, **({"config": list(config)} if config else {})}
    if swapped.spec.cmdline:
        whole["cmdline"] = swapped.spec.cmdline
    return Swap(swapped.name, whole, told, config)


def with_patches(swap: Swap | None, swapped: Swapped, patches: Path) -> Swap:
    """Patches in place of those that the kernel had: of a directory with a `series`, a patch, or an mbox. On top of
    the source of `swap`, or of the kernel that is swapped.

    Raises InputError where there are none, or where a ready image would have to be patched.
    """
    if patches.is_dir() and not (patches / "series").is_file():
        raise InputError(f"--patches {patches}: has no `series` file", "`ls *.patch > series` makes one")
    if not patches.exists():
        raise InputError(f"--patches {patches}: there is no such file or directory")
    own = (*map(str, swapped.series_config), *swapped.config())
    if swap is None:
        swap = _built(swapped, {"source": _source(swapped.spec)}, _tell_source(_source(swapped.spec)), own)
    if "image" in swap.entry["source"]:
        raise InputError(
            f"--patches {patches}: {swap.told}: a ready image takes no patches",
            "--kernel with a source tree does",
        )
    kept = tuple(
        one for one in swap.foreign_config if not (patches / FRAGMENT).is_file() or one in swapped.config()
    )
    entry = {**swap.entry, "patches": [str(patches.absolute())]}
    entry.pop("config", None)
    if kept:
        entry["config"] = list(kept)
    return replace(swap, entry=entry, told=f"{swap.told} with the patches of {patches}", foreign_config=kept)


def _entry(spec: KernelSpec) -> dict[str, Any]:
    entry = spec.model_dump(exclude_defaults=True, mode="json")
    entry["source"] = _source(spec)
    return entry


def _source(spec: KernelSpec) -> dict[str, Any]:
    return spec.source.model_dump(exclude_none=True, mode="json")


def _tell_source(source: Mapping[str, Any]) -> str:
    kind, value = next(iter(source.items()))
    return f"Debian's linux-source-{value}" if kind == "debian" else f"the reporter's {kind} {value}"
