# SPDX-License-Identifier: GPL-2.0-only
"""One command folds two contending guests by one mechanism after the other, and prints what each took and left."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_lab import ROOT, call, run_until_decided


@pytest.mark.long
def test_one_run_compares_mechanisms(tmp_path: Path, figures: Callable[..., None]) -> None:
    done, recording = run_until_decided(ROOT / "topologies/fold-compare.yaml", tmp_path)
    table = done.out.partition("Folding\n")[2].partition("\n\n")[0]
    figures(*table.splitlines())
    assert done.status == 0, done.out + done.err
    assert table
    document = json.loads(call("check", recording, "--json").out)
    folds = {fold["phase"]: fold for fold in document["foldings"]}
    assert [folds[name]["by"] for name in ("mask", "hotplug", "cpuset")] == ["mask", "hotplug", "cpuset"]
    for name in ("mask", "hotplug", "cpuset"):
        assert [node["vcpus"] for node in folds[name]["nodes"]] == [[1], [1]]
        assert folds[name]["effect_ns"] is not None
    assert _kept(folds["pin-mask"], "pinned") == (True, True)
    assert _kept(folds["pin-hotplug"], "pinned") == (False, False)


def _kept(fold: dict[str, object], load: str) -> tuple[bool, bool]:
    """Whether the load's tasks had their affinity while folded, and after."""
    loads = fold["loads"]
    assert isinstance(loads, list)
    (found,) = [one for one in loads if one["load"] == load]
    return found["affinity_kept"], found["affinity_kept_after"]
