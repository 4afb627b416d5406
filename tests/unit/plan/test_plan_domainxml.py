# SPDX-License-Identifier: GPL-2.0-only
"""XML for libvirt, checked against libvirt's own schemas."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from lxml import etree
from planning import catalogue, facts, plan, topology

from lab.errors import HostError
from lab.plan.decide import plan_lab
from lab.plan.domainxml import GuestPaths, render_domain_xml, render_guest_cmdline, render_network_xml
from lab.plan.labplan import LabPlan
from lab.topology.decode import read_topology

SHIPPED = sorted((Path(__file__).parents[3] / "topologies").glob("*.yaml"))
SCHEMAS = Path("/usr/share/libvirt/schemas")
PATHS = GuestPaths("/c/vmlinux", "/c/initrd", "/c/root.erofs", "/s/g.log", "/s/g.sock", "quiet lab.name=g")
NAMESPACE = "{https://paravirt-lab.invalid/1}"

LABS = {
    "least": "nodes: [{name: g}]\n",
    "quota": "nodes: [{name: g, vcpus: 2, weight: 300, quota: 12.5%}]\n",
    "lists": 'nodes: [{name: g, vcpus: 3, pinning: ["0-1", 1, "0,2"]}]\n',
    "numa": (
        "nodes: [{name: g, vcpus: 4, topology: {sockets: 2, threads: 2},"
        " numa: [{vcpus: 0-1, memory: 128MiB}, {vcpus: 2-3, memory: 64MiB}]}]\n"
    ),
}


@cache
def schema(name: str) -> etree.RelaxNG:
    path = SCHEMAS / f"{name}.rng"
    assert path.is_file(), f"{path} is missing: install libvirt's schemas (Debian: libvirt0, libvirt-common)"
    return etree.RelaxNG(etree.parse(path))


def domain(made: LabPlan, paths: GuestPaths = PATHS) -> etree._Element:
    """The first node's domain, known to be valid."""
    root = etree.fromstring(render_domain_xml(made, made.nodes[0], paths))
    schema("domain").assertValid(root)
    return root


@pytest.mark.parametrize("lab", LABS.values(), ids=LABS)
def test_domains_are_valid(lab: str) -> None:
    domain(plan(lab))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_domains_of_shipped_topologies_are_valid(path: Path) -> None:
    asked = read_topology(path)
    made = plan_lab(asked, facts(), "unit0", catalogue(asked))
    for node in made.nodes:
        schema("domain").assertValid(etree.fromstring(render_domain_xml(made, node, PATHS)))


def test_threads_of_a_core_are_seen_as_such() -> None:
    siblings, alone = (domain(plan(LABS[name])) for name in ("numa", "lists"))
    assert siblings.find("cpu/feature[@name='topoext']").get("policy") == "require"
    assert alone.find("cpu/feature") is None


def test_an_emulated_host_gets_what_saves_it_time() -> None:
    quick = replace(facts(where="nested", emulated=True), firmware="/usr/share/qemu/qboot.rom")
    root = domain(plan(LABS["least"], quick))
    qemu = "{http://libvirt.org/schemas/domain/qemu/1.0}"
    assert root.find(f"{qemu}capabilities/{qemu}del").get("capability") == "cpu-unavailable-features"
    assert root.findtext("os/loader") == "/usr/share/qemu/qboot.rom"
    plain = domain(plan(LABS["least"]))
    assert plain.find(f"{qemu}capabilities") is None and plain.find("os/loader") is None


def test_networks_are_valid_and_isolated() -> None:
    made = plan(LABS["least"])
    root = etree.fromstring(render_network_xml(made))
    schema("network").assertValid(root)
    assert root.findtext("name") == "lab-unit0"
    assert root.find("bridge").get("name") == made.network.bridge
    assert dict(root.find("ip").attrib) == {"address": made.network.gateway, "prefix": "24"}
    assert root.find("forward") is None and root.find("ip/dhcp") is None
    assert root.find("dns").get("enable") == "no"


def test_schemas_do_refuse() -> None:
    """A validator that takes everything would make the other tests worthless."""
    root = domain(plan(LABS["least"]))
    root.find("memory").text = "much"
    assert not schema("domain").validate(root)


