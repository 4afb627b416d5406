# SPDX-License-Identifier: GPL-2.0-only
"""Consoles as guests really left them, with the kernel's version in their names (tests/data/consoles)."""

from __future__ import annotations

from pathlib import Path

from lab.measure.consolefindings import parse_findings

CONSOLES = Path(__file__).parents[2] / "data/consoles"


def test_a_crash_by_sysrq():
    """Debian's 6.12.117 with the lab's config: without CONFIG_DEBUG_BUGVERBOSE a panic has no call trace."""
    (found,) = parse_findings((CONSOLES / "panic-sysrq-6.12.117.console").read_bytes())
    assert (found.kind, found.line, found.time_s) == ("panic", 2, 7.243271)
    assert found.text == "Kernel panic - not syncing: sysrq triggered crash"
    assert found.trace == ()
