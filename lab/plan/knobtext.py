# SPDX-License-Identifier: GPL-2.0-only
"""Settings of knobs and folds as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lab.plan.labplan import HOST_SCOPE, KnobSetting
from lab.units import format_cpulist


def render_knobs(knobs: Sequence[KnobSetting]) -> Iterator[str]:
    """One line for each that does not fold; what is written for many vCPUs alike is told once."""
    for setting in dict.fromkeys(replace(one, candidates=()) for one in knobs if one.fold is None):
        known = " if its kernel has it" if setting.optional else ""
        whose = setting.guest or ("the host" if setting.node == HOST_SCOPE else setting.node)
        yield f"set {setting.knob} of {whose} to {setting.value or 'nothing'}{known}"


def render_folds(knobs: Sequence[KnobSetting]) -> Iterator[str]:
    """Folds, each told once however many writes it takes."""
    folds: dict[tuple[str | None, tuple[int, ...], str | None], list[KnobSetting]] = {}
    for setting in knobs:
        if setting.fold is not None:
            folds.setdefault((setting.fold_node, setting.fold_vcpus, setting.fold), []).append(setting)
    for (node, vcpus, mechanism), settings in folds.items():
        what = f"fold vCPU {format_cpulist(vcpus)} of {node}" if vcpus else f"unfold all of {node}"
        values = dict.fromkeys(one.value or "nothing" for one in settings)
        known = ", if its kernel has it" if settings[0].optional else ""
        yield f"{what} by {mechanism}: {settings[0].knob} {', '.join(values)}{known}"
