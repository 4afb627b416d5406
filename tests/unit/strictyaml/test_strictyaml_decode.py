# SPDX-License-Identifier: GPL-2.0-only
"""The strict loader with models of any kind: booleans, names, findings of what is sound, limits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field

from lab.errors import FileProblems, InputError
from lab.strictyaml.decode import Format, decode, read_text
from lab.strictyaml.findings import Finding, format_loc, suggest, unknown


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Inner(_Strict):
    wet: bool = False
    said: str | int | bool = ""
    size: int = 0


Word = Annotated[str, Field(pattern="^[a-z]+$")]


class _Outer(_Strict):
    things: dict[Word, _Inner] = Field(default_factory=dict)
    name: str = "x"


class _Problems(FileProblems):
    what = "thing file"


FORM = Format(
    what="thing file",
    model=_Outer,
    error=_Problems,
    hint="look",
    needed="things",
    example="give a thing file",
    rules={"^[a-z]+$": "a word has letters"},
)


def _nothing(_model: _Outer) -> list[Finding]:
    return []


def _decode(text: str) -> _Outer:
    return decode(text, Path("t.yaml"), FORM, _nothing)


def _problems(text: str) -> list[str]:
    with pytest.raises(_Problems) as raised:
        _decode(text)
    assert raised.value.hint == "look"
    return [str(problem) for problem in raised.value.problems]


@pytest.mark.parametrize(("word", "value"), [("true", True), ("false", False)])
def test_a_key_that_takes_a_boolean_can_have_one(word: str, value: bool) -> None:
    made = _decode(f"things: {{a: {{wet: {word}, said: {word}}}}}\n").things["a"]
    assert (made.wet, made.said) == (value, value)


def test_a_quoted_boolean_is_text() -> None:
    assert _decode('things: {a: {said: "true"}}\n').things["a"].said == "true"


@pytest.mark.parametrize("word", ["yes", "on", "True", "NO"])
def test_other_words_for_booleans_are_ambiguous_everywhere(word: str) -> None:
    (problem,) = _problems(f"things:\n  a:\n    wet: {word}\n")
    assert problem.startswith(
        f"t.yaml:3: things.a.wet: YAML reads {word} as true or false; write true or false"
    )


@pytest.mark.parametrize("key", ["name: true", "things: {a: {size: true}}", "things: true"])
def test_a_boolean_where_none_is_wanted_is_the_only_thing_told(key: str) -> None:
    (problem,) = _problems(key + "\n")
    assert "YAML reads true as true or false" in problem


def test_of_an_unknown_key_only_that_is_told() -> None:
    (problem,) = _problems("things: {a: {wett: true}}\n")
    assert "unknown key; did you mean 'wet'?" in problem


def test_a_document_that_is_a_boolean() -> None:
    (problem,) = _problems("true\n")
    assert problem.startswith("t.yaml:1: thing file: YAML reads true")


def test_a_boolean_behind_an_alias_is_told_once_for_where_it_stands() -> None:
    assert len(_problems("name: &b true\nthings: {a: {wet: *b}}\n")) >= 1


def test_names_have_rules_in_words() -> None:
    (problem,) = _problems("things: {A1: {}}\n")
    assert "'A1' is not a name: a word has letters" in problem


def test_an_empty_file_says_what_it_needs() -> None:
    assert _problems("# nothing\n") == ["t.yaml:1: thing file: is empty; at least things are needed"]


def test_checks_see_what_is_sound_of_a_broken_file() -> None:
    def check(model: _Outer) -> list[Finding]:
        return [Finding(("things", name), "is there") for name in model.things]

    with pytest.raises(_Problems) as raised:
        decode("things:\n  a: {size: big}\n  b: {}\n", Path("t.yaml"), FORM, check)
    assert [(problem.line, problem.path) for problem in raised.value.problems] == [
        (2, "things.a.size"),
        (3, "things.b"),
    ]


def test_a_file_that_cannot_be_read_is_named_with_its_kind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"thing file .*nosuch cannot be read") as raised:
        read_text(tmp_path / "nosuch", FORM)
    assert raised.value.hint == "give a thing file"


@pytest.mark.parametrize(
    ("loc", "text"),
    [
        ((), "root"),
        (("a", 0, "b"), "a[0].b"),
        (("steal.high",), "['steal.high']"),
        (("a", "b c"), "a['b c']"),
    ],
)
def test_places_are_paths(loc: tuple[str | int, ...], text: str) -> None:
    assert format_loc(loc, "root") == text


def test_suggestions() -> None:
    assert suggest("steel.high", ["steal.high", "steal.low"]) == "steal.high"
    assert suggest("zzz", ["steal.high"]) is None
    assert unknown("knob", "zzz", []) == "unknown knob 'zzz'; there is none"
