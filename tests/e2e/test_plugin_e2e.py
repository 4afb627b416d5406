# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin as its users write it, on real guests."""

from __future__ import annotations

import pytest

from lab.errors import InputError, KnobError

pytestmark = pytest.mark.lab("../../topologies/quickstart.yaml")


def test_folding_removes_steal(lab):
    lab.load("busy").start()
    before = lab.measure("contended", seconds=10)
    lab.knob("guest1", "avoid_cpus").set("1")
    lab.knob("guest2", "avoid_cpus").set("0")
    after = lab.measure("folded", seconds=10)
    lab.load("busy").stop()
    assert 35 < before.steal("guest1", 0) < 65
    assert after.steal("guest1", 0) < 8
    assert after.affinities("busy") == before.affinities("busy")


def test_refused_write_changes_nothing(lab):
    """By its name the lab knows better; the path goes to the kernel as it is, which refuses."""
    knob = lab.knob("guest1", "avoid_cpus")
    file = lab.knob("guest1", "/sys/devices/system/cpu/paravirt")
    knob.set("1")
    for refused in ("0-1", "7"):
        with pytest.raises(InputError, match="avoid_cpus"):
            knob.set(refused)
        with pytest.raises(KnobError, match="EINVAL"):
            file.set(refused)
        assert knob.get() == "1"
