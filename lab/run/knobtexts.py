# SPDX-License-Identifier: GPL-2.0-only
"""What went wrong with a knob, told: value, place, bounds, the kernel's reason and its log."""

from __future__ import annotations

from collections.abc import Sequence

from lab.errors import KnobError
from lab.knobs.model import Backend, Knob, Registry
from lab.knobs.quantities import UNITS
from lab.plan.labplan import HOST_SCOPE, KnobCandidate, KnobSetting
from lab.run.pvknob import Line

_LONGEST_SHOWN = 200


class KnobRefusedError(KnobError):
    """There is no such knob, or the kernel did not take the value: nothing has changed."""


class KnobAbsentError(KnobRefusedError):
    """This kernel does not have the knob."""


class KnobHeldError(KnobRefusedError):
    """Another lab has changed this knob of the host and not put it back yet."""


def whose(setting: KnobSetting) -> str:
    """The knob and whose it is, as messages begin."""
    owner = "the host" if setting.node == HOST_SCOPE else setting.node
    return f"knob {setting.knob} on {owner}" + (f" (for {setting.guest})" if setting.guest else "")


def shown(value: str) -> str:
    """A value in a message: short, and on one line."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}... ({len(value)} characters)"


def absent(setting: KnobSetting, lines: Sequence[Line]) -> KnobAbsentError:
    """None of the places is there; every one is named."""
    places = "".join(
        f"\n  {candidate.generation or 'file'}: {line['place'] or candidate.path}: {line.why}"
        for candidate, line in zip(setting.candidates, lines, strict=True)
    )
    left_out = "".join(f"\n  {text}" for text in setting.left_out)
    owner = setting.guest or ("--host" if setting.node == HOST_SCOPE else setting.node)
    return KnobAbsentError(
        f"{whose(setting)}: this kernel does not have it; looked for{places}{left_out}",
        f"`lab knob probe {owner}` shows what the kernel has",
    )


def only_read(setting: KnobSetting, candidate: KnobCandidate, line: Line) -> KnobRefusedError:
    """The kernel has it, but nobody may write it."""
    return KnobRefusedError(
        f"{whose(setting)}: {line['place']} can only be read in this kernel"
        + (f" ({candidate.generation})" if candidate.generation else "")
    )


def unreadable(setting: KnobSetting, line: Line) -> KnobRefusedError:
    """What cannot be read cannot be put back, so it is not written either."""
    return KnobRefusedError(f"{whose(setting)}: {line['place']} cannot be read: {line.why}")


def refused(
    setting: KnobSetting, candidate: KnobCandidate, line: Line, log: Sequence[str], registry: Registry
) -> str:
    """The kernel did not take a value."""
    meaning = "" if candidate.raw == setting.value else f" (for {shown(setting.value)})"
    bounds = known_bounds(setting, candidate, registry)
    return (
        f"{whose(setting)}: {line['place']} does not take {shown(candidate.raw)}{meaning}: {line.why}"
        + (f"; it holds {shown(line['new'])}")
        + (f"\nknown bounds: {bounds}" if bounds else "")
        + tell_log(log)
    )


def kept(setting: KnobSetting, candidate: KnobCandidate, line: Line, log: Sequence[str]) -> str:
    """The kernel took a value and has another."""
    return (
        f"{whose(setting)}: wrote {shown(candidate.raw)} to {line['place']}, read back {shown(line['new'])}"
        + tell_log(log)
    )


def tell_log(log: Sequence[str]) -> str:
    """What the kernel logged, or that it did not log anything."""
    if not log:
        return ""
    return "\nthe kernel logged meanwhile:" + "".join(f"\n  {line}" for line in log)


def known_bounds(setting: KnobSetting, candidate: KnobCandidate, registry: Registry) -> str:
    """What the registry says that values may be, of the knob and of this place; empty where it says nothing."""
    knob = registry.knobs.get(setting.knob)
    if knob is None:
        return ""
    place = next(
        (
            one
            for one in registry.backends.get(setting.knob, ())
            if one.generation == candidate.generation and one.kind == candidate.kind
        ),
        None,
    )
    return "; ".join(filter(None, [_of_knob(knob), _of_place(place)]))


def _of_knob(knob: Knob) -> str:
    if knob.choices:
        return " or ".join(knob.choices)
    return _between(knob.minimum, knob.maximum, knob.unit)


def _of_place(place: Backend | None) -> str:
    said = "" if place is None else _between(place.minimum, place.maximum, place.unit)
    return f"here {said}" if said else ""


def _between(low: int | None, high: int | None, unit: str | None) -> str:
    if low is None and high is None:
        return ""
    words = f" {UNITS[unit].words}" if unit else ""
    return f"{'' if low is None else low} .. {'' if high is None else high}{words}".strip()
