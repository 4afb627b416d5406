# SPDX-License-Identifier: GPL-2.0-only
"""From pydantic's errors to what a user can act on.

pydantic names places by its own structure (branches of a union, ``[key]``) and speaks of types. Here the
location is walked along the models, which tells the clean location, the model and field that were meant, and
so what to suggest.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lab.strictyaml.findings import Finding, Loc, suggest
from lab.strictyaml.yamltree import Document


@dataclass(frozen=True)
class Target:
    """What a pydantic location means.

    `loc` is the location without union branches; `model` owns the last key of it, `field` is that key's
    field; `union_depth` is the length of `loc` where a union was entered, or None.
    """

    loc: Loc
    model: type[BaseModel] | None
    field: FieldInfo | None
    annotation: Any
    union_depth: int | None


def _without_none(annotation: Any) -> Any:
    """`annotation` without Annotated and without an optional None."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, types.UnionType):
            branches = [branch for branch in get_args(annotation) if branch is not type(None)]
            if len(branches) != 1:
                return Union[tuple(branches)]  # noqa: UP007 - made at run time
            annotation = branches[0]
        else:
            return annotation


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def _branch(annotation: Any, label: str) -> Any:
    """The branch of a union that pydantic calls `label` (``tuple[...]``, ``literal[...]``, ``str``)."""
    branches = [_without_none(branch) for branch in get_args(annotation)]
    kind = label.partition("[")[0]
    names = {tuple: "tuple", Literal: "literal", dict: "dict"}
    for branch in branches:
        origin = get_origin(branch)
        if names.get(origin, getattr(branch, "__name__", "")) == kind:
            return branch
    return branches[0]


def trace(model: type[BaseModel], raw: Loc) -> Target:
    """Walks pydantic's location `raw` from `model` down."""
    owner: type[BaseModel] | None = None
    found: FieldInfo | None = None
    annotation: Any = model
    loc: list[str | int] = []
    union_depth: int | None = None
    in_dict = False
    for part in raw:
        annotation = _without_none(annotation)
        if _is_union(annotation):
            union_depth = len(loc)
            annotation = _branch(annotation, str(part))
            continue
        if part == "[key]" and in_dict:  # pydantic's way to say that the key itself is meant
            continue
        loc.append(part)
        args = get_args(annotation)
        in_dict = get_origin(annotation) is dict
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            owner, found = annotation, annotation.model_fields.get(str(part))
            annotation = found.annotation if found else Any
        else:
            annotation = (args[1] if in_dict else args[0]) if args else Any
            owner = None
    return Target(tuple(loc), owner, found, _without_none(annotation), union_depth)


def takes_boolean(model: type[BaseModel], loc: Loc) -> bool:
    """Whether the key at `loc` may be true or false, or is unknown, so that its value does not matter."""
    target = trace(model, loc)
    if target.model is not None and target.field is None:
        return True
    annotation = target.annotation
    branches = get_args(annotation) if _is_union(annotation) else (annotation,)
    return any(_without_none(branch) is bool for branch in branches)


def takes_word(model: type[BaseModel], loc: Loc, word: str) -> bool:
    """Whether the key at `loc` may be just this word: then nothing else can be meant by it."""
    return word in _choices(trace(model, loc).annotation)


def describe(value: Any, written: str | None) -> str:
    """A found value in words: ``nothing``, ``a list``, ``'two'``, ``6.12``."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    shown = repr(value) if isinstance(value, str) else str(written)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _choices(annotation: Any) -> tuple[Any, ...]:
    """Values of a Literal, also of one inside a union."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if _is_union(annotation):
        return tuple(value for branch in get_args(annotation) for value in _choices(_without_none(branch)))
    return ()


