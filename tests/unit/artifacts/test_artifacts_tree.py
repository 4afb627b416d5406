# SPDX-License-Identifier: GPL-2.0-only
"""Trees out of packages: recipes, cutting, root images, the toolbox."""

from __future__ import annotations

import io
import itertools
import os
import shutil
import tarfile
from pathlib import Path, PurePosixPath

import pytest
from fakes import FakeCommands, RecordedProgress, failing

from lab.adapters.commands import ProcessCommands
from lab.artifacts import debian
from lab.artifacts.cache import Cache
from lab.artifacts.images import ensure_image
from lab.artifacts.recipe import read_recipe, recipe_inputs
from lab.artifacts.toolbox import ensure_toolbox, parse_qemu_version
from lab.artifacts.tree import cut_tree, merge_usr, parse_linkage
from lab.artifacts.workshop import Workshop, tree_digests
from lab.errors import BuildFailed, InputError

IMAGES = Path(__file__).parents[3] / "images"
PRINTED_URIS = "'http://a.example.org/debian/dists/stable/InRelease' x 0 \n"
needs_keyring = pytest.mark.skipif(not debian.KEYRING.is_file(), reason="not on a Debian machine")

READELF = """
  INTERP  0x0 0x0
      [Requesting program interpreter: /lib64/ld.so]
 0x0000000000000001 (NEEDED)             Shared library: [liba.so.1]
 0x0000000000000001 (NEEDED)             Shared library: [libc.so.6]
"""


def write(path: Path, data: bytes = b"", mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)
    return path


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A tree like Debian's: /usr merged, a program with two libraries, one of them a link."""
    tree = tmp_path / "packages"
    for name in (
        "usr/bin/program",
        "usr/lib/x86_64-linux-gnu/liba.so.1.2",
        "usr/lib/x86_64-linux-gnu/libc.so.6",
    ):
        write(tree / name, b"\x7fELF", 0o755)
    (tree / "usr/lib/x86_64-linux-gnu/liba.so.1").symlink_to("liba.so.1.2")
    write(tree / "usr/lib/x86_64-linux-gnu/ld.so", b"\x7fELF", 0o755)
    (tree / "usr/lib64").mkdir()
    (tree / "usr/lib64/ld.so").symlink_to("../lib/x86_64-linux-gnu/ld.so")
    write(tree / "usr/share/doc/program/README", b"unwanted")
    write(tree / "etc/program/a.conf", b"a")
    return tree


def linkage_of(words: list[str]) -> str:
    return READELF if any(word.endswith("/program") for word in words) else ""


def names(tree: Path) -> set[str]:
    return {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_symlink() or path.is_file()}


def test_cutting_follows_libraries_links_and_directories(packages: Path, tmp_path: Path):
    target = tmp_path / "cut"
    cut_tree(FakeCommands({"readelf": linkage_of}), packages, ["bin/program", "etc/program"], target)
    libraries = "usr/lib/x86_64-linux-gnu"
    assert names(target) == {
        "usr/bin/program",
        "etc/program/a.conf",
        f"{libraries}/liba.so.1",
        f"{libraries}/liba.so.1.2",
        f"{libraries}/libc.so.6",
        f"{libraries}/ld.so",
        "usr/lib64/ld.so",
    }
    assert os.access(target / "usr/bin/program", os.X_OK)


def test_what_packages_do_not_have_is_named(packages: Path, tmp_path: Path):
    commands = FakeCommands({"readelf": READELF.replace("liba", "libz")})
    with pytest.raises(BuildFailed, match=r"no usr/bin/absent"):
        cut_tree(commands, packages, ["usr/bin/absent"], tmp_path / "cut")
    with pytest.raises(BuildFailed, match=r"no library libz\.so\.1"):
        cut_tree(commands, packages, ["usr/bin/program"], tmp_path / "cut")


def test_the_real_readelf_is_understood():
    text = ProcessCommands().output(
        ["readelf", "--dynamic", "--program-headers", "--wide", shutil.which("ls") or "/bin/ls"], what="x"
    )
    linkage = parse_linkage(text)
    assert "libc.so.6" in linkage.libraries
    assert [Path(name).name.startswith("ld-") for name in linkage.interpreters] == [True]


def test_merged_usr():
    assert merge_usr(PurePosixPath("lib64/ld.so")) == PurePosixPath("usr/lib64/ld.so")
    assert merge_usr(PurePosixPath("etc/lib")) == PurePosixPath("etc/lib")


