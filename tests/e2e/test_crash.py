# SPDX-License-Identifier: GPL-2.0-only
"""`kill -9` in each stage of `lab run`, then `lab gc`: nothing of the lab is left, nothing foreign touched."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e_lab import Child, RealHost, call, calling

from lab.places import Places

ONE = Path(__file__).parent / "data/one.yaml"
FOREIGN = "foreign-domain"
#: What a lab keeps on its host while it lives.
REMOTE_LABS = "/var/lib/paravirt-lab/labs"


def has_record(places: Places) -> bool:
    return any((places.state_dir / "labs").glob("*/lab.json"))


def own_domains(real_host: RealHost) -> set[str]:
    return {name for name in real_host.domains() if name.startswith("lab-")}


def own_networks(real_host: RealHost) -> set[str]:
    return {name for name in real_host.networks() if name.startswith("lab-")}


def at_record(child: Child, places: Places, _host: RealHost) -> None:
    child.wait_until(lambda: has_record(places), "record")


def at_network(child: Child, places: Places, real_host: RealHost) -> None:
    child.wait_until(lambda: bool(own_networks(real_host)), "network")


def at_domain(child: Child, places: Places, real_host: RealHost) -> None:
    child.wait_until(lambda: bool(own_domains(real_host)), "domain")


def at_guests_up(child: Child, _places: Places, _host: RealHost) -> None:
    child.wait_told("guests up")


def at_measuring(child: Child, _places: Places, _host: RealHost) -> None:
    child.wait_told("phase alone")
    time.sleep(4)


STAGES: tuple[Callable[[Child, Places, RealHost], None], ...] = (
    at_record,
    at_network,
    at_domain,
    at_guests_up,
    at_measuring,
)


@pytest.fixture
def foreign_domain(real_host: RealHost) -> Iterator[str]:
    """A running domain that is none of the lab's business, in the way of nobody."""
    xml = (
        f"<domain type='kvm'><name>{FOREIGN}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>"
        "<os><type arch='x86_64' machine='pc'>hvm</type></os><devices/></domain>"
    )
    real_host.run(f'echo "{xml}" >/tmp/{FOREIGN}.xml && virsh -q create --paused /tmp/{FOREIGN}.xml')
    yield FOREIGN
    real_host.virsh("destroy", FOREIGN)


def processes_naming(text: str, real_host: RealHost) -> list[str]:
    """Command lines on the host that name `text`, but for the shell that looks."""
    script = (
        f"for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f 2>/dev/null; echo; done | grep -F {text} || true"
    )
    return [line for line in real_host.run(script).splitlines() if "grep -F" not in line]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_killed_then_collected(
    stage: Callable[[Child, Places, RealHost], None],
    tmp_path: Path,
    real_host: RealHost,
    places: Places,
    foreign_domain: str,
) -> None:
    assert not has_record(places), "another lab is up: its record would be mistaken for this test's"
    with calling("run", ONE, "--record", tmp_path / "r", log=tmp_path / "log") as child:
        stage(child, places, real_host)
        child.kill()
    (lab_id,) = (path.parent.name for path in (places.state_dir / "labs").glob("*/lab.json"))

    collected = call("gc")
    assert collected.status == 0, collected.err

    assert real_host.domains() == {foreign_domain}
    assert not own_networks(real_host)
    assert not has_record(places)
    assert real_host.run(f"ls {REMOTE_LABS} 2>/dev/null || true").split() == []
    assert processes_naming(lab_id, real_host) == []
    here = RealHost(("/bin/sh", "-c"))
    assert processes_naming(lab_id, here) == []


def test_nothing_to_collect_is_said_and_is_no_error() -> None:
    assert call("gc").status == 0
