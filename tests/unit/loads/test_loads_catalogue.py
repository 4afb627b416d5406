# SPDX-License-Identifier: GPL-2.0-only
"""The catalogue of loads: shipped entries, a user's own, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import InputError, LoadFileError
from lab.loads.catalogue import add_load_text, add_load_texts, read_load_texts, shipped_loads
from lab.loads.command import Place, render_load
from lab.loads.model import LoadKind
from lab.loads.schema import load_file_schema
from lab.loads.text import render_load_explanation, render_load_list
from lab.loads.values import load_values
from lab.measure.loadparsers import PARSERS
from lab.strictyaml.definitions import DefinitionText

SHIPPED = shipped_loads()
DATA = Path(__file__).parents[3] / "lab/loads/data"
IMAGES = Path(__file__).parents[3] / "images"
PLACE = Place("guest1", 4, 512, "10.0.0.2", "10.0.0.3", {"guest1": "10.0.0.2", "other": "10.0.0.9"})

FULL = """\
version: 1
loads:
  mine:
    doc: Counts.
    ends: itself
    image: guest-loads
    command: counter --to {{ to }} --peer {{ peer }} {% if loud %}--loud{% endif %} {{ word }}
    tasks: "{{ vcpus * 2 }}"
    parameters:
      to: {type: number, default: 1.5, min: 0, max: 10, doc: how far}
      loud: {type: bool, default: false}
      word: {type: text, default: "two words", choices: [two words, 'it''s; $(ls)']}
    metrics:
      rate: {unit: 1/s, better: higher, over_guests: sum, pattern: '^took (.*)$', amount: "{{ to * 10 }}"}
