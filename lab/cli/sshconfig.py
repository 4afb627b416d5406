# SPDX-License-Identifier: GPL-2.0-only
"""OpenSSH's configuration for the guests of a lab (ssh_config(5))."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class GuestLogin:
    """A guest: its node's name, its address, and the public key it must present."""

    name: str
    address: str
    host_key: str


def render_ssh_config(
    guests: Sequence[GuestLogin], key_file: Path, known_hosts: Path, proxy: Sequence[str]
) -> str:
    """One `Host` for each guest. `proxy` is the command that opens a session on their host, empty if there is
    none in between."""
    return "\n".join(_host(guest, key_file, known_hosts, proxy) for guest in guests)


def _host(guest: GuestLogin, key_file: Path, known_hosts: Path, proxy: Sequence[str]) -> str:
    return f"Host {guest.name}\n" + "".join(
        f"  {key} {value}\n" for key, value in _settings(guest, key_file, known_hosts, proxy)
    )


def _settings(
    guest: GuestLogin, key_file: Path, known_hosts: Path, proxy: Sequence[str]
) -> Iterator[tuple[str, str]]:
    yield "HostName", guest.address
    yield "User", "root"
    yield "IdentityFile", _path(key_file)
    yield "IdentitiesOnly", "yes"
    yield "UserKnownHostsFile", _path(known_hosts)
    yield "GlobalKnownHostsFile", "none"
    yield "StrictHostKeyChecking", "yes"
    yield "LogLevel", "ERROR"
    if proxy:
        *command, target = proxy
        escaped = (shlex.quote(word).replace("%", "%%") for word in command)
        yield "ProxyCommand", f"{' '.join(escaped)} -W %h:%p {shlex.quote(target)}"


def _path(path: Path) -> str:
    """A percent sign begins a token in these, and a space ends the value."""
    return '"' + str(path).replace("%", "%%") + '"'
