# SPDX-License-Identifier: GPL-2.0-only
"""Shells into the guests of a lab, opened when they are first used or all at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from lab.errors import GuestLost
from lab.plan.labplan import LabPlan
from lab.run.ports import Host, Shell

_PARALLEL = 8
#: A guest that has just booted, beside others, on an emulated host: now and then its sshd lets a key exchange wait
#: until it has timed out, and answers the next at once.
CONNECT_ATTEMPTS = 2

#: Is told a node, why connecting to it failed, and which attempt that was.
TellRetry = Callable[[str, str, int], None]


def _tell_nobody(_node: str, _reason: str, _attempt: int) -> None:
    pass


class GuestShells:
    """One shell for each node; may be used by several threads, but each node's by one at a time.

    `tell` hears of connections that are tried again.
    """

    def __init__(
        self,
        host: Host,
        plan: LabPlan,
        key_file: Path,
        host_keys: Mapping[str, str],
        tell: TellRetry = _tell_nobody,
    ) -> None:
        self._host = host
        self._plan = plan
        self._key_file = key_file
        self._host_keys = host_keys
        self._tell = tell
        self._telling = Lock()
        self._open: dict[str, Shell] = {}
        self._locks = {node.name: Lock() for node in plan.nodes}

    def __getitem__(self, node: str) -> Shell:
        with self._locks[node]:
            if node not in self._open:
                self._open[node] = self._connect(node)
            return self._open[node]

    def _connect(self, node: str) -> Shell:
        address = self._plan.node(node).address
        for attempt in range(1, CONNECT_ATTEMPTS):
            try:
                return self._host.guest_shell(address, self._key_file, self._host_keys[node])
            except GuestLost as error:
                with self._telling:
                    self._tell(node, error.message.splitlines()[0], attempt)
        return self._host.guest_shell(address, self._key_file, self._host_keys[node])

    def open_all(self) -> None:
        """Open all, at the same time, while the guests are idle: a key exchange under contention takes long."""
        with ThreadPoolExecutor(_PARALLEL) as pool:
            list(pool.map(self.__getitem__, self._locks))

    def drop(self, node: str) -> None:
        """Give one up: its guest ends, and the next that is started has another shell."""
        with self._locks[node]:
            shell = self._open.pop(node, None)
        if shell is not None:
            shell.close()

    def close(self) -> None:
        """Give all up."""
        for shell in self._open.values():
            shell.close()
        self._open.clear()
