# SPDX-License-Identifier: GPL-2.0-only
"""What a key of a file means, out of the JSON schema that editors get: neither can say what the other does not."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.topology.atoms import (
    ANY_CPULIST_PATTERN,
    CPULIST_PATTERN,
    DURATION_PATTERN,
    NAME_PATTERN,
    PERCENT_PATTERN,
    SIZE_PATTERN,
)
from lab.units import MAX_CPU, format_duration

Schema = Mapping[str, Any]

#: What is written with these patterns, in words.
_QUANTITIES = {
    DURATION_PATTERN: "a duration: a number and ns, us, ms, s or min",
    SIZE_PATTERN: "a size: a number and MiB or GiB",
    PERCENT_PATTERN: "a percentage: a number and %",
    CPULIST_PATTERN: "a list of CPU numbers",
    ANY_CPULIST_PATTERN: 'a list of CPU numbers; "" for none',
    f"^{NAME_PATTERN}$": "a name: lower-case letters, digits and dashes",
}


class UnknownKeyError(ValueError):
    """No such key; the text says where the way to it ends and what is there."""


@dataclass(frozen=True)
class Explained:
    """A key. `default` and `example` are as a file would have them, None where there is none; `keys` are those
    below it with the first sentence about each, empty where it has none."""

    path: str
    about: str
    type: str
    required: bool
    default: str | None
    example: str | None
    keys: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Place:
    """A schema, and that of the field that led to it, which has the description and the default."""

    field: Schema
    required: bool = False


def explain_key(schema: Schema, path: str) -> Explained:
    """The key at a dotted path below the file that `schema` is of; the empty path is the file itself.

    Items of lists and values of mappings by name need no segment of their own, but may have one, as in messages:
    ``nodes.0.vcpus``, ``nodes[0].vcpus``, ``kernels.mine.source`` and ``kernels.source`` are all keys. Raises
    UnknownKeyError.
    """
    segments = [one for one in re.split(r"[.\[\]]+", path) if one and one != "*"]
    place, passed = _Place(schema, required=True), list[str]()
    for segment in segments:
        place = _below(schema, place, segment, passed)
        passed.append(segment)
    return _explain(schema, place, ".".join(passed))


def all_keys(schema: Schema) -> Iterator[str]:
    """The path of every key, by way of any; one that leads back to itself is followed once."""
    yield from _paths(schema, schema, "", ())


def _paths(root: Schema, at: Schema, path: str, on_the_way: tuple[str, ...]) -> Iterator[str]:
    for shape in _shapes(root, at):
        title = shape.get("title", "")
        for name, field in shape.get("properties", {}).items():
            below = f"{path}.{name}" if path else name
            yield below
            if title not in on_the_way:
                yield from _paths(root, field, below, (*on_the_way, title))


def _shapes(root: Schema, at: Schema) -> Iterator[Schema]:
    """What a value may be: references, choices, items of lists and values of mappings resolved."""
    if "$ref" in at:
        yield from _shapes(root, root["$defs"][at["$ref"].rpartition("/")[2]])
    elif "anyOf" in at:
        for one in at["anyOf"]:
            yield from _shapes(root, one)
    elif "items" in at and isinstance(at["items"], dict):
        yield from _shapes(root, at["items"])
    elif values := _mapping_values(at):
        yield from _shapes(root, values)
    else:
        yield at


def _mapping_values(at: Schema) -> Schema | None:
    """The schema of the values of a mapping by name."""
    more = at.get("additionalProperties")
    if isinstance(more, dict):
        return more
    patterns = at.get("patternProperties")
    return next(iter(patterns.values())) if patterns else None


def _below(root: Schema, place: _Place, segment: str, passed: Sequence[str]) -> _Place:
    shapes = list(_shapes(root, place.field))
    for shape in shapes:
        if segment in shape.get("properties", {}):
            return _Place(shape["properties"][segment], segment in shape.get("required", ()))
    if _is_item(root, place.field, segment):
        return place
    names = [name for shape in shapes for name in shape.get("properties", {})]
    near = difflib.get_close_matches(segment, names, n=1)
    said = (
        f"; did you mean {'.'.join([*passed, near[0]])}?"
        if near
        else f" (there: {', '.join(names) or 'none'})"
    )
    where = f"below {'.'.join(passed)} " if passed else ""
    raise UnknownKeyError(f"there is no key {segment!r} {where}".rstrip() + said)


def _is_item(root: Schema, field: Schema, segment: str) -> bool:
    """Whether a segment that is no key names an item of a list or a value of a mapping."""
    if "$ref" in field:
        return False
    ways = [field, *field.get("anyOf", ())]
    return any(("items" in way and segment.isdecimal()) or _mapping_values(way) is not None for way in ways)


def _explain(root: Schema, place: _Place, path: str) -> Explained:
    fields = {
        name: field
        for shape in _shapes(root, place.field)
        for name, field in shape.get("properties", {}).items()
    }
    return Explained(
        path=path,
        about=_about(root, place.field),
        type=_type(root, place.field),
        required=place.required,
        default=_default(place.field),
        example=_example(root, place.field, path),
        keys=tuple((name, _first(_about(root, field))) for name, field in fields.items()),
    )


def _about(root: Schema, field: Schema) -> str:
    """The field's own description, and that of what it holds, where that has one."""
    own = [str(field["description"])] if "description" in field else []
    held = [
        str(one["description"]) for one in _shapes(root, field) if "description" in one and one is not field
    ]
    return "\n\n".join(dict.fromkeys([*own, *held]))


