# SPDX-License-Identifier: GPL-2.0-only
"""The Vagrant box: a Debian machine with all that the lab needs, as a box for the provider libvirt.

Such a box is a tar archive, packed by gzip, of `metadata.json`, `Vagrantfile` and the disk `box.img` (format:
example_box/README.md of vagrant-libvirt).
"""

from __future__ import annotations

import gzip
import io
import json
import shlex
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.artifacts.bootdisk import SOURCE_DATE_EPOCH, DiskShape, make_boot_disk
from lab.artifacts.debian import KEYRING, Archive, read_archive
from lab.artifacts.disktools import DiskTools, ensure_disk_tools
from lab.artifacts.recipe import Recipe, read_recipe, recipe_inputs
from lab.artifacts.workshop import Workshop, file_digest
from lab.errors import InputError

#: The directory of `images` with the recipe, and the name of its entries in the cache.
VAGRANT_BOX = "vagrant-box"
BOX_NAME = "paravirt-lab.box"
#: The disk is as large as it may ever get; what is not written takes no place.
DISK_GIB = 40
#: The file system's, by which the files of the recipe name it.
DISK_LABEL = "paravirt-lab"

#: Counts up when the code below makes something else out of the same inputs.
_VERSION = 1
_CUSTOMIZE = "customize"
_VAGRANTFILE = "Vagrantfile"
_BOOTSTRAP_TIMEOUT_S = 3600
#: Files of packages that nobody reads in such a machine.
_UNWANTED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


@dataclass(frozen=True)
class VagrantBox:
    """`box` is what `vagrant box add` takes."""

    box: Path
    key: str


def parse_package_list(text: str) -> tuple[str, ...]:
    """The names in the text of `.ci/packages`: one a line, comments after #."""
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return tuple(sorted({line for line in lines if line}))


def render_metadata(disk_gib: int) -> bytes:
    """metadata.json; `virtual_size` is in GiB."""
    metadata = {"architecture": "amd64", "format": "qcow2", "provider": "libvirt", "virtual_size": disk_gib}
    return json.dumps(metadata, indent=2, sort_keys=True).encode() + b"\n"


