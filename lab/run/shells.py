# SPDX-License-Identifier: GPL-2.0-only
"""Shells into the guests of a lab, opened when they are first used or all at once."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from lab.plan.labplan import LabPlan
from lab.run.ports import Host, Shell

_PARALLEL = 8


class GuestShells:
    """One shell for each node; may be used by several threads, but each node's by one at a time."""

    def __init__(self, host: Host, plan: LabPlan, key_file: Path, host_keys: Mapping[str, str]) -> None:
        self._host = host
        self._plan = plan
        self._key_file = key_file
        self._host_keys = host_keys
        self._open: dict[str, Shell] = {}
        self._locks = {node.name: Lock() for node in plan.nodes}

    def __getitem__(self, node: str) -> Shell:
        with self._locks[node]:
            if node not in self._open:
                address = self._plan.node(node).address
                self._open[node] = self._host.guest_shell(address, self._key_file, self._host_keys[node])
            return self._open[node]

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
