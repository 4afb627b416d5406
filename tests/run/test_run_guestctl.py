# SPDX-License-Identifier: GPL-2.0-only
"""Knobs and loads over a shell."""

from __future__ import annotations

import pytest
from fakehost import FakeGuestShell
from fakeworld import STUBBORN, FakeWorld
from run.bench import FOREIGN_XML

from lab.errors import CommandFailed, KnobError
from lab.plan.knobs import plan_knob
from lab.plan.labplan import LoadPlan
from lab.run.guestctl import KnobRefusedError, read_knob, same_value, start_load, stop_load, write_knob

TWO_VCPUS = FOREIGN_XML.replace("<vcpu>1<", "<vcpu>2<")


@pytest.fixture
def shell():
    world = FakeWorld()
    world.start_guest(TWO_VCPUS)
    return FakeGuestShell(world, world.guests["foreign"])


def test_a_write_is_read_back_with_both_values_and_clocks(shell):
    change = write_knob(shell, plan_knob("guest1", "avoid_cpus", "1"))
    assert (change.old, change.new) == ("", "1")
    assert change.guest_t0_ns < change.guest_t1_ns
    assert read_knob(shell, plan_knob("guest1", "avoid_cpus", "")) == "1"


def test_a_knob_is_cleared(shell):
    write_knob(shell, plan_knob("guest1", "avoid_cpus", "1"))
    change = write_knob(shell, plan_knob("guest1", "avoid_cpus", ""))
    assert (change.old, change.new) == ("1", "")


@pytest.mark.parametrize("value", ["0-1", "5"])
def test_a_refused_value(shell, value):
    with pytest.raises(KnobRefusedError, match=r"avoid_cpus on guest1: /sys.*Invalid argument"):
        write_knob(shell, plan_knob("guest1", "avoid_cpus", value))


def test_a_knob_that_this_kernel_lacks(shell):
    with pytest.raises(KnobRefusedError, match="No such file") as caught:
        read_knob(shell, plan_knob("guest1", "/sys/nothing", ""))
    assert "lab exec guest1" in str(caught.value.hint)


def test_another_value_read_back(shell):
    with pytest.raises(KnobError, match=f"wrote '1' to {STUBBORN}, read back '0'") as caught:
        write_knob(shell, plan_knob("guest1", STUBBORN, "1"))
    assert not isinstance(caught.value, KnobRefusedError)


@pytest.mark.parametrize(
    ("kind", "wanted", "observed", "same"),
    [
        ("cpulist", "0-1", "0,1", True),
        ("cpulist", "1,0", "0-1\n", True),
        ("cpulist", "", "", True),
        ("cpulist", "", "\n", True),
        ("cpulist", "0", "0-1", False),
        ("cpulist", "0", "", False),
        ("cpulist", "0", "nonsense", False),
        ("text", "0-1", "0,1", False),
        ("text", "on ", "on", True),
    ],
)
def test_values_are_compared_by_what_they_mean(kind, wanted, observed, same):
    assert same_value(kind, wanted, observed) is same


def test_loads(shell):
    load = LoadPlan("busy", "guest1", "spin", 3, (1,))
    start_load(shell, load)
    assert shell.guest.loads["busy"].tasks == 3
    assert shell.guest.loads["busy"].vcpus == (1,)
    stop_load(shell, load)
    assert shell.guest.loads == {}


def test_an_unpinned_load_is_not_pinned_to_all(shell):
    start_load(shell, LoadPlan("busy", "guest1", "spin", 1, ()))
    assert shell.guest.loads["busy"].vcpus == ()


def test_a_load_cannot_run_twice(shell):
    load = LoadPlan("busy", "guest1", "spin", 1, ())
    start_load(shell, load)
    with pytest.raises(CommandFailed):
        start_load(shell, load)
