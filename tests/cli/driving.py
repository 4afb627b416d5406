# SPDX-License-Identifier: GPL-2.0-only
"""Ways to call `lab`: in this process with fakes in place of hosts, and as the real command."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakeknob import FakeKernel

from lab.cli.desk import make_desk
from lab.cli.main import app
from lab.errors import CommandFailed
from lab.run.ports import CommandResult

ROOT = Path(__file__).parents[2]
LAB = Path(sys.executable).parent / "lab"


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str


class Driver:
    """Calls `lab` in this process. `wiring` stands in for real hosts and builds; without one, none may be asked."""

    def __init__(self, state_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.state_dir = state_dir
        self.wiring: Any = None
        self._capsys = capsys

    def __call__(self, *args: str | Path) -> Done:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app(args=[str(arg) for arg in args], prog_name="lab", obj=make_desk(self._make_wiring))
        said = self._capsys.readouterr()
        return Done(int(ended.value.code or 0), said.out, said.err)

    def _make_wiring(self, *_args: object) -> Any:
        assert self.wiring is not None, "this command must not need hosts or builds"
        return self.wiring


def call(*args: str | Path, env: Mapping[str, str] | None = None, timeout_s: float = 60) -> Done:
    """The installed command, as a process."""
    done = subprocess.run(
        [LAB, *map(str, args)],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


class FakeShell:
    """A machine that answers commands by their first words; anything else fails like a missing program."""

    def __init__(self, answers: Mapping[str, str]) -> None:
        self.answers = answers
        self.commands: list[str] = []
        self.closed = False
        self.kernel = FakeKernel({}, "boot-1")

    def run(self, command: str, *, timeout_s: float, check: bool = True) -> CommandResult:
        self.commands.append(command)
        program, *arguments = shlex.split(command)
        if program == "pvknob":
            return self.kernel.run(arguments, 1_000_000)
        for words, answer in self.answers.items():
            if command.startswith(words):
                return CommandResult(0, answer, "")
        raise CommandFailed(f"guest: `{command}` ended with status 1\nNo such file or directory")

    def put(self, source: Path, target: str, mode: int = 0o644) -> None:
        raise AssertionError("not needed here")

    fetch = put

    def close(self) -> None:
        self.closed = True


class FakeHypervisor:
    """What runs, by name and lab id."""

    def __init__(self, domains: dict[str, str], networks: dict[str, str]) -> None:
        self._domains, self._networks = domains, networks

    def domains(self) -> dict[str, str]:
        return dict(self._domains)

    def networks(self) -> dict[str, str]:
        return dict(self._networks)

    def destroy_domain(self, name: str) -> bool:
        return self._domains.pop(name, None) is not None

    def destroy_network(self, name: str) -> bool:
        return self._networks.pop(name, None) is not None


class FakeHost:
    """A host with guests that are up. `guests` maps addresses to shells."""

    def __init__(self, guests: Mapping[str, FakeShell], hypervisor: FakeHypervisor) -> None:
        self.shell = FakeShell({"rm -rf": "", "pvspin": ""})
        self.hypervisor = hypervisor
        self.asked: list[tuple[str, Path, str]] = []
        self._guests = guests

    def program(self, name: str) -> str:
        return name

    def guest_shell(self, address: str, key_file: Path, host_key: str) -> FakeShell:
        self.asked.append((address, key_file, host_key))
        return self._guests[address]


def wiring_with(reopened: FakeHost | None) -> SimpleNamespace:
    """A wiring in which the host of every record is `reopened`; None for a host VM that is gone."""

    @contextmanager
    def reopen_host(_record: object) -> Iterator[FakeHost | None]:
        yield reopened

    return SimpleNamespace(reopen_host=reopen_host)


def wiring_that_fails(error: BaseException, when: str = "open_host") -> SimpleNamespace:
    """A wiring in which `when` raises `error`; `calls` counts how often."""
    wiring = SimpleNamespace(calls=0, resolve_where=lambda where: where)

    def fail(*_args: object, **_kwargs: object) -> Any:
        wiring.calls += 1
        raise error

    setattr(wiring, when, fail)
    return wiring


Answering = Callable[..., Done]
