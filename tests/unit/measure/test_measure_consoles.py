# SPDX-License-Identifier: GPL-2.0-only
"""Consoles as guests really left them, with the kernel's version in their names (tests/data/consoles)."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.measure.consolefindings import parse_findings

CONSOLES = Path(__file__).parents[2] / "data/consoles"


def test_a_crash_by_sysrq():
    """Debian's 6.12.117 with the lab's config: without CONFIG_DEBUG_BUGVERBOSE a panic has no call trace."""
    (found,) = parse_findings((CONSOLES / "panic-sysrq-6.12.117.console").read_bytes())
    assert (found.kind, found.line, found.time_s) == ("panic", 2, 7.243271)
    assert found.text == "Kernel panic - not syncing: sysrq triggered crash"
    assert found.trace == ()


@pytest.mark.parametrize(
    ("name", "kind", "place", "process", "panic"),
    [
        ("oops", "oops", "lab_planted_oops.constprop.0+0x0/0x10", "sh", "Fatal exception"),
        ("warning", "warning", "lab_planted_warning", "sh", ""),
        ("soft-lockup", "soft-lockup", "lab_planted_lockup", "sh", ""),
        ("hung-task", "hung-task", "", "sh", ""),
        ("panic", "panic", "", "", ""),
    ],
)
def test_planted_trouble(name, kind, place, process, panic):
    """The same kernel with tests/e2e/data/patches/planted-trouble.patch."""
    found = parse_findings((CONSOLES / f"{name}-planted-6.12.117.console").read_bytes())
    assert {one.kind for one in found} == {kind}
    assert found[0].place.startswith(place)
    assert (found[0].process, found[0].panic) == (process, panic)
    assert all(one.time_s for one in found)