def _first(about: str) -> str:
    """The first sentence or clause; a semicolon in parentheses ends none."""
    text = " ".join(about.partition("\n\n")[0].split())
    return re.split(r"(?<=[^.])\. |; (?![^(]*\))", text)[0].rstrip(".")


def _type(root: Schema, field: Schema) -> str:
    if "$ref" in field:
        return "keys"
    if "anyOf" in field:
        several = [_type(root, one) for one in field["anyOf"] if not _goes_without_saying(one)]
        return ", or ".join(dict.fromkeys(several))
    if "enum" in field:
        return (
            "one of " + ", ".join(map(str, field["enum"]))
            if len(field["enum"]) > 1
            else str(field["enum"][0])
        )
    if "const" in field:
        return str(field["const"])
    if "prefixItems" in field:
        places = [_type(root, one) for one in field["prefixItems"]]
        return f"a list of {len(places)}: {', '.join(places)}"
    if "items" in field:
        return f"a list of {_type(root, field['items'])}"
    if (values := _mapping_values(field)) is not None:
        return f"names, each with {_type(root, values)}"
    return _plain_type(field)


def _goes_without_saying(choice: Schema) -> bool:
    """Nothing, which is to leave a key out, and a single CPU, which YAML takes for a number."""
    return choice.get("type") == "null" or choice.get("maximum") == MAX_CPU


def _plain_type(field: Schema) -> str:
    if field.get("type") == "string":
        return _QUANTITIES.get(field.get("pattern", ""), "text")
    words = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "object": "keys"}
    word = words.get(field.get("type", ""), "any value")
    low, high = field.get("minimum"), field.get("maximum")
    if low is not None and high is not None:
        return f"{word}, {low:g} to {high:g}"
    return word if low is None else f"{word}, at least {low:g}"


def _default(field: Schema) -> str | None:
    """As the file would have it: the schema has durations in ns, sizes in MiB and percentages as numbers."""
    value = field.get("default")
    if value is None or value in ([], {}, ""):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (int, float)):
        return str(value)
    pattern = field.get("pattern")
    if pattern == DURATION_PATTERN:
        return format_duration(int(value))
    return f"{value:g}{'%' if pattern == PERCENT_PATTERN else ''}"


def _example(root: Schema, field: Schema, path: str) -> str | None:
    """``name: value``, where a single value is enough of an example."""
    key = path.rpartition(".")[2]
    value = _example_value(root, field)
    return None if value is None else f"{key}: {value}"


def _example_value(root: Schema, field: Schema) -> str | None:
    if field.get("pattern") in _QUANTITIES and field.get("default"):
        return _default(field)  # what is in bounds
    for one in (field, *field.get("anyOf", ())):
        if one.get("type") == "array":
            items = one.get("prefixItems") or [one.get("items", {})]
            values = [_example_value(root, item) for item in items]
            return f"[{', '.join(map(str, values))}]" if None not in values else None
        if one.get("examples"):
            return _quoted(str(one["examples"][0]))
        if one.get("enum"):
            return str(one["enum"][0])
        if "const" in one:
            return str(one["const"])
        if one.get("type") == "boolean":
            return str(not one.get("default", False)).lower()
        if one.get("type") in ("integer", "number"):
            return f"{_within(one):g}"
    return None


def _within(field: Schema) -> float:
    """A number that may be, and that is not the default."""
    low, high = field.get("minimum", 0), field.get("maximum")
    wanted = field.get("default") or 1
    tried = (2 * wanted, wanted / 2, low)
    return float(next(one for one in tried if one >= low and (high is None or one <= high)))


def _quoted(text: str) -> str:
    """YAML would take some texts for something else."""
    return f'"{text}"' if re.match(r"[*\d]", text) and not text.endswith(("s", "iB", "%")) else text
