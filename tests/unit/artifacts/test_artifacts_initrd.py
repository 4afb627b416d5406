# SPDX-License-Identifier: GPL-2.0-only
"""Initramfs images, read back by cpio itself."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.artifacts.initrd import CpioEntry, cpio_newc, render_initrd, write_initrd

needs_cpio = pytest.mark.skipif(not shutil.which("cpio"), reason="cpio is not installed")


def cpio(archive: bytes, *options: str, cwd: Path) -> str:
    done = subprocess.run(
        ["cpio", "--quiet", *options], input=archive, cwd=cwd, capture_output=True, timeout=20, check=True
    )
    return done.stdout.decode()


@needs_cpio
def test_cpio_lists_every_entry_with_its_kind_and_permissions(tmp_path: Path):
    archive = render_initrd(b"program", {"authorized_keys": b"key\n", "ssh_host_ed25519_key": b"secret"})
    lines = cpio(archive, "-tv", "--numeric-uid-gid", cwd=tmp_path).splitlines()
    listed = {line.split()[-1]: line.split() for line in lines}
    assert listed["init"][0] == "-rwxr-xr-x"
    assert listed["seed/ssh_host_ed25519_key"][0] == "-rw-------"
    assert listed["dev/console"][0] == "crw-------"
    assert listed["dev/console"][4:6] == ["5,", "1"]
    assert {words[2] for words in listed.values()} == {"0"}


@needs_cpio
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5))
def test_contents_come_back_whatever_their_length(tmp_path_factory, contents):
    directory = tmp_path_factory.mktemp("cpio")
    entries = [CpioEntry(f"f{n}", stat.S_IFREG | 0o644, data) for n, data in enumerate(contents)]
    archive = cpio_newc(entries)
    assert len(archive) % 4 == 0
    cpio(archive, "-i", cwd=directory)
    assert [(directory / f"f{n}").read_bytes() for n in range(len(contents))] == contents


def test_the_same_input_gives_the_same_bytes():
    assert render_initrd(b"i", {"a": b"1", "b": b"2"}) == render_initrd(b"i", {"b": b"2", "a": b"1"})


def test_the_file_is_private(tmp_path: Path):
    init, path = tmp_path / "init", tmp_path / "initrd"
    init.write_bytes(b"program")
    path.write_bytes(b"something older")
    write_initrd(path, init, {"key": b"secret"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == render_initrd(b"program", {"key": b"secret"})
