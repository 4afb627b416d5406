# SPDX-License-Identifier: GPL-2.0-only
"""Which packages an image was made of, kept beside it: what a recipe leaves open, and hashes do not tell."""

from __future__ import annotations

import shutil
from pathlib import Path

#: Beside an image, one package a line: name, version, architecture.
PACKAGES = "packages.txt"
_LISTED = "lab-packages.txt"


def listing_hook() -> str:
    """An option of mmdebstrap: the packages are listed in the tree while they lie in it.

    The hook runs where the tree is, perhaps as another user who can write nowhere else.
    """
    show = "dpkg-deb --show --showformat='${Package} ${Version} ${Architecture}\\n' {} \\;"
    find = f'find "$1/var/cache/apt/archives" -name "*.deb" -exec {show}'
    return f'--extract-hook={find} | LC_ALL=C sort > "$1/{_LISTED}"'


def take_listing(tree: Path, work: Path) -> None:
    """Move the list out of a tree, of which it is no part, into the directory `work`."""
    if (tree / _LISTED).is_file():
        shutil.move(tree / _LISTED, work / PACKAGES)


def keep_listing(work: Path, entry: Path) -> None:
    """Bring the list from `work` to the image in `entry`."""
    if (work / PACKAGES).is_file():
        shutil.copyfile(work / PACKAGES, entry / PACKAGES)
