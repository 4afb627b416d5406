# SPDX-License-Identifier: GPL-2.0-only
"""The list of an image's packages: made of real packages, by the hook as mmdebstrap would call it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab.artifacts.packages import PACKAGES, keep_listing, listing_hook, take_listing


def add_package(tree: Path, name: str, version: str) -> None:
    made = tree.parent / name
    (made / "DEBIAN").mkdir(parents=True)
    (made / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: amd64\n"
        "Maintainer: Nobody <nobody@example.org>\nDescription: nothing\n"
    )
    archives = tree / "var/cache/apt/archives"
    archives.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["dpkg-deb", "--build", "--root-owner-group", made, archives], check=True, capture_output=True
    )


def run_hook(tree: Path) -> None:
    option, _, hook = listing_hook().partition("=")
    assert option == "--extract-hook"
    subprocess.run(["sh", "-c", hook, "exec", tree], check=True)


def test_the_packages_are_listed_and_the_list_leaves_the_tree(tmp_path):
    tree, work, entry = (tmp_path / name for name in ("tree", "work", "entry"))
    for directory in (tree, work, entry):
        directory.mkdir()
    add_package(tree, "zlib1g", "1:1.2.13.dfsg-1")
    add_package(tree, "busybox-static", "1.35.0-4+b3")
    before = set(tree.rglob("*"))
    run_hook(tree)
    take_listing(tree, work)
    assert set(tree.rglob("*")) == before
    keep_listing(work, entry)
    assert (
        entry / PACKAGES
    ).read_text() == "busybox-static 1.35.0-4+b3 amd64\nzlib1g 1:1.2.13.dfsg-1 amd64\n"


def test_a_tree_without_a_list_gives_none(tmp_path):
    take_listing(tmp_path, tmp_path)
    keep_listing(tmp_path, tmp_path / "entry")
    assert list(tmp_path.iterdir()) == []
