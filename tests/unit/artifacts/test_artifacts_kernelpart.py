# SPDX-License-Identifier: GPL-2.0-only
"""Parts of a kernel's source in an image."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lab.artifacts.kernelpart import add_kernel_part
from lab.artifacts.recipe import recipe_inputs
from lab.artifacts.source import Source
from lab.errors import BuildFailed


def take_nothing(names: object, target: Path, log: Path) -> None:
    raise AssertionError("single files are not asked for")


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    tree = tmp_path / "cached"
    for name in (
        "Makefile",
        "kernel/sched/core.c",
        "drivers/net/Kconfig",
        "drivers/net/big.c",
        "scripts/run",
    ):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    (tree / "scripts/run").chmod(0o755)
    (tree / "kernel/link.c").symlink_to("sched/core.c")
    return tree


def add(cached: Path, tmp_path: Path, *keep: str) -> Path:
    def unpack(target: Path, log: Path) -> None:
        shutil.copytree(cached, target, symlinks=True, copy_function=os.link)

    (tmp_path / "work").mkdir()
    source = Source("linux", unpack, take_nothing)
    add_kernel_part(source, keep, tmp_path / "tree", tmp_path / "work", tmp_path / "log")
    return tmp_path / "tree/usr/src/linux"


def test_patterns_choose_and_directories_come_whole(cached: Path, tmp_path: Path) -> None:
    found = add(cached, tmp_path, "Makefile", "**/Kconfig*", "kernel", "scripts")
    names = {str(path.relative_to(found)) for path in found.rglob("*") if path.is_file()}
    assert names == {"Makefile", "kernel/sched/core.c", "kernel/link.c", "drivers/net/Kconfig", "scripts/run"}
    assert os.access(found / "scripts/run", os.X_OK) and (found / "kernel/link.c").is_symlink()
    assert list((tmp_path / "work").iterdir()) == []


def test_the_caches_own_files_are_not_touched(cached: Path, tmp_path: Path) -> None:
    found = add(cached, tmp_path, "Makefile", "kernel")
    for name in ("Makefile", "kernel/sched/core.c"):
        (found / name).chmod(0o600)
        (found / name).write_text("changed")
        assert (cached / name).read_text() == name and (cached / name).stat().st_mode & 0o777 != 0o600


def test_what_the_source_does_not_have_is_named(cached: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="has no tools/objtool"):
        add(cached, tmp_path, "Makefile", "tools/objtool")


def test_a_kernel_in_a_recipe_is_part_of_its_key_and_none_is_not(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("suites: [trixie]\npackages: [a]\n")
    assert "kernel_source" not in recipe_inputs(tmp_path)["recipe"]
    (tmp_path / "recipe.yaml").write_text(
        'suites: [trixie]\npackages: [a]\nkernel_source: "6.12"\nkernel_keep: [Makefile]\n'
    )
    assert recipe_inputs(tmp_path)["recipe"]["kernel_source"] == "6.12"
