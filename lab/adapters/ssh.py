# SPDX-License-Identifier: GPL-2.0-only
"""Machines reached over ssh: the Shell port on fabric. Host keys are known beforehand and checked, always."""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fabric
import invoke
import paramiko

from lab.errors import CommandFailed, HostError, HostLost, LabFailure, Lost
from lab.run.ports import CommandResult

# Failures come as exceptions and are told once; paramiko would print them a second time, from its own thread.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)

_CONNECT_TIMEOUT_S = 30
_TAIL_LINES = 20
#: What paramiko gives in place of a status when the channel was closed without one.
_NO_STATUS = -1
_CHUNK_BYTES = 256 * 1024
#: How long the other end may be silent in the middle of a copy.
_COPY_SILENCE_S = 60


class SshShell:
    """One persistent ssh connection; commands run in a POSIX shell at the other end.

    `lost` is the error to raise when the connection dies (HostLost for hosts, GuestLost for guests).
    """

    def __init__(self, connection: fabric.Connection, name: str, lost: type[Lost] = HostLost) -> None:
        self.connection = connection
        self.name = name
        self._lost = lost

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except paramiko.BadHostKeyException as error:
            raise LabFailure(f"{self.name}: presents another host key than it should ({error})") from None
        except invoke.exceptions.CommandTimedOut as error:
            raise self._lost(f"{self.name}: {what} did not end within {error.timeout} s") from None
        except (paramiko.SSHException, EOFError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise self._lost(f"{self.name}: ssh connection lost while {what}: {reason}") from None

    def open(self) -> None:
        """Connect now rather than at the first command. Raises the `lost` error."""
        with self._translated("connecting"):
            self.connection.open()

    def _answer_within(self, timeout_s: float) -> None:
        """Bound the wait for one more session, too: who is dead never answers, and paramiko would wait an hour."""
        self.connection.open()
        self.connection.transport.channel_timeout = timeout_s

    def run(self, command: str, *, timeout_s: float, check: bool = True) -> CommandResult:
        """Run a shell command to its end."""
        deadline = time.monotonic() + timeout_s
        with self._translated(f"running `{command}`"):
            self._answer_within(timeout_s)
            result = self.connection.run(
                command, hide=True, warn=True, pty=False, in_stream=False, timeout=timeout_s
            )
        if result.exited == _NO_STATUS and not self.connection.is_connected:
            raise self._lost(f"{self.name}: ssh connection lost while running `{command}`")
        if result.exited == _NO_STATUS and time.monotonic() >= deadline:
            # invoke's timer closes the channel before it counts as run out: whoever is faster sees no time-out.
            raise self._lost(f"{self.name}: running `{command}` did not end within {timeout_s} s")
        done = CommandResult(result.exited, result.stdout, result.stderr)
        if check and done.status != 0:
            raise failed_command(self.name, command, done)
        return done

    @contextmanager
    def _copying(self, what: str) -> Iterator[paramiko.SFTPClient]:
        """SFTP's own refusals come as OSError too, but leave the connection whole."""
        with self._translated(what):
            self._answer_within(_COPY_SILENCE_S)
            sftp = self.connection.sftp()
            sftp.get_channel().settimeout(_COPY_SILENCE_S)
            try:
                yield sftp
            except (FileNotFoundError, PermissionError, paramiko.SFTPError) as error:
                raise CommandFailed(f"{self.name}: {what}: {error.strerror or error}") from None
            except OSError as error:
                if (
                    error.errno is None and str(error) == "Failure"
                ):  # SSH_FX_FAILURE: a full disk, a directory
                    raise CommandFailed(f"{self.name}: {what}: refused by the other end") from None
                raise

    def put(self, source: Path, target: str, mode: int = 0o644) -> None:
        """Copy a file there by SFTP."""
        with self._copying(f"copying {source} to {target}") as sftp:
            sftp.put(str(source), target)
            sftp.chmod(target, mode)

    def fetch(self, source: str, target: Path) -> None:
        """Copy a file from there by SFTP: as much as there is now, however fast it grows."""
        try:
            with (
                self._copying(f"copying {source} from there") as sftp,
                sftp.open(source, "rb") as remote,
                target.open("wb") as local,
            ):
                left = remote.stat().st_size or 0
                remote.prefetch(left)
                while left > 0 and (chunk := remote.read(min(left, _CHUNK_BYTES))):
                    local.write(chunk)
                    left -= len(chunk)
        except LabFailure:
            target.unlink(missing_ok=True)
            raise

    def close(self) -> None:
        """Give the connection up."""
        self.connection.close()


def failed_command(where: str, command: str, result: CommandResult) -> CommandFailed:
    """The error for a command that ended with a non-zero status."""
    tail = "\n".join((result.stdout + result.stderr).splitlines()[-_TAIL_LINES:])
    return CommandFailed(f"{where}: `{command}` ended with status {result.status}\n{tail}".rstrip())


def connect_host(target: str, ssh_config: Path | None) -> SshShell:
    """Connect to `user@host[:port]` as the user's ssh configuration says (or the file `ssh_config`).

    Raises HostError if the host cannot be reached or its key is not known.
    """
    config = fabric.Config(runtime_ssh_path=str(ssh_config) if ssh_config else None)
    connection = fabric.Connection(target, config=config, connect_timeout=_CONNECT_TIMEOUT_S)
    known = connection.ssh_config.get("userknownhostsfile")
    connection.client.load_system_host_keys()
    for path in [Path(name).expanduser() for name in (known or "").split()[:1]]:
        if path.exists():
            connection.client.load_host_keys(str(path))
    connection.client.set_missing_host_key_policy(paramiko.RejectPolicy())
    shell = SshShell(connection, f"host {target}")
    try:
        shell.open()
    except LabFailure as error:
        raise HostError(
            f"ssh://{target}: {error.message}",
            f"`ssh {target} true` must work without a question; the host's key must be in known_hosts",
        ) from None
    return shell


def connect_guest(
    address: str, key_file: Path, host_key: str, gateway: SshShell | None, lost: type[Lost]
) -> SshShell:
    """Connect to root in a guest, through `gateway` where there is one, accepting only `host_key`."""
    connection = fabric.Connection(
        address,
        user="root",
        gateway=gateway.connection if gateway else None,
        connect_timeout=_CONNECT_TIMEOUT_S,
        connect_kwargs={
            "key_filename": str(key_file),
            "allow_agent": False,
            "look_for_keys": False,
            "banner_timeout": _CONNECT_TIMEOUT_S,
            "auth_timeout": _CONNECT_TIMEOUT_S,
        },
        config=fabric.Config(lazy=True),
    )
    kind, blob = host_key.split()[:2]
    key: Any = paramiko.PKey.from_type_string(kind, _decoded(blob))
    known_as = connection.host if connection.port == 22 else f"[{connection.host}]:{connection.port}"
    connection.client.get_host_keys().add(known_as, kind, key)
    connection.client.set_missing_host_key_policy(paramiko.RejectPolicy())
    shell = SshShell(connection, f"guest at {address}", lost)
    shell.open()
    return shell


def _decoded(blob: str) -> bytes:
    return base64.b64decode(blob)
