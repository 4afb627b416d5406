# SPDX-License-Identifier: GPL-2.0-only
"""A topology made into one that compares its kernels with the same kernels plus a series.

Every node runs its kernel in the arm `base`, and that kernel with the series in the arm `patched`. Rewritten is the
document and not the text: what comes out is a topology file like any other, which can be run again.
"""

from __future__ import annotations

import json
import os.path
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.errors import InputError
from lab.strictyaml.yamltree import parse_document
from lab.topology.armspec import InArm
from lab.topology.model import Topology
from lab.topology.spec import EXPECTATION_KINDS, ExpectationSpec

BASE, PATCHED = "base", "patched"
#: Appended to a kernel's name.
_SUFFIX = "-patched"
_LONGEST_NAME = 31
_WIDTH = 110
#: Whoever reads what was made sees where each value comes from; anchors would hide it.
_Dumper: Any = type("_Dumper", (yaml.SafeDumper,), {"ignore_aliases": lambda *_: True})


@dataclass(frozen=True)
class Trial:
    """What a topology is made to try.

    `patches` is what the patched kernels name under `patches`: the series, with the config that comes with it.
    `base` is what every kernel starts from instead of its own source and patches, by the keys of a kernel's entry;
    None leaves each its own. `ref` is what kernels out of a git tree are built from, unless they name one. With
    `aa` the base is measured twice.
    """

    patches: str
    repeats: int
    title: str
    aa: bool = False
    base: Mapping[str, Any] | None = None
    ref: str | None = None


def render_trial(topology: Topology, trial: Trial, shipped: tuple[str, ...]) -> str:
    """The topology file that tries a series on `topology`; paths in it that were relative are absolute.

    `shipped` are the names of the lab's own series. Raises InputError where it cannot be: it has arms already, or a
    kernel of it is a ready image.
    """
    _check(topology, trial)
    # Aliases are one object in several places: what is changed in one place must not change in the others.
    document = json.loads(json.dumps(parse_document(topology.text).value))
    directory = topology.directory.absolute()
    used = list(dict.fromkeys(node.kernel for node in topology.nodes))
    kernels = {name: absolute_kernel(document["kernels"][name], directory, shipped) for name in used}
    base = {name: _based(entry, trial) for name, entry in kernels.items()}
    patched = {f"{name}{_SUFFIX}": _with_series(entry, trial) for name, entry in base.items()}
    document["kernels"] = {**base, **patched}
    if len(used) == 1:
        _say_kernel(document, used[0])
    for key in ("knob_files", "load_files"):
        if key in document:
            document[key] = [_absolute(directory, name) for name in document[key]]
    for setting in document.get("knobs") or ():
        setting["optional"] = True
    document["arms"] = [
        {"name": BASE, "lacks_knobs": True},
        {"name": PATCHED, "kernel": _arm_kernel(topology)},
    ]
    document["repeats"] = _repeats(trial)
    document["expect"] = list(_expectations(document.get("expect") or ()))
    return _head(topology, trial) + yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, width=_WIDTH, allow_unicode=True
    )


def _check(topology: Topology, trial: Trial) -> None:
    if topology.arms:
        names = ", ".join(arm.name for arm in topology.arms)
        raise InputError(
            f"{topology.path}: has arms already ({names}); the arms of a trial are {BASE} and {PATCHED}",
            "leave arms and repeats out, or name the patches in a kernel of it and `lab run` it",
        )
    for name in {node.kernel for node in topology.nodes}:
        if topology.kernels[name].source.image is not None and trial.base is None:
            raise InputError(
                f"{topology.path}: kernels.{name} is a ready image, which takes no patches",
                "--kernel names what the series is tried on, such as debian:6.12 or a kernel tree",
            )
        if len(name) + len(_SUFFIX) > _LONGEST_NAME:
            raise InputError(
                f"{topology.path}: kernels.{name}: the name is too long to have {_SUFFIX!r} added"
            )


def _absolute(directory: Path, path: str) -> str:
    return os.path.normpath(directory / path)


def absolute_kernel(entry: dict[str, Any], directory: Path, shipped: tuple[str, ...]) -> dict[str, Any]:
    """An entry of `kernels` in which no path depends on where its file lies; names of `shipped` series stay."""
    made = dict(entry)
    made["source"] = {
        key: _absolute(directory, value) if key in ("tarball", "tree", "image") else value
        for key, value in entry["source"].items()
    }
    if "patches" in entry:
        made["patches"] = [one if one in shipped else _absolute(directory, one) for one in entry["patches"]]
    if "config" in entry:
        made["config"] = [_absolute(directory, one) for one in entry["config"]]
    return made


def _based(entry: dict[str, Any], trial: Trial) -> dict[str, Any]:
    """On another base a kernel keeps its own command line and config, which the scenario needs."""
    if trial.base is not None:
        entry = {
            **{key: value for key, value in entry.items() if key not in ("source", "patches")},
            **trial.base,
        }
    source = entry["source"]
    if trial.ref is not None and "tree" in source and "ref" not in source:
        entry = {**entry, "source": {**source, "ref": trial.ref}}
    return entry


def _with_series(entry: dict[str, Any], trial: Trial) -> dict[str, Any]:
    return {**entry, "patches": [*entry.get("patches", ()), trial.patches]}


def _arm_kernel(topology: Topology) -> str | list[dict[str, str]]:
    names = {node.kernel for node in topology.nodes}
    if len(names) == 1:
        return f"{names.pop()}{_SUFFIX}"
    return [{"nodes": node.name, "kernel": f"{node.kernel}{_SUFFIX}"} for node in topology.nodes]


def _say_kernel(document: dict[str, Any], name: str) -> None:
    """Nodes need not say which kernel they boot as long as there is one only."""
    defaults = document.get("defaults") or {}
    document["defaults"] = {**defaults, "node": {"kernel": name, **(defaults.get("node") or {})}}


def _repeats(trial: Trial) -> dict[str, Any]:
    """ABBA starts guests anew half as often, but is balanced over an even number only."""
    order = "random" if trial.repeats % 2 else "abba"
    made = {"count": trial.repeats, "warmup": 0, "order": order, "baseline": BASE}
    return {**made, "aa": True} if trial.aa else made


def _expectations(expected: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What the file expects is expected with the series; how well both sides agree, in both arms."""
    for one in expected:
        kind, said = next((kind, one[kind]) for kind in EXPECTATION_KINDS if one.get(kind) is not None)
        from_start_to_end = kind.startswith("affinity") and "phase" not in said
        if kind == "agreement" or from_start_to_end or not _takes_arm(kind):
            yield one
        else:
            yield {kind: {**said, "arm": PATCHED}}


def _takes_arm(kind: str) -> bool:
    annotation = ExpectationSpec.model_fields[kind].annotation
    models = getattr(annotation, "__args__", (annotation,))
    return any(isinstance(model, type) and issubclass(model, InArm) for model in models)


def _head(topology: Topology, trial: Trial) -> str:
    lines = []
    for line in topology.text.splitlines():
        if line.strip() and not line.startswith("#"):
            break
        lines.append(line)
    made = f"# Made by `lab try` of {topology.path.name}: {BASE} as it is, {PATCHED} with {trial.title}"
    said = "\n".join([*lines, "#"] if lines else [])
    return f"{said}\n{made}\n" if said else f"{made}\n"
