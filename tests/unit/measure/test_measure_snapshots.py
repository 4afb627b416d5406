# SPDX-License-Identifier: GPL-2.0-only
"""Snapshots of a host as lines of its probe's stream."""

from __future__ import annotations

import pytest

from lab.measure.probestream import StreamError, parse_stream
from lab.measure.snapshots import KERNEL, NOBODY

HELLO = b"pvprobe 1 host interval_ms=100 boot_ns=1000 tasks=1\n"
SNAPSHOT = (
    b"s 2000 phase-start contended\n"
    b"k cpu0 10 1 2 300 4 5 6 7 8 9\n"
    b"p cpu0 0 0 0 0 0 0 123456789 55 66\n"
    b"t 71 70 guest1 1 999 5000 0 0-1,3 CPU 0/KVM\n"
    b"t 15 15 @kernel 0 25 77 0 - rcu_preempt\n"
    b"t 90 90 - 0 1200 88 40000000 0 burn (a b)\n"
    b"c 71 /machine/qemu-1/vcpu0\n"
    b"f /sys/fs/cgroup/machine/qemu-1/vcpu0/cpu.max max 100000\n"
    b"f /sys/devices/system/cpu/smt/control -\n"
    b"z 2600 400\n"
)
SAMPLE = b"b 0 3000\nk cpu0 10 1 2 300 4 5 6 7 8 9\ne 0 3500 99\n"


def test_a_snapshot_becomes_data() -> None:
    stream = parse_stream(HELLO + SNAPSHOT + SAMPLE + SNAPSHOT.replace(b"s 2000", b"s 2500"))
    first, second = stream.snapshots
    assert (first.name, first.t0_ns, first.t1_ns, first.cost_ns) == ("phase-start contended", 2000, 2600, 400)
    assert first.cpus[0].idle == 300 and first.run_ns == {0: 123456789}
    vcpu, kernel, burn = first.tasks
    assert (vcpu.tid, vcpu.pid, vcpu.owner, vcpu.pcpu, vcpu.key) == (71, 70, "guest1", 1, (71, 999))
    assert (vcpu.run_ns, vcpu.affinity, vcpu.name) == (5000, (0, 1, 3), "CPU 0/KVM")
    assert (kernel.owner, kernel.affinity) == (KERNEL, ())
    assert (burn.owner, burn.children_ns, burn.name) == (NOBODY, 40_000_000, "burn (a b)")
    assert first.groups == {71: "/machine/qemu-1/vcpu0"}
    assert first.files == {
        "/sys/fs/cgroup/machine/qemu-1/vcpu0/cpu.max": "max 100000",
        "/sys/devices/system/cpu/smt/control": "",
    }
    assert second.t0_ns == 2500 and len(stream.samples) == 1


@pytest.mark.parametrize("cut", range(0, len(SNAPSHOT) - 1, 7))
def test_an_unfinished_snapshot_is_left_out(cut: int) -> None:
    assert not parse_stream(HELLO + SNAPSHOT[:cut]).snapshots


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"t 15 15", b"t 15", "cannot be read"),
        (b"t 15 15", b"t 15 x", "'x' is not a number"),
        (b"0-1,3", b"1-0", "cannot be read"),
        (b"p cpu0", b"p domain0", "is no CPU's line of /proc/schedstat"),
        (b"p cpu0 0 0 0 0 0 0 123456789 55 66", b"p cpu0 1 2", "cannot be read"),
        (b"z 2600", b"z 1600", "snapshot ends before its begin"),
        (b"k cpu0", b"v cpu0", "line stands inside of a snapshot"),
    ],
)
def test_damage_is_named(old: bytes, new: bytes, problem: str) -> None:
    with pytest.raises(StreamError, match=problem):
        parse_stream(HELLO + SNAPSHOT.replace(old, new))


def test_a_guest_takes_no_snapshots() -> None:
    with pytest.raises(StreamError, match="belongs to a host's stream"):
        parse_stream(HELLO.replace(b"host", b"guest") + SNAPSHOT)