def test_a_recipe_on_a_base_has_all_of_that(tmp_path: Path):
    both = recipe_inputs(IMAGES / "guest-loads")
    base, own = read_recipe(IMAGES / "guest"), read_recipe(IMAGES / "guest-loads")
    for key in ("packages", "keep", "programs", "directories"):
        assert getattr(own, key)[: len(getattr(base, key))] == getattr(base, key)
    assert "usr/bin/stress-ng" in own.keep and own.suites == base.suites
    assert both["files"] == recipe_inputs(IMAGES / "guest")["files"]
    assert "base" not in both["recipe"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("packages: [a]\n", "no suites and no base"),
        ("base: whole\npackages: [a]\nkeep: [b]\n", "whole has keep and no base"),
        ("base: cut\npackages: [a]\n", "on a base it has keep"),
        ("base: cut\nsuites: [sid]\npackages: [a]\nkeep: [b]\n", "and no suites"),
        ("base: none\npackages: [a]\nkeep: [b]\n", "none/recipe.yaml"),
    ],
)
def test_a_base_that_cannot_be_is_named(tmp_path: Path, text: str, message: str):
    for name, content in {
        "whole": "suites: [trixie]\npackages: [a]\n",
        "cut": "suites: [trixie]\npackages: [a]\nkeep: [b]\n",
        "mine": text,
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "recipe.yaml").write_text(content)
    with pytest.raises(InputError) as caught:
        read_recipe(tmp_path / "mine")
    assert message in caught.value.message


@pytest.mark.parametrize("kind", ["guest", "guest-build", "guest-loads", "guest-schbench", "host", "toolbox"])
def test_the_projects_recipes_are_valid(kind: str):
    recipe = read_recipe(IMAGES / kind)
    assert recipe.packages
    assert recipe.prefer is None or recipe.prefer in recipe.suites


def test_a_wrong_recipe_is_named(tmp_path: Path):
    (tmp_path / "recipe.yaml").write_text("suites: [trixie]\npackges: [a]\n")
    with pytest.raises(InputError, match="packges") as caught:
        read_recipe(tmp_path)
    assert str(tmp_path / "recipe.yaml") in caught.value.message


def test_the_key_depends_on_recipe_and_files_and_their_modes(tmp_path: Path):
    (tmp_path / "recipe.yaml").write_text("suites: [trixie]\npackages: [a]\n")
    start = write(tmp_path / "files/lab/start", b"#!/bin/sh\n")
    seen = [recipe_inputs(tmp_path)]
    start.chmod(0o755)
    seen.append(recipe_inputs(tmp_path))
    (tmp_path / "files/bin").symlink_to("usr/bin")
    seen.append(recipe_inputs(tmp_path))
    (tmp_path / "recipe.yaml").write_text("suites: [trixie]\npackages: [b]\n")
    seen.append(recipe_inputs(tmp_path))
    assert all(earlier != later for earlier, later in itertools.pairwise(seen))
    assert recipe_inputs(tmp_path) == seen[-1]


class Machine:
    """Answers of the programs that images are made with; mmdebstrap's packages are `packages`."""

    def __init__(self, packages: Path) -> None:
        self.packages = packages
        self.erofs_tree: dict[str, str] = {}
        self.answers = {
            "apt-get": PRINTED_URIS,
            "gcc": "12.2.0\nx86_64-linux-gnu\n",
            "make": self.make,
            "mmdebstrap": self.mmdebstrap,
            "tar": self.tar,
            "readelf": linkage_of,
            "busybox": "sh\nip\ncat\n",
            "mkfs.erofs": self.mkfs,
        }

    def make(self, words: list[str]) -> str:
        out = Path(next(word for word in words if word.startswith("OUT=")).removeprefix("OUT="))
        for name in ("pvprobe", "pvspin", "pvknob", "pvload", "pvlock", "pvtrace", "init"):
            write(out / name, name.encode(), 0o755)
        return ""

    def mmdebstrap(self, words: list[str]) -> str:
        packed = next(word for word in words if word.endswith(".tar"))
        with tarfile.open(packed, "w") as archive:
            archive.add(self.packages, arcname=".")
            node = tarfile.TarInfo("./dev/null")
            archive.addfile(node, io.BytesIO())
        return ""

    def tar(self, words: list[str]) -> str:
        return ProcessCommands().output(words, what="tar")

    def mkfs(self, words: list[str]) -> str:
        tree = Path(words[-1])
        self.erofs_tree = tree_digests(tree)
        self.modes = {name: (tree / name).stat().st_mode & 0o7777 for name in ("tmp", "etc/shadow")}
        Path(words[-2]).write_bytes(b"erofs")
        return ""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    images = tmp_path / "images"
    write(images / "probe/Makefile")
    write(images / "guest/init/Makefile")
    (images / "guest/recipe.yaml").write_text(
        "suites: [trixie]\npackages: [busybox-static]\nkeep: [usr/bin/busybox, usr/bin/ip]\n"
        "programs: [pvprobe]\ndirectories: [tmp, root, proc]\n"
    )
    write(images / "guest/files/etc/shadow", b"root:*:\n")
    write(images / "guest/files/lab/start", b"#!/bin/sh\n", 0o700)
    (images / "toolbox").mkdir()
    (images / "toolbox/recipe.yaml").write_text("suites: [trixie]\npackages: [qemu-system-x86]\n")
    write(images / "toolbox/files/qemu-system-x86_64", b"#!/bin/sh\n", 0o755)
    return images


def open_workshop(tmp_path: Path, images: Path, commands: FakeCommands) -> Workshop:
    progress = RecordedProgress()
    return Workshop(Cache(tmp_path / "cache", progress), commands, progress, images)


