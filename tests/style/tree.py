# SPDX-License-Identifier: GPL-2.0-only
"""The tracked files of this checkout, and patterns looked for in them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]

#: Where the machine's own package sources are configured; the mirrors named there must stay there.
_PACKAGE_SOURCES = ("etc/apt/sources.list", "etc/apt/sources.list.d/*", "etc/pip.conf")
_COMMENT = re.compile(r"^\s*[#;].*$", re.MULTILINE)
_URL = re.compile(r"https?://[^\s\"'\]]+")


@cache
def tracked() -> tuple[Path, ...]:
    """Regular files that git tracks here, relative to ROOT; symbolic links are left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True, timeout=30
    )
    paths = (Path(name) for name in listed.stdout.split("\0") if name)
    return tuple(path for path in paths if (ROOT / path).is_file() and not (ROOT / path).is_symlink())


def matching_any(path: Path, patterns: Iterable[str]) -> bool:
    """Whether `path` matches one of the globs; `*` also crosses directories."""
    return any(fnmatch(path.as_posix(), pattern) for pattern in patterns)


@cache
def read_lines(path: Path) -> tuple[str, ...]:
    """The lines of a tracked file; undecodable bytes are replaced."""
    return tuple((ROOT / path).read_text(errors="replace").splitlines())


def find(pattern: re.Pattern[str], paths: Iterable[Path]) -> list[str]:
    """``file:line: text`` wherever `pattern` is found."""
    return [
        f"{path}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(read_lines(path), 1)
        if pattern.search(line)
    ]


def is_shell(path: Path) -> bool:
    """Whether a tracked file is a shell script, by its name or its first line."""
    first = next(iter(read_lines(path)), "")
    return path.suffix == ".sh" or re.match(r"#!.*\b(ba|da|a)?sh\b", first) is not None


def read_mirror_hosts(root: Path = Path("/")) -> Iterator[str]:
    """Host names of the package sources that this machine is configured to use."""
    for source in _PACKAGE_SOURCES:
        for path in filter(Path.is_file, root.glob(source)):
            text = _COMMENT.sub("", path.read_text(errors="replace"))
            for url in _URL.findall(text):
                host = urlsplit(url).hostname
                if host and host not in ("localhost", "127.0.0.1"):
                    yield host
