# SPDX-License-Identifier: GPL-2.0-only
"""`lab try --kernel BASE` and `--config`: what a series is tried on, and with which config."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.artifacts.kernels import HOST_KERNEL_SOURCE
from lab.errors import InputError
from lab.strictyaml.yamltree import parse_document
from lab.topology.model import Topology
from lab.topology.trial import absolute_kernel

_DEBIAN = re.compile(r"(?:debian:)?(\d+\.\d+)")
_SETTING = re.compile(r"(?:CONFIG_)?([A-Za-z0-9_]+)=(\S+)")


def read_base(topology: Topology, text: str, shipped: tuple[str, ...]) -> dict[str, Any]:
    """The keys of a kernel's entry that `text` stands for; paths in them are absolute.

    It is ``6.12`` or ``debian:6.12``, a kernel of the topology by name, one of the `shipped` series (on top of
    Debian's kernel), a source tree (``DIR`` or ``DIR@REF``), or a tarball. Raises InputError for anything else.
    """
    if match := _DEBIAN.fullmatch(text):
        return {"source": {"debian": match[1]}}
    if text in topology.kernels:
        return _own_kernel(topology, text, shipped)
    if text in shipped:
        return {"source": {HOST_KERNEL_SOURCE.kind: HOST_KERNEL_SOURCE.value}, "patches": [text]}
    source = _path_source(text)
    if source is None:
        known = ", ".join([*topology.kernels, *shipped])
        raise InputError(
            f"--kernel {text}: is no kernel tree or tarball, no version of Debian's kernel, and none of {known}",
            "for example --kernel debian:6.12, --kernel ~/linux, or --kernel ~/linux@v6.12",
        )
    return {"source": source}


def _own_kernel(topology: Topology, name: str, shipped: tuple[str, ...]) -> dict[str, Any]:
    if topology.kernels[name].source.image is not None:
        raise InputError(f"--kernel {name}: is a ready image, which takes no patches")
    entry = parse_document(topology.text).value["kernels"][name]
    return absolute_kernel(entry, topology.directory.absolute(), shipped)


def _path_source(text: str) -> dict[str, str] | None:
    path = Path(text).expanduser()
    if path.is_dir():
        return {"tree": str(path.absolute())}
    if path.is_file():
        _check_tarball(path)
        return {"tarball": str(path.absolute())}
    directory, at, ref = text.rpartition("@")
    tree = Path(directory).expanduser()
    return {"tree": str(tree.absolute()), "ref": ref} if at and ref and tree.is_dir() else None


def _check_tarball(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(0x206)
    if head[:4] == b"\x7fELF" or head[0x202:] == b"HdrS":
        raise InputError(
            f"--kernel {path}: is a ready image, which takes no patches; a source is needed",
            "for example --kernel debian:6.12",
        )


def read_config(given: Sequence[str]) -> bytes | None:
    """The config fragment that `--config` words make: files as they are, and ``SYMBOL=VALUE``; None for none.

    Raises InputError.
    """
    if not given:
        return None
    return b"".join(_config_of(word) for word in given)


def _config_of(word: str) -> bytes:
    path = Path(word).expanduser()
    if path.is_file():
        return path.read_bytes()
    if match := _SETTING.fullmatch(word):
        return f"CONFIG_{match[1]}={match[2]}\n".encode()
    raise InputError(
        f"--config {word}: is neither a file nor SYMBOL=VALUE", "for example --config CONFIG_X=y"
    )
