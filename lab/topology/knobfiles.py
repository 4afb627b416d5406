# SPDX-License-Identifier: GPL-2.0-only
"""The files of knob definitions that a topology names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lab.errors import InputError
from lab.knobs.load import KnobText, read_knob_texts
from lab.strictyaml.yamltree import YamlSyntaxError, parse_document

KnobTexts = tuple[KnobText, ...]


def knob_files_of(text: str) -> tuple[str, ...]:
    """The `knob_files` of a topology's text, as far as they can be told; decoding tells what is wrong."""
    if "knob_files" not in text:
        return ()
    try:
        value = parse_document(text).value
    except YamlSyntaxError:
        return ()
    names = value.get("knob_files") if isinstance(value, dict) else None
    return tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else ()


def read_knob_files(names: Iterable[str], directory: Path) -> dict[str, KnobTexts | str]:
    """What is in the files and directories, relative to `directory`, or why that cannot be read."""
    return {name: _read(directory / name) for name in names}


def _read(path: Path) -> KnobTexts | str:
    try:
        return read_knob_texts(path)
    except InputError as error:
        return error.message
