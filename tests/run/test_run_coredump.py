# SPDX-License-Identifier: GPL-2.0-only
"""Dumps of memory, made readable by the kernel's addresses."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

from lab.run.coredump import DIRECT_MAP, KERNEL_MAP, Segment, add_kernel_addresses, kernel_segments

PHYSICAL = 0x1000000
WORDS = struct.pack("<2Q", 0x1122334455667788, 0x99AABBCCDDEEFF00)


def write_core(path: Path, kind: int = 4) -> Path:
    """An ELF core as QEMU writes it: physical memory, each segment at its own address."""
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack("<16sHHIQQQIHHHHHH", ident, kind, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    load = Segment(1, 7, 4096, PHYSICAL, PHYSICAL, len(WORDS), len(WORDS), 0)
    path.write_bytes((header + load.pack()).ljust(4096, b"\0") + WORDS)
    return path


def test_memory_is_listed_where_the_kernel_sees_it():
    known = Segment(1, 7, 64, 0, 0x1FFFF000, 0x2000, 0x2000, 0)
    note = Segment(4, 0, 0, 0, 0, 10, 10, 0)
    direct, image = kernel_segments([note, known])
    assert (direct.virtual, direct.file_bytes, direct.offset) == (DIRECT_MAP + 0x1FFFF000, 0x2000, 64)
    assert (image.virtual, image.file_bytes) == (KERNEL_MAP + 0x1FFFF000, 0x1000)
    assert len(list(kernel_segments([Segment(1, 7, 64, 0, 1 << 30, 64, 64, 0)]))) == 1


def test_gdb_reads_memory_by_all_three_addresses(tmp_path: Path):
    core = write_core(tmp_path / "core")
    assert add_kernel_addresses(core)
    places = (PHYSICAL, DIRECT_MAP + PHYSICAL, KERNEL_MAP + PHYSICAL + 8)
    looks = [word for place in places for word in ("-ex", f"x/1gx {place:#x}")]
    done = subprocess.run(
        ["gdb", "-q", "-nx", "-batch", "-ex", f"core-file {core}", *looks],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    values = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("0x") and ":" in line]
    assert values == ["0x1122334455667788", "0x1122334455667788", "0x99aabbccddeeff00"], (
        done.stdout + done.stderr
    )


def test_other_files_stay_as_they_are(tmp_path: Path):
    program = write_core(tmp_path / "program", kind=2)
    before = program.read_bytes()
    assert not add_kernel_addresses(program)
    assert program.read_bytes() == before
    (tmp_path / "kdump").write_bytes(b"KDUMP   ")
    assert not add_kernel_addresses(tmp_path / "kdump")
