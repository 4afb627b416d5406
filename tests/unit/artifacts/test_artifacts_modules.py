# SPDX-License-Identifier: GPL-2.0-only
"""Modules as an archive: what is in it, and what is not."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from lab.artifacts.config import parse_config
from lab.artifacts.modules import has_modules, module_names, read_modules_archive
from lab.errors import BuildFailed

RELEASE = "lib/modules/6.12.1"


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    """What `make modules_install` leaves of one module."""
    drivers = tmp_path / RELEASE / "kernel/drivers/block"
    drivers.mkdir(parents=True)
    (drivers / "null-blk.ko").write_bytes(b"\x7fELF")
    (tmp_path / RELEASE / "modules.dep").write_text("kernel/drivers/block/null-blk.ko:\n")
    (tmp_path / RELEASE / "build").symlink_to("/somewhere/on/the/building/machine")
    return tmp_path


def test_a_kernel_has_modules_where_something_is_a_module():
    assert has_modules(parse_config("CONFIG_MODULES=y\nCONFIG_A=m\n"))
    assert not has_modules(parse_config('CONFIG_MODULES=y\nCONFIG_NAME="m"\n'))


def test_names_are_those_that_modprobe_knows(staged: Path):
    assert module_names(staged) == ("null_blk",)


@pytest.mark.skipif(not shutil.which("cpio"), reason="cpio is not installed")
def test_the_archive_has_the_modules_below_their_directories_and_no_links(staged: Path):
    listed = subprocess.run(
        ["cpio", "--quiet", "-t"],
        input=read_modules_archive(staged),
        capture_output=True,
        check=True,
        timeout=20,
    )
    assert listed.stdout.decode().split() == [
        *("lib", "lib/modules", RELEASE, f"{RELEASE}/kernel", f"{RELEASE}/kernel/drivers"),
        *(f"{RELEASE}/kernel/drivers/block", f"{RELEASE}/kernel/drivers/block/null-blk.ko"),
        f"{RELEASE}/modules.dep",
    ]


def test_modules_without_depmod_are_no_success(staged: Path):
    (staged / RELEASE / "modules.dep").unlink()
    with pytest.raises(BuildFailed, match=r"modules\.dep") as caught:
        read_modules_archive(staged)
    assert "kmod" in (caught.value.hint or "")
