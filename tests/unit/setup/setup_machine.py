# SPDX-License-Identifier: GPL-2.0-only
"""A machine for the set-up scripts: a checkout of its own, and programs that only note that they were called."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]
FAKES = Path(__file__).parent / "fakes"
#: The fakes of programs that lie in .venv/bin.
IN_VENV = ("lab", "pytest")


class Machine:
    """`checkout` has the scripts, `notes` what the fakes read and write, `root` the machine's own files."""

    def __init__(self, directory: Path) -> None:
        self.checkout = directory / "checkout"
        self.notes = directory / "notes"
        self.root = directory / "root"
        self.cache = directory / "cache"
        for path in (self.notes, self.root, self.checkout):
            path.mkdir()
        shutil.copytree(ROOT / ".ci", self.checkout / ".ci")
        shutil.copy(ROOT / "Makefile", self.checkout)
        (self.checkout / "pyproject.toml").write_text("[project]\n")
        for name in ("lab", "tests", "topologies"):
            (self.checkout / name).mkdir()
        (self.checkout / "topologies/one.yaml").touch()
        (self.notes / "installed").touch()

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout; its output and errors come as one text."""
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LAB_", "XDG_", "MAKE", "MFLAGS"))
        }
        known = {
            "PATH": f"{FAKES}:/usr/bin:/bin",
            "MACHINE": str(self.notes),
            "SETUP_ROOT": str(self.root),
            "LAB_CACHE_DIR": str(self.cache),
            "TEST_PID": str(os.getpid()),
        }
        return subprocess.run(
            command,
            cwd=self.checkout,
            env={**clean, **known, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )

    def setup(self, *parts: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run .ci/setup."""
        return self.run(".ci/setup", *parts, **environment)

    def calls(self) -> list[str]:
        """What the fakes were called with since this was last asked."""
        path = self.notes / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def note(self, name: str, text: str = "") -> None:
        """Tell a fake something."""
        (self.notes / name).write_text(text)

    def own(self, path: str, text: str = "") -> Path:
        """A file of the machine itself."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def install_venv_programs(self) -> None:
        """Put the fakes of programs into .venv/bin."""
        (self.checkout / ".venv/bin").mkdir(parents=True, exist_ok=True)
        for name in IN_VENV:
            shutil.copy(FAKES / name, self.checkout / ".venv/bin" / name)
