# SPDX-License-Identifier: GPL-2.0-only
"""Dumps of a guest's memory that debuggers read by the kernel's own addresses.

libvirt's memory-only dump is an ELF core whose segments are physical memory: QEMU gives each the address that it
has there (dump/dump.c, write_elf64_load). A debugger with the kernel's vmlinux asks for virtual ones. Those of the
lab's own kernels are known beforehand, as none of them is moved at boot (CONFIG_RANDOMIZE_BASE=n): the kernel's
image, and the direct map of all memory (Documentation/arch/x86/x86_64/mm.rst). So the same bytes are listed once
more for each, in a table of segments at the end of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

#: __START_KERNEL_map and KERNEL_IMAGE_SIZE (arch/x86/include/asm/page_64_types.h), and __PAGE_OFFSET_BASE_L4.
KERNEL_MAP, KERNEL_BYTES, DIRECT_MAP = 0xFFFFFFFF80000000, 512 << 20, 0xFFFF888000000000
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_LOAD, _CORE, _X86_64, _MOST_SEGMENTS = 1, 4, 62, 0xFFFE


@dataclass(frozen=True)
class Segment:
    """One entry of an ELF program header table (elf(5))."""

    kind: int
    flags: int
    offset: int
    virtual: int
    physical: int
    file_bytes: int
    memory_bytes: int
    align: int

    def pack(self) -> bytes:
        """As it stands in the file."""
        places = (self.offset, self.virtual, self.physical, self.file_bytes, self.memory_bytes, self.align)
        return _SEGMENT.pack(self.kind, self.flags, *places)


def kernel_segments(segments: Sequence[Segment]) -> Iterator[Segment]:
    """The physical memory of `segments` at the addresses at which the kernel sees it."""
    for one in segments:
        if one.kind != _LOAD or one.file_bytes == 0:
            continue
        yield _seen_at(one, DIRECT_MAP + one.physical, one.file_bytes)
        if one.physical < KERNEL_BYTES:
            yield _seen_at(one, KERNEL_MAP + one.physical, min(one.file_bytes, KERNEL_BYTES - one.physical))


def _seen_at(segment: Segment, virtual: int, size: int) -> Segment:
    places = (segment.offset, virtual, segment.physical, size, size, segment.align)
    return Segment(segment.kind, segment.flags, *places)


def add_kernel_addresses(path: Path) -> bool:
    """List the memory in an ELF core of an x86-64 machine by the kernel's addresses too.

    False, and the file is as it was, where it is no such core, or has too many segments.
    """
    with path.open("r+b") as file:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size or header[:6] != b"\x7fELF\x02\x01":
            return False
        fields = list(_HEADER.unpack(header))
        kind, machine, table, entry_bytes, count = fields[1], fields[2], fields[5], fields[9], fields[10]
        if (kind, machine, entry_bytes) != (_CORE, _X86_64, _SEGMENT.size):
            return False
        file.seek(table)
        known = [Segment(*_SEGMENT.unpack(file.read(_SEGMENT.size))) for _ in range(count)]
        everything = [*known, *kernel_segments(known)]
        if len(everything) > _MOST_SEGMENTS:
            return False
        end = file.seek(0, 2)
        fields[5], fields[10] = end + -end % 8, len(everything)
        file.seek(fields[5])
        file.write(b"".join(one.pack() for one in everything))
        file.seek(0)
        file.write(_HEADER.pack(*fields))
    return True
