# SPDX-License-Identifier: GPL-2.0-only
"""Directories that the lab uses on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.artifacts.cache import cache_root


@dataclass(frozen=True)
class Places:
    """State (labs, keys, recordings), cache (what was built), and what comes with the project."""

    state_dir: Path
    cache_dir: Path
    images_dir: Path
    topologies_dir: Path

    @property
    def host_vm(self) -> Path:
        """What belongs to the host VM."""
        return self.state_dir / "host"

    @property
    def local_store(self) -> Path:
        """What this machine gets as a host of guests. Apart from the labs' own directories, as on every other host:
        files are copied here from there, and a lab's end removes its part of this before its record."""
        return self.state_dir / "local"

    @property
    def kvm_verdict(self) -> Path:
        """Where the last verdict about this machine's KVM is kept."""
        return self.state_dir / "kvm-probe.json"

    def make_passable(self) -> None:
        """Make the directories in which files lie that QEMU opens, so that its own user can pass through them,
        whatever the umask. What is there already stays as it is: `lab doctor` tells of it."""
        for directory in (self.state_dir, self.host_vm, self.local_store):
            if not directory.is_dir():
                directory.mkdir(parents=True)
                directory.chmod(0o711)


def find_places(environ: Mapping[str, str]) -> Places:
    """Directories as the environment says, else by XDG; as root below /var, which QEMU's own user can reach."""
    is_root = os.geteuid() == 0
    checkout = Path(__file__).resolve().parent.parent
    return Places(
        state_dir=_state_root(environ, Path.home(), is_root),
        cache_dir=cache_root(environ, Path.home(), is_root),
        images_dir=checkout / "images",
        topologies_dir=checkout / "topologies",
    )


def _state_root(environ: Mapping[str, str], home: Path, is_root: bool) -> Path:
    if chosen := environ.get("LAB_STATE_DIR"):
        return Path(chosen).resolve()
    if xdg := environ.get("XDG_STATE_HOME"):
        return Path(xdg).resolve() / "paravirt-lab"
    return Path("/var/lib/paravirt-lab") if is_root else home / ".local/state/paravirt-lab"
