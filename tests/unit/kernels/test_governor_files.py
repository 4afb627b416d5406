# SPDX-License-Identifier: GPL-2.0-only
"""What the end-to-end tests read of the kernel's steal governor."""

from __future__ import annotations

from e2e.governor_files import MASK, GovernorState, parse_state


def output(mask: str, checks_after: int) -> str:
    lines = ["checks:7", "enable:1", "ratio:1667", "steps_down:3", "steps_up:1", "last_decision:hold"]
    return "\n".join([*lines, f"{MASK}:{mask}", f"checks:{checks_after}", ""])


def test_state_of_one_check() -> None:
    assert parse_state(output("1-3", 7)) == GovernorState(True, 7, 1667, 3, 1, "hold", "1-3")


def test_empty_mask() -> None:
    state = parse_state(output("", 7))
    assert state is not None and state.mask == ""


def test_check_that_comes_between_makes_no_state() -> None:
    assert parse_state(output("1-3", 8)) is None
