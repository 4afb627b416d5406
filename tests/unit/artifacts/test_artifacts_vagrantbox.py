# SPDX-License-Identifier: GPL-2.0-only
"""The Vagrant box: boot record, disk, archive, recipe, cache."""

from __future__ import annotations

import json
import re
import shlex
import struct
import tarfile
from pathlib import Path

import pytest
from fakes import FakeCommands, RecordedProgress, failing

from lab.artifacts import debian
from lab.artifacts.bootdisk import PARTITION_BYTES, render_boot_area, render_boot_record
from lab.artifacts.cache import Cache
from lab.artifacts.debian import Archive
from lab.artifacts.images import image_kinds
from lab.artifacts.listing import list_images
from lab.artifacts.recipe import Recipe, read_recipe
from lab.artifacts.vagrantbox import (
    BOX_NAME,
    DISK_GIB,
    DISK_LABEL,
    box_inputs,
    ensure_vagrant_box,
    parse_package_list,
    render_bootstrap,
    render_metadata,
    write_box,
    write_files_tar,
)
from lab.artifacts.workshop import Workshop
from lab.errors import BuildFailed, CommandFailed, InputError

ROOT = Path(__file__).parents[3]
RECIPE = ROOT / "images/vagrant-box"
BOOT_CODE = bytes(range(256)) + bytes(254) + b"\x55\xaa"
PRINTED_URIS = "'http://a.example.org/debian/dists/stable/InRelease' x 0 \n"
needs_keyring = pytest.mark.skipif(not debian.KEYRING.is_file(), reason="not on a Debian machine")


def test_the_boot_record_has_the_code_and_one_active_partition_up_to_the_end():
    record = render_boot_record(BOOT_CODE, 40 << 30)
    assert len(record) == 512 and record[:440] == BOOT_CODE[:440] and record[-2:] == b"\x55\xaa"
    active, kind, first, count = struct.unpack("<B3xB3xII", record[446:462])
    assert (active, kind, first) == (0x80, 0x83, 2048)
    assert (first + count) * 512 == 40 << 30
    assert record[462:510] == bytes(48), "the other three partitions"


@pytest.mark.parametrize(
    ("code", "size_bytes", "message"),
    [
        (BOOT_CODE[:-2] + b"\0\0", 1 << 30, "no boot sector"),
        (BOOT_CODE[:446], 1 << 30, "no boot sector: 446 bytes"),
        (BOOT_CODE, PARTITION_BYTES, "no place"),
        (BOOT_CODE, 3 << 40, "no place"),
    ],
)
def test_what_cannot_boot_is_refused(code: bytes, size_bytes: int, message: str):
    with pytest.raises(BuildFailed, match=message):
        render_boot_record(code, size_bytes)


def test_grub_lies_behind_the_boot_record_and_before_the_partition():
    area = render_boot_area(BOOT_CODE, b"core", 1 << 30)
    assert area[512:] == b"core"
    render_boot_area(BOOT_CODE, bytes(PARTITION_BYTES - 512), 1 << 30)
    with pytest.raises(BuildFailed, match="too many before the partition"):
        render_boot_area(BOOT_CODE, bytes(PARTITION_BYTES - 511), 1 << 30)


def test_the_metadata_is_what_vagrant_libvirt_reads():
    about = json.loads(render_metadata(40))
    assert (about["provider"], about["format"], about["virtual_size"]) == ("libvirt", "qcow2", 40)


def test_the_same_contents_give_the_same_box(tmp_path: Path):
    boxes = []
    for name in ("here", "elsewhere"):
        (tmp_path / name).mkdir()
        disk = tmp_path / name / f"{name}.img"
        disk.write_bytes(b"disk" * 1000)
        disk.chmod(0o600 if name == "here" else 0o666)
        write_box(tmp_path / name / "x.box", render_metadata(40), b"Vagrant", disk)
        boxes.append((tmp_path / name / "x.box").read_bytes())
        disk.touch()
    assert boxes[0] == boxes[1]
    with tarfile.open(tmp_path / "here/x.box", "r:gz") as tar:
        assert tar.getnames() == ["metadata.json", "Vagrantfile", "box.img"]
        assert {(one.uid, one.mode, one.mtime) for one in tar.getmembers()} == {(0, 0o644, 0)}
        member = tar.extractfile("box.img")
        assert member is not None and member.read() == b"disk" * 1000


