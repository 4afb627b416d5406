# SPDX-License-Identifier: GPL-2.0-only
"""`lab init` and `lab explain`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.driving import Driver, call

from lab.errors import ExitCode
from lab.knobs.schema import knob_file_schema
from lab.loads.schema import load_file_schema
from lab.sweep.schema import sweep_file_schema
from lab.topology.explain import all_keys, explain_key
from lab.topology.schema import topology_schema

NUMBER = "a whole number"
SCHEMAS = {
    "topology": topology_schema(),
    "knobs": knob_file_schema(),
    "loads": load_file_schema(),
    "sweeps": sweep_file_schema(),
}
KEYS = [(kind, key) for kind, schema in SCHEMAS.items() for key in dict.fromkeys(all_keys(schema))]


def test_all_keys_are_found() -> None:
    keys = {key for kind, key in KEYS if kind == "topology"}
    assert len(keys) > 250
    assert {
        "expect.steal.max",
        "kernels.source.debian",
        "nodes.numa.memory",
        "phases.schedule.square.on",
    } <= keys
    assert {"knob_definitions.backends.path", "load_definitions.metrics.pattern", "repeats.aa"} <= keys


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_key_is_described(kind: str) -> None:
    bare = [key for of, key in KEYS if of == kind and len(explain_key(SCHEMAS[kind], key).about.split()) < 2]
    assert bare == []


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_key_says_what_it_takes(kind: str) -> None:
    vague = [key for of, key in KEYS if of == kind and explain_key(SCHEMAS[kind], key).type == "any value"]
    assert vague == []


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("expect.steal.max", ("a percentage: a number and %", False, None, "max: 50%")),
        ("phases.settle", ("a duration: a number and ns, us, ms, s or min", False, "2s", "settle: 2s")),
        ("phases.duration", ("a duration: a number and ns, us, ms, s or min", True, None, "duration: 20s")),
        ("measure.disagreement", ("a percentage: a number and %", False, "2%", "disagreement: 2%")),
        ("hogs.weight", ("a whole number, 1 to 10000", False, "100", "weight: 200")),
        ("repeats.order", ("one of random, abba", False, "random", "order: random")),
        ("repeats.aa", ("true or false", False, "false", "aa: true")),
        ("expect.steal.nodes", ("text", False, "*", "nodes: guest*")),
        ("phases.schedule.ramp.weight", (f"a list of 2: {NUMBER}, {NUMBER}", False, None, "weight: [2, 2]")),
        ("nodes", ("a list of keys", True, None, None)),
        ("kernels", ("names, each with keys", True, None, None)),
    ],
)  # fmt: skip
def test_type_default_and_example(key: str, expected: tuple[object, ...]) -> None:
    found = explain_key(SCHEMAS["topology"], key)
    assert (found.type, found.required, found.default, found.example) == expected


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("kernels.mine.source.debian", "kernels.source.debian"),
        ("nodes[0].vcpus", "nodes.vcpus"),
        ("nodes.0.vcpus", "nodes.vcpus"),
        ("expect.*.steal", "expect.steal"),
    ],
)
def test_places_of_messages_are_keys_too(path: str, key: str) -> None:
    schema = SCHEMAS["topology"]
    assert explain_key(schema, path).about == explain_key(schema, key).about


def test_a_key_is_explained_in_words(lab: Driver) -> None:
    assert lab("explain", "expect.steal.max").out.splitlines() == [
        "expect.steal.max",
        "  most steal, of elapsed time",
        "  takes: a percentage: a number and %",
        "  example: max: 50%",
    ]


def test_a_section_lists_its_keys(lab: Driver) -> None:
    out = lab("explain", "expect.steal").out
    assert "Steal of every matching vCPU in the phase" in " ".join(out.split())
    assert "  max    most steal, of elapsed time" in out.splitlines()
    top = lab("explain").out
    assert top.startswith("keys:\n")
    assert all(f"\n  {key} " in top for key in SCHEMAS["topology"]["properties"])


def test_other_formats_and_programs_are_served(lab: Driver) -> None:
    assert "regular expression" in lab("explain", "--loads", "loads.metrics.pattern").out
    document = json.loads(lab("explain", "--json", "host").out)
    assert set(document) == {"path", "about", "type", "required", "default", "example", "keys"}
    assert set(document["keys"]) == {"where", "pcpus", "housekeeping"}


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("expect.steel", "did you mean expect.steal?"),
        ("host.nothing", "(there: where, pcpus, housekeeping)"),
        ("name.more", "(there: none)"),
    ],
)
def test_keys_that_are_not_there(lab: Driver, key: str, said: str) -> None:
    done = lab("explain", key)
    assert done.code == ExitCode.BAD_INPUT
    assert said in done.err


def test_keys_are_completed() -> None:
    env = {"COMP_WORDS": "lab explain expect.ste", "COMP_CWORD": "2", "_LAB_COMPLETE": "complete_bash"}
    assert call(env=env).out.split() == ["expect.steal"]


# init


def test_what_init_writes_plans_without_a_note_of_trouble(lab: Driver, tmp_path: Path) -> None:
    file = tmp_path / "My lab.yaml"
    done = lab("init", file)
    assert done.code == ExitCode.PASSED
    assert f"lab plan {file}" in done.out
    assert "SPDX" not in file.read_text()
    planned = lab("plan", file, "--host", "nested", "--json")
    assert planned.code == ExitCode.PASSED, planned.err
    assert json.loads(planned.out)["name"] == "my-lab"


def test_what_is_commented_out_may_be_used(lab: Driver, tmp_path: Path) -> None:
    """Every line that is a key behind a comment sign, one at a time."""
    text = lab("init", "-").out
    lines = text.splitlines()
    optional = [
        n for n, line in enumerate(lines) if line.lstrip().startswith("# ") and ": " in line and n > 11
    ]
    assert len(optional) >= 12
    for number in optional:
        changed = list(lines)
        changed[number] = changed[number].replace("# ", "", 1)
        start = number
        while start and lines[start].startswith("#   -"):  # an item, with the key that it is of
            start -= 1
            changed[start] = changed[start].replace("# ", "", 1)
        if lines[number].startswith("# ") and lines[number].split("#")[1].rstrip().endswith(":"):
            following = number + 1
            while lines[following].startswith("#   -"):
                changed[following] = changed[following].replace("# ", "", 1)
                following += 1
        if "arms" in lines[number] or "repeats" in lines[number] or "{name: with" in lines[number]:
            continue
        (tmp_path / "my.config").write_text("CONFIG_A=y\n")
        file = tmp_path / f"line{number}.yaml"
        file.write_text("\n".join(changed) + "\n")
        done = lab("plan", file, "--host", "nested")
        assert done.code == ExitCode.PASSED, f"{lines[number]}: {done.err}"


def test_nothing_is_overwritten(lab: Driver, tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("mine")
    done = lab("init", tmp_path / "t.yaml")
    assert (done.code, (tmp_path / "t.yaml").read_text()) == (ExitCode.BAD_INPUT, "mine")
    assert "exists" in done.err
    assert lab("init", tmp_path / "nowhere" / "t.yaml").code == ExitCode.BAD_INPUT
