# SPDX-License-Identifier: GPL-2.0-only
"""Kernel sources, with the real git, tar and cp on tiny trees."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from fakes import FakeCommands, RecordedProgress

from lab.adapters.commands import ProcessCommands
from lab.artifacts import debian
from lab.artifacts.cache import Cache
from lab.artifacts.source import open_source
from lab.artifacts.workshop import Workshop
from lab.errors import InputError
from lab.plan.labplan import KernelSourcePlan

MAKEFILE = "mrproper:\n\trm -f .config\n"


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    progress = RecordedProgress()
    return Workshop(Cache(tmp_path / "cache", progress), ProcessCommands(), progress, tmp_path)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "linux"
    tree.mkdir()
    (tree / "Kconfig").write_text("config A\n")
    (tree / "Makefile").write_text(MAKEFILE)
    return tree


def git(tree: Path, *words: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", "-C", tree, *who, *words], check=True, capture_output=True, timeout=30)


@pytest.fixture
def repository(tree: Path) -> Path:
    git(tree, "init", "-q")
    (tree / ".gitignore").write_text("*.o\n.config\n")
    git(tree, "add", ".")
    git(tree, "commit", "-q", "-m", "one")
    git(tree, "tag", "v1")
    return tree


def identity(workshop: Workshop, tree: Path, ref: str | None = None) -> str:
    return open_source(workshop, KernelSourcePlan("tree", str(tree), ref)).identity


def test_a_git_tree_is_its_commit_and_what_differs_from_it(workshop: Workshop, repository: Path):
    seen = [identity(workshop, repository)]
    (repository / "a.o").write_text("ignored")
    assert identity(workshop, repository) == seen[0]
    (repository / "new.c").write_text("int a;\n")
    seen.append(identity(workshop, repository))
    (repository / "new.c").write_text("int b;\n")
    seen.append(identity(workshop, repository))
    (repository / "Kconfig").write_text("config B\n")
    seen.append(identity(workshop, repository))
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "two")
    seen.append(identity(workshop, repository))
    assert len(set(seen)) == len(seen)


def test_a_ref_is_its_commit_whatever_the_work_tree(workshop: Workshop, repository: Path, tmp_path: Path):
    before = identity(workshop, repository, "v1")
    (repository / "Kconfig").write_text("config B\n")
    assert identity(workshop, repository, "v1") == before
    source = open_source(workshop, KernelSourcePlan("tree", str(repository), "v1"))
    source.unpack(tmp_path / "copy", tmp_path / "log")
    assert (tmp_path / "copy/Kconfig").read_text() == "config A\n"


def test_a_ref_that_does_not_exist_is_bad_input(workshop: Workshop, repository: Path):
    with pytest.raises(InputError, match="no ref v9"):
        identity(workshop, repository, "v9")


def test_a_plain_tree_is_its_listing(workshop: Workshop, tree: Path):
    before = identity(workshop, tree)
    assert identity(workshop, tree) == before
    os.utime(tree / "Kconfig", (1, 1))
    assert identity(workshop, tree) != before


def test_a_tree_is_copied_clean_and_left_alone(workshop: Workshop, repository: Path, tmp_path: Path):
    (repository / ".config").write_text("CONFIG_A=y\n")
    source = open_source(workshop, KernelSourcePlan("tree", str(repository)))
    source.unpack(tmp_path / "copy", tmp_path / "log")
    assert {path.name for path in (tmp_path / "copy").iterdir()} == {"Kconfig", "Makefile", ".gitignore"}
    assert (repository / ".config").exists()
    assert (repository / ".git").exists()


def test_a_tarball_is_unpacked_once_and_shared_by_hard_links(workshop: Workshop, tree: Path, tmp_path: Path):
    tarball = tmp_path / "linux-6.12.tar.gz"
    with tarfile.open(tarball, "w:gz") as archive:
        archive.add(tree, arcname="linux-6.12")
    plan = KernelSourcePlan("tarball", str(tarball))
    for copy in ("one", "two"):
        open_source(workshop, plan).unpack(tmp_path / copy, tmp_path / "log")
    assert (tmp_path / "one/Kconfig").samefile(tmp_path / "two/Kconfig")
    assert len(workshop.cache.entries("source")) == 1
    before = open_source(workshop, plan).identity
    tarball.write_bytes(tarball.read_bytes() + b"\0")
    assert open_source(workshop, plan).identity != before
    assert len(workshop.cache.entries("source")) == 2


@pytest.mark.parametrize("kind", ["tarball", "tree"])
def test_a_path_that_does_not_exist_is_bad_input(workshop: Workshop, kind, tmp_path: Path):
    with pytest.raises(InputError, match="does not exist"):
        open_source(workshop, KernelSourcePlan(kind, str(tmp_path / "absent")))


def test_a_directory_that_is_no_kernel_is_bad_input(workshop: Workshop, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no Kconfig"):
        open_source(workshop, KernelSourcePlan("tree", str(tmp_path / "empty")))


@pytest.mark.skipif(not debian.KEYRING.is_file(), reason="not on a Debian machine")
def test_a_debian_source_is_fetched_once_and_then_pinned(tmp_path: Path, tree: Path):
    def apt_get(words):
        if "--print-uris" in words:
            return "'http://a.example.org/debian/dists/stable/InRelease' x 0 \n"
        if "download" in words:
            root = next(word for word in words if word.startswith("Dir::Etc::sourcelist="))
            directory = Path(root.partition("=")[2]).parents[1]
            (directory / "linux-source-6.12_6.12.9-1_all.deb").touch()
        return ""

    def dpkg_deb(words):
        sources = Path(words[-1]) / "usr/src"
        sources.mkdir(parents=True)
        with tarfile.open(sources / "linux-source-6.12.tar.xz", "w:xz") as archive:
            archive.add(tree, arcname="linux-source-6.12")
        return ""

    def real(words):
        return ProcessCommands().output(words, what="x")

    commands = FakeCommands({"apt-get": apt_get, "dpkg-deb": dpkg_deb, "tar": real, "cp": real})
    progress = RecordedProgress()
    workshop = Workshop(Cache(tmp_path / "cache", progress), commands, progress, tmp_path)
    plan = KernelSourcePlan("debian", "6.12")
    source = open_source(workshop, plan)
    assert source.identity == "debian linux-source-6.12 6.12.9-1"
    source.unpack(tmp_path / "copy", tmp_path / "log")
    assert (tmp_path / "copy/Kconfig").read_text() == "config A\n"
    fetched = commands.count("apt-get")
    assert open_source(workshop, plan).identity == source.identity
    assert commands.count("apt-get") == fetched
    (entry,) = workshop.cache.entries("source")
    assert {path.name for path in entry.path.iterdir()} == {"identity", "inputs.json", "tree"}