def write_box(box: Path, metadata: bytes, vagrantfile: bytes, disk: Path) -> None:
    """Write the box. The same contents give the same bytes, whoever writes it and when."""
    with (
        _open_gzip(box) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, data in (("metadata.json", metadata), ("Vagrantfile", vagrantfile)):
            tar.addfile(_member(name, len(data)), io.BytesIO(data))
        with disk.open("rb") as source:
            tar.addfile(_member("box.img", disk.stat().st_size), source)


def write_files_tar(tree: Path, packed: Path) -> None:
    """Pack the files below `tree`, owned by root and with permissions that do not depend on a umask.

    Directories are left to whoever unpacks it: those that are there keep their permissions.
    """
    with tarfile.open(packed, "w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(path for path in tree.rglob("*") if path.is_file()):
            member = _member(str(path.relative_to(tree)), path.stat().st_size)
            member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            with path.open("rb") as source:
                tar.addfile(member, source)


def ensure_vagrant_box(workshop: Workshop) -> VagrantBox:
    """The box, made by `images/vagrant-box` and the project's list of packages unless it is in the cache.

    Raises InputError where either is missing, CommandFailed or BuildFailed where it cannot be made, HostError where
    this machine lacks a tool or a Debian mirror.
    """
    recipe = workshop.images_dir / VAGRANT_BOX
    packages = _read_packages(workshop.images_dir.parent / ".ci" / "packages")
    tools = ensure_disk_tools(workshop)
    inputs = box_inputs(recipe, packages, tools.key)
    entry = workshop.cache.ensure(
        VAGRANT_BOX, inputs, lambda directory: _build(workshop, tools, recipe, packages, directory)
    )
    return VagrantBox(entry / BOX_NAME, entry.name)


def box_inputs(recipe: Path, packages: tuple[str, ...], tools_key: str) -> dict[str, Any]:
    """Everything that decides what comes out, for the cache's key; versions of packages are not part of it."""
    return {
        **recipe_inputs(recipe),
        "box": _VERSION,
        "setup_packages": list(packages),
        "customize": file_digest(recipe / _CUSTOMIZE),
        "vagrantfile": file_digest(recipe / _VAGRANTFILE),
        "disk_gib": DISK_GIB,
        "tools": tools_key,
    }


def render_bootstrap(
    recipe: Recipe, packages: Iterable[str], archive: Archive, scripts: Path, files: Path, root_tar: Path
) -> list[str | Path]:
    """The command that makes the machine's root directory, as the archive `root_tar`.

    `scripts` has the script that runs within the new system; `files` is an archive that is unpacked over it before.
    """
    wanted = sorted({*recipe.packages, *packages})
    upload = f"upload {shlex.quote(str(scripts / _CUSTOMIZE))} /{_CUSTOMIZE}"
    hooks = (
        f"tar-in {shlex.quote(str(files))} /",
        upload,
        f'chroot "$1" /bin/sh /{_CUSTOMIZE}',
        f'rm "$1/{_CUSTOMIZE}"',
    )
    return [
        *("mmdebstrap", "--variant=apt", "--format=tar", f"--keyring={KEYRING}"),
        '--aptopt=Acquire::Languages "none"',
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _UNWANTED),
        f"--include={','.join(wanted)}",
        *(f"--customize-hook={hook}" for hook in hooks),
        recipe.suites[0],
        root_tar,
        *(archive.source_line(suite) for suite in recipe.suites),
    ]


def _build(
    workshop: Workshop, tools: DiskTools, recipe: Path, packages: tuple[str, ...], directory: Path
) -> None:
    workshop.progress.step("making the Vagrant box")
    log = workshop.build_log(VAGRANT_BOX, directory)
    work = directory / "work"
    work.mkdir()
    root_tar, disk = work / "root.tar", work / "box.img"
    workshop.progress.update(0.0, "packages")
    _bootstrap(workshop, recipe, packages, work / "files.tar", root_tar, log)
    workshop.progress.update(0.6, "disk")
    make_boot_disk(workshop, tools, root_tar, DiskShape(DISK_GIB << 30, DISK_LABEL), disk, log)
    root_tar.unlink()
    workshop.progress.update(0.8, "packing")
    write_box(directory / BOX_NAME, render_metadata(DISK_GIB), (recipe / _VAGRANTFILE).read_bytes(), disk)
    shutil.rmtree(work)
    shutil.copyfile(log, directory / "build.log")


def _bootstrap(
    workshop: Workshop, recipe: Path, packages: tuple[str, ...], files: Path, root_tar: Path, log: Path
) -> None:
    write_files_tar(recipe / "files", files)
    archive = read_archive(workshop.commands)
    workshop.commands.run(
        render_bootstrap(read_recipe(recipe), packages, archive, recipe, files, root_tar),
        what="installing the packages of the box",
        log=log,
        # mmdebstrap gives it to all files that are newer.
        env={"SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH},
        timeout_s=_BOOTSTRAP_TIMEOUT_S,
    )


def _read_packages(path: Path) -> tuple[str, ...]:
    try:
        return parse_package_list(path.read_text())
    except OSError as error:
        raise InputError(
            f"{path}: the packages of the lab cannot be read: {error.strerror}",
            "a box is built out of a checkout of the project",
        ) from None


def _member(name: str, size: int) -> tarfile.TarInfo:
    """Owned by root, of no time."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    member.uname = member.gname = "root"
    return member


@contextmanager
def _open_gzip(path: Path) -> Iterator[gzip.GzipFile]:
    """A gzip file without a name and a time in it."""
    with (
        path.open("wb") as sink,
        gzip.GzipFile(filename="", mode="wb", fileobj=sink, compresslevel=6, mtime=0) as packed,
    ):
        yield packed
