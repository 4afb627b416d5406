# SPDX-License-Identifier: GPL-2.0-only
"""Which places of knobs are files that can be read again and again while nobody writes them."""

from __future__ import annotations

from lab.knobs.model import Backend

_DIRECTORIES = {"file": "", "debugfs": "/sys/kernel/debug/"}


def watchable_path(place: Backend) -> str | None:
    """The file that a knob's place is in a guest; None where it is none, as a control group or a command line."""
    if place.kind == "module_parameter":
        module, _, parameter = place.path.partition("/")
        return f"/sys/module/{module}/parameters/{parameter}"
    if place.kind == "sysctl":
        return f"/proc/sys/{place.path.replace('.', '/')}"
    return None if place.kind not in _DIRECTORIES else _DIRECTORIES[place.kind] + place.path
