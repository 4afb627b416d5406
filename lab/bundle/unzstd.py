# SPDX-License-Identifier: GPL-2.0-only
"""The bytes of one zstandard frame, a bounded piece at a time.

zstandard is loaded when a bundle is read or written and not before: most commands never do.
"""

from __future__ import annotations

from typing import BinaryIO

from lab.errors import BundleError

MAGIC = b"\x28\xb5\x2f\xfd"
#: A block of a frame is at least 4 bytes and unpacks to at most 128 KiB: this many unpack to 32 MiB at most.
_PIECE_BYTES = 1024
#: Level 19 needs 8 MiB; a frame that asks for more is not the lab's.
_MAX_WINDOW_BYTES = 64 * 2**20


class Unpacker:
    """Reads what a file's only frame holds. Raises BundleError for anything that is not exactly one whole frame.

    `name` is the file's in messages.
    """

    def __init__(self, source: BinaryIO, name: str) -> None:
        import zstandard

        self._zstd_error = zstandard.ZstdError
        self._frame = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES).decompressobj()
        self._source = source
        self._name = name
        self._pieces = bytearray()
        if source.read(len(MAGIC)) != MAGIC:
            raise BundleError(
                f"{name}: not a bundle: it does not begin like a zstandard file",
                "`lab bundle RECORDING -o FILE.tar.zst` makes one",
            )
        source.seek(0)

    def read(self, size: int) -> bytes:
        """The next `size` bytes; fewer only at the end of the frame."""
        while len(self._pieces) < size and self._more():
            pass
        taken = bytes(self._pieces[:size])
        del self._pieces[:size]
        return taken

    def _more(self) -> bool:
        if self._frame.eof:
            return False
        piece = self._source.read(_PIECE_BYTES)
        if not piece:
            raise BundleError(f"{self._name}: is cut short: its compressed data have no end", _AGAIN)
        try:
            self._pieces += self._frame.decompress(piece)
        except self._zstd_error as error:
            raise BundleError(f"{self._name}: its compressed data are damaged: {error}", _AGAIN) from None
        return True

    def finish(self) -> None:
        """Nothing may be left, in the frame or behind it."""
        if self.read(1):
            raise BundleError(f"{self._name}: there are data behind the end of the archive in it")
        if self._frame.unused_data or self._source.read(1):
            raise BundleError(f"{self._name}: there are data behind the end of its compressed data")


_AGAIN = "fetch it again; its size or checksum should be those that the sender has"
