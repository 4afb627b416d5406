# SPDX-License-Identifier: GPL-2.0-only
"""This machine as a Shell."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from lab.adapters.ssh import failed_command
from lab.errors import CommandFailed
from lab.run.ports import CommandResult


class LocalShell:
    """Commands and files on this machine."""

    name = "this machine"

    def run(self, command: str, *, timeout_s: float, check: bool = True) -> CommandResult:
        """Run a shell command to its end."""
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
                check=False,
                start_new_session=True,  # Ctrl-C in the terminal is for the lab to handle, in order
            )
        except subprocess.TimeoutExpired:
            raise CommandFailed(f"{self.name}: `{command}` did not end within {timeout_s} s") from None
        result = CommandResult(done.returncode, done.stdout, done.stderr)
        if check and result.status != 0:
            raise failed_command(self.name, command, result)
        return result

    def put(self, source: Path, target: str, mode: int = 0o644) -> None:
        """Copy a file."""
        try:
            shutil.copyfile(source, target)
            Path(target).chmod(mode)
        except OSError as error:
            raise CommandFailed(f"{self.name}: cannot copy {source} to {target}: {error.strerror}") from None

    def fetch(self, source: str, target: Path) -> None:
        """Copy a file."""
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            raise CommandFailed(f"{self.name}: cannot copy {source}: {error.strerror}") from None

    def close(self) -> None:
        """Nothing to give up."""
