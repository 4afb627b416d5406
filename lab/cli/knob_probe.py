# SPDX-License-Identifier: GPL-2.0-only
"""`lab knob probe`: what of all that is known this kernel has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli.desk import desk_of
from lab.cli.parameters import JsonOption, LabOption, OfHostOption

if TYPE_CHECKING:
    from lab.run.knobprobe import Probed, ProbedGeneration, ProbedKnob

_Words = Annotated[
    list[str] | None, typer.Argument(metavar="NODE", help="A node of the lab. Of --host, leave it out.")
]


def probe(
    ctx: typer.Context,
    words: _Words = None,
    of_host: OfHostOption = False,
    as_json: JsonOption = False,
    lab: LabOption = None,
) -> None:
    """Say which knobs this kernel has, and where.

    Which version of the interface it is, which file backs which knob, and what was looked for of the others.
    """
    from lab.cli.knobtarget import find_target, open_target_machines
    from lab.plan.knobs import plan_reading_in, registry_of
    from lab.run.knobprobe import probe_knobs

    desk = desk_of(ctx)
    target = find_target(desk, "probe", words or [], of_host, lab, ())
    settings = [plan_reading_in(target.lab.plan, target.node, name)[0] for name in target.knob_names()]
    with open_target_machines(desk, target) as machines:
        probed = probe_knobs(machines, settings, registry_of(target.lab.plan))
    if as_json:
        desk.print_json({"node": target.name, **describe_probed(probed)})
    else:
        desk.print(render_probed(target.name, probed))


def render_probed(name: str, probed: Probed) -> str:
    """For people: the generation, what backs every knob that is there, what was looked for of the others."""
    there = [knob for knob in probed.knobs if knob.backing is not None]
    absent = [knob for knob in probed.knobs if knob.backing is None]
    return "\n".join(
        [
            f"{name}: {_render_generation(probed)}",
            *(_render_there(knob) for knob in there),
            *(["not in this kernel:"] if absent else []),
            *(line for knob in absent for line in _render_absent(knob)),
        ]
    )


def _render_generation(probed: Probed) -> str:
    whole = probed.generation
    parts = [one for one in probed.generations if one is not whole]
    said = (
        [f"{whole.generation.title} ({whole.generation.name})"]
        if whole
        else ["no known interface as a whole"]
    )
    if parts:
        said.append("parts of " + ", ".join(map(_count, parts)))
    return "; ".join(said)


def _count(one: ProbedGeneration) -> str:
    return f"{one.generation.name} ({one.found} of {one.total})"


def _render_there(knob: ProbedKnob) -> str:
    backing = knob.backing
    assert backing is not None
    state = "" if backing.state == "writable" else f", {_STATES[backing.state]}"
    reload = ", by loading the module anew" if backing.candidate.reload else ""
    return f"  {knob.name:<22} {backing.place}  [{backing.candidate.generation or 'file'}{reload}{state}]"


_STATES = {"readable": "can only be read", "loadable": "the module is not loaded"}


def _render_absent(knob: ProbedKnob) -> list[str]:
    return [
        f"  {knob.name:<22} looked for:",
        *(
            f"    {place.place or place.candidate.path}  [{place.candidate.generation}]: {place.why}"
            for place in knob.places
        ),
    ]


def describe_probed(probed: Probed) -> dict[str, Any]:
    """For programs."""
    whole = probed.generation
    return {
        "generation": whole.generation.name if whole else None,
        "generations": [
            {
                "name": one.generation.name,
                "title": one.generation.title,
                "found": one.found,
                "total": one.total,
            }
            for one in probed.generations
        ],
        "knobs": [_describe_knob(knob) for knob in probed.knobs],
    }


def _describe_knob(knob: ProbedKnob) -> dict[str, Any]:
    backing = knob.backing
    return {
        "knob": knob.name,
        "state": backing.state if backing else "absent",
        "generation": backing.candidate.generation if backing else None,
        "kind": backing.candidate.kind if backing else None,
        "place": backing.place if backing else None,
        "looked_for": [
            {
                "generation": place.candidate.generation,
                "kind": place.candidate.kind,
                "place": place.place or place.candidate.path,
                "state": place.state,
                "why": place.why or None,
            }
            for place in knob.places
        ],
    }