"""


def add(text: str) -> LoadKind:
    return add_load_text(SHIPPED, DefinitionText(Path("mine.yaml"), text))["mine"]


def words(kind: LoadKind, **given: str | int | float | bool) -> tuple[str, ...]:
    return render_load(kind, load_values(kind, given), PLACE).words


def test_an_entry_is_a_file_of_its_name() -> None:
    assert sorted(path.stem for path in DATA.glob("*.yaml")) == sorted(SHIPPED)


@pytest.mark.parametrize("kind", SHIPPED.values(), ids=lambda kind: kind.name)
def test_shipped_entries_say_what_they_are(kind: LoadKind) -> None:
    # What has no figures of its own is no load that is compared, and says where to look.
    assert kind.doc.endswith(".") and (kind.metrics or kind.counted or "see " in kind.doc)
    assert all(one.doc for one in (*kind.parameters, *kind.metrics))
    assert (IMAGES / kind.image / "recipe.yaml").is_file()
    assert words(kind) and all(words(kind))


def test_parsers_are_known_by_the_names_that_entries_use() -> None:
    named = {one.parser for kind in SHIPPED.values() for one in kind.metrics} - {None}
    assert named == set(PARSERS)


def test_hackbench_as_it_is_published() -> None:
    rendered = words(SHIPPED["hackbench"], groups=10, loops=5000)
    assert " ".join(rendered) == "hackbench --groups 10 --loops 5000 --datasize 100 --process"
    assert words(SHIPPED["hackbench"], mode="thread", pipe=True)[-2:] == ("--threads", "--pipe")


def test_a_thread_for_each_vcpu_unless_told_otherwise() -> None:
    for name, option in (("sysbench-cpu", "--threads=4"), ("cyclictest", "--threads=4")):
        assert option in words(SHIPPED[name])
    rendered = render_load(SHIPPED["lock-holder"], load_values(SHIPPED["lock-holder"], {}), PLACE)
    assert rendered.tasks == 4


def test_a_node_is_its_address_in_the_command() -> None:
    assert words(SHIPPED["ping"])[-1] == "10.0.0.3"
    assert words(SHIPPED["ping"], to="other")[-1] == "10.0.0.9"


def test_values_stay_within_their_words() -> None:
    assert words(add(FULL)) == ("counter", "--to", "1.5", "--peer", "10.0.0.3", "two words")
    assert words(add(FULL), loud=True, word="it's; $(ls)")[-2:] == ("--loud", "it's; $(ls)")


def test_tasks_and_amounts_are_numbers() -> None:
    rendered = render_load(add(FULL), load_values(add(FULL), {}), PLACE)
    assert (rendered.tasks, dict(rendered.amounts)) == (8, {"rate": 15.0})


def test_metrics_may_depend_on_parameters() -> None:
    names = {
        mode: {one.name for one in render_load(kind, load_values(kind, {"mode": mode}), PLACE).metrics}
        for kind in [SHIPPED["lock-holder"]]
        for mode in ("spin", "futex", "kernel")
    }
    assert names["spin"] == names["futex"] == {one.name for one in SHIPPED["lock-holder"].metrics}
    assert names["spin"] - names["kernel"] == {"hold_p50", "hold_p99", "hold_max"}


@pytest.mark.parametrize(
    ("old", "new", "where", "message"),
    [
        ("{{ to }}", "{{ too }}", "mine.command", "'too' is undefined"),
        ("{{ to }}", "{{ to", "mine.command", "expected token"),
        ("{{ to }}", "'{{ to }}", "mine.command", "No closing quotation"),
        ("{{ vcpus * 2 }}", "many", "mine.tasks", "'many' is not a number"),
        ("{{ to * 10 }}", "{{ 1 / 0 }}", "mine.metrics.rate.amount", "division by zero"),
        ("to: {type: number", "peer: {type: number", "mine.parameters.peer", "another name"),
        ("default: 1.5", "default: 11", "mine.parameters.to", "at most 10 is possible"),
        ("default: false", "default: 3", "mine.parameters.loud", "loud is a bool, not 3"),
        ("default: false", "default: false, min: 1", "mine.parameters.loud", "a bool has no min and max"),
        ("type: number", "type: number, choices: [a]", "mine.parameters.to", "choices are for a text"),
        ("'^took (.*)$'", "'^took'", "mine.metrics.rate", "the pattern has 0 groups"),
        ("'^took (.*)$'", "'('", "mine.metrics.rate", "no regular expression"),
        ("pattern: '^took (.*)$'", "field: x", "mine.metrics.rate", "exactly one of pattern, parser"),
        ("ends: itself", "ends: never", "mine.ends", "itself"),
        ("  mine:", "  Mine:", "loads.Mine", "not a name"),
        ("  mine:", "  ping:", "loads.ping", "is known already"),
        ("    doc: Counts.\n", "    dok: Counts.\n", "mine.dok", "did you mean 'doc'?"),
    ],
)
def test_what_is_wrong_with_an_entry_is_told_with_its_line(
    old: str, new: str, where: str, message: str
) -> None:
    text = FULL.replace(old, new, 1)
    with pytest.raises(LoadFileError) as caught:
        add(text)
    found = [one for one in caught.value.problems if message in one.message]
    assert found, caught.value.message
    assert where in found[0].path and found[0].file == "mine.yaml"
    assert new.strip().split()[0].rstrip("'\"{:") in text.splitlines()[found[0].line - 1] or "amount" in where


def test_templates_compute_and_do_nothing_else() -> None:
    with pytest.raises(LoadFileError, match="unsafe"):
        add(FULL.replace("{{ to }}", "{{ ''.__class__.__mro__ }}", 1))


def test_a_directory_of_files_is_read_and_a_broken_one_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(FULL)
    (tmp_path / "b.yaml").write_text("version: 1\nloads: {broken: {doc: x}}\n")
    kinds, problems = add_load_texts(SHIPPED, read_load_texts(tmp_path))
    assert "mine" in kinds and "broken" not in kinds
    assert {Path(one.file).name for one in problems} == {"b.yaml"}


def test_an_empty_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \*\.yaml file"):
        read_load_texts(tmp_path)


def test_the_list_has_a_line_for_each() -> None:
    lines = render_load_list(SHIPPED).splitlines()
    assert [line.split()[0] for line in lines] == ["kind", *sorted(SHIPPED)]
    assert "time s, messages 1/s" in next(line for line in lines if line.startswith("hackbench"))


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_explanations_fit_a_terminal(name: str) -> None:
    text = render_load_explanation(name, SHIPPED)
    assert text.startswith(f"{name}\n") and all(len(line) <= 80 for line in text.splitlines())
    assert all(f"    {one.name}: " in text for one in SHIPPED[name].parameters)
    assert all(f"    {one.name} (" in text for one in SHIPPED[name].metrics)


def test_an_unknown_kind_is_told_with_what_is_near() -> None:
    with pytest.raises(InputError, match="did you mean 'hackbench'"):
        render_load_explanation("hackbensh", SHIPPED)


def test_the_schema_is_of_the_models() -> None:
    schema = load_file_schema()
    assert schema["$id"] == "urn:paravirt-lab:loads:1" and "LoadKindSpec" in schema["$defs"]