@needs_keyring
def test_a_guest_image_has_packages_files_programs_and_applets(packages: Path, tmp_path: Path, images: Path):
    write(packages / "usr/bin/busybox", b"static", 0o755)
    write(packages / "usr/bin/ip", b"real", 0o755)
    machine = Machine(packages)
    commands = FakeCommands(machine.answers)
    workshop = open_workshop(tmp_path, images, commands)
    image = ensure_image(workshop, "guest")
    assert image.image.read_bytes() == b"erofs"
    assert image.init.read_bytes() == b"init"
    assert machine.erofs_tree["usr/bin/cat"] == "-> busybox"
    assert not machine.erofs_tree["usr/bin/ip"].startswith("->")
    assert machine.erofs_tree["lab/start"].endswith("x")
    assert {"usr/bin/pvprobe", "etc/shadow"} <= set(machine.erofs_tree)
    assert "usr/bin/pvspin" not in machine.erofs_tree
    assert machine.modes == {"tmp": 0o1777, "etc/shadow": 0o600}
    assert {path.name for path in image.image.parent.iterdir()} == {"root.erofs", "build.log", "inputs.json"}
    assert ensure_image(workshop, "guest") == image
    assert commands.count("mmdebstrap") == 1


def test_what_is_left_to_the_user_is_asked_for(tmp_path: Path, images: Path):
    (images / "guest-mine").mkdir()
    (images / "guest-mine/recipe.yaml").write_text(
        "base: guest\npackages: []\nkeep: []\nneeds: {usr/bin/mine: build it yourself}\n"
    )
    without = recipe_inputs(images / "guest")["recipe"]
    assert recipe_inputs(images / "guest-mine")["recipe"] == without, "keys of other images stay as they were"
    with pytest.raises(InputError, match=r"guest-mine/files/usr/bin/mine: build it yourself"):
        ensure_image(open_workshop(tmp_path, images, FakeCommands({})), "guest-mine")


@needs_keyring
def test_a_file_of_the_users_gets_into_the_image(packages: Path, tmp_path: Path, images: Path):
    (images / "guest-mine").mkdir()
    (images / "guest-mine/recipe.yaml").write_text(
        "base: guest\npackages: []\nkeep: []\nneeds: {usr/bin/mine: build it yourself}\n"
    )
    write(images / "guest-mine/files/usr/bin/mine", b"static", 0o755)
    write(packages / "usr/bin/busybox", b"static", 0o755)
    write(packages / "usr/bin/ip", b"real", 0o755)
    machine = Machine(packages)
    ensure_image(open_workshop(tmp_path, images, FakeCommands(machine.answers)), "guest-mine")
    assert machine.erofs_tree["usr/bin/mine"].endswith("x")


@needs_keyring
def test_packages_come_from_the_machines_own_mirror(packages: Path, tmp_path: Path, images: Path):
    machine = Machine(packages)
    commands = FakeCommands({**machine.answers, "qemu-system-x86_64": "QEMU emulator version 11.1.3 (D)\n"})
    ensure_toolbox(open_workshop(tmp_path, images, commands))
    (bootstrap,) = [call for call in commands.calls if call[0] == "mmdebstrap"]
    sources = [word for word in bootstrap if word.startswith("deb ")]
    assert sources == [f"deb [signed-by={debian.KEYRING}] http://a.example.org/debian trixie main"]


@needs_keyring
def test_a_toolbox_knows_its_version(packages: Path, tmp_path: Path, images: Path):
    answers = Machine(packages).answers
    commands = FakeCommands({**answers, "qemu-system-x86_64": "QEMU emulator version 11.1.3 (Debian 1)\n"})
    toolbox = ensure_toolbox(open_workshop(tmp_path, images, commands))
    assert toolbox.version == "11.1.3"
    assert os.access(toolbox.emulator, os.X_OK)
    assert (toolbox.emulator.parent / "usr/share/doc/program/README").exists()


@needs_keyring
@pytest.mark.parametrize("answer", [failing("cannot load libfoo.so"), "no version here\n"])
def test_a_toolbox_that_does_not_run_is_not_published(packages: Path, tmp_path: Path, images: Path, answer):
    commands = FakeCommands({**Machine(packages).answers, "qemu-system-x86_64": answer})
    workshop = open_workshop(tmp_path, images, commands)
    with pytest.raises(BuildFailed, match=r"libfoo|names no version"):
        ensure_toolbox(workshop)
    assert workshop.cache.entries("toolbox") == ()


def test_a_compiler_error_is_a_failed_build(tmp_path: Path, images: Path):
    commands = FakeCommands({"gcc": "12\n", "make": failing("main.c:3: error: expected ;")})
    with pytest.raises(BuildFailed, match="expected ;"):
        ensure_image(open_workshop(tmp_path, images, commands), "guest")


def test_qemu_version():
    assert parse_qemu_version("QEMU emulator version 7.2.19 (Debian 1:7.2)\n") == "7.2.19"
    assert parse_qemu_version("cannot open shared object") is None
