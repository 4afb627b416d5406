# SPDX-License-Identifier: GPL-2.0-only
"""Knobs on the kernel's command line: what a guest is started with, and what it must be started anew for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from lab.plan.labplan import KnobCandidate, KnobSetting

#: A word of a command line; quotes keep spaces in one (Documentation/admin-guide/kernel-parameters.rst).
_WORD = re.compile(r'(?:[^\s"]|"[^"]*")+')


def cmdline_candidate(setting: KnobSetting) -> KnobCandidate | None:
    """The parameter that backs `setting`, whose guest then has to be started with it; None where a file may.

    A place that a running kernel has comes before its command line, so only a setting that has nothing else counts
    here.
    """
    if not setting.candidates or any(one.kind != "cmdline" for one in setting.candidates):
        return None
    return setting.candidates[0]


def cmdline_parameters(settings: Iterable[KnobSetting], node: str) -> dict[str, str]:
    """What `settings` say of the command line of `node`, by parameter; of several values, the last."""
    found = {}
    for setting in settings:
        candidate = cmdline_candidate(setting) if setting.node == node else None
        if candidate is not None:
            found[candidate.path] = candidate.raw
    return found


def override_cmdline(cmdline: str, parameters: Mapping[str, str]) -> str:
    """`cmdline` with every one of `parameters` once, at its end, and no earlier word that sets it.

    An empty value leaves the parameter out; one that is the parameter's own name stands alone, as flags do. Spaces
    need quotes, and get them.
    """
    kept = [word for word in _WORD.findall(cmdline) if word.partition("=")[0] not in parameters]
    return " ".join([*kept, *(_word(name, raw) for name, raw in parameters.items() if raw)])


def words_of(cmdline: str) -> list[str]:
    """The words of a command line, with their quotes."""
    return _WORD.findall(cmdline)


def read_parameter(cmdline: str, name: str) -> str:
    """What `cmdline` sets the parameter `name` to, as `override_cmdline` takes it; of several values, the last."""
    words = [word.partition("=") for word in _WORD.findall(cmdline)]
    found = (value if equals else name for key, equals, value in reversed(words) if key == name)
    return next(found, "").strip('"')


def _word(name: str, raw: str) -> str:
    if raw == name:
        return name
    return f'{name}="{raw}"' if raw.split() != [raw] else f"{name}={raw}"


def restarted_nodes(settings: Iterable[KnobSetting]) -> tuple[str, ...]:
    """The nodes that have to be started anew for `settings`, in order."""
    return tuple(dict.fromkeys(one.node for one in settings if cmdline_candidate(one) is not None))
