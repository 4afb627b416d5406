# SPDX-License-Identifier: GPL-2.0-only
"""A disk that boots, made of an archive of a root directory, without mounting anything and without root.

A DOS partition table, GRUB between it and the only partition, and ext4 in that: what every BIOS boots. GRUB's own
installer wants a block device; what it would do here is little. The first sector of `core.img` is looked for in
sector 1 and the rest of it behind (defaults of `kernel_sector` in GRUB's grub-core/boot/i386/pc/boot.S and of the
block list in diskboot.S), which is where it is put.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lab.artifacts.disktools import DiskTools
from lab.artifacts.workshop import Workshop
from lab.errors import BuildFailed

SECTOR_BYTES = 512
#: The partition begins at 1 MiB, like everybody's.
PARTITION_BYTES = 1 << 20
#: What of the first sector is code; the disk's signature and the partition table follow.
BOOT_CODE_BYTES = 440

#: The time of everything that would have the time of its making: Debian 13's release.
SOURCE_DATE_EPOCH = "1754697600"
#: All disks carry the same, so that the same archive gives the same bytes.
_DISK_SIGNATURE = 0x6C61626C
_FILESYSTEM_UUID = "6c616273-0000-4000-8000-000000000000"
_ACTIVE, _LINUX = 0x80, 0x83
#: Cylinder, head and sector of what lies beyond their reach: the numbers of sectors count.
_FAR = b"\xfe\xff\xff"

#: Everything that the configuration on the disk uses. GRUB finds no modules on it.
_GRUB_MODULES = (
    *("biosdisk", "part_msdos", "ext2", "search_label", "normal", "configfile"),
    *("linux", "echo", "terminal", "serial", "test", "minicmd"),
)
_GRUB_PREFIX = "(hd0,msdos1)/boot/grub"
_TIMEOUT_S = 1800


@dataclass(frozen=True)
class DiskShape:
    """How large the disk is, in bytes (a multiple of 1 MiB), and the label of its file system."""

    size_bytes: int
    label: str


def render_boot_record(boot_code: bytes, size_bytes: int) -> bytes:
    """The first sector of a disk of `size_bytes`: GRUB's `boot_code` and one active Linux partition from 1 MiB on.

    Raises BuildFailed where the code is none of a boot sector, or the disk too small or too large for the table.
    """
    if len(boot_code) != SECTOR_BYTES or boot_code[-2:] != b"\x55\xaa":
        raise BuildFailed(f"boot.img of GRUB is no boot sector: {len(boot_code)} bytes, no 55 aa at the end")
    first = PARTITION_BYTES // SECTOR_BYTES
    count = size_bytes // SECTOR_BYTES - first
    if not 0 < count < 1 << 32:
        raise BuildFailed(f"a disk of {size_bytes} bytes has no place in a DOS partition table")
    partition = bytes([_ACTIVE]) + _FAR + bytes([_LINUX]) + _FAR
    partition += first.to_bytes(4, "little") + count.to_bytes(4, "little")
    signature = _DISK_SIGNATURE.to_bytes(4, "little") + bytes(2)
    return boot_code[:BOOT_CODE_BYTES] + signature + partition.ljust(64, b"\0") + b"\x55\xaa"


def render_boot_area(boot_code: bytes, core: bytes, size_bytes: int) -> bytes:
    """What lies before the partition: the boot record, and GRUB's `core` from sector 1 on.

    Raises BuildFailed where `core` does not fit, or as `render_boot_record` does.
    """
    area = render_boot_record(boot_code, size_bytes) + core
    if len(area) > PARTITION_BYTES:
        raise BuildFailed(f"GRUB with its modules has {len(core)} bytes: too many before the partition")
    return area


def make_boot_disk(
    workshop: Workshop, tools: DiskTools, root_tar: Path, shape: DiskShape, disk: Path, log: Path
) -> None:
    """Write the qcow2 image `disk` with the file system of `root_tar`, whose /boot/grub/grub.cfg says what to boot.

    Scratch files lie beside `disk`. The same archive gives the same bytes. Raises CommandFailed or BuildFailed.
    """
    raw, core = disk.with_suffix(".raw"), disk.with_suffix(".core")
    with raw.open("wb") as sink:
        os.truncate(sink.fileno(), shape.size_bytes)
    # First: it would clear the boot record.
    _run(workshop, _mkfs(tools, root_tar, shape, raw), "making the file system", log)
    _run(workshop, _grub(tools, core), "making GRUB", log)
    with raw.open("r+b") as sink:
        sink.write(render_boot_area(tools.boot_code.read_bytes(), core.read_bytes(), shape.size_bytes))
    convert = [*tools.command("usr/bin/qemu-img"), "convert", "-f", "raw", "-O", "qcow2", raw, disk]
    _run(workshop, convert, "making the disk image", log)
    raw.unlink()
    core.unlink()


def _mkfs(tools: DiskTools, root_tar: Path, shape: DiskShape, raw: Path) -> list[str | Path]:
    extended = f"offset={PARTITION_BYTES},hash_seed={_FILESYSTEM_UUID},root_owner=0:0,lazy_itable_init=1"
    return [
        *tools.command("usr/sbin/mke2fs"),
        *("-q", "-F", "-t", "ext4", "-b", "4096", "-m", "1", "-J", "size=64"),
        *("-L", shape.label, "-U", _FILESYSTEM_UUID, "-E", extended),
        # GRUB may know neither.
        *("-O", "^metadata_csum_seed,^orphan_file"),
        *("-d", root_tar, raw),
        f"{(shape.size_bytes - PARTITION_BYTES) // 1024}k",
    ]


def _grub(tools: DiskTools, core: Path) -> list[str | Path]:
    return [
        *tools.command("usr/bin/grub-mkimage"),
        *("-O", "i386-pc", "-d", tools.grub_modules, "-p", _GRUB_PREFIX, "-o", core),
        *_GRUB_MODULES,
    ]


def _run(workshop: Workshop, argv: list[str | Path], what: str, log: Path) -> None:
    env = {"SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH}
    workshop.commands.run(argv, what=what, log=log, env=env, timeout_s=_TIMEOUT_S)
