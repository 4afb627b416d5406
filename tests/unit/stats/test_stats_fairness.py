# SPDX-License-Identifier: GPL-2.0-only
"""Jain's index."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.stats.fairness import jain_index


def test_jains_index_by_hand() -> None:
    assert jain_index([1, 1, 1, 1]) == 1.0
    assert jain_index([1, 0, 0, 0]) == 0.25
    assert jain_index([4, 2]) == pytest.approx(36 / 40)
    assert jain_index([]) is None
    assert jain_index([0, 0]) is None


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=20), st.floats(0.001, 1000))
@settings(deadline=None)
def test_jains_index_lies_between_one_and_its_share_and_knows_no_unit(
    shares: list[float], unit: float
) -> None:
    index = jain_index(shares)
    assert index is not None
    assert 1 / len(shares) - 1e-9 <= index <= 1 + 1e-9
    assert jain_index([unit * share for share in shares]) == pytest.approx(index)
