# SPDX-License-Identifier: GPL-2.0-only
"""YAML text to plain values that know their lines.

Built from parser events rather than by a YAML constructor, because the file must be read more strictly than
YAML 1.1 would (duplicate keys, ``on`` as a boolean, ``1:30`` as 90), because every value must keep its line,
and because neither deep nesting nor a pile of aliases may cost more than the file is long.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from lab.strictyaml.findings import Finding, Loc

MAX_DEPTH = 32
#: Values in a document; the largest topology (10,000 nodes written out) has about half of it.
MAX_VALUES = 300_000
#: Values that aliases may add to a document; a "billion laughs" file wants billions.
MAX_ALIASED_VALUES = 100_000

_RESOLVER: Any = yaml.resolver.Resolver()
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_DECIMAL_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_DECIMAL_FLOAT = re.compile(r"[-+]?[0-9]+\.[0-9]*([eE][-+]?[0-9]+)?")
# What YAML forbids (the complement of yaml.reader.Reader's printable set), so that it is found with its line.
_UNPRINTABLE = re.compile(
    "[^\x09\x0a\x0d\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


class YamlSyntaxError(Exception):
    """The text cannot be read any further; `finding` says why and has its line."""

    def __init__(self, line: int, message: str, loc: Loc = ("syntax",)) -> None:
        super().__init__(message)
        self.finding = Finding(loc, message, line=line)


@dataclass(frozen=True)
class Place:
    """Where a value stands: 1-based line, how a scalar was written, and the entries of a container.

    An entry has the line of its key or dash, which differs from the value's where an alias is used.
    """

    line: int
    written: str | None = None
    entries: dict[str | int, tuple[int, Place]] = field(default_factory=dict)


@dataclass(frozen=True)
class Document:
    """A YAML document as plain dicts (with text keys), lists, text, numbers and None.

    Each boolean is a finding, since what was meant is nearly always text; ``true`` and ``false`` are booleans all
    the same, so that a key that takes one can have it, and the others (``on``, ``yes``) stay text.
    """

    value: Any
    place: Place
    findings: tuple[Finding, ...]

    def line_of(self, loc: Loc) -> int:
        """Line of `loc`, or of the innermost part of it that exists."""
        line, place = self.place.line, self.place
        for part in loc:
            if part not in place.entries:
                break
            line, place = place.entries[part]
        return line

    def put(self, loc: Loc, value: Any) -> None:
        """Let the value at `loc`, which exists, be another one."""
        container, _ = self.at(loc[:-1])
        container[loc[-1]] = value

    def at(self, loc: Loc) -> tuple[Any, str | None]:
        """The value at `loc` and how it was written; (None, None) where there is none."""
        value, place = self.value, self.place
        for part in loc:
            if part not in place.entries:
                return None, None
            value, place = value[part], place.entries[part][1]
        return value, place.written


@dataclass
class _Built:
    value: Any
    place: Place
    size: int


@dataclass
class _Frame:
    value: Any
    place: Place
    anchor: str | None
    size: int = 1
    key: str | None = None
    key_line: int = 0
    wants_key: bool = False

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.value, dict)


class _Composer:
    """Builds one document out of parser events, with a stack of open containers instead of recursion."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.root: _Built | None = None
        self._frames: list[_Frame] = []
        self._anchors: dict[str, _Built | None] = {}
        self._values = 0
        self._aliased = 0
        self._documents = 0

    def feed(self, event: Any) -> None:
        line = event.start_mark.line + 1 if event.start_mark else 1
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise YamlSyntaxError(line, "a second YAML document starts here; a file holds one")
            case yaml.ScalarEvent():
                self._scalar(event, line)
            case yaml.AliasEvent():
                self._alias(str(event.anchor), line)
            case yaml.MappingStartEvent():
                self._open(_Frame({}, Place(line), event.anchor, wants_key=True), event.tag, "map", line)
            case yaml.SequenceStartEvent():
                self._open(_Frame([], Place(line), event.anchor), event.tag, "seq", line)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._close()

    def _loc(self) -> Loc:
        parts = [frame.key if frame.is_mapping else len(frame.value) for frame in self._frames]
        return tuple(part for part in parts if part is not None)

    def _complain(self, message: str, line: int) -> None:
        self.findings.append(Finding(self._loc(), message, line=line))

    def _open(self, frame: _Frame, tag: str | None, kind: str, line: int) -> None:
        if self._frames and self._frames[-1].wants_key:
            raise YamlSyntaxError(line, "a key must be plain text, not a list or a mapping")
        if len(self._frames) >= MAX_DEPTH:
            raise YamlSyntaxError(line, f"nested deeper than {MAX_DEPTH} levels")
        if tag not in (None, "!", _TAG + kind):
            self._complain(f"the YAML tag {tag} is not supported", line)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = None
        self._frames.append(frame)

    def _close(self) -> None:
        frame = self._frames.pop()
        self._finish(_Built(frame.value, frame.place, frame.size), frame.anchor, frame.place.line)

    def _finish(self, built: _Built, anchor: str | None, line: int) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise YamlSyntaxError(line, f"more than {MAX_VALUES} values; is this the right file?")
        if anchor is not None:
            self._anchors[anchor] = built
        if self._frames:
            self._add(self._frames[-1], built, line)
        else:
            self.root = built

    def _add(self, frame: _Frame, built: _Built, line: int) -> None:
        frame.size += built.size
        if not frame.is_mapping:
            frame.place.entries[len(frame.value)] = (line, built.place)
            frame.value.append(built.value)
            return
        key, frame.key, frame.wants_key = frame.key, None, True
        if key is None:
            return
        if key in frame.value:
            first = frame.place.entries[key][0]
            loc = (*self._loc(), key)
            self.findings.append(
                Finding(loc, f"duplicate key; first given on line {first}", line=frame.key_line)
            )
            return
        frame.place.entries[key] = (frame.key_line, built.place)
        frame.value[key] = built.value

    def _alias(self, name: str, line: int) -> None:
        built = self._anchors.get(name)
        if built is None:
            what = (
                "stands inside of what it repeats"
                if name in self._anchors
                else "repeats nothing given before"
            )
            raise YamlSyntaxError(line, f"the alias *{name} {what}")
        if self._frames and self._frames[-1].wants_key:
            raise YamlSyntaxError(line, "a key must be plain text, not an alias")
        self._aliased += built.size
        if self._aliased > MAX_ALIASED_VALUES:
            raise YamlSyntaxError(line, f"aliases repeat more than {MAX_ALIASED_VALUES} values")
        self._finish(built, None, line)

    def _scalar(self, event: Any, line: int) -> None:
        if self._frames and self._frames[-1].wants_key:
            self._key(self._frames[-1], event, line)
            return
        if event.tag not in (None, "!", _TAG + "str"):
            self._complain(f"the YAML tag {event.tag} is not supported", line)
        plain = event.implicit[0] and event.tag is None
        value = self._plain(event.value, line) if plain else event.value
        self._finish(_Built(value, Place(line, event.value), 1), event.anchor, line)

    def _key(self, frame: _Frame, event: Any, line: int) -> None:
        # Keys are names: whatever YAML would make of them (6.12, on), the text is meant.
        frame.key, frame.key_line, frame.wants_key = event.value, line, False
        if event.value == "<<" and event.implicit[0]:
            self._complain("merge keys (<<) are not supported", line)
            frame.key = None
        if event.anchor is not None:
            raise YamlSyntaxError(line, "a key cannot have an anchor")

    def _plain(self, text: str, line: int) -> Any:
        """The value of an unquoted scalar. A surprising one is a finding and stays text."""
        kind = str(_RESOLVER.resolve(yaml.ScalarNode, text, (True, False))).removeprefix(_TAG)
        if kind == "null":
            return None
        if kind == "bool":
            self._complain(
                f'YAML reads {text} as true or false; write true or false to mean that, or "{text}"', line
            )
            return {"true": True, "false": False}.get(text, text)
        elif kind == "int":
            if _DECIMAL_INT.fullmatch(text):
                return int(text)
            self._complain(
                f'YAML reads {text} as another number; write it in decimal, or quote it: "{text}"', line
            )
        elif kind == "float":
            if _DECIMAL_FLOAT.fullmatch(text) and math.isfinite(float(text)):
                return float(text)
            self._complain(f'{text} is no decimal number; quote it to mean text: "{text}"', line)
        return text


