# SPDX-License-Identifier: GPL-2.0-only
"""Bundles made byte by byte: sound ones, and whatever else somebody may send."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import zstandard
from cli.recordings import TOPOLOGY, plan_of

from lab.plan.labplan import render_plan_json

BLOCK = 512
END = bytes(2 * BLOCK)


def header(
    name: bytes | str,
    size: int | bytes,
    kind: bytes = b"0",
    *,
    magic: bytes = b"ustar\x0000",
    link: bytes = b"",
    prefix: bytes = b"",
    checksum: int | None = None,
) -> bytes:
    """A header of a tar archive, sound unless it is told otherwise."""
    raw = name.encode() if isinstance(name, str) else name
    if len(raw) > 100 and not prefix:
        prefix, raw = raw[: raw.rindex(b"/", 0, 155)], raw[raw.rindex(b"/", 0, 155) + 1 :]
    number = size if isinstance(size, bytes) else b"%011o\0" % size
    block = bytearray(
        raw.ljust(100, b"\0")
        + b"0000644\0" + b"0000000\0" + b"0000000\0"
        + number.ljust(12, b"\0")
        + b"00000000000\0" + b" " * 8 + kind
        + link.ljust(100, b"\0") + magic
        + bytes(32 + 32 + 8 + 8)
        + prefix.ljust(155, b"\0") + bytes(12)
    )  # fmt: skip
    block[148:156] = b"%06o\0 " % (sum(block) if checksum is None else checksum)
    return bytes(block)


def member(name: bytes | str, data: bytes = b"", kind: bytes = b"0", **more: Any) -> bytes:
    """A member with its data, filled up to a whole block."""
    return header(name, len(data), kind, **more) + data + bytes(-len(data) % BLOCK)


def seal(archive: bytes, level: int = 3) -> bytes:
    """The archive as one frame."""
    return zstandard.ZstdCompressor(level=level, write_checksum=True).compress(archive)


def sound_files() -> dict[str, bytes]:
    """Members of a small bundle that is sound: a recording that says nothing yet."""
    return {
        "README.txt": b"a bundle\n",
        "inputs/kernels/plain/patches/0001-x.patch": b"--- a/x\n",
        "recording/plan.json": render_plan_json(plan_of()).encode(),
        "recording/recording.json": b'{"format": 1}\n',
        "topology.yaml": TOPOLOGY.encode(),
    }


@dataclass
class Crafted:
    """A bundle to be: its manifest's document and its members, both of which a test may spoil. `files` makes them
    agree; afterwards they are what they are made."""

    files: dict[str, bytes] = field(default_factory=sound_files)
    about: dict[str, Any] = field(default_factory=dict)

    def entries(self) -> list[dict[str, Any]]:
        """The manifest's list of files."""
        return [
            {"path": name, "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in sorted(self.files.items(), key=lambda pair: pair[0].encode())
        ]

    def document(self, **changes: Any) -> dict[str, Any]:
        """The manifest."""
        return {
            "format": "paravirt-lab-bundle",
            "version": 1,
            "name": "pair",
            "lab_version": "0.1.0",
            "redacted": True,
            "files": self.entries(),
            **self.about,
            **changes,
        }

    def members(self) -> list[bytes]:
        """All members but the manifest, in their order."""
        return [member(name, data) for name, data in sorted(self.files.items())]

    def pack(
        self,
        *,
        manifest: bytes | Mapping[str, Any] | None = None,
        members: Iterable[bytes] | None = None,
        end: bytes = END,
    ) -> bytes:
        """The file, with another manifest, other members or another end of the archive where they are given."""
        first = self.document() if manifest is None else manifest
        text = first if isinstance(first, bytes) else json.dumps(first).encode()
        rest = self.members() if members is None else members
        return seal(member("manifest.json", text) + b"".join(rest) + end)
