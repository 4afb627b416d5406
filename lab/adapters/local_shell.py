# SPDX-License-Identifier: GPL-2.0-only
"""This machine as a Shell."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from lab.adapters.ssh import failed_command
from lab.errors import CommandFailed, HostLost
from lab.run.ports import CommandResult


class LocalShell:
    """Commands and files on this machine."""

    name = "this machine"

    def run(self, command: str, *, timeout_s: float, check: bool = True) -> CommandResult:
        """Run a shell command to its end."""
        child = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            process_group=0,
        )
        try:
            stdout, stderr = child.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise HostLost(f"{self.name}: `{command}` did not end within {timeout_s} s") from None
        finally:
            _end(child)
        result = CommandResult(child.returncode, stdout, stderr)
        if check and result.status != 0:
            raise failed_command(self.name, command, result)
        return result

    def put(self, source: Path, target: str, mode: int = 0o644) -> None:
        """Copy a file."""
        try:
            shutil.copyfile(source, target)
            Path(target).chmod(mode)
        except OSError as error:
            why = error.strerror or error
            raise CommandFailed(f"{self.name}: cannot copy {source} to {target}: {why}") from None

    def fetch(self, source: str, target: Path) -> None:
        """Copy a file."""
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            raise CommandFailed(f"{self.name}: cannot copy {source}: {error.strerror or error}") from None

    def close(self) -> None:
        """Nothing to give up."""


def _end(child: subprocess.Popen[str]) -> None:
    """A command that was given up ends with everything that it started."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()
