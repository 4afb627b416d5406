# SPDX-License-Identifier: GPL-2.0-only
"""Findings decoded, debuggers attached, memory dumped: the verbs, with fakes in place of hosts."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cli.driving import Driver, FakeHypervisor
from cli.recordings import TOPOLOGY, write_recording
from cli.test_cli_running import UpLab

from lab.artifacts.builtonly import NotBuiltError
from lab.errors import ExitCode
from lab.recording import DECODED_FILE

WARNING = (
    "[ 12.345713] WARNING: CPU: 0 PID: 77 at lib/x.c:28 planted+0xba/0x110\n"
    "[ 12.345715] CPU: 0 UID: 0 PID: 77 Comm: sh Not tainted 6.12.0 #1\n"
    "[ 12.345720] Call Trace:\n[ 12.345720]  vfs_write+0xf5/0x400\n"
)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """One guest warned."""
    directory = write_recording(tmp_path / "recording")
    (directory / "guests/one/console.log").write_text(WARNING)
    return directory


def test_a_warning_fails_what_would_pass(lab: Driver, recording: Path) -> None:
    done = lab("check", recording)
    assert done.code == ExitCode.FAILED
    assert "no panic, oops, warning, lockup or stall on any console" in done.out
    assert "FAILED    one: warning: WARNING: CPU: 0" in done.out
    assert "not ok" in lab("check", recording, "--ktap").out


def test_an_allowed_warning_passes(lab: Driver, tmp_path: Path) -> None:
    text = f"{TOPOLOGY}allow_findings: [{{kind: warning, nodes: one}}]\n"
    directory = write_recording(tmp_path / "recording", text)
    (directory / "guests/one/console.log").write_text(WARNING)
    assert lab("check", directory).code == ExitCode.PASSED
    (directory / "guests/two/console.log").write_text(WARNING)
    assert lab("check", directory).code == ExitCode.FAILED


def test_decode_says_why_there_are_no_lines(lab: Driver, recording: Path) -> None:
    done = lab("decode", recording)
    assert done.code == ExitCode.PASSED
    assert "one: warning: WARNING" in done.out
    assert "    vfs_write+0xf5/0x400\n" in done.out
    assert "note: kernel plain: its symbols are not in the cache" in done.out
    assert lab("decode", recording, "two").out == "nothing was found on any console\n"


def test_decode_shows_what_is_kept(lab: Driver, recording: Path) -> None:
    kept = {"guests/one/console.log": {"vfs_write+0xf5/0x400": "fs/read_write.c:584"}}
    (recording / DECODED_FILE).write_text(json.dumps(kept))
    assert "    vfs_write+0xf5/0x400 (fs/read_write.c:584)\n" in lab("decode", recording).out
    (finding,) = json.loads(lab("decode", recording, "--json").out)["findings"]
    assert finding["frames"] == ["planted+0xba/0x110", "vfs_write+0xf5/0x400 (fs/read_write.c:584)"]
    assert json.loads((recording / DECODED_FILE).read_text()) == kept
    assert "fs/read_write.c:584" in lab("check", recording).out


def test_decode_refuses_what_is_not_there(lab: Driver, recording: Path, tmp_path: Path) -> None:
    done = lab("decode", recording, "three")
    assert (done.code, "has no node 'three' (it has: one, two)" in done.err) == (ExitCode.BAD_INPUT, True)
    done = lab("decode", recording, "--vmlinux", tmp_path / "vmlinux")
    assert (done.code, "no such file" in done.err) == (ExitCode.BAD_INPUT, True)
    (recording / DECODED_FILE).write_text("[]")
    assert lab("decode", recording).code == ExitCode.BAD_INPUT


class DebuggedHypervisor(FakeHypervisor):
    """Its stub listens, and its dumps can be fetched."""

    def open_gdb(self, domain: str) -> int:
        assert domain.endswith("one")
        return 40001

    def dump_memory(self, domain: str, path: str, *, compressed: bool) -> None:
        self.dumped = (path, compressed)


class UnbuiltWiring:
    """Nothing is in its cache."""

    def only_built(self) -> Any:
        raise NotBuiltError("not built")


def debugged(lab: Driver, where: str = "local") -> UpLab:
    up = UpLab(lab, where)
    up.hypervisor.__class__ = DebuggedHypervisor
    lab.wiring.only_built = UnbuiltWiring().only_built
    lab.wiring.host_vm = SimpleNamespace(ssh_config=Path("/state/host/ssh_config"))
    return up


def test_gdb_attaches_on_this_machine(lab: Driver) -> None:
    debugged(lab)
    done = lab("gdb", "one", "--print")
    assert shlex.split(done.out) == ["gdb", "-q", "-ex", "target remote 127.0.0.1:40001"]
    assert "no symbols" in done.err


def test_gdb_attaches_through_ssh_elsewhere(lab: Driver) -> None:
    debugged(lab, "nested")
    remote = "target remote | ssh -F /state/host/ssh_config -W 127.0.0.1:40001 lab-host"
    assert shlex.split(lab("gdb", "one", "--print").out)[-1] == remote


def test_a_dump_is_fetched_and_removed_there(
    lab: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    up = debugged(lab)
    up.host.shell.answers["rm -f"] = ""  # type: ignore[index]
    monkeypatch.setattr(up.host.shell, "fetch", lambda source, target: target.write_text(source))
    target = tmp_path / "one.core"
    done = lab("dump", "one", "-o", target)
    assert done.code == ExitCode.PASSED, done.err
    assert target.read_text() == "/remote/cafe01/one.dump"
    assert up.hypervisor.dumped == ("/remote/cafe01/one.dump", False)  # type: ignore[attr-defined]
    assert up.host.shell.commands[-1] == "rm -f /remote/cafe01/one.dump"
    assert not list(tmp_path.glob("*.part"))
    again = lab("dump", "one", "-o", target)
    assert (again.code, "exists already" in again.err) == (ExitCode.BAD_INPUT, True)
    assert lab("dump", "one", "-o", tmp_path / "no/such").code == ExitCode.BAD_INPUT


def test_unknown_nodes_are_refused(lab: Driver, tmp_path: Path) -> None:
    debugged(lab)
    for words in (("gdb", "three"), ("dump", "three", "-o", tmp_path / "x")):
        assert lab(*words).code == ExitCode.BAD_INPUT
