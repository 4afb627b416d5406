# SPDX-License-Identifier: GPL-2.0-only
"""The topology and the plan of a bundle: what was asked and decided, with every path one of the bundle. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import yaml

from lab.bundle.layout import KernelLayout, file_name
from lab.plan.labplan import KernelPlan, LabPlan
from lab.strictyaml.yamltree import parse_document

_HEAD = """\
# The topology of this recording, with every path one of this bundle and without comments; as it was given it is in
# recording/topology.yaml.
"""
_PATH_KINDS = ("tarball", "tree", "image")


class _Dumper(yaml.SafeDumper):
    """Writes every value where it stands: nobody should have to look up `*id001`."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def resolve_topology(
    text: str,
    kernels: Mapping[str, KernelLayout],
    definitions: Mapping[str, tuple[str, ...]],
    commits: Mapping[str, str],
) -> str:
    """The topology `text`, as it was given, with its paths in the bundle.

    Of its kernels those stay that ran, with `commits` in place of refs, which move. `definitions` has the members
    for the keys knob_files and load_files. Where it runs is for whoever runs it: a host that was named becomes
    `auto`. Raises YamlSyntaxError for what is no YAML.
    """
    value = parse_document(text).value
    _forget_host(value)
    value["kernels"] = {name: one for name, one in value.get("kernels", {}).items() if name in kernels}
    for name, kernel in value["kernels"].items():
        _resolve_kernel(name, kernel, kernels[name])
        if name in commits and "ref" in kernel.get("source", {}):
            kernel["source"]["ref"] = commits[name]
    for key, members in definitions.items():
        if members:
            value[key] = [f"./{member}" for member in members]
        else:
            value.pop(key, None)
    dumped = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None
    )
    return _HEAD + str(dumped)


def _forget_host(value: Any) -> None:
    host = value.get("host")
    if isinstance(host, dict) and str(host.get("where", "")).startswith("ssh://"):
        host["where"] = "auto"


def _resolve_kernel(name: str, kernel: dict[str, Any], layout: KernelLayout) -> None:
    for key, paths in layout.topology.items():
        if paths:
            kernel[key] = list(paths)
        else:
            kernel.pop(key, None)
    source = kernel.get("source", {})
    for kind in _PATH_KINDS:
        if kind in source:
            source[kind] = f"./{source_member(name, kind, source[kind])}"


def source_member(kernel: str, kind: str, path: str) -> str:
    """Where in a bundle a topology looks for a kernel's tarball, tree or ready image."""
    return f"inputs/kernels/{kernel}/{kind}/{file_name(path)}"


def resolve_plan(plan: LabPlan, kernels: Mapping[str, KernelLayout]) -> LabPlan:
    """`plan` with the paths of its kernels in the bundle, relative to it."""
    return replace(plan, kernels=tuple(_resolve_kernel_plan(one, kernels[one.name]) for one in plan.kernels))


def _resolve_kernel_plan(kernel: KernelPlan, layout: KernelLayout) -> KernelPlan:
    source = kernel.source
    if source.kind in _PATH_KINDS:
        source = replace(source, value=source_member(kernel.name, source.kind, source.value))
    return replace(kernel, source=source, patches=tuple(layout.patches), fragments=tuple(layout.fragments))
