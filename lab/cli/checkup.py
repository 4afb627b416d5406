# SPDX-License-Identifier: GPL-2.0-only
"""What `lab doctor` looks at on this machine: one finding for each thing that labs need."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lab.places import Places

#: Programs that building needs, and the Debian packages that have them.
BUILD_TOOLS: Mapping[str, str] = {
    "gcc": "gcc",
    "make": "make",
    "flex": "flex",
    "bison": "bison",
    "bc": "bc",
    "objcopy": "binutils",
    "patch": "patch",
    "ccache": "ccache",
    "mkfs.erofs": "erofs-utils",
    "dpkg-deb": "dpkg",
    "apt-get": "apt",
    "tar": "tar",
    "xz": "xz-utils",
    "ssh": "openssh-client",
}
#: Free space below which a first build fails: sources 1.5 GiB, a kernel build 2 GiB, images 1 GiB.
FIRST_BUILD_GIB = 6.0
#: What a saved host VM and a few recordings take.
LATER_GIB = 2.0
_OLDEST_PYTHON = (3, 11)


class State(StrEnum):
    """`PROBLEM` keeps labs from running; `NOTE` is worth knowing."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """`mend` is the command that makes it good, where there is one."""

    name: str
    state: State
    text: str
    mend: str | None = None


def check_python() -> Finding:
    """The interpreter's version."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= _OLDEST_PYTHON:
        return Finding("python", State.OK, version)
    return Finding("python", State.PROBLEM, f"{version}, but 3.11 is needed", "apt-get install python3.11")


def check_tools(path: str | None = None) -> Finding:
    """Programs for building."""
    search = f"{path or os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [tool for tool in BUILD_TOOLS if shutil.which(tool, path=search) is None]
    if not missing:
        return Finding("tools", State.OK, "everything that building needs is installed")
    packages = " ".join(sorted({BUILD_TOOLS[tool] for tool in missing}))
    return Finding("tools", State.PROBLEM, f"missing: {', '.join(missing)}", f"apt-get install {packages}")


def check_disk(places: Places) -> Iterator[Finding]:
    """Space where things are built, and where labs and recordings are."""
    first = not (places.cache_dir / "kernel").is_dir()
    for what, directory, needed_gib in (
        ("cache", places.cache_dir, FIRST_BUILD_GIB if first else LATER_GIB),
        ("state", places.state_dir, LATER_GIB),
    ):
        free_gib = shutil.disk_usage(nearest(directory)).free / 2**30
        state = State.OK if free_gib >= needed_gib else State.PROBLEM
        variable = f"LAB_{what.upper()}_DIR"
        mend = None if state is State.OK else f"free some space, or set {variable} to a larger disk"
        yield Finding(
            f"disk ({what})", state, f"{free_gib:.1f} GiB free for {directory}, {needed_gib:.0f} needed", mend
        )


def check_reach(places: Places, qemu_conf: Path = Path("/etc/libvirt/qemu.conf")) -> Iterator[Finding]:
    """Whether QEMU, which runs as a user of its own, can get at the files it is given."""
    for what, directory in (("cache", places.cache_dir), ("state", places.state_dir)):
        closed = None if qemu_is_root(qemu_conf) else closed_directory(directory)
        if closed is None:
            yield Finding(f"{what} directory", State.OK, str(directory))
        else:
            yield Finding(
                f"{what} directory",
                State.PROBLEM,
                f"{directory}: QEMU's user cannot pass through {closed}",
                f"chmod o+x {closed}  (or set LAB_{what.upper()}_DIR to another place)",
            )


def nearest(directory: Path) -> Path:
    """The directory, or the nearest one above it that exists."""
    return next(path for path in (directory, *directory.parents) if path.exists())


def closed_directory(directory: Path) -> Path | None:
    """The outermost directory on the way that others may not search; None if all may be."""
    way = [*reversed(directory.parents), directory]
    closed = (path for path in way if path.exists() and not path.stat().st_mode & 0o001)
    return next(closed, None)


def qemu_is_root(qemu_conf: Path) -> bool:
    """Whether libvirt is configured to run QEMU as root (qemu.conf, `user`)."""
    try:
        text = qemu_conf.read_text()
    except OSError:  # not installed, or not ours to read: the usual is a user of its own
        return False
    match = re.search(r'^\s*user\s*=\s*"?([^"\s]+)"?', text, re.MULTILINE)
    return match is not None and match[1] in ("root", "0", "+0")


def how_to_start_libvirt() -> str:
    """The command that makes libvirt answer on this machine."""
    if shutil.which("libvirtd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
        return "apt-get install libvirt-daemon-system"
    return "systemctl start libvirtd" if Path("/run/systemd/system").is_dir() else "libvirtd -d"
