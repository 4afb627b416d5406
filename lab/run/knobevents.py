# SPDX-License-Identifier: GPL-2.0-only
"""Knobs that were written, skipped and brought back, as events of a recording (lab.recording.Event)."""

from __future__ import annotations

from typing import Any

from lab.plan.folding import fold_event
from lab.plan.labplan import HOST_SCOPE
from lab.run.knobrestore import Restored
from lab.run.knobs import KnobChange, KnobSkipped


def describe_change(change: KnobChange, before_ns: int, after_ns: int) -> dict[str, Any]:
    """The event `knob`; the host's clock before and after all writes that were made at the same time."""
    setting, candidate = change.setting, change.candidate
    data: dict[str, Any] = {
        "node": setting.node,
        "knob": setting.knob,
        "generation": candidate.generation,
        "backend": candidate.kind,
        "path": change.place,
        "old": change.old,
        "new": change.new,
        "raw_old": change.raw_old,
        "raw_new": change.raw_new,
        **_clocks(setting.node, change.t0_ns, change.t1_ns, before_ns, after_ns),
        **fold_event(setting),
    }
    if setting.guest is not None:
        data["guest"] = setting.guest
    return data


def describe_skipped(skipped: KnobSkipped) -> dict[str, Any]:
    """The event `knob-skipped`."""
    setting = skipped.setting
    return {"node": setting.node, "knob": setting.knob, "value": setting.value, "reason": skipped.reason}


def describe_restored(restored: Restored, before_ns: int, after_ns: int) -> dict[str, Any]:
    """The event `knob-restored`; texts as the place has them."""
    entry = restored.entry
    return {
        "node": entry.machine,
        "knob": entry.knob,
        "path": entry.place,
        "old": restored.old,
        "new": restored.new,
        **_clocks(entry.machine, restored.t0_ns, restored.t1_ns, before_ns, after_ns),
    }


def _clocks(node: str, t0_ns: int, t1_ns: int, before_ns: int, after_ns: int) -> dict[str, int]:
    """A guest's own clock is between the host's two times; a write on the host is timed by its clock alone."""
    if node == HOST_SCOPE:
        return {"host_t0_ns": t0_ns, "host_t1_ns": t1_ns}
    return {"guest_t0_ns": t0_ns, "guest_t1_ns": t1_ns, "host_t0_ns": before_ns, "host_t1_ns": after_ns}
