# SPDX-License-Identifier: GPL-2.0-only
"""Decoding: what a file says is what the topology has; what cannot be read is refused in words."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.errors import InputError, Problem, TopologyError
from lab.strictyaml.decode import MAX_FILE_BYTES, MAX_TOLD
from lab.topology.decode import decode_topology, read_topology
from lab.topology.model import Topology

Decode = Callable[[str], Topology]
Problems = Callable[[str], list[Problem]]
TOPOLOGIES = Path(__file__).parents[3] / "topologies"


def test_quickstart_as_a_whole() -> None:
    path = TOPOLOGIES / "quickstart.yaml"
    topology = read_topology(path)
    assert topology.name == "quickstart"
    assert (topology.path, topology.directory) == (path, path.parent)
    assert topology.text == path.read_text()
    assert topology.host.pcpus == (0, 1)
    assert [node.name for node in topology.nodes] == ["guest1", "guest2"]
    assert {node.kernel for node in topology.nodes} == {"paravirt"}
    assert [phase.duration for phase in topology.phases] == [20_000_000_000] * 2
    assert [knob.value for knob in topology.phases[1].set] == ["1", "0"]
    assert topology.expectations[0].steal is not None
    assert (topology.expectations[0].steal.min, topology.expectations[0].steal.max) == (40.0, 60.0)


def test_aliases_may_repeat_what_was_said(topology: Decode) -> None:
    found = topology(
        "nodes:\n  - {name: a, vcpus: 2, pinning: &pins [0, '1-2']}\n"
        "  - {name: b, vcpus: 2, pinning: *pins}\n"
    )
    assert [node.pinning for node in found.nodes] == [((0,), (1, 2))] * 2


def test_a_problem_behind_an_alias_is_told_where_it_is_used(problems: Problems) -> None:
    found = problems(
        "nodes:\n  - {name: a, pinning: &pins [0, 1], vcpus: 2}\n  - name: b\n    pinning: *pins\n"
    )
    assert [(each.line, each.path) for each in found] == [(7, "nodes[1].pinning")]


def test_a_date_and_a_version_number_are_text_where_text_is_wanted(topology: Decode) -> None:
    assert topology("description: 2024-01-31\nnodes: [{name: a}]\n").description == "2024-01-31"


def test_a_duplicate_key_is_the_only_thing_told_of_it(problems: Problems) -> None:
    found = problems("nodes:\n  - name: a\n    vcpus: 2\n    vcpus: 3\n")
    assert [(each.line, each.path) for each in found] == [(7, "nodes[0].vcpus")]
    assert "first given on line 6" in found[0].message


def test_an_unknown_reference_is_told_beside_a_misspelt_key(problems: Problems) -> None:
    found = problems("nodes:\n  - {name: a, vcpu: 2, pinning: [0, 1]}\n  - {name: b, kernel: nosuch}\n")
    assert [each.path for each in found] == ["nodes[0].vcpu", "nodes[1].kernel"]


def test_no_consequence_of_a_broken_part_is_told(problems: Problems) -> None:
    found = problems(
        "nodes:\n  - {name: a, vcpus: two, pinning: [0, 1]}\n  - {name: b b}\n"
        "load: [{name: busy, nodes: b, vcpus: 1}]\n"
    )
    assert [each.path for each in found] == ["nodes[0].vcpus", "nodes[1].name"]


def test_places_of_later_entries_stay_right_when_an_earlier_one_is_left_out(problems: Problems) -> None:
    found = problems("nodes:\n  - {vcpus: 1}\n  - {name: b}\n  - name: c\n    kernel: nosuch\n")
    assert [(each.line, each.path) for each in found] == [(5, "nodes[0].name"), (8, "nodes[2].kernel")]


def test_odd_keys_do_not_break_the_line_format(problems: Problems) -> None:
    found = problems('nodes: [{name: a}]\n"a\\nb: c": 1\n')
    assert len(str(found[0]).splitlines()) == 1


def test_a_key_named_like_pydantic_names_keys(problems: Problems) -> None:
    found = problems('nodes: [{name: a}]\n"[key]": 1\n')
    assert [(each.line, each.message[:11]) for each in found] == [(5, "unknown key")]


def test_a_wrong_file_is_given_up_in_time(problems: Problems) -> None:
    start = time.process_time()
    found = problems("nodes: [{name: a}]\nload: [" + "a," * 50_000 + "]\n")
    assert time.process_time() - start < 10
    assert len(found) == MAX_TOLD + 1
    assert "48000 further problems are left out" in {each.message for each in found}


def test_too_many_values(problems: Problems) -> None:
    (found,) = problems("load:\n- [" + "a," * 300_000 + "]\n")
    assert (found.line, found.path) == (5, "syntax")


@pytest.mark.parametrize("text", ["\x00", "a: \ud800", "name: \x1b[0m"])
def test_characters_that_yaml_forbids(text: str) -> None:
    with pytest.raises(TopologyError, match=r"^t:2: syntax: the character U\+[0-9A-F]{4} is not allowed"):
        decode_topology("version: 1\n" + text, Path("t"))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nosuch.yaml cannot be read: No such file") as raised:
        read_topology(tmp_path / "nosuch.yaml")
    assert raised.value.hint


def test_a_directory_is_no_topology(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_topology(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.touch(mode=0o000)
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        read_topology(path)


def test_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(b"version: 1\nname: \xff\n")
    with pytest.raises(InputError, match=r"t.yaml:2: byte 0xff is not UTF-8"):
        read_topology(path)


def test_a_byte_order_mark_is_harmless(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + (TOPOLOGIES / "quickstart.yaml").read_bytes())
    assert read_topology(path).name == "quickstart"


def test_too_large(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(InputError, match="larger than 4 MiB"):
        read_topology(path)


# The limits are some ten times of what is measured, so that a busy machine does not fail them.
def _seconds(decode: Decode, text: str) -> float:
    start = time.process_time()
    assert len(decode(text).nodes) == 1000
    return time.process_time() - start


def test_a_thousand_counted_nodes_are_fast(topology: Decode) -> None:
    assert _seconds(topology, "nodes: [{name: a, count: 1000, vcpus: 4}]\n") < 0.3


def test_a_thousand_written_nodes_are_fast_enough(topology: Decode) -> None:
    nodes = "".join(f"  - {{name: a{i}, vcpus: 2, memory: 256MiB, pinning: [0, 1]}}\n" for i in range(1000))
    assert _seconds(topology, "nodes:\n" + nodes) < 2
