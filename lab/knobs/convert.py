# SPDX-License-Identifier: GPL-2.0-only
"""From a knob's value to what a place holds, and back. Every ValueError says what cannot be and why."""

from __future__ import annotations

from dataclasses import dataclass

from lab.knobs.model import Backend, Conversion, Knob, KnobKind
from lab.knobs.quantities import UNITS, parse_from, parse_quantity, render_in
from lab.units import format_cpulist, parse_cpulist

#: What the kernel's kstrtobool() and a person take for a bool, in lower case.
_OFF = ("0", "n", "no", "off", "false")
_ON = ("1", "y", "yes", "on", "true")


@dataclass(frozen=True)
class Fit:
    """A place that can hold a value, and the text it then holds."""

    backend: Backend
    raw: str


@dataclass(frozen=True)
class Fits:
    """A value in its canonical form, the places that can hold it, best first, and why others cannot."""

    value: str
    fits: tuple[Fit, ...]
    left_out: tuple[str, ...]


def parse_bool(text: str, words: tuple[str, str] | None = None) -> bool:
    """Whether `text` means on. `words`, off first, come before the common ones. Raises ValueError."""
    stripped = text.strip()
    if words is not None and stripped in words:
        return stripped == words[1]
    if stripped.lower() in _OFF + _ON:
        return stripped.lower() in _ON
    raise ValueError(f"{stripped!r} is neither on nor off (write 1 or 0)")


def canonical(knob: Knob, text: str, vcpus: int | None = None) -> str:
    """The value that `text` means, as the lab writes it: bools 0 or 1, integers in the knob's unit, cpulists short.

    `vcpus` is how many the guest has, where that is known. Raises ValueError for a value that the knob cannot have.
    """
    if knob.kind == "bool":
        return str(int(parse_bool(text)))
    if knob.kind == "integer":
        return _canonical_integer(knob, text)
    if knob.kind == "cpulist":
        return _canonical_cpulist(knob, text, vcpus)
    if knob.choices and text not in knob.choices:
        raise ValueError(f"expected {' or '.join(knob.choices)}, found {text!r}")
    return text


def _canonical_integer(knob: Knob, text: str) -> str:
    value = parse_quantity(text, knob.unit)
    _check_bounds(value, knob.minimum, knob.maximum, _unit_words(knob.unit))
    return str(value)


def _check_bounds(value: int, minimum: int | None, maximum: int | None, what: str) -> None:
    if minimum is not None and value < minimum:
        raise ValueError(f"{value}{what} is less than {minimum}")
    if maximum is not None and value > maximum:
        raise ValueError(f"{value}{what} is more than {maximum}")


def _unit_words(unit: str | None) -> str:
    return f" {UNITS[unit].words}" if unit else ""


def _canonical_cpulist(knob: Knob, text: str, vcpus: int | None) -> str:
    named = set(parse_cpulist(text))
    _check_bounds(len(named), knob.minimum, knob.maximum, " vCPUs")
    if vcpus is not None:
        beyond = [vcpu for vcpu in sorted(named) if vcpu >= vcpus]
        if beyond:
            raise ValueError(f"vCPU {format_cpulist(beyond)} does not exist (vcpus: {vcpus})")
        if vcpus - len(named) < knob.leaves:
            raise ValueError(f"{text} would leave no vCPU (there are {vcpus})")
    return format_cpulist(named)


def conversion(knob: Knob, backend: Backend, vcpus: int) -> Conversion:
    """How values of `knob` are kept in `backend`, in a guest of so many vCPUs."""
    return Conversion(
        kind=knob.kind,
        unit=knob.unit,
        place_unit=backend.unit or knob.unit,
        complement=backend.complement,
        inverted=backend.inverted,
        words=backend.words,
        vcpus=vcpus,
    )


def to_raw(how: Conversion, value: str) -> str:
    """What the place holds for a canonical `value`. Raises ValueError where it cannot hold that."""
    if how.kind == "bool":
        return how.words[parse_bool(value) is not how.inverted]
    if how.kind == "integer":
        return render_in(int(value), how.unit, how.place_unit)
    if how.kind == "cpulist" and how.complement:
        return _complement(value, how.vcpus)
    return value


def from_raw(how: Conversion, raw: str) -> str:
    """The knob's value, in canonical form, where the place holds `raw`. Raises ValueError if it cannot."""
    if how.kind == "bool":
        return str(int(parse_bool(raw, how.words) is not how.inverted))
    if how.kind == "integer":
        return parse_from(raw, how.unit, how.place_unit)
    if how.kind == "cpulist":
        return _complement(raw, how.vcpus) if how.complement else format_cpulist(parse_cpulist(raw))
    return raw.rstrip("\n")


def _complement(cpulist: str, vcpus: int) -> str:
    return format_cpulist(set(range(vcpus)) - set(parse_cpulist(cpulist)))


def same_value(kind: KnobKind, wanted: str, observed: str) -> bool:
    """Whether two texts mean the same: `0-1` is `0,1`, `Y` is `1`, `0500` is `500`."""
    if wanted.strip() == observed.strip():
        return True
    try:
        if kind == "bool":
            return parse_bool(wanted) == parse_bool(observed)
        if kind == "cpulist":
            return parse_cpulist(wanted) == parse_cpulist(observed)
        return kind == "integer" and parse_from(wanted, None, None) == parse_from(observed, None, None)
    except ValueError:
        return False


def fit(knob: Knob, backends: tuple[Backend, ...], text: str, vcpus: int) -> Fits:
    """`text` for every one of `backends`. Raises ValueError for a value that the knob, or every place, refuses."""
    value = canonical(knob, text, vcpus if knob.scope == "guest" else None)
    fits, left_out = [], []
    for backend in backends:
        try:
            fits.append(Fit(backend, _bounded(knob, backend, value, vcpus)))
        except ValueError as error:
            left_out.append(f"{backend.generation} ({backend.kind} {backend.path}): {error}")
    if left_out and not fits:
        raise ValueError("no place can hold that: " + "; ".join(left_out))
    return Fits(value, tuple(fits), tuple(left_out))


def _bounded(knob: Knob, backend: Backend, value: str, vcpus: int) -> str:
    raw = to_raw(conversion(knob, backend, vcpus), value)
    if backend.minimum is not None or backend.maximum is not None:
        _check_bounds(int(raw), backend.minimum, backend.maximum, _unit_words(backend.unit or knob.unit))
    return raw
