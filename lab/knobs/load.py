# SPDX-License-Identifier: GPL-2.0-only
"""Files of knob definitions: the shipped ones, and a user's own on top. Pure over texts, but for `read_`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from lab.errors import KnobFileError, Problem
from lab.knobs.model import Registry
from lab.knobs.registry import EMPTY, GENERIC, OWN, extend
from lab.knobs.spec import NAME_RULES, KnobFileSpec
from lab.strictyaml.decode import Format, decode
from lab.strictyaml.definitions import DefinitionText, read_definitions
from lab.strictyaml.findings import Finding

KNOB_FORMAT = Format(
    what="knob file",
    model=KnobFileSpec,
    error=KnobFileError,
    hint="`lab schema --knobs` prints the format",
    needed="version and knobs",
    example="give the path of a file of knob definitions, or of a directory of them",
    rules=NAME_RULES,
)

_SHIPPED = Path(__file__).parent / "data"
#: The vocabulary: read first, as the generations speak of its knobs.
_VOCABULARY = "vocabulary.yaml"


def read_knob_texts(path: Path) -> tuple[DefinitionText, ...]:
    """The file `path`, or every *.yaml in the directory `path`, by name. Raises InputError."""
    return read_definitions(path, KNOB_FORMAT, "knob")


@cache
def shipped_registry() -> Registry:
    """What the package knows. A constant of the package: the same in every call."""
    texts = sorted(read_knob_texts(_SHIPPED), key=lambda one: one.path.name != _VOCABULARY)
    registry = EMPTY
    for one in texts:
        registry = add_knob_text(registry, one, shipped=True)
    return registry


def add_knob_text(base: Registry, source: DefinitionText, *, shipped: bool = False) -> Registry:
    """`base` with what a file defines. Raises KnobFileError with all of the file's problems."""
    own = GENERIC if shipped else OWN

    def check(spec: KnobFileSpec) -> list[Finding]:
        return extend(base, spec, own)[1]

    return extend(base, decode(source.text, source.path, KNOB_FORMAT, check), own)[0]


def add_knob_texts(base: Registry, sources: Iterable[DefinitionText]) -> tuple[Registry, list[Problem]]:
    """`base` with what all files define, and the problems of those that are left out for them."""
    problems: list[Problem] = []
    for source in sources:
        try:
            base = add_knob_text(base, source)
        except KnobFileError as error:
            problems += error.problems
    return base, problems
