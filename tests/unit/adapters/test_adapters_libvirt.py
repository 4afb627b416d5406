# SPDX-License-Identifier: GPL-2.0-only
"""What libvirt's errors become."""

from __future__ import annotations

import libvirt
import pytest

from lab.adapters.libvirt import translated
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
