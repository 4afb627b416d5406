# SPDX-License-Identifier: GPL-2.0-only
"""A plan as libvirt's XML, before anything is staged: the paths are those it would have, by name."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from lab.plan.domainxml import GuestPaths, render_domain_xml, render_guest_cmdline, render_network_xml
from lab.plan.labplan import LabPlan, NodePlan


def render_plan_xml(plan: LabPlan) -> str:
    """One well-formed document: the network and every domain below an element `lab`."""
    parts = [
        render_network_xml(plan),
        *(render_domain_xml(plan, node, _paths(plan, node)) for node in plan.nodes),
    ]
    body = "\n".join(part.strip() for part in parts)
    return f"<lab name={quoteattr(plan.name)}>\n{body}\n</lab>\n"


def _paths(plan: LabPlan, node: NodePlan) -> GuestPaths:
    own = f"{plan.host.store_dir}/labs/{plan.lab_id}/{node.name}"
    return GuestPaths(
        kernel=f"{plan.host.store_dir}/store/kernel-{node.kernel}",
        initrd=f"{own}.initrd",
        root_image=f"{plan.host.store_dir}/store/root.erofs",
        console_log=f"{own}.console",
        probe_socket=f"{own}.sock",
        cmdline=render_guest_cmdline(plan, node),
    )
