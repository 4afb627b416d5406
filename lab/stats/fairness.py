# SPDX-License-Identifier: GPL-2.0-only
"""How evenly something is shared."""

from __future__ import annotations

from collections.abc import Sequence


def jain_index(shares: Sequence[float]) -> float | None:
    """(sum x)^2 / (n sum x^2): 1.0 where all shares are equal, 1/n where one has everything.

    Jain, Chiu, Hawe, A Quantitative Measure of Fairness and Discrimination for Resource Allocation,
    DEC-TR-301, 1984. None for no shares, and where nobody has anything.
    """
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares > 0 else None
