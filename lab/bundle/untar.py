# SPDX-License-Identifier: GPL-2.0-only
"""Reads the tar archive of a bundle: only what lab.bundle.archive writes, everything else is refused.

A general reader of tar would follow extended headers, links and sparse maps; here there is nothing to follow. The
layout of a header is that of POSIX.1-1988 (ustar).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from lab.bundle.names import quoted, wrong_name
from lab.bundle.unzstd import Unpacker
from lab.errors import BundleError

BLOCK_BYTES = 512
#: Archives are filled up to a multiple of this many blocks, with zeros.
RECORD_BLOCKS = 20
_MAGIC = b"ustar\x0000"
_TYPES = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"5": "a directory",
    b"6": "a fifo",
    b"7": "a contiguous file",
    b"g": "an extended header",
    b"x": "an extended header",
    b"L": "a GNU long name",
    b"K": "a GNU long name of a link",
    b"S": "a sparse file",
    b"M": "the rest of another archive's file",
    b"V": "the label of a volume",
}


@dataclass(frozen=True)
class Header:
    """A regular file that follows: its name, fit to be one (lab.bundle.names), and its size."""

    name: str
    size_bytes: int


class TarReader:
    """Headers and data in turn. Raises BundleError, naming the archive `name`."""

    def __init__(self, source: Unpacker, name: str) -> None:
        self._source = source
        self._name = name
        self._at = "its beginning"

    def next(self) -> Header | None:
        """The next member; None at the end of the archive."""
        block = self._block()
        if block.count(0) == BLOCK_BYTES:
            self._read_end()
            return None
        header = self._header(block)
        self._at = header.name
        return header

    def read(self, size: int) -> bytes:
        """Exactly the next `size` bytes of a member's data."""
        data = self._source.read(size)
        if len(data) < size:
            self._refuse(f"is cut short within {self._at}")
        return data

    def skip_padding(self, size_bytes: int) -> None:
        """What fills a member of that size up to a whole block: zeros."""
        rest = -size_bytes % BLOCK_BYTES
        if self.read(rest).count(0) != rest:
            self._refuse(f"there are data hidden behind {self._at}")

    def _block(self) -> bytes:
        block = self._source.read(BLOCK_BYTES)
        if len(block) < BLOCK_BYTES:
            self._refuse(f"is cut short behind {self._at}: the archive has no end")
        return block

    def _read_end(self) -> None:
        """A second block of zeros ends the archive; up to a whole record of them follow."""
        if self._block().count(0) != BLOCK_BYTES:
            self._refuse(f"there is an empty block behind {self._at} that does not end the archive")
        for _ in range(RECORD_BLOCKS):
            block = self._source.read(BLOCK_BYTES)
            if not block:
                break
            if block.count(0) != len(block):
                self._refuse("there are data behind the end of the archive in it")
        self._source.finish()

    def _header(self, block: bytes) -> Header:
        if block[257:265] != _MAGIC:
            self._refuse(f"what follows {self._at} is not a header of the tar archive (wrong magic)")
        if _octal(block[148:156]) != sum(block[:148]) + sum(block[156:]) + 8 * ord(" "):
            self._refuse(f"the header behind {self._at} is damaged (wrong checksum)")
        name = self._member_name(block)
        if block[156:157] != b"0":
            kind = _TYPES.get(block[156:157], f"of the unknown type {block[156:157]!r}")
            self._refuse(f"{quoted(name)} is {kind}; a bundle has regular files only")
        if wrong := wrong_name(name):
            self._refuse(f"the member {quoted(name)} {wrong}")
        size = _octal(block[124:136])
        if size is None:
            self._refuse(f"the size of {quoted(name)} is not a number")
        return Header(name, size)

    def _member_name(self, block: bytes) -> str:
        name, prefix = block[:100].split(b"\0")[0], block[345:500].split(b"\0")[0]
        raw = prefix + b"/" + name if prefix else name
        try:
            return raw.decode()
        except UnicodeDecodeError:
            self._refuse(f"the name behind {self._at} is not UTF-8")

    def _refuse(self, what: str) -> NoReturn:
        raise BundleError(f"{self._name}: {what}")


def _octal(field: bytes) -> int | None:
    """The number in a field of a header; None where there is none, or one in GNU's own base-256 form."""
    digits = field.rstrip(b"\0 ").lstrip(b" ")
    return int(digits, 8) if digits and all(one in b"01234567" for one in digits) else None