def test_ownership_stands_in_the_metadata() -> None:
    made = plan(LABS["least"])
    for text, more in (
        (render_domain_xml(made, made.nodes[0], PATHS), {"node": "g"}),
        (render_network_xml(made), {}),
    ):
        owner = etree.fromstring(text).find(f"metadata/{NAMESPACE}lab")
        assert dict(owner.attrib) == {"id": "unit0", "topology": "unit", **more}


def test_pinning_weight_and_quota() -> None:
    tune = domain(plan(LABS["quota"])).find("cputune")
    assert tune.findtext("shares") == "300"
    assert (tune.findtext("period"), tune.findtext("quota")) == ("100000", "12500")
    assert [(pin.get("vcpu"), pin.get("cpuset")) for pin in tune.iter("vcpupin")] == [("0", "0"), ("1", "1")]
    assert tune.find("emulatorpin").get("cpuset") == "3"


def test_without_a_quota_there_is_no_period() -> None:
    tune = domain(plan(LABS["least"])).find("cputune")
    assert tune.find("quota") is None and tune.find("period") is None


def test_pin_lists() -> None:
    root = domain(plan(LABS["lists"]))
    assert [pin.get("cpuset") for pin in root.iter("vcpupin")] == ["0-1", "1", "0,2"]
    assert dict(root.find("vcpu").attrib) == {"placement": "static", "cpuset": "0-2"}
    assert root.findtext("vcpu") == "3"


def test_topology_and_numa() -> None:
    cpu = domain(plan(LABS["numa"])).find("cpu")
    assert dict(cpu.find("topology").attrib) == {"sockets": "2", "cores": "1", "threads": "2"}
    cells = [dict(cell.attrib) for cell in cpu.iter("cell")]
    assert cells == [
        {"id": "0", "cpus": "0-1", "memory": "128", "unit": "MiB"},
        {"id": "1", "cpus": "2-3", "memory": "64", "unit": "MiB"},
    ]


def test_boots_directly_with_one_disk_and_few_devices() -> None:
    root = domain(plan(LABS["least"]))
    assert [root.findtext(f"os/{part}") for part in ("kernel", "initrd", "cmdline")] == [
        PATHS.kernel,
        PATHS.initrd,
        PATHS.cmdline,
    ]
    (disk,) = root.iter("disk")
    assert disk.find("source").get("file") == PATHS.root_image and disk.find("readonly") is not None
    kinds = sorted(str(device.tag) for device in root.find("devices"))
    assert kinds == sorted(
        [
            "channel",
            "console",
            "controller",
            "controller",
            "disk",
            "emulator",
            "interface",
            "memballoon",
            "rng",
        ]
    )
    assert root.find("devices/console/log").get("file") == PATHS.console_log
    assert root.find("devices/channel/source").get("path") == PATHS.probe_socket


def test_paths_are_escaped() -> None:
    odd = """/lab "a" & 'b' <c>"""
    root = domain(
        plan(LABS["least"]), replace(PATHS, kernel=odd, root_image=odd, console_log=odd, cmdline=odd)
    )
    assert root.findtext("os/kernel") == root.findtext("os/cmdline") == odd
    assert root.find("devices/disk/source").get("file") == odd
    assert root.find("devices/console/log").get("file") == odd


def test_command_line_of_a_guest() -> None:
    asked = topology(
        'kernels:\n  k: {source: {debian: "6.12"}, cmdline: "sched_verbose x=1"}\nnodes: [{name: g}]\n',
        "version: 1\nname: unit\n",
    )
    made = plan_lab(asked, facts(), "unit0", catalogue(asked))
    node = made.nodes[0]
    assert render_guest_cmdline(made, node).split() == [
        "console=hvc0",
        "loglevel=5",
        "printk.time=1",
        "panic=-1",
        "no_timer_check",
        "tsc=reliable",
        "lab.name=g",
        f"lab.ip={node.address}/24",
        "lab.interval_ms=100",
        "sched_verbose",
        "x=1",
    ]


def test_an_architecture_without_an_entry() -> None:
    made = plan(LABS["least"], replace(facts(), arch="s390x"))
    with pytest.raises(HostError, match="architecture s390x"):
        render_domain_xml(made, made.nodes[0], PATHS)