def _wanted(annotation: Any) -> str:
    """What a value of this type looks like, in words."""
    if _is_union(annotation):
        return " or ".join(_wanted(_without_none(branch)) for branch in get_args(annotation))
    if get_origin(annotation) is Literal:
        return " or ".join(str(value) for value in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"a mapping with {', '.join(annotation.model_fields)}"
    origin = get_origin(annotation) or annotation
    words = {
        tuple: "a list",
        dict: "a mapping",
        str: "text",
        bool: "true or false",
        int: "a whole number",
        float: "a number",
    }
    return words.get(origin, "something else")


def _help(field: FieldInfo | None) -> str:
    """A field's own description and example, as an appendix to a message."""
    if field is None:
        return ""
    parts = [field.description] if field.description else []
    parts += [f"for example {example}" for example in (field.examples or [])[:1]]
    return f" ({'; '.join(parts)})" if parts else ""


def _misspelt(value: Any, known: Iterable[Any]) -> str:
    near = suggest(value, map(str, known)) if isinstance(value, str) else None
    return f"; did you mean {near!r}?" if near else ""


class _Message:
    """Words for one pydantic error."""

    def __init__(
        self, error: Mapping[str, Any], target: Target, document: Document, rules: Mapping[str, str]
    ) -> None:
        self.error, self.target, self.rules = error, target, rules
        self.context: Mapping[str, Any] = error.get("ctx") or {}
        self.value, self.written = document.at(target.loc)
        self.found = describe(self.value, self.written)

    def text(self) -> str:
        own = getattr(self, f"_{self.error['type']}", None)
        if own is not None:
            return str(own())
        if self.error["type"].endswith(("_type", "_parsing", "_from_float", "_size")):
            return self._expected()
        return f"{self.error['msg']}; found {self.found}"

    def _expected(self) -> str:
        return f"expected {_wanted(self.target.annotation)}, found {self.found}{_help(self.target.field)}"

    def _missing(self) -> str:
        return f"missing; this key is required{_help(self.target.field)}"

    def _extra_forbidden(self) -> str:
        allowed = list(self.target.model.model_fields) if self.target.model else []
        near = _misspelt(str(self.target.loc[-1]), allowed)
        return f"unknown key{near}" if near else f"unknown key; allowed here: {', '.join(allowed)}"

    def _string_type(self) -> str:
        if isinstance(self.value, (int, float)):
            return f'expected text, found the number {self.written}; quote it: "{self.written}"'
        return self._expected()

    def _string_pattern_mismatch(self) -> str:
        rule = self.rules.get(str(self.context.get("pattern")))
        if rule is not None:
            name = self.target.loc[-1] if self.error["loc"][-1] == "[key]" else self.value
            return f"{describe(name, None)} is not a name: {rule}"
        return f"{self.found} cannot be used{_help(self.target.field)}"

    def _literal_error(self) -> str:
        choices = _choices(self.target.annotation)
        wanted = " or ".join(str(choice) for choice in choices)
        return f"expected {wanted}, found {self.found}{_misspelt(self.value, choices)}"

    def _greater_than_equal(self) -> str:
        return f"must be at least {self.context['ge']:g}, found {self.found}"

    def _less_than_equal(self) -> str:
        return f"must be at most {self.context['le']:g}, found {self.found}"

    def _too_short(self) -> str:
        return "an empty list; at least one entry is needed"

    def _value_error(self) -> str:
        text = str(self.context.get("error", self.error["msg"]))
        return (
            text
            if isinstance(self.value, (str, dict)) or self.found in text
            else f"{text}; found {self.found}"
        )


def _union_message(target: Target, document: Document) -> str:
    """One message for all branches of a union that none of them accepts."""
    value, written = document.at(target.loc)
    wanted = _wanted(target.annotation)
    if isinstance(value, float) and "text" in wanted:
        return f'expected {wanted}, found the number {written}; quote it: "{written}"'
    near = _misspelt(value, _choices(target.annotation))
    return f"expected {wanted}, found {describe(value, written)}{near or _help(target.field)}"


def _union_finding(
    model: type[BaseModel],
    error: Mapping[str, Any],
    target: Target,
    depth: int,
    document: Document,
    rules: Mapping[str, str],
) -> Finding | None:
    """The finding for an error in one branch of a union that was entered at `depth`.

    pydantic tells the errors of every branch. Where a list was written, a list was meant: only what that
    branch says of its entries helps. Otherwise one message stands for all branches.
    """
    loc = target.loc[:depth]
    if not isinstance(document.at(loc)[0], list) or not _takes_list(trace(model, loc).annotation):
        return Finding(loc, _union_message(trace(model, loc), document))
    if len(target.loc) > depth:
        return Finding(target.loc, _Message(error, target, document, rules).text())
    return None


def _takes_list(annotation: Any) -> bool:
    return any(get_origin(_without_none(branch)) is tuple for branch in get_args(annotation))


def _finding(
    model: type[BaseModel], error: Mapping[str, Any], document: Document, rules: Mapping[str, str]
) -> Finding | None:
    target = trace(model, error["loc"])
    if target.union_depth is not None:
        return _union_finding(model, error, target, target.union_depth, document, rules)
    if error["type"] == "too_short" and document.at(target.loc)[0]:
        return None  # it has entries, but none of them is valid, which is told already
    return Finding(target.loc, _Message(error, target, document, rules).text())


def explain_errors(
    model: type[BaseModel],
    errors: Sequence[Mapping[str, Any]],
    document: Document,
    rules: Mapping[str, str],
) -> list[Finding]:
    """Findings for pydantic's `errors` on `document`, one for each place that is wrong.

    `rules` says in words what a pattern of names (the key) wants.
    """
    findings = [_finding(model, error, document, rules) for error in errors]
    by_place = {finding.loc: finding for finding in reversed(findings) if finding is not None}
    return list(reversed(by_place.values()))
