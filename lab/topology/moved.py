# SPDX-License-Identifier: GPL-2.0-only
"""A topology as it is for another host: the same text with other pCPUs, and with other kernels where that is asked.

Everything that names pCPUs is written anew, and every vCPU's pins are written out, so that nothing depends any more
on which pCPUs a host happens to have. Comments do not survive it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from lab.strictyaml.yamltree import parse_document
from lab.units import format_cpulist, parse_cpulist

#: Shapes of a schedule's changes that may have a pair of pinnings (lab.topology.contentionspec.SHAPES).
_SHAPES = ("square", "ramp", "random")


@dataclass(frozen=True)
class Move:
    """`pcpus` maps the numbers of pCPUs in the text to those on the other host. `contended` and `housekeeping` are
    for `host`, on the other host; housekeeping is empty where there is none beside what is contended. `pins` are,
    by node as expanded, the pCPUs of every vCPU, on the other host. `kernels` are entries of `kernels` to replace.
    """

    where: str
    pcpus: Mapping[int, int]
    contended: tuple[int, ...]
    housekeeping: tuple[int, ...]
    pins: Mapping[str, Sequence[tuple[int, ...]]]
    kernels: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def move_topology(text: str, move: Move, remark: str = "") -> str:
    """The topology `text`, which is known to be sound, moved. `remark` stands above it as a comment.

    KeyError for a pCPU or a node that `move` does not know.
    """
    document = parse_document(text).value
    host: dict[str, Any] = {"where": move.where, "pcpus": format_cpulist(move.contended)}
    if move.housekeeping:
        host["housekeeping"] = format_cpulist(move.housekeeping)
    document["host"] = host
    document["nodes"] = [one for node in document["nodes"] for one in _move_node(node, move)]
    document.get("kernels", {}).update({name: dict(kernel) for name, kernel in move.kernels.items()})
    for hog in document.get("hogs") or ():
        hog["pcpus"] = _moved(hog["pcpus"], move)
    for phase in document.get("phases") or ():
        _move_phase(phase, move)
    comment = "".join(f"# {line}\n" for line in remark.splitlines())
    return comment + yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def _move_node(node: Mapping[str, Any], move: Move) -> Iterator[dict[str, Any]]:
    """Nodes of one entry may be pinned each in its own way: then each gets an entry."""
    count = node.get("count")
    names = [node["name"]] if count is None else [f"{node['name']}{number}" for number in range(1, count + 1)]
    pins = [[format_cpulist(pcpus) for pcpus in move.pins[name]] for name in names]
    if all(one == pins[0] for one in pins):
        yield {**node, "pinning": pins[0]}
        return
    rest = {key: value for key, value in node.items() if key not in ("name", "count")}
    for name, own in zip(names, pins, strict=True):
        yield {"name": name, **rest, "pinning": own}


def _move_phase(phase: Mapping[str, Any], move: Move) -> None:
    for change in (*(phase.get("contention") or ()), *(phase.get("schedule") or ())):
        if change.get("pinning") is not None:
            change["pinning"] = _moved(change["pinning"], move)
        for shape in filter(None, (change.get(name) for name in _SHAPES)):
            if shape.get("pinning") is not None:
                shape["pinning"] = [_moved(one, move) for one in shape["pinning"]]


def _moved(cpulist: str | int, move: Move) -> str:
    return format_cpulist(move.pcpus[pcpu] for pcpu in parse_cpulist(str(cpulist)))


class _Dumper(yaml.SafeDumper):
    """Repeats what is repeated, instead of pointing back to it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
