# SPDX-License-Identifier: GPL-2.0-only
"""The run: what was asked, when, where and with what; and how it was measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

import yaml

from lab.judge.machinery import render_machinery
from lab.plan.labplan import KernelPlan
from lab.report.grids import columns, grid, present
from lab.report.material import Material
from lab.report.page import Fact, Grid, Question
from lab.units import format_cpulist, format_seconds


def question_of(topology_text: str) -> Question:
    """The description, and the comment above the topology's first key: each paragraph is one text."""
    paragraphs: list[list[str]] = [[]]
    for line in topology_text.splitlines():
        if line.strip() and not line.startswith("#"):
            break
        said = line.removeprefix("#").strip()
        if not said or line.startswith("#  "):  # what is indented is a list
            paragraphs.append([])
        if said and not said.startswith("SPDX-License-Identifier"):
            paragraphs[-1].append(said)
    return Question(_description(topology_text), tuple(" ".join(one) for one in paragraphs if one))


def _description(topology_text: str) -> str:
    try:
        document = yaml.safe_load(topology_text)
    except (yaml.YAMLError, ValueError):
        return ""
    found = document.get("description") if isinstance(document, dict) else None
    return found if isinstance(found, str) else ""


def summary_facts(material: Material) -> Iterator[Fact]:
    """When, how long, where, and what ran on what."""
    plan = material.plan
    yield Fact("topology", plan.name)
    yield Fact("when", str(material.about.get("created", "not recorded")))
    yield Fact("how long", _how_long(material))
    yield Fact("where", f"{plan.host.where}, {plan.host.arch}{', emulated' if plan.host.emulated else ''}")
    yield Fact("guests", f"{render_machinery(plan)}, overcommit {plan.overcommit:.2f}")
    yield Fact("pCPUs", f"{format_cpulist(plan.pcpus)}, housekeeping {format_cpulist(plan.housekeeping)}")
    loads = dict.fromkeys(f"{one.name} ({one.kind})" for one in plan.loads)
    if loads:
        yield Fact("loads", ", ".join(loads))
    if plan.hogs:
        yield Fact("hogs", ", ".join(f"{one.name} {one.duty_pct:g} %" for one in plan.hogs))
    yield Fact("lab", f"{plan.lab_id}, version {material.about.get('lab_version', 'not recorded')}")


def _how_long(material: Material) -> str:
    windows = material.measurements.phases
    times = [one.t_ns for one in material.events if one.t_ns]
    if not times:
        return "nothing happened"
    measured = format_seconds(sum(one.end_ns - one.start_ns for one in windows))
    planned = len(material.plan.phases)
    told = f"{measured} measured in {len(windows)} of {planned} windows"
    return f"{told}, {format_seconds(max(times) - min(times))} from the first event to the last"


# ---- environment


def environment_facts(material: Material) -> Iterator[Fact]:
    """The host, its software, and what guests run. No paths: they say where something stood, not what it is."""
    host, about = material.plan.host, material.about
    yield Fact("host kernel", host.kernel or "not recorded")
    yield Fact("QEMU", f"{host.qemu or 'not recorded'} ({PurePath(host.emulator).name})")
    yield Fact("libvirt", host.libvirt or "not recorded")
    yield Fact("host", f"{host.arch}, {len(host.pcpus)} pCPUs, {host.memory_mib} MiB")
    yield Fact("SMT cores", _groups(host.cores))
    yield Fact("NUMA nodes", _groups(host.numa_nodes))
    if "outside_kernel" in about:
        yield Fact("kernel outside", f"{about['outside_kernel']}, where the lab itself ran")
    yield Fact("Python", str(about.get("python", "not recorded")))
    yield from (Fact(f"guest kernel {one.name}", _kernel(one)) for one in material.plan.kernels)
    yield from _nodes(material)


def _groups(groups: tuple[tuple[int, ...], ...]) -> str:
    return " | ".join(map(format_cpulist, groups)) or "not known"


def _kernel(kernel: KernelPlan) -> str:
    source = kernel.source
    value = source.value if source.kind == "debian" else PurePath(source.value).name
    parts = [f"{source.kind} {value}{f' at {source.ref}' if source.ref else ''}"]
    if kernel.patches:
        names = [PurePath(one).name for one in kernel.patches]
        parts.append(f"{len(names)} patch{'' if len(names) == 1 else 'es'}: {', '.join(names)}")
    if kernel.fragments:
        parts.append(f"config {', '.join(PurePath(one).name for one in kernel.fragments)}")
    if kernel.cmdline:
        parts.append(f"command line {kernel.cmdline}")
    return "; ".join(parts)


def _nodes(material: Material) -> Iterator[Fact]:
    alike: dict[str, list[str]] = {}
    for node in material.plan.nodes:
        quota = "" if node.quota_pct is None else f", quota {node.quota_pct:g} %"
        shape = f"{node.sockets} x {node.cores} x {node.threads}"
        what = (
            f"{len(node.vcpus)} vCPUs ({shape} sockets x cores x threads), {node.memory_mib} MiB, kernel "
            f"{node.kernel}, image {node.image}, weight {node.weight}{quota}"
        )
        alike.setdefault(what, []).append(node.name)
    for what, names in alike.items():
        whose = names[0] if len(names) == 1 else f"{names[0]} … {names[-1]} ({len(names)})"
        yield Fact(whose, what)


# ---- how it was measured


def measuring_facts(material: Material) -> Iterator[Fact]:
    """Sampling and bounds."""
    measure, windows = material.plan.measure, material.measurements
    yield Fact("samples", f"every {measure.interval_ms} ms, in guests and on the host")
    yield Fact("steal, guest", "growth of the steal column of /proc/stat, per cent of elapsed time")
    yield Fact(
        "steal, host", "growth of the run-queue delay of the vCPU's thread, over the same stretch of time"
    )
    yield Fact("agreement", f"sides that differ by more than {measure.disagreement_pct:g} % are doubted")
    costs = [ns for proof in windows.proofs for ns in proof.snapshot_ns]
    if costs:
        yield Fact("snapshots of the host", f"{len(costs)}, {max(costs) / 1e6:.1f} ms the longest")
    yield Fact("time", "seconds since the changes before the first window, by the host's monotonic clock")


def clock_grids(material: Material) -> tuple[Grid, ...]:
    """How well each guest's clock is known on the host's."""
    rows = [
        (one.node, f"{one.error_ns / 1e6:.2f}", f"{one.offset_ns / 1e9:.6f}")
        for one in material.measurements.clocks
    ]
    return present(grid("Clocks of guests", columns("guest", "#error, ms", "#host - guest, s"), rows))
