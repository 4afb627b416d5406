# SPDX-License-Identifier: GPL-2.0-only
"""Files of definitions, read before they are decoded: one file, or all of a directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import InputError
from lab.strictyaml.decode import Format, read_text


@dataclass(frozen=True)
class DefinitionText:
    """A file of definitions; `path` names it in messages."""

    path: Path
    text: str


def read_definitions(path: Path, form: Format[Any], of: str) -> tuple[DefinitionText, ...]:
    """The file `path`, or every *.yaml in the directory `path`, by name. `of` is what they define, in messages.

    Raises InputError.
    """
    paths = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not paths:
        raise InputError(f"{of} directory {path} has no *.yaml file", f"put a file of {of} definitions there")
    return tuple(DefinitionText(one, read_text(one, form)) for one in paths)
