# SPDX-License-Identifier: GPL-2.0-only
"""What libvirt's errors become."""

from __future__ import annotations

import libvirt
import pytest

from lab.adapters.libvirt import translated, vcpu_counters
from lab.errors import HostLost, LabFailure


@pytest.fixture(autouse=True)
def no_earlier_error() -> None:
    """libvirtError takes the words of the thread's last error where there is one, whatever it is made with."""
    libvirt.virResetLastError()


@pytest.mark.parametrize(
    "said",
    [
        "Cannot write data: Broken pipe",
        "Cannot recv data: Connection reset by peer",
        "internal error: client socket is closed",
        "End of file while reading data: Input/output error",
        "internal error: connection closed due to keepalive timeout",
    ],
)
def test_an_end_of_the_connection_is_a_lost_host(said: str) -> None:
    with pytest.raises(HostLost, match="listing domains"), translated("listing domains"):
        raise libvirt.libvirtError(said)


def test_a_refusal_is_the_labs_failure() -> None:
    with pytest.raises(LabFailure) as raised, translated("starting a domain"):
        raise libvirt.libvirtError("operation failed: domain 'x' already exists")
    assert not isinstance(raised.value, HostLost)
    assert "already exists" in raised.value.message


def test_counters_are_all_that_libvirt_and_kvm_count_of_a_vcpu() -> None:
    stats = {
        "vcpu.current": 2,
        "vcpu.0.state": 1,
        "vcpu.0.time": 70,
        "vcpu.0.wait": 5,
        "vcpu.0.delay": 6,
        "vcpu.0.halted": False,
        "vcpu.0.exits.sum": 9,
        "vcpu.0.guest_mode.cur": 1,
        "vcpu.0.halt_poll_success_hist.sum": 3,
        "vcpu.11.directed_yield_attempted.sum": 4,
    }
    assert vcpu_counters(stats) == {
        0: {"time": 70, "wait": 5, "delay": 6, "exits": 9, "halt_poll_success_hist": 3},
        11: {"directed_yield_attempted": 4},
    }
