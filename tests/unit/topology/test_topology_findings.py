# SPDX-License-Identifier: GPL-2.0-only
"""Findings that a topology allows, and kernels with debug information."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakeworld import make_facts, make_plan, make_topology

from lab.errors import TopologyError
from lab.plan.kernels import KernelCatalogue, plan_kernel
from lab.plan.labplan import AllowedFinding, parse_plan_json, render_plan_json
from lab.topology.decode import decode_topology

NODES = "nodes: [{name: guest, count: 2}]\n"
HEAD = f"version: 1\nname: findings\nkernels: {{k: {{source: {{debian: '6.12'}}}}}}\n{NODES}"


def test_allowed_findings_are_resolved_and_survive_json():
    planned = make_plan(
        make_topology(
            f"{NODES}allow_findings: [{{kind: warning, nodes: guest1, pattern: 'a+b'}}, {{kind: oops}}]\n"
        ),
        make_facts(),
    )
    assert planned.allow_findings == (
        AllowedFinding("warning", ("guest1",), "a+b"),
        AllowedFinding("oops", ("guest1", "guest2")),
    )
    assert parse_plan_json(render_plan_json(planned)) == planned


@pytest.mark.parametrize(
    ("allowed", "message"),
    [
        ("{kind: warnings}", "allow_findings[0].kind"),
        ("{kind: warning, nodes: 'other*'}", "matches no node"),
        ("{kind: warning, pattern: '('}", "is not a regular expression"),
        ("{pattern: x}", "kind"),
    ],
)
def test_what_cannot_be_allowed(allowed, message):
    with pytest.raises(TopologyError) as raised:
        decode_topology(f"{HEAD}allow_findings: [{allowed}]\n", Path("t.yaml"))
    assert message in raised.value.message


def test_debug_information_is_a_fragment_of_its_own():
    catalogue = KernelCatalogue(Path("/t"), {}, ("/base",), ("/emulated",), ("/native",), ("/debug",))
    topology = decode_topology(HEAD.replace("'6.12'}}", "'6.12'}, debug_info: true}"), Path("t.yaml"))
    assert plan_kernel(topology, "k", catalogue, emulated=True).fragments == ("/base", "/emulated", "/debug")
    with pytest.raises(TopologyError, match="debug_info is not for it"):
        decode_topology(
            HEAD.replace("{debian: '6.12'}}", "{image: bzImage}, debug_info: true}"), Path("t.yaml")
        )
