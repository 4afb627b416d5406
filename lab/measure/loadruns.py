# SPDX-License-Identifier: GPL-2.0-only
"""Runs of loads: how they ended, and what they said (images/probe/pvload.c)."""

from __future__ import annotations

from dataclasses import dataclass


class RunStatusError(ValueError):
    """A status file that cannot be read."""


@dataclass(frozen=True)
class LoadOutput:
    """What run number `number` of a load left behind, as bytes."""

    load: str
    number: int
    status: bytes
    output: bytes


@dataclass(frozen=True)
class RunStatus:
    """How a run ended; times are of the guest's CLOCK_MONOTONIC. `at_ns` 0: it was to begin at once; `begin_ns` 0:
    it never began. `status` is 128 + N where signal N ended it. `lost` bytes of `written` were not kept."""

    at_ns: int
    begin_ns: int
    end_ns: int
    status: int
    stopped: bool
    written: int
    lost: int
    user_ns: int
    system_ns: int


def parse_status(data: bytes) -> RunStatus:
    """A status file. Raises RunStatusError; a file that is not whole does not exist in a guest."""
    lines = [line.split() for line in data.decode(errors="replace").splitlines()]
    if not lines or lines[0] != ["pvload", "1"]:
        raise RunStatusError("does not begin with `pvload 1`")
    try:
        found = {key: int(value) for key, value in lines[1:]}
        return RunStatus(
            at_ns=found["at"],
            begin_ns=found["begin"],
            end_ns=found["end"],
            status=found["status"],
            stopped=bool(found["stopped"]),
            written=found["written"],
            lost=found["lost"],
            user_ns=found["user"],
            system_ns=found["system"],
        )
    except (KeyError, ValueError) as error:
        raise RunStatusError(f"lacks or garbles a value ({error})") from None
