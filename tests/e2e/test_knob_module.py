# SPDX-License-Identifier: GPL-2.0-only
"""Knobs on three kernels side by side: one that has none, the reference series, and one whose module has parameters
that are fixed while it is loaded, known by the user's own file only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_lab import call

MODULE = Path(__file__).parent / "data/module.yaml"
KNOBS = {"avoid_cpus", "null.depth", "null.timer", "null.irqmode"}
#: What the module is loaded with at first; the others are the driver's own.
LOADED = {"hw_queue_depth": "32", "irqmode": "2", "completion_nsec": "20000"}


pytestmark = pytest.mark.long


@pytest.fixture(scope="module", autouse=True)
def three_kernels() -> Iterator[None]:
    up = call("up", MODULE)
    assert up.status == 0, up.err
    try:
        words = " ".join(f"{name}={value}" for name, value in LOADED.items())
        loaded = call("exec", "module", "--", "sh", "-c", f"modprobe null_blk {words}")
        assert loaded.status == 0, loaded.err
        yield
    finally:
        assert call("down").status == 0


def parameters() -> dict[str, str]:
    """All parameters of the loaded module by name."""
    command = "cd /sys/module/null_blk/parameters && grep . *"
    lines = call("exec", "module", "--", "sh", "-c", command).out.splitlines()
    return dict(line.split(":", 1) for line in lines)


def probed(node: str) -> tuple[str | None, dict[str, str]]:
    """The generation that a kernel has as a whole, and where it keeps those of the knobs here that it has."""
    done = call("knob", "probe", node, "--json")
    assert done.status == 0, done.err
    found = json.loads(done.out)
    places = {one["knob"]: one["place"] for one in found["knobs"] if one["knob"] in KNOBS and one["place"]}
    return found["generation"], places


def test_probe_names_the_generation_and_the_places_of_each_kernel() -> None:
    assert probed("plain") == (None, {})
    assert probed("paravirt") == ("reference", {"avoid_cpus": "/sys/devices/system/cpu/paravirt"})
    directory = "/sys/module/null_blk/parameters"
    assert probed("module") == (
        "null-blk",
        {
            "null.depth": f"{directory}/hw_queue_depth",
            "null.timer": f"{directory}/completion_nsec",
            "null.irqmode": f"{directory}/irqmode",
        },
    )
    told = call("knob", "probe", "plain").out
    assert "no known interface" in told
    assert "/sys/devices/system/cpu/paravirt" in told.partition("not in this kernel:")[2]


def test_a_parameter_changes_by_reload_and_all_others_are_kept() -> None:
    before = parameters()
    assert LOADED.items() <= before.items()
    done = call("knob", "set", "module", "null.depth", "128")
    assert done.status == 0, done.err
    assert parameters() == {**before, "hw_queue_depth": "128"}
    done = call("knob", "set", "module", "null.timer", "50us")
    assert done.status == 0, done.err
    assert parameters() == {**before, "hw_queue_depth": "128", "completion_nsec": "50000"}
    assert call("knob", "get", "module", "null.timer").out.strip() == "50"
    assert call("knob", "get", "module", "null.depth").out.strip() == "128"


def test_a_value_that_the_driver_refuses_leaves_the_module_as_it_was() -> None:
    before = parameters()
    refused = call("knob", "set", "module", "null.irqmode", "7")
    assert refused.status == 4, refused.out + refused.err
    assert "irqmode" in refused.err and "7" in refused.err
    assert "Traceback" not in refused.err
    assert parameters() == before
