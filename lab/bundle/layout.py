# SPDX-License-Identifier: GPL-2.0-only
"""Where a kernel's inputs lie in a bundle, told from the plan that named them. Pure.

The plan has every patch and fragment by absolute path, whatever the topology called them. In the bundle a kernel
has one series, of all of its patches in order, and its further fragments; file names stay, because kernels are
cached by them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from lab.bundle.names import MAX_COMPONENT_BYTES, strange_character
from lab.plan.labplan import KernelPlan

SERIES = "series"
FRAGMENT = "fragment.config"
#: The lab's own fragments lie there, whoever's checkout it is.
_OWN_DIRECTORY = ("images", "kernels", "configs")
#: What a line of a `series` file cannot name, and what makes trouble elsewhere.
_AWKWARD = re.compile(r"[\s#\\/]")


@dataclass(frozen=True)
class KernelLayout:
    """Members of one kernel by where they come from: `patches` and `fragments` map members to absolute paths as the
    plan has them, in the order in which they count. `fragments` are all of them, the lab's own first; `given` those
    of them that are not the lab's own, a second time, where the topology looks for them. `series` is the text of
    the series file, None without patches. `topology` is what the kernel's entry says instead of what it said.
    """

    name: str
    patches: Mapping[str, str]
    fragments: Mapping[str, str]
    given: Mapping[str, str]
    series: str | None
    topology: Mapping[str, tuple[str, ...]]

    @property
    def series_file(self) -> str:
        """The member that lists the patches."""
        return f"{_inputs(self.name)}/patches/{SERIES}"


def lay_out_kernel(kernel: KernelPlan) -> KernelLayout:
    """Where the inputs of a kernel lie in a bundle."""
    where = f"{_inputs(kernel.name)}/patches"
    names = _distinct(kernel.patches)
    given = [path for path in kernel.fragments if not is_own_fragment(path)]
    placed = _place_given(kernel, given, where)
    config = tuple(f"./{member}" for member in placed if not member.startswith(f"{where}/"))
    return KernelLayout(
        name=kernel.name,
        patches={f"{where}/{name}": path for name, path in zip(names, kernel.patches, strict=True)},
        fragments=_numbered(f"kernels/{kernel.name}/fragments", kernel.fragments),
        given=placed,
        series="".join(f"{name}\n" for name in names) if names else None,
        topology={"patches": (f"./{where}",) if names else (), "config": config},
    )


def is_own_fragment(path: str) -> bool:
    """Whether a fragment is one that the lab puts under every kernel of its own accord."""
    return PurePosixPath(path).parts[-4:-1] == _OWN_DIRECTORY


def file_name(path: str) -> str:
    """The last component of a path of a plan, fit for a member's name and a series file."""
    name = PurePosixPath(path).name
    while strange := strange_character(name):
        name = name.replace(strange, "_")
    name = _AWKWARD.sub("_", name)
    while len(name.encode()) > MAX_COMPONENT_BYTES:
        name = name[1:]  # the end tells what kind of file it is
    return name or "unnamed"


def _inputs(kernel: str) -> str:
    return f"inputs/kernels/{kernel}"


def _place_given(kernel: KernelPlan, given: list[str], where: str) -> dict[str, str]:
    """A series' own fragment comes first and stays with it; all others are named by the topology one by one."""
    placed, rest = {}, given
    patch_directories = {str(PurePosixPath(path).parent) for path in kernel.patches}
    first = PurePosixPath(given[0]) if given else None
    if first and first.name == FRAGMENT and str(first.parent) in patch_directories:
        placed, rest = {f"{where}/{FRAGMENT}": given[0]}, given[1:]
    named = {
        f"{_inputs(kernel.name)}/config/{number}/{file_name(path)}": path
        for number, path in enumerate(rest, 1)
    }
    return {**placed, **named}


def _distinct(paths: tuple[str, ...]) -> list[str]:
    """Names for the patches of one series: as they are, in directories of their own where that is ambiguous."""
    names = [file_name(path) for path in paths]
    reserved = {SERIES, FRAGMENT}
    if max(Counter(names).values(), default=1) == 1 and not reserved & set(names):
        return names
    return [f"{number}/{name}" for number, name in enumerate(names, 1)]


def _numbered(where: str, paths: tuple[str, ...]) -> dict[str, str]:
    return {f"{where}/{number}-{file_name(path)}"[:240]: path for number, path in enumerate(paths, 1)}
