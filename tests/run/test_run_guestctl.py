# SPDX-License-Identifier: GPL-2.0-only
"""Loads over a shell."""

from __future__ import annotations

import pytest
from fakehost import FakeGuestShell
from fakeworld import FakeWorld
from run.bench import FOREIGN_XML

from lab.errors import CommandFailed
from lab.plan.labplan import LoadPlan
from lab.run.guestctl import start_load, stop_load

TWO_VCPUS = FOREIGN_XML.replace("<vcpu>1<", "<vcpu>2<")


@pytest.fixture
def shell():
    world = FakeWorld()
    world.start_guest(TWO_VCPUS)
    return FakeGuestShell(world, world.guests["foreign"])


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
