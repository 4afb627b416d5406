# SPDX-License-Identifier: GPL-2.0-only
"""Files of knob definitions: the shipped ones, a user's own on top, and what is wrong with either."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

import lab.knobs
from lab.errors import ExitCode, InputError, KnobFileError
from lab.knobs.convert import canonical, conversion, fit, from_raw, to_raw
from lab.knobs.load import add_knob_text, add_knob_texts, read_knob_texts, shipped_registry
from lab.knobs.model import Registry
from lab.knobs.registry import EMPTY, beyond, merge
from lab.knobs.schema import knob_file_schema
from lab.strictyaml.definitions import DefinitionText

SHIPPED = shipped_registry()
FILES = sorted((Path(lab.knobs.__file__).parent / "data").glob("*.yaml"))
SAMPLES = {"bool": ("0", "1"), "cpulist": ("", "1", "0-2"), "text": ("last",)}


def add(text: str, base: Registry = SHIPPED) -> Registry:
    return add_knob_text(base, DefinitionText(Path("my/knobs.yaml"), text))


def problems(text: str, base: Registry = SHIPPED) -> list[str]:
    with pytest.raises(KnobFileError) as raised:
        add(text, base)
    assert raised.value.exit_code == ExitCode.BAD_INPUT
    return [str(problem) for problem in raised.value.problems]


# --- what is shipped


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_file_fits_the_schema(path: Path) -> None:
    schema = knob_file_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(path.read_text()))


def test_names_that_topologies_and_mails_use_are_there() -> None:
    assert SHIPPED.knobs.keys() >= {
        "avoid_cpus",
        "steal.high",
        "steal.low",
        "steal.period",
        "steal.enable",
        "steal.policy",
        "debooster.enable",
        "cpu_online",
        "isolated_cpus",
        "vcpu.quota",
        "vcpu.weight",
    }


def test_every_generation_of_the_interfaces_is_there() -> None:
    assert set(SHIPPED.generations) == {
        "generic",
        "reference",
        "paravirt-cpus-v1",
        "preferred-cpus-v2",
        "steal-monitor-v3",
        "steal-monitor-v5",
        "steal-monitor-v7",
        "steal-governor-v8",
        "vcpu-debooster-v2",
        "yield-to-lag-credit-v3",
    }


@pytest.mark.parametrize("name", sorted(SHIPPED.knobs))
def test_every_shipped_knob_is_documented_and_kept_somewhere(name: str) -> None:
    knob = SHIPPED.knobs[name]
    assert len(knob.doc) > 20
    assert SHIPPED.backends[name]
    orders = [SHIPPED.generations[place.generation].order for place in SHIPPED.backends[name]]
    assert orders == sorted(orders, reverse=True)


@pytest.mark.parametrize("name", sorted(SHIPPED.knobs))
def test_values_of_every_shipped_knob_come_back_from_every_place(name: str) -> None:
    knob = SHIPPED.knobs[name]
    samples = SAMPLES.get(knob.kind, tuple(str(n) for n in (knob.minimum or 0, knob.maximum or 12_000)))
    tried = 0
    for sample in samples:
        if knob.kind == "cpulist" and len(sample) < (knob.minimum or 0):
            continue
        value = canonical(knob, sample, 4)
        for place in fit(knob, SHIPPED.backends[name], value, 4).fits:
            how = conversion(knob, place.backend, 4)
            assert from_raw(how, to_raw(how, value)) == value
            tried += 1
    assert tried >= len(SHIPPED.backends[name])


def test_thresholds_and_periods_have_the_bounds_of_their_generation() -> None:
    places = {place.generation: place for place in SHIPPED.backends["steal.period"]}
    assert (places["paravirt-cpus-v1"].minimum, places["paravirt-cpus-v1"].maximum) == (1, 10)
    assert places["steal-governor-v8"].minimum == 100
    assert places["steal-governor-v8"].reload
    assert not places["steal-monitor-v5"].reload


# --- a user's own


def test_a_user_adds_a_knob_with_its_places() -> None:
    made = add(
        "version: 1\nknobs:\n"
        "  loop.max:\n"
        "    type: integer\n"
        "    min: 1\n"
        "    doc: How many loop devices are made.\n"
        "    backends: [{kind: module_parameter, path: loop/max_loop, reload: true}]\n"
    )
    (place,) = made.backends["loop.max"]
    assert (place.generation, place.kind, place.reload) == ("own", "module_parameter", True)
    assert made.knobs["loop.max"].scope == "guest"
    assert made.knobs.keys() > SHIPPED.knobs.keys()


def test_a_user_adds_places_to_a_known_knob_and_they_come_first() -> None:
    made = add("version: 1\nknobs: {steal.high: {backends: [{kind: file, path: /mine, unit: ratio}]}}\n")
    assert made.backends["steal.high"][0].path == "/mine"
    assert made.backends["steal.high"][1:] == SHIPPED.backends["steal.high"]
    assert made.knobs == SHIPPED.knobs


def test_a_user_adds_a_generation_between_others() -> None:
    made = add(
        "version: 1\ngenerations:\n  mine-v9:\n    title: mine\n    order: 900\n"
        "    backends: {steal.high: [{kind: debugfs, path: mine/high}]}\n"
    )
    assert [place.generation for place in made.backends["steal.high"]][:3] == [
        "reference",
        "mine-v9",
        "steal-governor-v8",
    ]


def test_a_user_adds_to_a_known_generation() -> None:
    made = add(
        "version: 1\ngenerations: {preferred-cpus-v2: {backends: {steal.high: [{kind: debugfs, path: a/b}]}}}\n"
    )
    assert "preferred-cpus-v2" in [place.generation for place in made.backends["steal.high"]]


def test_the_same_may_be_said_again() -> None:
    made = add("version: 1\nknobs: {steal.high: {type: integer, scope: guest, unit: percent_x100}}\n")
    assert made == SHIPPED


def test_what_is_beyond_comes_back_by_merging() -> None:
    made = add(
        "version: 1\nknobs:\n  a: {type: text, backends: [{kind: file, path: /a}]}\n"
        "  steal.low: {backends: [{kind: file, path: /b, generation: reference}]}\n"
        "generations: {g: {order: 5, backends: {a: [{kind: file, path: /c}]}}}\n"
    )
    own = beyond(made, SHIPPED)
    assert set(own.knobs) == {"a"}
    assert set(own.backends) == {"a", "steal.low"}
    assert merge(SHIPPED, own) == made
    assert beyond(SHIPPED, SHIPPED) == EMPTY


# --- what is wrong


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "knobs:\n  steal.high: {type: bool}\n",
            "3: knobs['steal.high'].type: knob 'steal.high' is known already, with integer type",
        ),
        (
            "knobs:\n  steal.high: {unit: s}\n",
            "3: knobs['steal.high'].unit: knob 'steal.high' is known already",
        ),
        (
            "knobs:\n  steal.hihg: {backends: []}\n",
            "3: knobs['steal.hihg']: knob 'steal.hihg' is new: say its type (bool, integer, cpulist or text); "
            "did you mean 'steal.high'?",
        ),
        (
            "knobs:\n  A: {type: bool}\n",
            "3: knobs.A: 'A' is not a name: a knob's name has lower-case letters",
        ),
        (
            "knobs:\n  a: {type: boole}\n",
            "3: knobs.a.type: expected bool or integer or cpulist or text, found",
        ),
        (
            "knobs:\n  a: {type: bool, unit: s}\n",
            "3: knobs.a.unit: unit is for the type integer; 'a' is bool",
        ),
        ("knobs:\n  a: {type: bool, min: 1}\n", "3: knobs.a.min: a bool has no min"),
        ("knobs:\n  a: {type: integer, min: 2, max: 1}\n", "3: knobs.a.min: min (2) is larger than max (1)"),
        (
            "knobs:\n  a: {type: bool, backends: [{kind: file, path: sys/a}]}\n",
            "3: knobs.a.backends[0]: file takes as path an absolute path such as",
        ),
        (
            "knobs:\n  a: {type: bool, backends: [{kind: debugfs, path: /a}]}\n",
            "3: knobs.a.backends[0]: debugfs takes as path a path below debugfs",
        ),
        (
            "knobs:\n  a: {type: bool, backends: [{kind: flie, path: /a}]}\n",
            "3: knobs.a.backends[0].kind: expected file or debugfs",
        ),
        (
            "knobs:\n  a: {type: bool, backends: [{kind: file, path: /a, reload: true}]}\n",
            "3: knobs.a.backends[0]: reload is for a module_parameter; found kind file",
        ),
        (
            "knobs:\n  a: {type: integer, backends: [{kind: module, path: a}]}\n",
            "3: knobs.a.backends[0].kind: module keeps a bool; 'a' is integer",
        ),
        (
            "knobs:\n  a: {type: integer, unit: s, backends: [{kind: file, path: /a, unit: percent}]}\n",
            "3: knobs.a.backends[0].unit: percent cannot be converted to s, the unit of 'a'",
        ),
        (
            "knobs:\n  a: {type: integer, backends: [{kind: file, path: /a, unit: s}]}\n",
            "3: knobs.a.backends[0].unit: 'a' has no unit",
        ),
        (
            "knobs:\n  a: {type: bool, backends: [{kind: file, path: /a, complement: true}]}\n",
            "3: knobs.a.backends[0].complement: complement is for a cpulist; 'a' is bool",
        ),
        (
            "knobs:\n  a: {type: text, backends: [{kind: file, path: /a, words: [a, b]}]}\n",
            "3: knobs.a.backends[0].words: words are for a bool; 'a' is text",
        ),
        (
            "knobs:\n  a: {type: bool, backends: [{kind: file, path: /a, words: [a, a]}]}\n",
            "3: knobs.a.backends[0].words: off and on are both 'a'",
        ),
        (
            "knobs:\n  a: {type: bool, backends: [{kind: file, path: /a, words: [off, on]}]}\n",
            "3: knobs.a.backends[0].words[0]: YAML reads off as true or false",
        ),
        (
            "knobs:\n  a: {type: bool, scope: host, backends: [{kind: cmdline, path: a}]}\n",
            "3: knobs.a.backends[0].kind: cmdline is for knobs of a guest; 'a' is the host's",
        ),
        (
            "knobs:\n  a: {type: bool, backends: [{kind: file, path: /a, generation: refernce}]}\n",
            "3: knobs.a.backends[0].generation: unknown generation 'refernce'; did you mean 'reference'?",
        ),
        (
            "knobs:\n  vcpu.quota: {backends: [{kind: file, path: /a}]}\n",
            "3: knobs['vcpu.quota'].backends[0].kind: knob 'vcpu.quota' is kept in cgroup",
        ),
        ("generations:\n  g: {title: mine}\n", "3: generations.g: generation 'g' is new: say its order"),
        (
            "generations:\n  reference: {order: 3}\n",
            "3: generations.reference.order: generation 'reference' is known already, with order 1000",
        ),
        (
            "generations:\n  g:\n    order: 3\n    backends: {steal.hihg: []}\n",
            "5: generations.g.backends['steal.hihg']: unknown knob 'steal.hihg'; did you mean 'steal.high'?",
        ),
        ("knob: {}\n", "2: knob: unknown key; did you mean 'knobs'?"),
    ],
)
def test_each_problem_has_its_line(text: str, expected: str) -> None:
    found = problems("version: 1\n" + text)
    assert any(one.startswith(f"my/knobs.yaml:{expected}") for one in found), found


def test_every_problem_is_told_at_once() -> None:
    found = problems(
        "version: 1\nknobs:\n  a: {type: bool, unit: s}\n  steal.high: {type: bool}\n  b: {kind: text}\n"
    )
    assert [one.split(":")[1] for one in found] == ["3", "4", "5"]


def test_an_empty_file_says_what_it_needs() -> None:
    assert problems("") == ["my/knobs.yaml:1: knob file: is empty; at least version and knobs are needed"]


def test_a_broken_file_is_left_out_and_told() -> None:
    good = DefinitionText(Path("good"), "version: 1\nknobs: {a: {type: text}}\n")
    bad = DefinitionText(Path("bad"), "version: 2\n")
    made, found = add_knob_texts(SHIPPED, [bad, good])
    assert "a" in made.knobs
    assert [problem.file for problem in found] == ["bad"]


def test_a_directory_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yaml", "c.txt"):
        (tmp_path / name).write_text("version: 1\n")
    assert [one.path.name for one in read_knob_texts(tmp_path)] == ["a.yaml", "b.yaml"]


def test_a_directory_without_files_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no \*.yaml file"):
        read_knob_texts(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"knob file .*nosuch cannot be read: No such file"):
        read_knob_texts(tmp_path / "nosuch")
