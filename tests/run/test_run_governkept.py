# SPDX-License-Identifier: GPL-2.0-only
"""Governors of a kept lab over a fake host: they listen, govern, and take back what they folded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from run.bench import Bench

from lab.errors import GuestLost
from lab.plan.labplan import GovernPlan
from lab.run.events import Journal
from lab.run.governkept import govern_kept
from lab.run.lab import Lab, open_lab
from lab.run.phases import PhaseRunner

MASK = "/sys/devices/system/cpu/paravirt"
TEXT = """\
nodes: [{name: guest, count: 2, vcpus: 4, memory: 256MiB, pinning: spread}]
load: [{name: one, nodes: guest1, tasks: 4}, {name: two, nodes: guest2, tasks: 4}]
"""


def by_steal(node: str) -> GovernPlan:
    return GovernPlan(node, "steal", 30.0, 10.0, 500_000_000, "last", "mask", 1)


def by_host(node: str) -> GovernPlan:
    return GovernPlan(node, "host", None, None, 500_000_000, "last", "mask", 1)


@dataclass
class Kept:
    """A lab with busy guests; what was decided, with the masks as they were then."""

    bench: Bench
    lab: Lab
    told: list[dict[str, Any]] = field(default_factory=list)
    held: int = 0

    def masks(self) -> dict[str, str]:
        return {one.node: one.knobs[MASK] for one in self.bench.world.guests.values() if one.node}

    def tell(self, t_ns: int, kind: str, **data: Any) -> None:
        assert kind == "govern"
        self.told.append({**data, "t_ns": t_ns, "masks": self.masks()})

    @contextmanager
    def uninterrupted(self) -> Iterator[None]:
        self.held += 1
        yield

    def govern(self, *governs: GovernPlan, seconds: float | None = 4.0) -> None:
        govern_kept(
            self.lab.host,
            self.lab.plan,
            dict(self.lab.boot.guests),
            self.lab.knobs,
            governs,
            self.tell,
            seconds,
            self.uninterrupted,
            self.bench.world.monotonic,
        )


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    bench = Bench(tmp_path, text=TEXT)
    with open_lab(bench.host, bench.plan(), bench.around, Journal()) as lab:
        PhaseRunner(lab, bench.narrator, lambda _stats: None).start_loads(["one", "two"])
        yield Kept(bench, lab)


def test_it_governs_and_takes_back_what_it_folded(kept: Kept) -> None:
    kept.govern(by_steal("guest1"), by_steal("guest2"))
    assert [one["after"] for one in kept.told if one["node"] == "guest1"][:2] == ["3", "2-3"]
    assert kept.told[-1]["masks"] == {"guest1": "2-3", "guest2": "2-3"}
    assert kept.masks() == {"guest1": "", "guest2": ""}
    assert kept.held == 1


def test_a_guest_that_is_not_governed_is_left_alone(kept: Kept) -> None:
    kept.govern(by_host("guest2"))
    assert {one["node"] for one in kept.told} == {"guest2"}
    assert {one["masks"]["guest1"] for one in kept.told} == {""}


def test_ctrl_c_unfolds(kept: Kept) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    kept.bench.world.at(8_000_000_000, interrupt)
    with pytest.raises(KeyboardInterrupt):
        kept.govern(by_steal("guest1"), seconds=None)
    assert kept.told[-1]["masks"]["guest1"] != ""
    assert kept.masks()["guest1"] == "" and kept.held == 1


def test_an_interrupt_in_the_middle_of_a_write_unfolds_too(kept: Kept) -> None:
    """Whatever the write had done by then: afterwards nothing is folded."""

    written: list[str] = []
    shell = kept.lab.shells["guest1"]
    run = shell.run

    def run_and_interrupt(command: str, **more: Any) -> Any:
        done = run(command, **more)
        if " set " not in command:
            return done
        written.append(command)
        if len(written) == 1:
            raise KeyboardInterrupt
        return done

    shell.run = run_and_interrupt  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        kept.govern(by_steal("guest1"), seconds=None)
    assert len(written) == 2
    assert kept.masks()["guest1"] == ""


def test_a_guest_that_dies_meanwhile_is_a_lost_guest(kept: Kept) -> None:
    victim = next(one for one in kept.bench.world.guests.values() if one.node == "guest2")
    kept.bench.world.at(4_000_000_000, lambda: kept.bench.world.kill_guest(victim))
    with pytest.raises(GuestLost, match="guest2"):
        kept.govern(by_steal("guest1"), seconds=None)
    assert kept.masks()["guest1"] == ""
