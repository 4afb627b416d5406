# SPDX-License-Identifier: GPL-2.0-only
"""The events of all CPUs in one table each, by time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.trace.cpuevents import CpuEvents, Rows
from lab.trace.model import Numbers, Times

#: The upper half of common_preempt_count is how often migration was disabled (kernel/trace/trace.c,
#: tracing_gen_ctx_irq_test).
DEPTH_BITS = 15


def merged(cpus: Sequence[CpuEvents], table: type, preempted: int = 0) -> dict[str, NDArray[Any]]:
    """The columns of `table`; `prev_runnable` is a state of 0, or one with the bit `preempted`."""
    parts = [(events.cpu, rows) for events in cpus for rows in events.rows if rows.table is table]
    times = _joined([rows.t_ns for _, rows in parts], np.int64)
    order = np.argsort(times, kind="stable")
    columns: dict[str, NDArray[Any]] = {"t_ns": times[order]}
    for name in (one.name for one in fields(table) if one.name not in ("t_ns", "text")):
        pieces = [_column(name, cpu, rows, preempted) for cpu, rows in parts]
        columns[name] = _joined(pieces, np.bool_ if name == "prev_runnable" else np.int32)[order]
    return columns


def _column(name: str, cpu: int, rows: Rows, preempted: int) -> NDArray[Any]:
    if name == "cpu":
        return np.full(len(rows.t_ns), cpu, np.int32)
    if name == "prev_runnable":
        state = rows.columns["prev_state"]
        runnable: NDArray[np.bool_] = np.logical_or(state == 0, (state & preempted) != 0)
        return runnable
    if name == "preempt_depth":
        return _clipped(rows.columns[name] & DEPTH_BITS)
    return _clipped(rows.columns[name])


def merged_texts(cpus: Sequence[CpuEvents], table: type) -> dict[str, Any]:
    """The columns of a table with texts: Marks or Notes."""
    parts = [rows for events in cpus for rows in events.rows if rows.table is table]
    order = np.argsort(_joined([rows.t_ns for rows in parts], np.int64), kind="stable")
    texts = [text for rows in parts for text in rows.texts]
    return {**merged(cpus, table), "text": tuple(texts[place] for place in order.tolist())}


def merged_moments(cpus: Sequence[CpuEvents]) -> tuple[Times, Numbers]:
    """When there was any event, and on which CPU."""
    times = _joined([events.t_ns for events in cpus], np.int64)
    numbers = _joined([np.full(len(events.t_ns), events.cpu, np.int32) for events in cpus], np.int32)
    order = np.argsort(times, kind="stable")
    return times[order], numbers[order]


def _clipped(values: NDArray[np.int64]) -> Numbers:
    """As 32-bit numbers; what does not fit was no number of a thread or a CPU."""
    return np.where(np.abs(values) < 1 << 31, values, -1).astype(np.int32)


def _joined(pieces: Sequence[NDArray[Any]], dtype: type) -> NDArray[Any]:
    return np.concatenate(pieces) if pieces else np.empty(0, dtype)
