# SPDX-License-Identifier: GPL-2.0-only
"""Writes bundles: from a directory of members to one file, the same bytes for the same members."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lab.artifacts.workshop import file_digest
from lab.bundle.manifest import MANIFEST, FileEntry, Manifest
from lab.bundle.names import clash, quoted, wrong_name
from lab.errors import InputError

#: Of bytes, not of time: above it, a bundle takes minutes and gets hardly smaller.
_LEVEL = 12
_MODE = 0o644


def list_members(stage: Path) -> tuple[FileEntry, ...]:
    """The files below `stage`, as a manifest has them. Raises InputError for names that no bundle can have."""
    paths = [path for path in stage.rglob("*") if path.is_file()]
    entries = [
        FileEntry(
            path=path.relative_to(stage).as_posix(), size_bytes=path.stat().st_size, sha256=file_digest(path)
        )
        for path in paths
    ]
    for one in entries:
        if wrong := wrong_name(one.path):
            raise InputError(f"{quoted(one.path)} cannot be in a bundle: it {wrong}")
    assert clash(one.path for one in entries) is None, "a directory has files of different names"
    return tuple(sorted(entries, key=lambda one: one.path.encode()))


def write_archive(stage: Path, manifest: Manifest, file: Path) -> int:
    """Write the bundle of the members below `stage` that `manifest` names to `file`; its size in bytes.

    The file appears when it is complete. Raises InputError where it cannot be written.
    """
    try:
        with _replacing(file) as sink:
            _write(stage, manifest, sink)
        return file.stat().st_size
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror}", "-o names another file") from None


@contextmanager
def _replacing(file: Path) -> Iterator[IO[bytes]]:
    number, name = tempfile.mkstemp(prefix=f".{file.name[:100]}.", dir=file.parent)
    try:
        with open(number, "wb") as sink:  # noqa: PTH123 (of a descriptor)
            yield sink
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current


def _write(stage: Path, manifest: Manifest, sink: IO[bytes]) -> None:
    import zstandard

    # One thread: several cut the data by how fast they are. The checksum tells damage before the hashes can.
    packer = zstandard.ZstdCompressor(level=_LEVEL, threads=0, write_checksum=True, write_content_size=False)
    text = render_manifest(manifest)
    with (
        packer.stream_writer(sink, closefd=False) as stream,
        tarfile.open(fileobj=stream, mode="w|", format=tarfile.USTAR_FORMAT, encoding="utf-8") as tar,
    ):
        tar.addfile(_info(MANIFEST, len(text)), io.BytesIO(text))
        for one in manifest.files:
            with (stage / one.path).open("rb") as source:
                tar.addfile(_info(one.path, one.size_bytes), source)


def render_manifest(manifest: Manifest) -> bytes:
    """The member `manifest.json`."""
    return (manifest.model_dump_json(indent=1) + "\n").encode()


def _info(name: str, size_bytes: int) -> tarfile.TarInfo:
    """A regular file of nobody in particular, of no time."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size_bytes, _MODE
    return info
