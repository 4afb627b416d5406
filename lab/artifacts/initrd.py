# SPDX-License-Identifier: GPL-2.0-only
"""Initramfs images: a cpio archive with init and the files that one guest is given.

The archive is not compressed: it is small, and an emulated guest would pay for unpacking it.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.secretfile import write_secret

#: /dev/console, which the kernel opens for init before anything is mounted.
_CONSOLE_MAJOR, _CONSOLE_MINOR = 5, 1


@dataclass(frozen=True)
class CpioEntry:
    """One entry: `mode` has type and permissions (stat.S_IF...), `device` is (major, minor) of a node."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def cpio_newc(entries: Iterable[CpioEntry]) -> bytes:
    """The entries as a cpio archive in the "newc" format, owned by root, with all times zero.

    The format: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
    """
    archive = bytearray()
    for inode, entry in enumerate([*entries, CpioEntry("TRAILER!!!", 0)], start=1):
        archive += _cpio_header(entry, inode)
        archive += entry.name.encode() + b"\0"
        archive += _padding(len(archive))
        archive += entry.data
        archive += _padding(len(archive))
    return bytes(archive)


def _cpio_header(entry: CpioEntry, inode: int) -> bytes:
    links, owner, mtime, checksum = (2 if stat.S_ISDIR(entry.mode) else 1), 0, 0, 0
    fields = (
        *(inode, entry.mode, owner, owner, links, mtime, len(entry.data)),
        *(0, 0, *entry.device, len(entry.name.encode()) + 1, checksum),
    )
    return b"070701" + b"".join(b"%08X" % field for field in fields)


def _padding(length: int) -> bytes:
    return bytes(-length % 4)


def render_initrd(init: bytes, seed: Mapping[str, bytes]) -> bytes:
    """An initramfs with `init` as /init and every `seed` file under /seed, readable by root only."""
    directories = ("dev", "mnt", "proc", "run", "seed", "sys")
    entries = [CpioEntry(name, stat.S_IFDIR | 0o755) for name in directories]
    entries.append(CpioEntry("dev/console", stat.S_IFCHR | 0o600, device=(_CONSOLE_MAJOR, _CONSOLE_MINOR)))
    entries.append(CpioEntry("init", stat.S_IFREG | 0o755, init))
    entries += [CpioEntry(f"seed/{name}", stat.S_IFREG | 0o600, seed[name]) for name in sorted(seed)]
    return cpio_newc(entries)


def render_seed(seed: Mapping[str, bytes]) -> bytes:
    """An archive of /seed alone, to follow `render_initrd(init, {})`: the kernel unpacks archives one by one."""
    entries = [CpioEntry(f"seed/{name}", stat.S_IFREG | 0o600, seed[name]) for name in sorted(seed)]
    return cpio_newc(entries)


def write_initrd(path: Path, init_binary: Path, seed: Mapping[str, bytes]) -> None:
    """Write `render_initrd` of the program `init_binary` to `path`, readable by its owner only.

    The seed may hold a private host key.
    """
    write_secret(path, render_initrd(init_binary.read_bytes(), seed))
