# SPDX-License-Identifier: GPL-2.0-only
"""Names of a host's processes, numbered: the same name is the same number everywhere in a bundle. Pure."""

from __future__ import annotations

from collections.abc import Mapping

#: How threads of the kernel are called on every machine.
_KERNELS = (b"swapper/", b"kworker/", b"ksoftirqd/", b"migration/", b"cpuhp/", b"irq/", b"rcu_", b"rcuop/")
#: What the kernel keeps of a thread's name, its end included (include/linux/sched.h, TASK_COMM_LEN).
NAME_BYTES = 16


class Pseudonyms:
    """Numbers names as they come. Names of kernel threads, once told by `keep`, stay."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._kept: set[bytes] = {b"<idle>", b"<...>"}

    @property
    def hidden(self) -> Mapping[bytes, int]:
        """Names that have a number."""
        return self._numbers

    def keep(self, name: bytes) -> None:
        """A name that says nothing about a machine's users; also as it is cut where names are short."""
        self._kept |= {name, name[: NAME_BYTES - 1]}

    def of(self, name: bytes) -> bytes:
        """What stands for `name`."""
        if name in self._kept or name.startswith(_KERNELS) or not name:
            return name
        return b"process-%d" % self._numbers.setdefault(name[: NAME_BYTES - 1], len(self._numbers) + 1)

    def redact_stream(self, stream: bytes) -> bytes:
        """A host's stream with the names of processes that are neither the lab's nor the kernel's replaced
        (images/probe/STREAM.md: `t` lines)."""
        return b"\n".join(
            self._redact_line(line) if line.startswith(b"t ") else line for line in stream.split(b"\n")
        )

    def _redact_line(self, line: bytes) -> bytes:
        fields = line.split(b" ", 9)
        if len(fields) < 10:
            return line
        if fields[3] == b"-":
            return b" ".join([*fields[:9], self.of(fields[9])])
        self.keep(fields[9])
        return line
