# SPDX-License-Identifier: GPL-2.0-only
"""What is left of a document when its broken parts are taken out.

A user wants to hear of everything at once: also that a kernel is unknown, although a key elsewhere is
misspelt. So the parts that do not fit the models are left out, the rest is cross-checked, and whatever might
only be a consequence of what was left out is not told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from lab.strictyaml.findings import Finding, Loc
from lab.strictyaml.shape import trace
from lab.strictyaml.yamltree import Document

_ROUNDS = 4


@dataclass
class Salvaged:
    """A model made of the sound parts. `removed` are the places left out, in the original document."""

    spec: BaseModel
    removed: set[Loc]
    indexes: dict[Loc, list[int]] = field(default_factory=dict)

    def original(self, loc: Loc) -> Loc:
        """The place in the original document of `loc` in what is left (list entries have moved up)."""
        result: Loc = ()
        here: Loc = ()
        for part in loc:
            kept = self.indexes.get(here)
            old = kept[part] if kept is not None and isinstance(part, int) and part < len(kept) else part
            result, here = (*result, old), (*here, part)
        return result

    def trusts(self, finding: Finding) -> bool:
        """Whether nothing that `finding` (told in terms of what is left) needs was left out."""
        needs = [self.original(need) for need in (finding.needs or (finding.loc[:2],))]
        return not any(_touches(removed, need) for need in needs for removed in self.removed)


def _touches(removed: Loc, need: Loc) -> bool:
    """Whether leaving out `removed` changes `need`; see findings.Finding for what ``*`` means."""
    if need[-1:] == ("*",):
        return len(removed) <= len(need) and _touches(removed[: len(need) - 1], need[:-1])
    shorter = min(len(removed), len(need))
    return removed[:shorter] == need[:shorter]


def _removable(model: type[BaseModel], loc: Loc) -> Loc | None:
    """The smallest part around `loc` that its container can do without; None where that is everything."""
    while loc:
        target = trace(model, loc)
        if target.field is None or target.model is None or not target.field.is_required():
            return loc
        loc = loc[:-1]
    return None


def _without(
    value: Any, removed: set[Loc], indexes: dict[Loc, list[int]], old: Loc = (), new: Loc = ()
) -> Any:
    """A copy of `value` without the places `removed`; fills `indexes` for lists that lost entries."""
    if isinstance(value, dict):
        return {
            key: _without(entry, removed, indexes, (*old, key), (*new, key))
            for key, entry in value.items()
            if (*old, key) not in removed
        }
    if not isinstance(value, list):
        return value
    kept = [index for index in range(len(value)) if (*old, index) not in removed]
    indexes[new] = kept
    return [
        _without(value[index], removed, indexes, (*old, index), (*new, place))
        for place, index in enumerate(kept)
    ]


def salvage(model: type[BaseModel], document: Document, broken: Iterable[Loc]) -> Salvaged | None:
    """`document` without its `broken` parts, or None where nothing usable is left."""
    removed: set[Loc] = set()
    wanted = set(broken)
    for _ in range(_ROUNDS):
        for loc in wanted:
            part = _removable(model, loc)
            if part is None:
                return None
            removed.add(part)
        indexes: dict[Loc, list[int]] = {}
        value = _without(document.value, removed, indexes)
        try:
            return Salvaged(model.model_validate(value), removed, indexes)
        except ValidationError as error:
            left = Salvaged(model.model_construct(), removed, indexes)
            locs = (trace(model, each["loc"]).loc for each in error.errors(include_url=False))
            wanted = {left.original(loc) for loc in locs}
    return None
