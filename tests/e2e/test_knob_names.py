# SPDX-License-Identifier: GPL-2.0-only
"""Every shipped knob that no version of an interface changes is driven by its name on an unpatched kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_lab import call

from lab.knobs.load import shipped_registry
from lab.knobs.model import Registry

NAMES = Path(__file__).parent / "data/knob-names.yaml"
SHIPPED: Registry = shipped_registry()
#: A value other than the usual one, by knob. nohz_full has its own test: it takes another kernel and a new start.
VALUES = {
    "cpu_online": "0",
    "guest.weight": "200",
    "isolated_cpus": "1",
    "kvm.halt_poll": "100000",
    "sched.base_slice": "5000000",
    "sched.rt_runtime": "900000",
    "sched.wakeup_preemption": "0",
    "vcpu.quota": "60",
    "vcpu.weight": "50",
}


@pytest.fixture(scope="module", autouse=True)
def plain_kernel() -> Iterator[None]:
    up = call("up", NAMES)
    assert up.status == 0, up.err
    try:
        yield
    finally:
        assert call("down").status == 0


def whose(name: str) -> str:
    return "--host" if SHIPPED.knobs[name].scope == "host" else "plain"


def get(name: str, of: str = "plain") -> str:
    done = call("knob", "get", of, name)
    assert done.status == 0, done.err
    return done.out.strip()


def test_no_shipped_knob_is_forgotten_here() -> None:
    generic = {
        name
        for name, places in SHIPPED.backends.items()
        if all(one.generation == "generic" for one in places)
    }
    assert generic == {*VALUES, "nohz_full"}


def test_settings_of_the_topology_are_written_in_the_places_own_unit() -> None:
    assert get("panic_timeout") == "7000"
    assert call("exec", "plain", "--", "cat", "/proc/sys/kernel/panic").out.strip() == "7"
    assert get("kvm.halt_poll", "--host") == "150000"


def test_each_is_written_read_back_and_restored() -> None:
    before = {name: get(name, whose(name)) for name in VALUES}
    assert not [name for name in VALUES if before[name] == VALUES[name]]
    for name, value in VALUES.items():
        done = call("knob", "set", whose(name), name, value)
        assert done.status == 0, done.err
        assert get(name, whose(name)) == value
    restored = call("knob", "restore")
    assert restored.status == 0, restored.err
    # What the topology had set is taken back, too: what the lab found comes back.
    after = {name: get(name, whose(name)) for name in VALUES}
    assert {**after, "kvm.halt_poll": None} == {**before, "kvm.halt_poll": None}
    assert after["kvm.halt_poll"] not in ("100000", "150000")


def test_what_the_kernel_lacks_is_said_with_what_was_looked_for() -> None:
    done = call("knob", "set", "plain", "steal.high", "5%")
    assert done.status != 0
    for place in ("sched/paravirt_governor/high_threshold", "steal_governor", "powerpc/steal_ratio_high"):
        assert place in done.err
