# SPDX-License-Identifier: GPL-2.0-only
"""What a Hypervisor promises: kept by libvirt (its built-in test driver) and by the fake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fakehost import FakeHypervisor
from fakeworld import FakeWorld

from lab.adapters.libvirt import LibvirtHypervisor
from lab.errors import HostError, LabFailure
from lab.plan.domainxml import METADATA_URI
from lab.run.ports import Hypervisor

OWNER = "<metadata><lab:lab xmlns:lab='{uri}' id='{lab_id}' node='guest'/></metadata>"
DOMAIN = """\
<domain type='test'><name>{name}</name>{owner}<memory unit='MiB'>64</memory><vcpu>2</vcpu>
<cputune><vcpupin vcpu='0' cpuset='1'/><vcpupin vcpu='1' cpuset='0,2'/></cputune>
<os><type>hvm</type></os></domain>
"""
NETWORK = "<network><name>{name}</name>{owner}<bridge name='vbr{name}'/></network>"


def xml(template: str, name: str, lab_id: str | None) -> str:
    owner = "" if lab_id is None else OWNER.format(uri=METADATA_URI, lab_id=lab_id)
    return template.format(name=name, owner=owner)


@pytest.fixture(params=["fake", "libvirt"])
def hypervisor(request: pytest.FixtureRequest) -> Iterator[Hypervisor]:
    made = FakeHypervisor(FakeWorld()) if request.param == "fake" else LibvirtHypervisor("test:///default")
    yield made
    made.close()
    cleaner = LibvirtHypervisor("test:///default")
    for name in ("one", "two", "foreign"):
        cleaner.destroy_domain(name)
        cleaner.destroy_network(name)
    cleaner.close()


def test_memory_of_what_does_not_run_cannot_be_dumped(hypervisor, tmp_path):
    with pytest.raises(LabFailure):
        hypervisor.dump_memory("missing", str(tmp_path / "core"), compressed=False)
    with pytest.raises(LabFailure):
        hypervisor.open_gdb("missing")


KINDS = pytest.mark.parametrize(
    ("template", "create", "end", "known"),
    [
        (
            DOMAIN,
            lambda one: one.create_domain,
            lambda one: one.destroy_domain,
            lambda one: one.domains,
        ),
        (
            NETWORK,
            lambda one: one.create_network,
            lambda one: one.destroy_network,
            lambda one: one.networks,
        ),
    ],
    ids=["domain", "network"],
)
Method = Callable[[Hypervisor], Callable[..., object]]


@KINDS
def test_what_is_made_is_known_with_its_owner(
    hypervisor, template: str, create: Method, end: Method, known: Method
):
    create(hypervisor)(xml(template, "one", "abc"))
    create(hypervisor)(xml(template, "two", "def"))
    assert known(hypervisor)() == {"one": "abc", "two": "def"}
    assert end(hypervisor)("one") is True
    assert known(hypervisor)() == {"two": "def"}


@KINDS
def test_what_is_not_a_labs_is_not_known(hypervisor, template, create, end, known):
    create(hypervisor)(xml(template, "foreign", None))
    assert known(hypervisor)() == {}


@KINDS
def test_ending_what_there_is_not(hypervisor, template, create, end, known):
    assert end(hypervisor)("one") is False
    create(hypervisor)(xml(template, "one", "abc"))
    assert [end(hypervisor)("one"), end(hypervisor)("one")] == [True, False]


@KINDS
def test_a_name_that_is_taken(hypervisor, template, create, end, known):
    create(hypervisor)(xml(template, "one", "abc"))
    with pytest.raises(LabFailure):
        create(hypervisor)(xml(template, "one", "def"))
    assert known(hypervisor)() == {"one": "abc"}


def test_pins(hypervisor):
    hypervisor.create_domain(xml(DOMAIN, "one", "abc"))
    assert hypervisor.vcpu_pins("one") == {0: (1,), 1: (0, 2)}


def test_counters_are_numbers_by_vcpu_or_nothing(hypervisor):
    hypervisor.create_domain(xml(DOMAIN, "one", "abc"))
    counters = hypervisor.kvm_counters("one")
    assert set(counters) <= {0, 1}
    assert all(isinstance(value, int) for one in counters.values() for value in one.values())


def test_a_vcpu_is_pinned_anew_and_the_others_stay(hypervisor: Hypervisor) -> None:
    hypervisor.create_domain(xml(DOMAIN, "one", "lab1"))
    hypervisor.pin_vcpu("one", 1, (1, 2))
    assert hypervisor.vcpu_pins("one") == {0: (1,), 1: (1, 2)}
    with pytest.raises(LabFailure):
        hypervisor.pin_vcpu("none", 0, (1,))


@pytest.mark.parametrize("ask", ["kvm_counters", "vcpu_pins"])
def test_asking_about_what_there_is_not(hypervisor, ask):
    with pytest.raises(LabFailure, match="nobody"):
        getattr(hypervisor, ask)("nobody")


def test_several_at_once(hypervisor):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(hypervisor.create_domain, [xml(DOMAIN, name, "abc") for name in ("one", "two")]))
    assert hypervisor.domains() == {"one": "abc", "two": "abc"}


def test_closing_twice(hypervisor):
    hypervisor.close()
    hypervisor.close()


def test_malformed_xml_is_a_failure_of_the_lab():
    hypervisor = LibvirtHypervisor("test:///default")
    with pytest.raises(LabFailure, match="starting a domain"):
        hypervisor.create_domain("<domain>")
    hypervisor.close()


def test_a_libvirt_that_cannot_be_reached_is_an_unfit_host():
    with pytest.raises(HostError, match=r"libvirt at qemu\+unix.*cannot be reached") as caught:
        LibvirtHypervisor("qemu+unix:///system?socket=/nonexistent/libvirt-sock")
    assert "lab doctor" in str(caught.value.hint)
