# SPDX-License-Identifier: GPL-2.0-only
"""The text in a bundle for people who open it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lab.bundle.manifest import HOST_KERNEL, Manifest
from lab.plan.labplan import LabPlan

_TEMPLATE = "readme.txt.j2"
_VERDICTS = {
    "passed": "All that was expected held.",
    "failed": "An expectation failed.",
    "undecided": "It could not be decided whether what was expected held.",
    "skipped": "Nothing was expected that could be judged.",
}


def render_readme(manifest: Manifest, plan: LabPlan, about: Mapping[str, Any]) -> str:
    """README.txt of a bundle; `about` is what recording.json says."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(_TEMPLATE).render(
        title=f"Bundle of {manifest.name}",
        created=manifest.created,
        recorded_by=about.get("lab_version", ""),
        verdict=_VERDICTS.get(manifest.verdict or "", "It was not judged."),
        host=describe_host(plan),
        kernels=manifest.kernels,
        host_kernel=HOST_KERNEL,
        left_out=manifest.left_out,
        redacted=manifest.redacted,
    )


def describe_host(plan: LabPlan) -> str:
    """A host in a line: where, how many pCPUs, what ran on it."""
    host = plan.host
    kind = "an emulated host VM" if host.emulated else "a host VM" if host.where == "nested" else "a machine"
    kind += f" ({host.cpu})" if host.cpu else ""
    versions = [
        f"{name} {version}"
        for name, version in (("kernel", host.kernel), ("libvirt", host.libvirt), ("QEMU", host.qemu))
        if version
    ]
    return ", ".join(
        [f"{kind} with {len(host.pcpus)} pCPUs and {host.memory_mib} MiB ({host.arch})", *versions]
    )