def test_files_are_roots_whatever_the_umask_was(tmp_path: Path):
    tree, packed = tmp_path / "files", tmp_path / "files.tar"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/fstab").write_text("x")
    (tree / "etc/fstab").chmod(0o600)
    (tree / "run").write_text("#!/bin/sh\n")
    (tree / "run").chmod(0o700)
    write_files_tar(tree, packed)
    with tarfile.open(packed) as tar:
        found = {one.name: (one.mode, one.uid, one.isfile()) for one in tar.getmembers()}
    assert found == {"etc/fstab": (0o644, 0, True), "run": (0o755, 0, True)}


def test_package_lists_have_comments():
    assert parse_package_list("# no\n\nmake # yes\n  gcc\nmake\n") == ("gcc", "make")


def test_the_box_has_all_that_setup_would_install():
    packages = parse_package_list((ROOT / ".ci/packages").read_text())
    archive = Archive("http://a.example.org/debian", ("trixie",))
    argv = render_bootstrap(read_recipe(RECIPE), packages, archive, RECIPE, Path("f.tar"), Path("r.tar"))
    words = [str(word) for word in argv]
    included = (
        next(word for word in words if word.startswith("--include=")).removeprefix("--include=").split(",")
    )
    assert {"libvirt-daemon-system", "python3-venv", "make", "rsync"} <= set(included)
    assert {"openssh-server", "sudo", "linux-image-cloud-amd64", "systemd-sysv"} <= set(included)
    assert words[-3:] == ["trixie", "r.tar", archive.source_line("trixie")]


def test_paths_with_spaces_survive_the_hooks(tmp_path: Path):
    recipe = Recipe(suites=("trixie",), packages=("a",))
    scripts, files = Path("/some where/it's"), Path("/a b/files.tar")
    archive = Archive("http://a.example.org/debian", ())
    words = [str(one) for one in render_bootstrap(recipe, (), archive, scripts, files, Path("r"))]
    hooks = [word.removeprefix("--customize-hook=") for word in words if word.startswith("--customize-hook=")]
    assert shlex.split(hooks[0]) == ["tar-in", "/a b/files.tar", "/"]
    assert shlex.split(hooks[1]) == ["upload", "/some where/it's/customize", "/customize"]


def test_the_key_depends_on_everything_that_goes_in(tmp_path: Path):
    (tmp_path / "files").mkdir()
    for name, text in {
        "recipe.yaml": "suites: [trixie]\npackages: [a]\n",
        "customize": "true\n",
        "Vagrantfile": "#\n",
        "files/a": "a",
    }.items():
        (tmp_path / name).write_text(text)
    seen = [
        box_inputs(tmp_path, ("a",), "k"),
        box_inputs(tmp_path, ("b",), "k"),
        box_inputs(tmp_path, ("a",), "l"),
    ]
    for name in ("customize", "Vagrantfile", "files/a"):
        (tmp_path / name).write_text("changed\n")
        seen.append(box_inputs(tmp_path, ("a",), "k"))
    assert len({json.dumps(one, sort_keys=True) for one in seen}) == len(seen)


def test_the_projects_files_agree_on_the_disk():
    grub, fstab = RECIPE / "files/boot/grub/grub.cfg", RECIPE / "files/etc/fstab"
    assert f"root=LABEL={DISK_LABEL} " in grub.read_text()
    assert f"LABEL={DISK_LABEL} / ext4 " in fstab.read_text()
    ours = (ROOT / "Vagrantfile").read_text()
    assert f'"{BOX_NAME}"' in ours and f"machine_virtual_size = {DISK_GIB} " in ours
    assert (
        re.search(r'synced_folder "\.", "/lab"', ours)
        and "/lab/.venv/bin/lab" in (RECIPE / "customize").read_text()
    )


def test_grub_has_every_command_of_its_configuration():
    """GRUB finds no module on the disk: a command whose module is not built in would stop the boot."""
    from lab.artifacts import bootdisk

    modules = {
        "linux": "linux",
        "initrd": "linux",
        "serial": "serial",
        "menuentry": "normal",
        "set": "normal",
    }
    modules |= {"terminal_input": "terminal", "terminal_output": "terminal"}
    text = (RECIPE / "files/boot/grub/grub.cfg").read_text()
    used = set(re.findall(r"^\s*([a-z_]+)", text, re.MULTILINE))
    assert used == set(modules)
    assert set(modules.values()) <= set(bootdisk._GRUB_MODULES)


def test_it_is_no_root_image():
    assert {"vagrant-box", "disktools", "toolbox"}.isdisjoint(image_kinds(ROOT / "images"))


# ---- all of it, with programs that are faked


