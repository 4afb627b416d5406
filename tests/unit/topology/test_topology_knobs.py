# SPDX-License-Identifier: GPL-2.0-only
"""Knobs in topologies: settings, definitions of one's own, and files of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.errors import Problem, TopologyError
from lab.knobs.load import shipped_registry
from lab.strictyaml.definitions import DefinitionText
from lab.topology.decode import decode_topology, read_topology
from lab.topology.definitionfiles import files_of
from lab.topology.model import Topology

Decode = Callable[[str], Topology]
Problems = Callable[[str], list[Problem]]

HEAD = 'version: 1\nname: t\nkernels: {k: {source: {debian: "6.12"}}}\nnodes: [{name: a, vcpus: 2}]\n'
MINE = "version: 1\nknobs: {mine: {type: text, backends: [{kind: file, path: /mine}]}}\n"


def test_settings_as_they_are_written(topology: Decode) -> None:
    first, second, third = topology(
        "nodes: [{name: a, vcpus: 2}]\nknobs:\n"
        "  - {knob: steal.high, value: 5%, generation: reference, optional: true}\n"
        "  - {knob: debooster.enable, value: false}\n"
        "  - {knob: vcpu.quota, value: 50, vcpus: 0-1}\n"
    ).knobs
    assert (first.value, first.generation, first.optional) == ("5%", "reference", True)
    assert (second.value, second.optional) == (False, False)
    assert third.vcpus == (0, 1)


def test_the_registry_is_the_shipped_one_unless_something_is_defined(topology: Decode) -> None:
    assert topology("nodes: [{name: a}]\n").registry == shipped_registry()


def test_a_knob_is_defined_and_used_in_one_file(topology: Decode) -> None:
    made = topology(
        "nodes: [{name: a}]\n"
        "knob_definitions:\n"
        "  loop.max: {type: integer, min: 1, backends: [{kind: module_parameter, path: loop/max_loop}]}\n"
        "knobs: [{knob: loop.max, value: 8}]\n"
    )
    assert made.registry.backends["loop.max"][0].path == "loop/max_loop"


def test_a_value_is_checked_against_a_definition_of_ones_own(problems: Problems) -> None:
    (found,) = problems(
        "nodes: [{name: a}]\n"
        "knob_definitions: {mine: {type: integer, max: 3, backends: [{kind: file, path: /m}]}}\n"
        "knobs: [{knob: mine, value: 4}]\n"
    )
    assert (found.line, found.path, found.message) == (
        6,
        "knobs[0].value",
        "mine cannot be '4': 4 is more than 3",
    )


def test_an_unsound_definition_is_told_once_and_not_where_it_is_used(problems: Problems) -> None:
    found = problems(
        "nodes: [{name: a}]\nknob_definitions: {mine: {type: integr}}\nknobs: [{knob: mine, value: 4}]\n"
    )
    assert [one.path for one in found] == ["knob_definitions.mine.type"]


def test_a_cpulist_is_checked_on_every_node_of_its_glob(problems: Problems) -> None:
    (found,) = problems(
        "nodes: [{name: a, vcpus: 4}, {name: b, vcpus: 2}]\nknobs: [{knob: avoid_cpus, value: 2}]\n"
    )
    assert found.message == "avoid_cpus of b cannot be '2': vCPU 2 does not exist (vcpus: 2)"


def test_files_are_found_beside_the_topology(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "mine.yaml").write_text(MINE)
    (tmp_path / "one.yaml").write_text("version: 1\nknobs: {other: {type: bool}}\n")
    path = tmp_path / "t.yaml"
    path.write_text(HEAD + "knob_files: [more, one.yaml]\nknobs: [{knob: mine, value: x}]\n")
    assert read_topology(path).registry.knobs.keys() >= {"mine", "other"}


def test_problems_of_a_knob_file_are_told_with_its_name_and_no_consequences(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(MINE.replace("text", "txet"))
    path = tmp_path / "t.yaml"
    path.write_text(HEAD + "knob_files: [mine.yaml]\nknobs: [{knob: mine, value: x}]\n")
    with pytest.raises(TopologyError) as raised:
        read_topology(path)
    (problem,) = raised.value.problems
    assert (problem.file, problem.line, problem.path) == (str(tmp_path / "mine.yaml"), 2, "knobs.mine.type")


def test_problems_of_both_files_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("version: 2\n")
    path = tmp_path / "t.yaml"
    path.write_text(HEAD.replace("vcpus", "vcpu") + "knob_files: [mine.yaml]\n")
    with pytest.raises(TopologyError) as raised:
        read_topology(path)
    assert [Path(problem.file).name for problem in raised.value.problems] == ["mine.yaml", "t.yaml"]


def test_a_file_redefines_a_knob_of_another_file() -> None:
    texts = {
        "one": (DefinitionText(Path("one"), MINE),),
        "two": (DefinitionText(Path("two"), "version: 1\nknobs:\n  mine:\n    type: bool\n"),),
    }
    with pytest.raises(TopologyError) as raised:
        decode_topology(HEAD + "knob_files: [one, two]\n", Path("t"), texts)
    assert str(raised.value) == "two:4: knobs.mine.type: knob 'mine' is known already, with text type"


def test_a_file_that_nobody_read_is_told(problems: Problems) -> None:
    (found,) = problems("nodes: [{name: a}]\nknob_files: [mine.yaml]\n")
    assert (found.path, found.message) == ("knob_files[0]", "was not read")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a: 1\n", ()),
        ("knob_files: [a, b]\n", ("a", "b")),
        ("knob_files: [a, 1, null]\n", ("a",)),
        ("knob_files: a\n", ()),
        ("- knob_files\n", ()),
        ("knob_files: [", ()),
        ("# knob_files\n", ()),
    ],
)
def test_which_files_a_text_names(text: str, names: tuple[str, ...]) -> None:
    assert files_of(text, "knob_files") == names
