# SPDX-License-Identifier: GPL-2.0-only
"""The files of a traced phase that are text: whose the threads on the host are, and how KVM moves guests' TSC.

`threads` has lines "TID OWNER ROLE...": a node or a hog, and what the thread is there.

`offsets` has lines "NODE VCPU TSC_OFFSET RATIO FRACTION_BITS", with "-" where KVM does not scale: what a guest
reads is the host's TSC * RATIO / 2^FRACTION_BITS + TSC_OFFSET (arch/x86/kvm/debugfs.c, kvm_read_l1_tsc()).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # columns of numbers take longer to load than most commands take
    from lab.trace.decode import TraceFiles
    from lab.trace.model import Thread

_VCPU = re.compile(r"vcpu (\d+)")


@dataclass(frozen=True)
class TracedPhase:
    """What was brought home of one traced phase; `guests` are by node, those that were traced."""

    host: TraceFiles
    guests: Mapping[str, TraceFiles]
    threads: bytes
    offsets: bytes


@dataclass(frozen=True)
class TscOffset:
    """How KVM moves the TSC of one vCPU: guest = host * ratio + offset, in ticks. `ratio` is None where it does not
    scale."""

    node: str
    vcpu: int
    offset: int
    ratio: float | None


def parse_threads(data: bytes) -> dict[int, Thread]:
    """The threads by their numbers; lines that cannot be read are left out."""
    return {thread.tid: thread for thread in _threads(data)}


def _threads(data: bytes) -> Iterator[Thread]:
    from lab.trace.model import Thread

    for line in data.decode(errors="replace").splitlines():
        tid, _, rest = line.partition(" ")
        owner, _, role = rest.partition(" ")
        if tid.isascii() and tid.isdigit() and owner and role:
            match = _VCPU.fullmatch(role)
            yield Thread(int(tid), owner, role, None if match is None else int(match[1]))


def parse_offsets(data: bytes) -> tuple[TscOffset, ...]:
    """Offsets in the file's order; lines that cannot be read are left out."""
    return tuple(_offsets(data))


def _offsets(data: bytes) -> Iterator[TscOffset]:
    for line in data.decode(errors="replace").splitlines():
        match = re.fullmatch(r"(\S+) (\d+) (-?\d+) (\d+|-) (\d+|-)", line)
        if match is not None:
            scaled = match[4] != "-" and match[5] != "-"
            ratio = int(match[4]) / 2 ** int(match[5]) if scaled else None
            yield TscOffset(match[1], int(match[2]), _signed(int(match[3])), None if ratio == 1.0 else ratio)


def _signed(offset: int) -> int:
    """KVM tells it as a signed number of 64 bits; an older one might tell the same bits as an unsigned one."""
    return offset - (1 << 64) if offset >= 1 << 63 else offset
