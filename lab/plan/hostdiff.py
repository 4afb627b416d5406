# SPDX-License-Identifier: GPL-2.0-only
"""What two hosts have that may make a difference, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lab.plan.facts import HostFacts
from lab.units import format_cpulist

#: More packages than this are counted instead of named.
_NAMED_PACKAGES = 5


@dataclass(frozen=True)
class Difference:
    """One thing on both hosts; "" is not known."""

    what: str
    there: str
    here: str

    @property
    def differs(self) -> bool | None:
        """None where it is not known on both."""
        return self.there != self.here if self.there and self.here else None


def compare_hosts(there: HostFacts, here: HostFacts) -> tuple[Difference, ...]:
    """Everything that is known of both."""
    rows = (
        ("kind of host", _kind(there), _kind(here)),
        ("accelerator", _accelerator(there), _accelerator(here)),
        ("architecture", there.arch, here.arch),
        ("CPU model", there.cpu, here.cpu),
        ("pCPUs", _pcpus(there), _pcpus(here)),
        ("SMT", _smt(there), _smt(here)),
        ("NUMA nodes", _count(there.numa_nodes), _count(here.numa_nodes)),
        ("memory", _memory(there), _memory(here)),
        ("host kernel", there.kernel, here.kernel),
        ("QEMU", there.qemu, here.qemu),
        ("libvirt", there.libvirt, here.libvirt),
    )
    return tuple(Difference(*row) for row in rows)


def _kind(facts: HostFacts) -> str:
    return "ssh" if facts.where.startswith("ssh://") else facts.where


def _accelerator(facts: HostFacts) -> str:
    return "KVM of an emulated host" if facts.emulated else "KVM"


def _pcpus(facts: HostFacts) -> str:
    return f"{len(facts.pcpus)} ({format_cpulist(facts.pcpus)})"


def _smt(facts: HostFacts) -> str:
    most = max(map(len, facts.cores), default=0)
    return "" if not most else "none" if most == 1 else f"{most} a core"


def _count(groups: tuple[tuple[int, ...], ...]) -> str:
    return str(len(groups)) if groups else ""


def _memory(facts: HostFacts) -> str:
    return f"{facts.memory_mib} MiB" if facts.memory_mib else ""


def compare_digests(what: str, there: Mapping[str, str], here: Mapping[str, str]) -> Iterator[Difference]:
    """Hashes (hex) of things of a kind by name, short enough to look at, but compared whole."""
    for name in dict.fromkeys((*there, *here)):
        before, after = there.get(name, ""), here.get(name, "")
        digits = 12 if before[:12] != after[:12] or before == after else 64
        yield Difference(f"{what} {name}", before[:digits], after[:digits])


def compare_packages(image: str, there: Mapping[str, str], here: Mapping[str, str]) -> Difference | None:
    """Versions of an image's packages by name; None where they are not known on both sides."""
    if not there or not here:
        return None
    other = [name for name in dict.fromkeys((*there, *here)) if there.get(name) != here.get(name)]
    if not other:
        told = f"{len(there)} packages"
        return Difference(f"image {image}", told, told)
    if len(other) > _NAMED_PACKAGES:
        return Difference(
            f"image {image}", f"{len(there)} packages", f"{len(other)} of {len(here)} in another version"
        )

    def tell(versions: Mapping[str, str]) -> str:
        return ", ".join(f"{name} {versions.get(name, '(none)')}" for name in other)

    return Difference(f"image {image}", tell(there), tell(here))


def parse_packages(text: str) -> dict[str, str]:
    """Versions by name out of lines of `name version architecture`."""
    lines = (line.split() for line in text.splitlines())
    return {words[0]: words[1] for words in lines if len(words) >= 2}
