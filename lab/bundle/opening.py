# SPDX-License-Identifier: GPL-2.0-only
"""Opens bundles that came from anywhere: everything is verified before anything is used.

The manifest comes first and says what must follow, so nothing is written that is not announced, within limits, and
of the announced size; what was written counts only when all of it is what the manifest says. It happens in a
directory of its own, which is renamed at the very end and removed where anything is refused.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lab.bundle.checks import check_contents
from lab.bundle.manifest import MANIFEST, Bundle, FileEntry, Manifest
from lab.bundle.names import quoted
from lab.bundle.reading import parse_manifest
from lab.bundle.untar import Header, TarReader
from lab.bundle.unzstd import Unpacker
from lab.errors import BundleError, InputError

_CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class Limits:
    """What a bundle may hold at most: members, bytes of one, of all together, and of the manifest."""

    members: int = 20_000
    member_bytes: int = 2 * 2**30
    total_bytes: int = 8 * 2**30
    manifest_bytes: int = 16 * 2**20


LIMITS = Limits()


def open_bundle(file: Path, into: Path, limits: Limits = LIMITS) -> Bundle:
    """Verify the bundle `file` and unpack it to `into`, which does not exist yet or is an empty directory.

    Raises BundleError (exit 2) where it is refused, with what is wrong and where; InputError where the file cannot
    be read or `into` not be written. In both cases nothing is left behind. What comes back is sound as a bundle; it
    is not trusted: ask lab.bundle.consent before this machine does anything for it.
    """
    with _staged(into) as directory, _opened(file) as source:
        tar = TarReader(Unpacker(source, file.name), file.name)
        manifest = _read_manifest(tar, file.name, limits)
        _check_room(manifest, directory)
        _unpack(tar, manifest, directory, file.name)
        check_contents(Bundle(directory, manifest), file.name)
    return Bundle(into, manifest)


def verify_bundle(file: Path, limits: Limits = LIMITS) -> Manifest:
    """The manifest of the bundle `file` after everything in it was verified; nothing stays on disk. Raises as
    `open_bundle`."""
    with tempfile.TemporaryDirectory(prefix="lab-bundle-") as scratch:
        return open_bundle(file, Path(scratch, "bundle"), limits).manifest


def read_manifest(file: Path, limits: Limits = LIMITS) -> Manifest:
    """The manifest alone, whatever may follow: what a bundle claims to hold. Raises as `open_bundle`."""
    with _opened(file) as source:
        return _read_manifest(TarReader(Unpacker(source, file.name), file.name), file.name, limits)


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    try:
        # Not blocking: a fifo without a writer would wait for ever.
        number = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise InputError(f"bundle {file} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise InputError(f"bundle {file} cannot be read: it is not a regular file")
    with open(number, "rb") as source:  # noqa: PTH123 (of a descriptor)
        yield source


@contextmanager
def _staged(into: Path) -> Iterator[Path]:
    """A new directory beside `into`, which takes its place if all goes well and is removed else."""
    try:
        if into.is_symlink() or (into.exists() and not (into.is_dir() and not any(into.iterdir()))):
            raise InputError(f"{into}: exists and is not an empty directory", "name a new directory")
        made = _missing_parents(into)
        into.parent.mkdir(parents=True, exist_ok=True)
        directory = Path(tempfile.mkdtemp(prefix=f".{into.name}.", dir=into.parent))
    except OSError as error:
        raise InputError(f"{into}: cannot be made: {error.strerror}") from None
    try:
        directory.chmod(0o755)
        yield directory
        directory.replace(into)
    except BaseException as error:
        shutil.rmtree(directory, ignore_errors=True)
        with suppress(OSError):  # somebody else may be at home there by now
            for parent in made:
                parent.rmdir()
        if isinstance(error, OSError):
            raise InputError(f"{into}: cannot be written: {error.strerror}") from None
        raise


def _missing_parents(into: Path) -> list[Path]:
    """Directories above `into` that have to be made, the innermost first."""
    return [parent for parent in into.parents if not parent.exists()]


def _read_manifest(tar: TarReader, name: str, limits: Limits) -> Manifest:
    header = tar.next()
    if header is None or header.name != MANIFEST:
        found = "nothing" if header is None else quoted(header.name)
        raise BundleError(f"{name}: not a bundle: {MANIFEST} should come first in it, and {found} does")
    if header.size_bytes > limits.manifest_bytes:
        raise BundleError(
            f"{name}: its manifest has {header.size_bytes} bytes; {limits.manifest_bytes} are allowed"
        )
    text = tar.read(header.size_bytes)
    tar.skip_padding(header.size_bytes)
    manifest = parse_manifest(text, name)
    _check_limits(manifest, name, limits)
    return manifest


def _check_limits(manifest: Manifest, name: str, limits: Limits) -> None:
    if len(manifest.files) > limits.members:
        raise BundleError(f"{name}: has {len(manifest.files)} members; {limits.members} are allowed")
    for one in manifest.files:
        if one.size_bytes > limits.member_bytes:
            raise BundleError(
                f"{name}: {quoted(one.path)} would have {one.size_bytes} bytes; {limits.member_bytes} are allowed"
            )
    if manifest.size_bytes > limits.total_bytes:
        raise BundleError(
            f"{name}: would unpack to {manifest.size_bytes} bytes; {limits.total_bytes} are allowed"
        )


def _check_room(manifest: Manifest, directory: Path) -> None:
    free = shutil.disk_usage(directory).free
    if manifest.size_bytes > free:
        raise InputError(
            f"{directory.parent}: has {free // 2**20} MiB left; the bundle needs {manifest.size_bytes // 2**20}"
        )


def _unpack(tar: TarReader, manifest: Manifest, directory: Path, name: str) -> None:
    seen = {MANIFEST}
    for entry in manifest.files:
        header = tar.next()
        _check_header(header, entry, seen, manifest, name)
        _write_member(tar, entry, directory, name)
        seen.add(entry.path)
    if (surplus := tar.next()) is not None:
        raise _surplus(surplus, seen, manifest, name)


def _check_header(
    header: Header | None, entry: FileEntry, seen: set[str], manifest: Manifest, name: str
) -> None:
    if header is None:
        raise BundleError(f"{name}: lacks {quoted(entry.path)}, which its manifest names")
    if header.name != entry.path:
        raise _surplus(header, seen, manifest, name)
    if header.size_bytes != entry.size_bytes:
        raise BundleError(
            f"{name}: {quoted(entry.path)} has {header.size_bytes} bytes; its manifest says {entry.size_bytes}"
        )


def _surplus(header: Header, seen: set[str], manifest: Manifest, name: str) -> BundleError:
    """What to say of a member that is not the one whose turn it is."""
    if header.name in seen:
        return BundleError(f"{name}: has {quoted(header.name)} twice")
    if any(one.path == header.name for one in manifest.files):
        return BundleError(f"{name}: {quoted(header.name)} comes before its turn: members are sorted by name")
    return BundleError(f"{name}: has {quoted(header.name)}, which its manifest does not name")


def _write_member(tar: TarReader, entry: FileEntry, directory: Path, name: str) -> None:
    target = directory / entry.path
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, left = hashlib.sha256(), entry.size_bytes
    with target.open("xb") as file:
        while left:
            data = tar.read(min(left, _CHUNK_BYTES))
            digest.update(data)
            file.write(data)
            left -= len(data)
    tar.skip_padding(entry.size_bytes)
    if digest.hexdigest() != entry.sha256:
        raise BundleError(
            f"{name}: {quoted(entry.path)} is not what its manifest says: its SHA-256 is {digest.hexdigest()}"
        )
