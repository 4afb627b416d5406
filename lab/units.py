# SPDX-License-Identifier: GPL-2.0-only
"""Text forms of the quantities the lab deals in: cpulists, durations, sizes, percentages."""

from __future__ import annotations

import re
from collections.abc import Iterable

_DURATION_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "min": 60_000_000_000}
_SIZE_MIB = {"MiB": 1, "M": 1, "GiB": 1024, "G": 1024}
# Twelve digits are enough for any quantity here, and keep a number from becoming infinite.
_NUMBER_AND_UNIT = re.compile(r"\s*([0-9]{1,12}(?:\.[0-9]{1,12})?)\s*([A-Za-z]*)\s*")
_PERCENTAGE = re.compile(r"\s*([0-9]{1,12}(?:\.[0-9]{1,12})?)\s*%\s*")
_CPU_OR_RANGE = re.compile(r"([0-9]{1,12})(?:-([0-9]{1,12}))?")

#: Largest CPU number a cpulist may name; the kernel's own CONFIG_NR_CPUS limit on x86 is 8192.
MAX_CPU = 8191


def parse_cpulist(text: str) -> tuple[int, ...]:
    """CPU numbers named by a cpulist such as ``0-2,5``, sorted and unique; ``""`` is the empty tuple.

    The format is the kernel's (Documentation/admin-guide/cputopology.rst), without strides.
    Raises ValueError, whose text says what is wrong.
    """
    cpus: set[int] = set()
    for part in filter(None, (piece.strip() for piece in text.strip().split(","))):
        match = _CPU_OR_RANGE.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is not a CPU number or range (a cpulist looks like 0-2,5)")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ValueError(f"range {part!r} runs backwards")
        if last > MAX_CPU:
            raise ValueError(f"CPU {last} is larger than {MAX_CPU}")
        cpus.update(range(first, last + 1))
    return tuple(sorted(cpus))


def parse_cpulists(text: str) -> tuple[tuple[int, ...], ...]:
    """Groups of CPUs, written as cpulists with spaces between: each once, in order of its first CPU.

    Raises ValueError as `parse_cpulist` does.
    """
    return tuple(sorted({parse_cpulist(word) for word in text.split()}))


def format_cpulist(cpus: Iterable[int]) -> str:
    """The shortest cpulist that names exactly `cpus`."""
    parts: list[str] = []
    run: list[int] = []
    for cpu in [*sorted(set(cpus)), None]:
        if run and (cpu is None or cpu != run[-1] + 1):
            parts.append(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}")
            run = []
        if cpu is not None:
            run.append(cpu)
    return ",".join(parts)


def _number_and_unit(text: str, what: str, example: str) -> tuple[float, str]:
    match = _NUMBER_AND_UNIT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a {what} (write for example {example})")
    return float(match[1]), match[2]


def parse_duration_ns(text: str) -> int:
    """Nanoseconds in ``250ms``, ``20s``, ``2min``; the unit is required. Raises ValueError."""
    value, unit = _number_and_unit(text, "duration", "20s")
    if unit not in _DURATION_NS:
        raise ValueError(f"duration {text!r} needs a unit out of {', '.join(_DURATION_NS)}")
    return round(value * _DURATION_NS[unit])


def parse_size_mib(text: str) -> int:
    """MiB in ``256MiB`` or ``2GiB``; the unit is required. Raises ValueError."""
    value, unit = _number_and_unit(text, "size", "256MiB")
    if unit not in _SIZE_MIB:
        raise ValueError(f"size {text!r} needs a unit out of {', '.join(_SIZE_MIB)}")
    mib = value * _SIZE_MIB[unit]
    if mib != int(mib):
        raise ValueError(f"size {text!r} is not a whole number of MiB")
    return int(mib)


def parse_percent(text: str) -> float:
    """50.0 for ``50%``; the sign is required so that 0.5 and 50 cannot be confused. Raises ValueError."""
    match = _PERCENTAGE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a percentage (write for example 50%)")
    return float(match[1])


def format_seconds(duration_ns: int) -> str:
    """`duration_ns` in seconds with one decimal: ``20.0 s``."""
    return f"{duration_ns / 1e9:.1f} s"


def format_duration(duration_ns: int) -> str:
    """As files have it, in the largest unit that needs no decimals: ``2s``, ``250ms``, ``0s``."""
    fitting = [
        (size, unit) for unit, size in _DURATION_NS.items() if duration_ns % size == 0 and unit != "min"
    ]
    size, unit = max(fitting)
    return f"{duration_ns // size}{unit}"
