# SPDX-License-Identifier: GPL-2.0-only
"""What the plan of a foreign bundle would do to the host itself, for somebody to agree to. Pure.

Guests are disposable, and what runs in them stays there; weights, quotas and pins are of the lab's own guests. The
rest is here: knobs of the host, and loads on it.
"""

from __future__ import annotations

from lab.bundle.collect import settings_of
from lab.plan.labplan import HOST_SCOPE, HogPlan, KnobSetting, LabPlan
from lab.units import format_cpulist


def host_effects(plan: LabPlan) -> tuple[str, ...]:
    """Each thing that needs consent in one sentence, without repeats; empty where the host is left alone."""
    knobs = (_tell_knob(one) for one in settings_of(plan) if one.node == HOST_SCOPE and one.guest is None)
    return tuple(dict.fromkeys((*knobs, *map(_tell_hog, plan.hogs))))


def _tell_knob(setting: KnobSetting) -> str:
    places = " or ".join(dict.fromkeys(one.path for one in setting.candidates))
    raw = ", ".join(dict.fromkeys(repr(one.raw) for one in setting.candidates))
    return f"sets {setting.knob} of the host: writes {raw} to {places}"


def _tell_hog(hog: HogPlan) -> str:
    threads = f"{len(hog.pcpus)} busy thread{'s' if len(hog.pcpus) > 1 else ''}"
    how = ", with real-time priority" if hog.realtime else ""
    return f"runs {hog.name} on the host: {threads} on pCPU {format_cpulist(hog.pcpus)}{how}"
