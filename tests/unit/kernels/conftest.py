# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the shipped patch series; those that need a kernel tree take it from LAB_KERNEL_TREE."""

import os
from pathlib import Path

import pytest

TREE_VARIABLE = "LAB_KERNEL_TREE"
HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect, and so count as such, what needs a kernel tree when none is given."""
    if os.environ.get(TREE_VARIABLE):
        return
    # The hook sees the whole session's items, so the directory has to be asked for as well.
    needing = [item for item in items if item.path.parent == HERE and item.get_closest_marker("kernelbuild")]
    if needing:
        config.hook.pytest_deselected(items=needing)
        items[:] = [item for item in items if item not in needing]


@pytest.fixture
def kernel_tree() -> Path:
    """A pristine source tree of the version that the series is for; it is only read."""
    tree = Path(os.environ[TREE_VARIABLE])
    assert (tree / "MAINTAINERS").is_file(), f"{TREE_VARIABLE}={tree} is no kernel source tree"
    return tree
