# SPDX-License-Identifier: GPL-2.0-only
"""The files of definitions, of knobs or of loads, that a topology names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from lab.errors import InputError
from lab.strictyaml.definitions import DefinitionText
from lab.strictyaml.yamltree import YamlSyntaxError, parse_document

KnobTexts = tuple[DefinitionText, ...]
LoadTexts = tuple[DefinitionText, ...]
_Texts = TypeVar("_Texts")


def files_of(text: str, key: str) -> tuple[str, ...]:
    """The files under `key` of a topology's text, as far as they can be told; decoding tells what is wrong."""
    if key not in text:
        return ()
    try:
        value = parse_document(text).value
    except YamlSyntaxError:
        return ()
    names = value.get(key) if isinstance(value, dict) else None
    return tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else ()


def read_files(
    names: Iterable[str], directory: Path, read: Callable[[Path], _Texts]
) -> dict[str, _Texts | str]:
    """What is in the files and directories, relative to `directory`, or why that cannot be read."""
    return {name: _read(directory / name, read) for name in names}


def _read(path: Path, read: Callable[[Path], _Texts]) -> _Texts | str:
    try:
        return read(path)
    except InputError as error:
        return error.message
