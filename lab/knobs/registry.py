# SPDX-License-Identifier: GPL-2.0-only
"""The registry of knobs: put together from files, taken apart into what is shipped and what is a user's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lab.knobs.model import Backend, Generation, Knob, Registry
from lab.knobs.placechecks import check_place
from lab.knobs.spec import GenerationSpec, KnobFileSpec, KnobSpec, PlaceSpec
from lab.strictyaml.findings import Finding, Loc, unknown

#: Places that belong to no version of an interface.
GENERIC = Generation("generic", "any kernel", 0)
#: Places that a user gives along with a knob. They come before what is shipped.
OWN = Generation("own", "defined by the user", 100_000)
EMPTY = Registry({}, {}, {})

#: What `KnobSpec` says of a knob, by the field of `Knob`.
_SAID = {
    "type": "kind",
    "scope": "scope",
    "doc": "doc",
    "unit": "unit",
    "min": "minimum",
    "max": "maximum",
    "leaves": "leaves",
    "choices": "choices",
    "read_only": "read_only",
}


def extend(base: Registry, spec: KnobFileSpec, own: Generation = OWN) -> tuple[Registry, list[Finding]]:
    """`base` with what `spec` defines, and what in `spec` cannot be.

    Places given along with a knob, without a generation, are of the generation `own`.
    """
    builder = _Builder(base, own)
    findings = [
        *(finding for name, said in spec.generations.items() for finding in builder.generation(name, said)),
        *(finding for name, knob in spec.knobs.items() for finding in builder.knob(name, knob)),
        *(finding for name, said in spec.generations.items() for finding in builder.places(name, said)),
    ]
    return builder.registry(), findings


def define(base: Registry, definitions: Mapping[str, KnobSpec]) -> tuple[Registry, list[Finding]]:
    """`base` with the knobs that a topology defines by name; a finding's place is below the mapping."""
    registry, findings = extend(base, KnobFileSpec(version=1, knobs=dict(definitions)))
    return registry, [Finding(one.loc[1:], one.message) for one in findings]


def merge(base: Registry, more: Registry) -> Registry:
    """Everything of both. Where both know a knob or a generation, `more` has the last word on it."""
    generations = {**base.generations, **more.generations}
    names = dict.fromkeys([*base.backends, *more.backends])
    backends = {
        name: _in_order([*base.backends.get(name, ()), *more.backends.get(name, ())], generations)
        for name in names
    }
    return Registry({**base.knobs, **more.knobs}, backends, generations)


def beyond(registry: Registry, base: Registry) -> Registry:
    """What `registry` has and `base` has not: `merge(base, beyond(registry, base))` is `registry`."""
    backends = {
        name: own
        for name, places in registry.backends.items()
        if (own := tuple(place for place in places if place not in base.backends.get(name, ())))
    }
    knobs = {name: knob for name, knob in registry.knobs.items() if base.knobs.get(name) != knob}
    generations = {
        name: one for name, one in registry.generations.items() if base.generations.get(name) != one
    }
    return Registry(knobs, backends, generations)


def _in_order(places: Iterable[Backend], generations: Mapping[str, Generation]) -> tuple[Backend, ...]:
    """Each place once, the newest generation's first; within one as they were given."""
    return tuple(sorted(dict.fromkeys(places), key=lambda place: -generations[place.generation].order))