def _events(text: str) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text) from error
    except yaml.YAMLError as error:
        raise YamlSyntaxError(1, f"cannot be read as YAML: {error}") from error


def _syntax_error(error: yaml.MarkedYAMLError, text: str) -> YamlSyntaxError:
    mark, context = error.problem_mark or error.context_mark, error.context_mark
    line = mark.line + 1 if mark else 1
    lines = text.splitlines()
    here = lines[line - 1] if line <= len(lines) else ""
    if "cannot start any token" in str(error.problem) and here.lstrip(" ").startswith("\t"):
        return YamlSyntaxError(line, "a tab; YAML is indented with spaces")
    where = f" ({error.context}, line {context.line + 1})" if error.context and context else ""
    return YamlSyntaxError(line, f"not YAML: {error.problem}{where}")


def parse_document(text: str) -> Document:
    """The only YAML document in `text`. Raises YamlSyntaxError; all else wrong is in `findings`."""
    odd = _UNPRINTABLE.search(text)
    if odd is not None:
        line = text.count("\n", 0, odd.start()) + 1
        raise YamlSyntaxError(line, f"the character U+{ord(odd[0]):04X} is not allowed in YAML")
    composer = _Composer()
    for event in _events(text):
        composer.feed(event)
    if composer.root is None:
        return Document(None, Place(1), ())
    return Document(composer.root.value, composer.root.place, tuple(composer.findings))