class Machine:
    """Answers of the programs that a box is made with. mke2fs writes where the partition is, and something at the
    start that must not survive."""

    def __init__(self) -> None:
        self.answers = {
            "apt-get": PRINTED_URIS,
            "mmdebstrap": self.mmdebstrap,
            "tar": self.tar,
            "readelf": "",
            "ld-linux-x86-64.so.2": self.tool,
        }
        self.raw_head = b""

    def mmdebstrap(self, words: list[str]) -> str:
        Path(next(word for word in words if word.endswith(".tar") and "hook" not in word)).write_bytes(b"tar")
        return ""

    def tar(self, words: list[str]) -> str:
        tree = Path(words[words.index("-C") + 1])
        (tree / "usr/lib/grub/i386-pc").mkdir(parents=True)
        (tree / "usr/lib/grub/i386-pc/boot.img").write_bytes(BOOT_CODE)
        return ""

    def tool(self, words: list[str]) -> str:
        getattr(self, Path(words[3]).name.replace("-", "_"))(words)
        return ""

    def mke2fs(self, words: list[str]) -> None:
        assert words[-1] == f"{((DISK_GIB << 30) - PARTITION_BYTES) // 1024}k"
        assert Path(words[words.index("-d") + 1]).read_bytes() == b"tar"
        with Path(words[-2]).open("r+b") as disk:
            disk.write(b"x" * 512)
            disk.seek(PARTITION_BYTES)
            disk.write(b"ext4")

    def grub_mkimage(self, words: list[str]) -> None:
        Path(words[words.index("-o") + 1]).write_bytes(b"core.img")

    def qemu_img(self, words: list[str]) -> None:
        with Path(words[-2]).open("rb") as raw:
            head = raw.read(PARTITION_BYTES + 4)
        assert Path(words[-2]).stat().st_size == DISK_GIB << 30
        Path(words[-1]).write_bytes(head)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci/packages").write_text("make\n")
    images = tmp_path / "images"
    for name, text in {
        "disktools/recipe.yaml": "suites: [trixie]\npackages: [e2fsprogs]\nkeep: [usr/lib/grub/i386-pc]\n",
        "vagrant-box/recipe.yaml": "suites: [trixie]\npackages: [sudo]\n",
        "vagrant-box/customize": "true\n",
        "vagrant-box/Vagrantfile": "# box\n",
        "vagrant-box/files/etc/fstab": "x\n",
    }.items():
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        (images / name).write_text(text)
    return images


def open_workshop(tmp_path: Path, images: Path, commands: FakeCommands) -> Workshop:
    progress = RecordedProgress()
    return Workshop(Cache(tmp_path / "cache", progress), commands, progress, images)


@needs_keyring
def test_a_box_is_made_once_and_its_disk_boots_grub(tmp_path: Path, images: Path):
    commands = FakeCommands(Machine().answers)
    workshop = open_workshop(tmp_path, images, commands)
    made = ensure_vagrant_box(workshop)
    with tarfile.open(made.box, "r:gz") as tar:
        member = tar.extractfile("box.img")
        assert member is not None
        head = member.read()
    assert head[:440] == BOOT_CODE[:440] and head[512:520] == b"core.img"
    assert head[PARTITION_BYTES:] == b"ext4"
    assert {path.name for path in made.box.parent.iterdir()} == {BOX_NAME, "build.log", "inputs.json"}
    assert [one.kind for one in list_images(workshop.cache)] == ["vagrant-box"]
    assert ensure_vagrant_box(workshop) == made
    assert commands.count("mmdebstrap") == 2, "the programs, and the machine"


@needs_keyring
def test_a_box_that_fails_leaves_nothing_but_its_log(tmp_path: Path, images: Path):
    answers = Machine().answers
    tool = answers["ld-linux-x86-64.so.2"]
    assert callable(tool)

    def broken(words: list[str]) -> str:
        if words[3].endswith("qemu-img"):
            raise CommandFailed("no space left")
        return tool(words)

    workshop = open_workshop(tmp_path, images, FakeCommands({**answers, "ld-linux-x86-64.so.2": broken}))
    with pytest.raises(CommandFailed, match="no space left"):
        ensure_vagrant_box(workshop)
    assert list((tmp_path / "cache/vagrant-box").iterdir()) == []
    assert list((tmp_path / "cache/logs").glob("vagrant-box-*.log"))


def test_without_the_list_of_packages_no_box_is_made(tmp_path: Path, images: Path):
    (tmp_path / ".ci/packages").unlink()
    workshop = open_workshop(tmp_path, images, FakeCommands({"mmdebstrap": failing("must not be asked")}))
    with pytest.raises(InputError, match="packages of the lab cannot be read"):
        ensure_vagrant_box(workshop)
