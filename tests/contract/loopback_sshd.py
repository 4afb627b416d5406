# SPDX-License-Identifier: GPL-2.0-only
"""An sshd of this machine's own on loopback, with keys made for it: nothing of the user's is read or written."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.adapters.keys import make_key_pair
from lab.secretfile import write_secret

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin")


@dataclass(frozen=True)
class Sshd:
    """`config` is an ssh configuration that names the server `loopback`; `log` is what the server says."""

    port: int
    config: Path
    log: Path
    host_key: str


@contextmanager
def open_sshd(directory: Path) -> Iterator[Sshd]:
    """A running server."""
    assert SSHD is not None
    Path("/run/sshd").mkdir(exist_ok=True) if os.geteuid() == 0 else None  # where its unprivileged half lives
    host, user, port = make_key_pair(), make_key_pair(), _free_port()
    write_secret(directory / "host_key", host.private)
    write_secret(directory / "user_key", user.private)
    (directory / "authorized_keys").write_text(user.public + "\n")
    (directory / "known_hosts").write_text(f"[127.0.0.1]:{port} {host.public}\n")
    (directory / "sshd_config").write_text(_server_config(directory, port))
    (directory / "ssh_config").write_text(_client_config(directory, port))
    log = directory / "log"
    argv = [SSHD, "-D", "-f", str(directory / "sshd_config"), "-E", str(log)]
    server = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    try:
        _wait_until_open(port, server, log)
        yield Sshd(port, directory / "ssh_config", log, host.public)
    finally:
        server.terminate()
        server.wait(10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _server_config(directory: Path, port: int) -> str:
    return (
        f"ListenAddress 127.0.0.1:{port}\nHostKey {directory}/host_key\n"
        f"AuthorizedKeysFile {directory}/authorized_keys\nPidFile none\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nSubsystem sftp internal-sftp\n"
    )


def _client_config(directory: Path, port: int) -> str:
    return (
        f"Host loopback\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n"
        f"  IdentityFile {directory}/user_key\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {directory}/known_hosts\n  StrictHostKeyChecking yes\n"
    )


def _wait_until_open(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"sshd does not listen: {log.read_text() if log.exists() else ''}")