@dataclass
class _Builder:
    base: Registry
    own: Generation
    knobs: dict[str, Knob] = field(init=False)
    generations: dict[str, Generation] = field(init=False)
    backends: dict[str, list[Backend]] = field(init=False)

    def __post_init__(self) -> None:
        self.knobs, self.generations = dict(self.base.knobs), dict(self.base.generations)
        self.backends = {name: list(places) for name, places in self.base.backends.items()}

    def registry(self) -> Registry:
        places = {name: _in_order(places, self.generations) for name, places in self.backends.items()}
        return Registry(dict(self.knobs), places, dict(self.generations))

    def generation(self, name: str, said: GenerationSpec) -> Iterator[Finding]:
        known = self.generations.get(name)
        loc: Loc = ("generations", name)
        if known is None and said.order is None:
            yield Finding(loc, f"generation {name!r} is new: say its order (the highest is tried first)")
        if known is not None and said.order not in (None, known.order):
            yield Finding((*loc, "order"), f"generation {name!r} is known already, with order {known.order}")
        if known is None:
            self.generations[name] = Generation(name, said.title or name, said.order or 0)

    def knob(self, name: str, said: KnobSpec) -> Iterator[Finding]:
        loc: Loc = ("knobs", name)
        known = self.knobs.get(name)
        if known is not None:
            yield from _check_same(known, said, loc)
        elif said.type is None:
            message = f"knob {name!r} is new: say its type (bool, integer, cpulist or text)"
            yield Finding(loc, f"{message}; {_if_misspelt(name, self.knobs)}")
            return
        else:
            known = _knob(name, said)
            yield from _check_knob(known, said, loc)
            self.knobs[name] = known
            self.backends.setdefault(name, [])
        for index, place in enumerate(said.backends):
            where: Loc = (*loc, "backends", index)
            if place.generation is not None and place.generation not in self.generations:
                yield Finding(
                    (*where, "generation"), unknown("generation", place.generation, self.generations)
                )
                continue
            generation = place.generation or self._own()
            yield from self._place(known, generation, place, where)

    def places(self, name: str, said: GenerationSpec) -> Iterator[Finding]:
        for knob, places in said.backends.items():
            loc: Loc = ("generations", name, "backends", knob)
            if knob not in self.knobs:
                yield Finding(loc, unknown("knob", knob, self.knobs), needs=(loc, ("knobs", "*")))
                continue
            for index, place in enumerate(places):
                yield from self._place(self.knobs[knob], name, place, (*loc, index))

    def _own(self) -> str:
        self.generations.setdefault(self.own.name, self.own)
        return self.own.name

    def _place(self, knob: Knob, generation: str, said: PlaceSpec, loc: Loc) -> Iterator[Finding]:
        place = _backend(knob, generation, said)
        others = self.backends.setdefault(knob.name, [])
        yield from (Finding((*loc, key), message) for key, message in check_place(knob, place))
        if others and _side(others[0]) != _side(place):
            message = (
                f"knob {knob.name!r} is kept in {others[0].kind}: a control group on the host and a guest's "
                "own place cannot stand for each other"
            )
            yield Finding((*loc, "kind"), message)
        others.append(place)


def _side(place: Backend) -> str:
    """Where a place is written: in the guest, or on the host, for each vCPU or for the whole guest."""
    return place.kind if place.kind in ("cgroup", "domain_cgroup") else "guest"


def _if_misspelt(name: str, known: Iterable[str]) -> str:
    return unknown("knob", name, known).partition("; ")[2]


def _knob(name: str, said: KnobSpec) -> Knob:
    assert said.type is not None
    return Knob(
        name=name,
        scope=said.scope or "guest",
        kind=said.type,
        doc=" ".join((said.doc or "").split()),
        unit=said.unit,
        minimum=said.min,
        maximum=said.max,
        leaves=said.leaves or 0,
        choices=said.choices or (),
        read_only=bool(said.read_only),
    )


def _check_same(known: Knob, said: KnobSpec, loc: Loc) -> Iterator[Finding]:
    """A known knob stays what it is: only places may be added to it."""
    for key, name in _SAID.items():
        value, has = getattr(said, key), getattr(known, name)
        if value is not None and key != "doc" and value != has:
            shown = "no" if has in (None, ()) else has
            yield Finding((*loc, key), f"knob {known.name!r} is known already, with {shown} {key}")


def _check_knob(knob: Knob, said: KnobSpec, loc: Loc) -> Iterator[Finding]:
    """Keys that only one type has."""
    only = {"unit": "integer", "leaves": "cpulist", "choices": "text"}
    for key, kind in only.items():
        if getattr(said, key) is not None and knob.kind != kind:
            yield Finding((*loc, key), f"{key} is for the type {kind}; {knob.name!r} is {knob.kind}")
    if knob.kind not in ("integer", "cpulist"):
        for key in ("min", "max"):
            if getattr(said, key) is not None:
                yield Finding((*loc, key), f"a {knob.kind} has no {key}")
    if knob.minimum is not None and knob.maximum is not None and knob.minimum > knob.maximum:
        yield Finding((*loc, "min"), f"min ({knob.minimum}) is larger than max ({knob.maximum})")


def _backend(knob: Knob, generation: str, said: PlaceSpec) -> Backend:
    return Backend(
        knob=knob.name,
        generation=generation,
        kind=said.kind,
        path=said.path,
        reload=said.reload,
        unit=said.unit,
        complement=said.complement,
        inverted=said.inverted,
        words=said.words or ("0", "1"),
        minimum=said.min,
        maximum=said.max,
    )
