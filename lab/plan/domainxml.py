# SPDX-License-Identifier: GPL-2.0-only
"""libvirt's XML for a plan: domains and the network (libvirt.org/formatdomain.html, formatnetwork.html)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from lab.plan.arch import guest_arch
from lab.plan.cmdline import cmdline_parameters, override_cmdline
from lab.plan.labplan import LabPlan, NodePlan
from lab.units import format_cpulist

#: Namespace of the element by which the lab recognises what it owns. Only a name: there is nothing to fetch.
METADATA_URI = "https://paravirt-lab.invalid/1"
#: The virtio-serial port on which a guest's probe speaks.
PROBE_PORT = "org.paravirt-lab.probe.0"
QUOTA_PERIOD_US = 100_000

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class GuestPaths:
    """Where a guest's files are on the host that runs it, and its kernel's command line.

    `kernel` is an ELF vmlinux or a bzImage, `root_image` a read-only raw image shared by all guests;
    `console_log` and `probe_socket` are made by libvirt when the domain starts.
    """

    kernel: str
    initrd: str
    root_image: str
    console_log: str
    probe_socket: str
    cmdline: str


def render_guest_cmdline(plan: LabPlan, node: NodePlan) -> str:
    """The kernel command line of `node`: the architecture's, `lab.*` for its init, the kernel's own, and the knobs
    on it that are set before the first phase."""
    kernels = {kernel.name: kernel for kernel in plan.kernels}
    parts = (
        guest_arch(plan.host.arch).cmdline,
        f"lab.name={node.name}",
        f"lab.ip={node.address}/{plan.network.prefix}",
        f"lab.interval_ms={plan.measure.interval_ms}",
        _watched(plan),
        kernels[node.kernel].cmdline,
    )
    cmdline = " ".join(part for part in parts if part)
    return override_cmdline(cmdline, cmdline_parameters(plan.knobs, node.name))


def _watched(plan: LabPlan) -> str:
    return f"lab.watch={','.join(watch.path for watch in plan.measure.watch)}" if plan.measure.watch else ""


def render_domain_xml(plan: LabPlan, node: NodePlan, paths: GuestPaths) -> str:
    """The domain of `node`. Raises HostError for an architecture without an entry in lab.plan.arch."""
    return _template("domain.xml.j2").render(
        **_ownership(plan),
        node=node,
        host=plan.host,
        network=plan.network,
        paths=paths,
        arch=guest_arch(plan.host.arch),
        cpuset=format_cpulist(pcpu for vcpu in node.vcpus for pcpu in vcpu.pcpus),
        period_us=QUOTA_PERIOD_US,
        quota_us=None if node.quota_pct is None else round(QUOTA_PERIOD_US * node.quota_pct / 100),
        probe_port=PROBE_PORT,
    )


def render_network_xml(plan: LabPlan) -> str:
    """The lab's network: isolated, without DHCP and DNS, so that libvirt starts no dnsmasq for it."""
    return _template("network.xml.j2").render(**_ownership(plan), network=plan.network)


def _ownership(plan: LabPlan) -> Mapping[str, str]:
    return {"lab_id": plan.lab_id, "lab_name": plan.name, "metadata_uri": METADATA_URI}


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cpulist"] = format_cpulist
    return environment.get_template(name)
