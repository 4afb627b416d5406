# SPDX-License-Identifier: GPL-2.0-only
"""What a Shell promises: kept by this machine, by a machine behind a real sshd, and by the fake."""

from __future__ import annotations

import getpass
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakehost import FakeShell
from fakeworld import FakeWorld

from lab.adapters.local_shell import LocalShell
from lab.adapters.ssh import connect_guest, connect_host
from lab.errors import CommandFailed, GuestLost, HostError, HostLost, LabFailure, Lost
from lab.run.ports import Shell

TIMEOUT_S = 20


@dataclass(frozen=True)
class Subject:
    """A shell, and a directory at its end in which tests may do as they like."""

    shell: Shell
    root: str


@pytest.fixture(params=["fake", "local", "ssh"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    root = tmp_path / "there"
    root.mkdir()
    if request.param == "fake":
        world = FakeWorld()
        yield Subject(FakeShell(world, world.files), "/store")
    elif request.param == "local":
        yield Subject(LocalShell(), str(root))
    else:
        shell = connect_host("loopback", request.getfixturevalue("sshd").config)
        yield Subject(shell, str(root))
        shell.close()


def test_output_and_status(subject):
    result = subject.shell.run("echo 'hello  there'", timeout_s=TIMEOUT_S)
    assert (result.status, result.stdout, result.stderr) == (0, "hello  there\n", "")


def test_a_failing_command_raises_with_command_and_status(subject):
    with pytest.raises(CommandFailed, match=r"`exit 3` ended with status 3"):
        subject.shell.run("exit 3", timeout_s=TIMEOUT_S)


def test_a_failing_command_that_is_not_checked(subject):
    assert subject.shell.run("exit 3", timeout_s=TIMEOUT_S, check=False).status == 3


def test_what_a_failing_command_said_is_in_the_error(subject):
    with pytest.raises(CommandFailed, match=r"No such file or directory"):
        subject.shell.run(f"cat {subject.root}/nothing", timeout_s=TIMEOUT_S)


def test_a_program_that_does_not_exist(subject):
    result = subject.shell.run("no-such-program", timeout_s=TIMEOUT_S, check=False)
    assert result.status == 127
    assert "not found" in result.stderr


def test_the_deadline_is_a_loss(subject):
    started = time.monotonic()
    with pytest.raises(Lost, match=r"did not end within 0.3 s"):
        subject.shell.run("sleep 30", timeout_s=0.3)
    assert time.monotonic() - started < 10


def test_a_shell_lives_on_after_a_failure(subject):
    subject.shell.run("exit 1", timeout_s=TIMEOUT_S, check=False)
    assert subject.shell.run("echo 1", timeout_s=TIMEOUT_S).stdout == "1\n"


def test_files_come_back_as_they_went(subject, tmp_path):
    data = bytes(range(256)) * 500
    (tmp_path / "source").write_bytes(data)
    subject.shell.put(tmp_path / "source", f"{subject.root}/file")
    subject.shell.fetch(f"{subject.root}/file", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data


def test_a_file_that_was_put_can_be_read_and_is_replaced(subject, tmp_path):
    for text in ("a longer first text", "second"):
        (tmp_path / "source").write_text(text)
        subject.shell.put(tmp_path / "source", f"{subject.root}/file")
        assert subject.shell.run(f"cat {subject.root}/file", timeout_s=TIMEOUT_S).stdout == text


def test_undecodable_bytes_are_replaced(subject, tmp_path):
    (tmp_path / "source").write_bytes(b"a\xffb")
    subject.shell.put(tmp_path / "source", f"{subject.root}/file")
    assert subject.shell.run(f"cat {subject.root}/file", timeout_s=TIMEOUT_S).stdout == "a\ufffdb"


def test_putting_below_a_directory_that_does_not_exist(subject, tmp_path):
    (tmp_path / "source").write_text("x")
    with pytest.raises(CommandFailed):
        subject.shell.put(tmp_path / "source", f"{subject.root}/no/such/file")
    subject.shell.run(f"mkdir -p {subject.root}/no/such", timeout_s=TIMEOUT_S)
    subject.shell.put(tmp_path / "source", f"{subject.root}/no/such/file")


def test_putting_what_does_not_exist(subject, tmp_path):
    with pytest.raises(CommandFailed):
        subject.shell.put(tmp_path / "nothing", f"{subject.root}/file")


def test_fetching_what_does_not_exist_leaves_nothing(subject, tmp_path):
    with pytest.raises(CommandFailed, match="nothing"):
        subject.shell.fetch(f"{subject.root}/nothing", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_removing_a_directory(subject, tmp_path):
    (tmp_path / "source").write_text("x")
    subject.shell.run(f"mkdir -p -m 711 {subject.root}/lab", timeout_s=TIMEOUT_S)
    subject.shell.put(tmp_path / "source", f"{subject.root}/lab/file")
    subject.shell.run(f"rm -rf {subject.root}/lab", timeout_s=TIMEOUT_S)
    with pytest.raises(CommandFailed):
        subject.shell.fetch(f"{subject.root}/lab/file", tmp_path / "back")


def test_closing_twice(subject):
    subject.shell.close()
    subject.shell.close()


# ---- the real ones alone


@pytest.fixture(params=["local", "ssh"])
def real(request, tmp_path):
    if request.param == "local":
        yield LocalShell()
    else:
        shell = connect_host("loopback", request.getfixturevalue("sshd").config)
        yield shell
        shell.close()


def test_the_mode_of_a_file(real, tmp_path):
    (tmp_path / "source").write_text("x")
    real.put(tmp_path / "source", str(tmp_path / "target"), 0o600)
    assert (tmp_path / "target").stat().st_mode & 0o777 == 0o600


def test_a_file_that_grows_while_it_is_fetched(real, tmp_path):
    stop = threading.Event()

    def grow() -> None:
        with (tmp_path / "growing").open("ab", buffering=0) as file:
            while not stop.is_set():
                file.write(b"x" * 65536)
                stop.wait(0.001)

    writer = threading.Thread(target=grow)
    (tmp_path / "growing").write_bytes(b"x" * 100_000)
    writer.start()
    try:
        for _ in range(3):
            real.fetch(str(tmp_path / "growing"), tmp_path / "back")
            assert (tmp_path / "back").stat().st_size >= 100_000
    finally:
        stop.set()
        writer.join()


def test_a_command_that_was_given_up_does_not_run_on(tmp_path):
    with pytest.raises(HostLost):
        LocalShell().run(f"(sleep 1; touch {tmp_path}/late) & wait", timeout_s=0.2)
    time.sleep(1.2)
    assert not (tmp_path / "late").exists()


# ---- ssh alone: who is at the other end


def test_an_unknown_host_key_is_refused(sshd, tmp_path):
    config = sshd.config.read_text().replace("known_hosts", "nobody_known")
    (tmp_path / "config").write_text(config)
    with pytest.raises(HostError, match="ssh://loopback"):
        connect_host("loopback", tmp_path / "config")


def test_another_host_key_is_refused(sshd, tmp_path):
    authorized = (sshd.config.parent / "authorized_keys").read_text()
    (tmp_path / "known").write_text(f"[127.0.0.1]:{sshd.port} {authorized}")
    config = sshd.config.read_text().replace(f"{sshd.config.parent}/known_hosts", str(tmp_path / "known"))
    (tmp_path / "config").write_text(config)
    with pytest.raises(HostError, match="another host key"):
        connect_host("loopback", tmp_path / "config")


def test_a_host_that_does_not_listen_is_unfit(sshd, tmp_path):
    (tmp_path / "config").write_text(sshd.config.read_text().replace(f"Port {sshd.port}", "Port 1"))
    with pytest.raises(HostError, match="ssh://loopback"):
        connect_host("loopback", tmp_path / "config")


def test_a_connection_that_dies_is_a_loss(sshd):
    shell = connect_host("loopback", sshd.config)
    with pytest.raises(HostLost):
        shell.run("kill -9 $PPID; sleep 5", timeout_s=TIMEOUT_S)


def test_who_opens_no_session_any_more_is_lost_at_the_deadline(sshd):
    shell = connect_host("loopback", sshd.config)
    server = int(shell.run("echo $PPID", timeout_s=TIMEOUT_S).stdout)
    os.kill(server, signal.SIGSTOP)
    try:
        with pytest.raises(HostLost):
            shell.run("true", timeout_s=0.5)
    finally:
        os.kill(server, signal.SIGKILL)


def test_a_guest_with_another_host_key_is_not_retried_as_a_loss(sshd):
    other = (sshd.config.parent / "authorized_keys").read_text()
    with pytest.raises(LabFailure) as caught:
        connect_guest(f"127.0.0.1:{sshd.port}", sshd.config.parent / "user_key", other, None, GuestLost)
    assert not isinstance(caught.value, Lost)


@pytest.mark.skipif(getpass.getuser() != "root", reason="guests have root only")
def test_a_guest_with_its_own_host_key_behind_a_host(sshd):
    host = connect_host("loopback", sshd.config)
    key_file = sshd.config.parent / "user_key"
    guest = connect_guest(f"127.0.0.1:{sshd.port}", key_file, sshd.host_key, host, GuestLost)
    assert guest.run("echo in", timeout_s=TIMEOUT_S).stdout == "in\n"
    with pytest.raises(GuestLost):
        guest.run("kill -9 $PPID; sleep 5", timeout_s=TIMEOUT_S)
    assert host.run("echo still here", timeout_s=TIMEOUT_S).stdout == "still here\n"
    host.close()


def test_a_command_that_was_killed_is_no_loss(sshd):
    shell = connect_host("loopback", sshd.config)
    with pytest.raises(CommandFailed):
        shell.run("kill -9 $$", timeout_s=TIMEOUT_S)
    shell.close()
