# SPDX-License-Identifier: GPL-2.0-only
"""What is recorded by the kernels while a window is measured, as a part of the LabPlan."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TracePlan:
    """What is traced while a window is measured, as events of the kernel's ("SYSTEM:NAME"): on the host, and in
    every guest. Where `guest_events` is empty no guest is traced.

    `clock` is the ring buffers' (Documentation/trace/ftrace.rst, trace_clock). They hold `buffer_kib` for each pCPU
    and `guest_buffer_kib` for each vCPU. They are streamed: of one window the host keeps `limit_mib` at most, and a
    guest `guest_limit_mib`, which is in its memory.
    """

    host_events: tuple[str, ...]
    guest_events: tuple[str, ...]
    clock: str
    buffer_kib: int
    guest_buffer_kib: int = 0
    limit_mib: int = 0
    guest_limit_mib: int = 0
