# SPDX-License-Identifier: GPL-2.0-only
"""Takers in words."""

from __future__ import annotations

import pytest

from lab.trace.model import Thread
from lab.trace.takers import is_hog, name_taker

THREADS = {
    1: Thread(1, "guest2", "vcpu 1", 1),
    2: Thread(2, "guest2", "emulator"),
    3: Thread(3, "noisy", "thread 0"),
    4: Thread(4, "guest2", "iothread"),
}


@pytest.mark.parametrize(
    ("tid", "text"),
    [
        (1, "guest2 vcpu 1"),
        (2, "guest2 emulator"),
        (3, "hog noisy"),
        (4, "guest2 iothread"),
        (0, "idle"),
        (-1, "unknown"),
        (50, "foreign thread 50"),
        (51, "kernel own-name"),
    ],
)
def test_threads_go_by_what_they_are_in_the_lab(tid: int, text: str) -> None:
    assert name_taker(tid, {1: "CPU 1/KVM", 51: "own-name"}, THREADS, kernel_tids={51}) == text


@pytest.mark.parametrize(
    "name",
    [
        "kworker/0:1",
        "ksoftirqd/3",
        "migration/0",
        "rcu_preempt",
        "rcu_tasks_kthre",
        "rcuop/2",
        "cpuhp/1",
        "kthreadd",
        "kswapd0",
        "vhost-1234",
        "kvm-nx-lpage-re",
        "irq/24-virtio1",
    ],
)
def test_kernel_threads_go_by_their_names(name: str) -> None:
    assert name_taker(9, {9: name}, THREADS) == f"kernel {name}"


@pytest.mark.parametrize(
    "name", ["bash", "rcubed", "my kworker/0", "ksoftirq", "systemd", "vhostd", "watchdogger"]
)
def test_others_are_foreign(name: str) -> None:
    assert name_taker(9, {9: name}, THREADS) == f"foreign {name}"


def test_only_threads_of_hogs_are_hogs() -> None:
    assert [tid for tid, thread in THREADS.items() if is_hog(thread)] == [3]
