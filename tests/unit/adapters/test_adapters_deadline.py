# SPDX-License-Identifier: GPL-2.0-only
"""Calls that may never come back."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass

import pytest

from lab.adapters.deadline import bounded, within
from lab.errors import HostLost


@dataclass
class Machine:
    uri: str
    ended: threading.Event

    @bounded(0.05)
    def list_domains(self) -> list[str]:
        self.ended.wait(30)
        return []

    @bounded(30)
    def add(self, one: int, *, other: int) -> int:
        return one + other


@pytest.fixture
def machine() -> Machine:
    return Machine("test:///hangs", threading.Event())


def test_what_comes_back_is_given_on(machine: Machine) -> None:
    assert machine.add(1, other=2) == 3


def test_what_is_raised_is_raised_on() -> None:
    with pytest.raises(ZeroDivisionError):
        within(30, "dividing", lambda: 1 // 0)


def test_a_call_that_hangs_is_a_lost_host_and_says_which(machine: Machine) -> None:
    with pytest.raises(HostLost, match=r"test:///hangs: list domains: no answer within 0\.05 s"):
        machine.list_domains()
    machine.ended.set()


def test_an_interrupt_waits_for_the_call_to_come_back() -> None:
    finished: list[float] = []

    def call() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        finished.append(time.monotonic())

    with pytest.raises(KeyboardInterrupt):
        within(30, "starting", call)
    assert finished
