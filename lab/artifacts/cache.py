# SPDX-License-Identifier: GPL-2.0-only
"""The cache of built things: content-addressed directories that are complete or absent.

An entry is the directory ROOT/KIND/KEY, where KEY is the hash of everything that went in. It is built under
a temporary name beside its place and published by one rename, so a reader never sees half of it, and a crash
leaves only a leftover that the next build of the same entry removes. One lock file per entry makes two labs
that want the same thing build it once.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.artifacts.ports import Progress

_INPUTS = "inputs.json"
_KEY_DIGITS = 20

Build = Callable[[Path], None]


def cache_root(environ: Mapping[str, str], home: Path, is_root: bool) -> Path:
    """Where the cache lies: LAB_CACHE_DIR, else XDG_CACHE_HOME/paravirt-lab, else the default.

    Root's default is under /var/cache, because QEMU runs as a user of its own that cannot look into /root.
    """
    if environ.get("LAB_CACHE_DIR"):
        return Path(environ["LAB_CACHE_DIR"]).absolute()
    if environ.get("XDG_CACHE_HOME"):
        return Path(environ["XDG_CACHE_HOME"]).absolute() / "paravirt-lab"
    if is_root:
        return Path("/var/cache/paravirt-lab")
    return home / ".cache" / "paravirt-lab"


def entry_key(inputs: Mapping[str, Any]) -> str:
    """The key of an entry: a prefix of the SHA-256 of `inputs` as canonical JSON."""
    canonical = json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:_KEY_DIGITS]


@dataclass(frozen=True)
class CacheEntry:
    """A published entry. `size_bytes` is what its files occupy on disk; `age_s` counts from the last use."""

    kind: str
    key: str
    path: Path
    inputs: Mapping[str, Any]
    size_bytes: int
    age_s: float


class Cache:
    """A cache below `root`, which is created when first needed."""

    def __init__(self, root: Path, progress: Progress) -> None:
        self.root = root
        self._progress = progress

    def path(self, kind: str, inputs: Mapping[str, Any]) -> Path:
        """Where the entry made of `inputs` lies or would lie."""
        return self.root / kind / entry_key(inputs)

    def find(self, kind: str, inputs: Mapping[str, Any]) -> Path | None:
        """The entry made of `inputs`, or None when it is not built."""
        path = self.path(kind, inputs)
        return path if (path / _INPUTS).is_file() else None

    def log(self, name: str) -> Path:
        """A log file of that name, which outlives a failed build."""
        return self._directory("logs") / f"{name}.log"

    def ensure(self, kind: str, inputs: Mapping[str, Any], build: Build) -> Path:
        """The entry made of `inputs`; where it is missing, `build` fills the empty directory it is given.

        What `build` raises goes through, and nothing is published then.
        """
        path = self.path(kind, inputs)
        if self.find(kind, inputs) is None:
            with self.lock(f"{kind}-{path.name}", f"{kind} {path.name}"):
                if self.find(kind, inputs) is None:
                    self._build(path, inputs, build)
        _touch(path)
        return path

    @contextmanager
    def lock(self, name: str, what: str) -> Iterator[None]:
        """Hold the lock `name`, after waiting for whoever has it. The system frees it when a process dies."""
        with (self._directory("locks") / f"{name}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._progress.step(f"waiting for another lab that builds {what}")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def entries(self, kind: str) -> tuple[CacheEntry, ...]:
        """All published entries of one kind, the last used first."""
        found = [_read_entry(kind, path.parent) for path in (self.root / kind).glob(f"*/{_INPUTS}")]
        return tuple(sorted(found, key=lambda entry: entry.age_s))

    def remove(self, entry: CacheEntry) -> None:
        """Remove an entry: renamed first, so that nobody finds half of it."""
        with self.lock(f"{entry.kind}-{entry.key}", f"{entry.kind} {entry.key}"):
            doomed = entry.path.with_name(f".{entry.key}.removed")
            entry.path.rename(doomed)
            shutil.rmtree(doomed)

    def kinds(self) -> tuple[str, ...]:
        """The kinds of things that there may be entries of, by name."""
        return tuple(sorted(path.name for path in self.root.glob("*") if path.is_dir()))

    def remove_leftovers(self) -> tuple[Path, ...]:
        """Remove what crashed builds left and nobody builds now; the paths removed."""
        found = sorted(self.root.glob("*/.*.*"))
        return tuple(path for path in found if self._remove_leftover(path))

    def _remove_leftover(self, path: Path) -> bool:
        name = f"{path.parent.name}-{path.name.split('.')[1]}"
        with (self._directory("locks") / f"{name}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            shutil.rmtree(path)
        return True

    def _build(self, path: Path, inputs: Mapping[str, Any], build: Build) -> None:
        parent = self._directory(path.parent.name)
        for leftover in parent.glob(f".{path.name}.*"):
            shutil.rmtree(leftover)
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=parent))
        try:
            partial.chmod(0o755)
            build(partial)
            (partial / _INPUTS).write_text(json.dumps(inputs, indent=2, sort_keys=True) + "\n")
            _make_readable(partial)
            partial.rename(path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise

    def _directory(self, name: str) -> Path:
        for directory in (self.root, self.root / name):
            if not directory.is_dir():
                directory.mkdir(parents=True, exist_ok=True)
                directory.chmod(0o755)
        return self.root / name


def _make_readable(top: Path) -> None:
    """Let everybody read the tree, whatever the umask was: QEMU runs as a user of its own."""
    for directory, names, files in os.walk(top):
        for name in (*names, *files):
            path = Path(directory, name)
            mode = path.lstat().st_mode
            if not stat.S_ISLNK(mode):
                wanted = mode | 0o444 | (0o111 if stat.S_ISDIR(mode) or mode & 0o100 else 0)
                if wanted != mode:
                    path.chmod(stat.S_IMODE(wanted))


def _touch(path: Path) -> None:
    """Note that an entry was used; another user's cache may be read-only."""
    try:
        os.utime(path)
    except PermissionError:
        return


def _read_entry(kind: str, path: Path) -> CacheEntry:
    inputs = json.loads((path / _INPUTS).read_text())
    blocks = sum(file.lstat().st_blocks for file in path.rglob("*"))
    return CacheEntry(kind, path.name, path, inputs, blocks * 512, time.time() - path.stat().st_mtime)
