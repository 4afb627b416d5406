# SPDX-License-Identifier: GPL-2.0-only
"""Small C programs of tests/e2e/guest: compiled here, static, and run in a guest of a lab."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from lab.run.interactive import LabSession
from lab.run.ports import CommandResult

_SOURCES = Path(__file__).parent / "guest"
_FLAGS = ("-O2", "-static", "-pthread", "-Wall", "-Wextra", "-Werror")
_COUNT = re.compile(r"(\w+)=(\d+)")


def compile_program(name: str, directory: Path) -> Path:
    """The program of guest/NAME.c, in `directory`."""
    program = directory / name
    subprocess.run(["gcc", *_FLAGS, "-o", program, _SOURCES / f"{name}.c"], check=True, timeout=120)
    return program


def run_program(
    lab: LabSession, node: str, name: str, *arguments: object, directory: Path, timeout_s: float
) -> CommandResult:
    """Compile, copy into the guest, run to its end, whatever its exit status."""
    lab.put(node, compile_program(name, directory), f"/tmp/{name}", 0o755)
    words = " ".join((f"/tmp/{name}", *map(str, arguments)))
    return lab.exec(node, words, timeout_s=timeout_s, check=False)


def parse_counts(output: str) -> dict[str, int]:
    """The lines NAME=COUNT of a program."""
    return {match[1]: int(match[2]) for match in map(_COUNT.fullmatch, output.splitlines()) if match}
