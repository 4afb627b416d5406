# SPDX-License-Identifier: GPL-2.0-only
"""What a bundle's run and one here were made of: kernels and images by their hashes, packages by their versions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import __version__
from lab.artifacts.builtonly import NotBuiltError
from lab.artifacts.images import ensure_image
from lab.artifacts.kernels import ensure_kernel
from lab.artifacts.packages import PACKAGES
from lab.artifacts.workshop import file_digest
from lab.bundle.imageparts import TOOLBOX, image_kinds_of
from lab.plan.hostdiff import (
    Difference,
    compare_digests,
    compare_hosts,
    compare_packages,
    parse_packages,
)

if TYPE_CHECKING:
    from lab.artifacts.workshop import Workshop
    from lab.bundle.manifest import Bundle
    from lab.plan.labplan import LabPlan


@dataclass(frozen=True)
class Parts:
    """By the kernel's or image's name; what is not known is missing."""

    sources: Mapping[str, str] = field(default_factory=dict)
    compilers: Mapping[str, str] = field(default_factory=dict)
    kernels: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    packages: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def parts_there(bundle: Bundle) -> Parts:
    """As the bundle says."""
    digests = {one.path: one.sha256 for one in bundle.manifest.files}
    kernels, images = bundle.manifest.kernels, bundle.manifest.images
    return Parts(
        sources={one.name: one.source.identity for one in kernels if one.source.identity},
        compilers={one.name: one.compiler for one in kernels if one.compiler},
        kernels={one.name: digests[one.bzimage] for one in kernels if one.bzimage in digests},
        images={one.kind: one.sha256 for one in images if one.sha256},
        packages={
            one.kind: parse_packages(path.read_text(errors="replace"))
            for one in images
            if (path := bundle.path(one.packages)) is not None
        },
    )


def parts_here(plan: LabPlan, only_built: Workshop) -> Parts:
    """Of what `plan` used, as far as the cache still has it."""
    inputs = dict(_kernel_inputs(plan, only_built))
    images = dict(_images(plan, only_built))
    return Parts(
        sources={name: str(one["source"]) for name, (_, one) in inputs.items() if "source" in one},
        compilers={name: str(one["compiler"]) for name, (_, one) in inputs.items() if "compiler" in one},
        kernels={name: file_digest(image) for name, (image, _) in inputs.items() if image is not None},
        images={kind: file_digest(image) for kind, image in images.items()},
        packages={
            kind: parse_packages((image.parent / PACKAGES).read_text())
            for kind, image in images.items()
            if (image.parent / PACKAGES).is_file()
        },
    )


def _kernel_inputs(
    plan: LabPlan, workshop: Workshop
) -> Iterator[tuple[str, tuple[Path | None, dict[str, Any]]]]:
    for kernel in plan.kernels:
        try:
            built = ensure_kernel(workshop, kernel)
        except NotBuiltError:
            continue
        yield kernel.name, (built.bzimage, json.loads((built.boot_image.parent / "inputs.json").read_text()))


def _images(plan: LabPlan, workshop: Workshop) -> Iterator[tuple[str, Path]]:
    for kind in image_kinds_of(plan):
        if kind != TOOLBOX:
            try:
                yield kind, ensure_image(workshop, kind).image
            except NotBuiltError:
                continue


def list_differences(
    bundle: Bundle, recorded: LabPlan, plan: LabPlan, only_built: Workshop
) -> tuple[Difference, ...]:
    """Hosts, then what ran on them."""
    there, here = parts_there(bundle), parts_here(plan, only_built)
    own = {kernel.name for kernel in plan.kernels}

    def of_topology(values: Mapping[str, str]) -> dict[str, str]:
        """Without the host VM's kernel, which is told by the host's release."""
        return {name: value for name, value in values.items() if name in own}

    rows = [
        *compare_hosts(recorded.host, plan.host),
        Difference("lab", bundle.manifest.lab_version, __version__),
        *(
            Difference(
                f"source of kernel {name}",
                of_topology(there.sources).get(name, ""),
                here.sources.get(name, ""),
            )
            for name in sorted(own)
        ),
        *(
            Difference(
                f"compiler of kernel {name}", there.compilers.get(name, ""), here.compilers.get(name, "")
            )
            for name in sorted(own)
        ),
        *compare_digests("hash of kernel", of_topology(there.kernels), here.kernels),
    ]
    for kind in dict.fromkeys((*there.images, *here.images)):
        packages = compare_packages(kind, there.packages.get(kind, {}), here.packages.get(kind, {}))
        rows += (
            [packages]
            if packages
            else compare_digests("image", *({kind: of.images.get(kind, "")} for of in (there, here)))
        )
    return tuple(rows)
