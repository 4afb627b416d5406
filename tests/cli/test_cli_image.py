# SPDX-License-Identifier: GPL-2.0-only
"""`lab image build`: which words go together, and where a box goes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from driving import ROOT, Driver, call

from lab.artifacts.cache import Cache
from lab.artifacts.disktools import DISK_TOOLS
from lab.artifacts.ports import Silence
from lab.artifacts.recipe import recipe_inputs
from lab.artifacts.vagrantbox import BOX_NAME, VAGRANT_BOX, box_inputs, parse_package_list
from lab.artifacts.workshop import Workshop


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "takes the kind of an image, or --vagrant-box"),
        (("guest", "-o", "x"), "takes the kind of an image, or --vagrant-box"),
        (("guest", "--vagrant-box"), "one at a time"),
        (("--vagrant-box", "-o", "/nonexistent/x.box"), "there is no directory /nonexistent"),
    ],
)
def test_words_that_do_not_go_together_are_refused(lab: Driver, args: tuple[str, ...], message: str):
    done = lab("image", "build", *args)
    assert done.code == 2 and message in done.err and done.out == ""


def test_the_help_names_the_box():
    assert "--vagrant-box" in call("image", "build", "--help").out


@pytest.fixture
def built(lab: Driver, tmp_path: Path) -> Path:
    """A cache that has the box already: nothing may be run."""
    cache = Cache(tmp_path / "cache", Silence())
    images = ROOT / "images"
    tools = cache.ensure(DISK_TOOLS, recipe_inputs(images / DISK_TOOLS), lambda directory: None)
    packages = parse_package_list((ROOT / ".ci/packages").read_text())
    inputs = box_inputs(images / VAGRANT_BOX, packages, tools.name)
    entry = cache.ensure(VAGRANT_BOX, inputs, lambda directory: _put(directory / BOX_NAME))
    commands = SimpleNamespace()
    lab.wiring = SimpleNamespace(workshop=Workshop(cache, commands, Silence(), images))
    return entry / BOX_NAME


def _put(box: Path) -> None:
    box.write_bytes(b"box")


def test_a_box_is_named_where_it_lies(lab: Driver, built: Path):
    done = lab("image", "build", "--vagrant-box")
    assert done.code == 0 and done.out == f"vagrant-box {built}\n"


def test_a_box_is_written_where_it_is_wanted(lab: Driver, built: Path, tmp_path: Path):
    done = lab("image", "build", "--vagrant-box", "-o", tmp_path / "mine.box")
    assert done.code == 0 and (tmp_path / "mine.box").read_bytes() == b"box"
    assert done.out == f"vagrant-box {tmp_path / 'mine.box'}\n"


def test_where_it_cannot_be_written_is_said(lab: Driver, built: Path, tmp_path: Path):
    done = lab("image", "build", "--vagrant-box", "-o", tmp_path)
    assert done.code == 2 and "directory" in done.err
