# SPDX-License-Identifier: GPL-2.0-only
"""What `lab repro` says before anything runs, and of what differs between two hosts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lab.judge.layout import Column, Table, fit, wrap

if TYPE_CHECKING:
    from lab.bundle.manifest import Bundle
    from lab.cli.builds import Build
    from lab.cli.replay import Scenario
    from lab.plan.hostdiff import Difference
    from lab.plan.labplan import LabPlan
    from lab.plan.replaying import Fitting


def render_bundle(bundle: Bundle, recorded: LabPlan) -> str:
    """What the bundle is, in two or three lines."""
    manifest = bundle.manifest
    emulated = ", emulated" if recorded.host.emulated else ""
    when = f", recorded {manifest.created}" if manifest.created else ""
    lines = wrap(
        f"{manifest.name}{when} on {recorded.host.where}{emulated}, lab {manifest.lab_version}; "
        f"verdict there: {manifest.verdict or 'none'}"
    )
    lines += wrap(f"{len(manifest.files)} files verified, {manifest.size_bytes / 2**20:.1f} MiB", 2)
    return "\n".join([*lines, *_left_out(bundle)]) + "\n"


def _left_out(bundle: Bundle) -> Iterator[str]:
    for one in bundle.manifest.left_out:
        yield from wrap(f"not in it: {one.what} ({one.why})", 2, 4)


def render_fitting(fitting: Fitting, where: str) -> str:
    """What the scenario needs and what the host has, a line each, and what is another here."""
    columns = [
        Column("", fit([one.what for one in fitting.checks], 4, 14), text=True),
        Column("needed", 1 + fit([one.needed for one in fitting.checks], 6, 32), text=True),
        Column("here", 24, text=True),
    ]
    lines = [f"Needs, against host {where}"]
    lines += Table(columns, [(one.what, one.needed, one.here) for one in fitting.checks]).lines()
    for one in fitting.checks:
        for mark, text in (("!", one.problem), ("~", one.note)):
            lines += wrap(f"{mark} {one.what}: {text}", 2, 4) if text else []
    return "\n".join(lines) + "\n"


def render_work(scenario: Scenario, builds: Sequence[Build]) -> str:
    """Which kernels are used, what is built and what will be."""
    lines = ["Kernels"]
    for name, told in scenario.told.items():
        lines += wrap(f"{name}: {told}", 2, 4)
    missing = [one for one in builds if not one.is_built]
    ready = ", ".join(_name(one) for one in builds if one.is_built)
    lines.append("To be built" if missing else "To be built: nothing")
    for one in missing:
        lines += wrap(f"{_name(one)}: {one.artifact.detail}", 2, 4)
    if ready:
        lines += wrap(f"built already: {ready}", 2, 4)
    return "\n".join(lines) + "\n"


def _name(build: Build) -> str:
    """Of some kinds there is one only, which is called by its kind."""
    kind, name = build.artifact.kind, build.artifact.name
    return name if name == kind else f"{kind} {name}"


def render_effects(effects: Sequence[str], where: str, *, remapped: bool) -> str:
    """What would be done to the host itself; "" for nothing. `remapped`: on other pCPUs than the reporter's."""
    lines = [line for text in effects for line in wrap(text, 2, 4)]
    if remapped and lines:
        lines += wrap("~ pCPUs that a value of a knob names are still the reporter's", 2, 4)
    return "\n".join([f"This bundle does to the host itself ({where}):", *lines]) + "\n" if lines else ""


def render_differences(differences: Sequence[Difference]) -> str:
    """What differs, the rest in one line; "" where there is nothing to compare."""
    if not differences:
        return ""
    differing = [one for one in differences if one.differs]
    lines = ["What differs" if differing else "Nothing differs of what is known of both hosts"]
    for one in differing:
        lines += wrap(f"{one.what}: {one.there} there, {one.here} here", 2, 4)
    for label, state in (("the same", False), ("not known on both sides", None)):
        names = ", ".join(one.what for one in differences if one.differs is state)
        lines += wrap(f"{label}: {names}", 2, 4) if names else []
    return "\n".join(lines) + "\n"


def render_skipped(reasons: Sequence[str]) -> str:
    """What a swapped kernel lacks, where it was looked for once for all guests; "" where it lacks nothing."""
    heads: dict[tuple[str, ...], list[str]] = {}
    for reason in dict.fromkeys(reasons):
        first, *places = reason.splitlines()
        heads.setdefault(tuple(places), []).append(first)
    lines = []
    for looked_for, firsts in heads.items():
        lines += [line for text in firsts for line in wrap(f"- {text}", 2, 4)]
        lines += [line for place in looked_for for line in wrap(place.strip(), 4, 6)]
    return "\n".join(["The kernel lacks what this scenario drives:", *lines]) + "\n" if lines else ""
