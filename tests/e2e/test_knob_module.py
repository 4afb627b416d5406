# SPDX-License-Identifier: GPL-2.0-only
"""Knobs on three kernels side by side: one that has none, the reference series, and one whose module has parameters
that are fixed while it is loaded, known by the user's own file only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_lab import call

MODULE = Path(__file__).parent / "data/module.yaml"
#: What the module is loaded with at first; the others are the driver's own.
LOADED = {"hw_queue_depth": "32", "irqmode": "2", "completion_nsec": "20000"}


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


def test_probe_names_the_generation_and_the_places_of_each_kernel() -> None:
    reference, module, plain = (call("knob", "probe", node) for node in ("paravirt", "module", "plain"))
    assert (reference.status, module.status, plain.status) == (0, 0, 0), (
        plain.err + module.err + reference.err
    )
    assert "reference" in reference.out
    assert "/sys/devices/system/cpu/paravirt" in reference.out
    assert "null_blk" not in reference.out
    assert "null-blk" in module.out
    assert "null_blk/" in module.out and "hw_queue_depth" in module.out
    for out in (module.out, plain.out):
        assert "/sys/devices/system/cpu/paravirt" not in out
    assert "hw_queue_depth" not in plain.out


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
