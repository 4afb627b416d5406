# SPDX-License-Identifier: GPL-2.0-only
"""What a host says of its cores and NUMA nodes."""

from __future__ import annotations

import subprocess
from importlib.resources import files

import pytest

from lab.units import parse_cpulists


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("", ()),
        (" 0 1", ((0,), (1,))),
        # Every sibling names its whole core, in the order of file names.
        (" 0,8 1,9 10-11 10-11 1,9 0,8", ((0, 8), (1, 9), (10, 11))),
        (" 0-3 8-11 4-7", ((0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11))),
    ],
)
def test_groups_of_pcpus(text: str, groups: tuple[tuple[int, ...], ...]) -> None:
    assert parse_cpulists(text) == groups


def test_this_machine_names_each_online_pcpu_in_one_core_at_most() -> None:
    script = files("lab.adapters").joinpath("host_facts.sh").read_text()
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, timeout=60).stdout
    found = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    for key in ("cores", "numa_nodes"):
        pcpus = [pcpu for group in parse_cpulists(found[key]) for pcpu in group]
        assert len(pcpus) == len(set(pcpus))
