# SPDX-License-Identifier: GPL-2.0-only
"""What `lab try` does before anything is built: series read, topology made, one applied to the other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from lab.artifacts.applying import check_series, choose_commit
from lab.artifacts.builtonly import BuiltOnly, NotBuiltError
from lab.artifacts.catalogue import shipped_series
from lab.artifacts.forecast import KernelForecast, forecast_kernels, unasked_symbols
from lab.artifacts.series import Series, SeriesReader, write_series
from lab.cli.asked import asked_where, guess_where, plan_by_guess, read_asked
from lab.cli.desk import Desk
from lab.cli.trybase import read_base, read_config
from lab.plan.labplan import KernelPlan, LabPlan
from lab.report.reply import Tried
from lab.topology.decode import topology_of
from lab.topology.model import Topology
from lab.topology.trial import Trial, render_trial

#: Below the directory of a trial; with a slash, so that it is never one of the lab's own series.
_SERIES = "./series"
_NOTHING_CHANGED = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Wanted:
    """The words of the command line."""

    source: str
    topology: Path
    is_default: bool
    repeats: int
    kernel: str | None
    config: tuple[str, ...]
    host: str | None
    aa: bool = False


@dataclass(frozen=True)
class PreparedTrial:
    """A trial that can begin.

    `plan` is for the host that was guessed; `bases` say what each base kernel is made of, `applies` is False where
    that is not known because a source was not fetched yet.
    """

    wanted: Wanted
    series: Series
    topology: Topology
    trial: Trial
    plan: LabPlan
    bases: tuple[str, ...]
    applies: bool
    notes: tuple[str, ...]
    shipped: tuple[str, ...]

    def topology_in(self, directory: Path) -> Topology:
        """The topology of the trial, with the series written below `directory`, which it names its paths by."""
        write_series(self.series, directory / _SERIES)
        return _made(self.topology, self.trial, directory, self.shipped)

    @property
    def tried(self) -> Tried:
        """The same for a reply."""
        mail = self.series.mail
        return Tried(
            title=self.series.title,
            subject=self.series.subject,
            message_id=self.series.message_id,
            sender=mail.sender if mail else "",
            to=mail.to if mail else "",
            cc=mail.cc if mail else "",
            patches=len(self.series.patches),
            bases=self.bases,
            topology=self.topology.path.name,
            replay=tuple(_replay(self.wanted, self.series)),
            notes=self.notes,
        )


def prepare_trial(desk: Desk, wanted: Wanted, work: Path, *, fetch: bool) -> PreparedTrial:
    """Read everything and see whether the series applies; `work` is an empty directory for that.

    Without `fetch` no source is fetched. Raises InputError, PatchRejected, and what reading a topology raises.
    """
    shipped = shipped_series(desk.places.images_dir)
    topology = read_asked(wanted.topology, desk.places)
    series = _read_series(desk, wanted, work)
    write_series(series, work / _SERIES)
    base = read_base(topology, wanted.kernel, shipped) if wanted.kernel else None
    trial = Trial(_SERIES, wanted.repeats, series.title, wanted.aa, base)

    def planned(trial: Trial) -> LabPlan:
        return _plan(desk, wanted, _made(topology, trial, work, shipped))

    sources = [one.source for one in _bases(topology, planned(trial))]
    commit, commit_notes = choose_commit(desk.wiring.workshop, series.base_commit, sources)
    trial = replace(trial, ref=commit)
    plan = planned(trial)
    bases, applies = _check_bases(desk, _bases(topology, plan), series, work, fetch=fetch)
    notes = (*series.notes, *commit_notes, *_config_notes(wanted, series, topology, plan))
    return PreparedTrial(wanted, series, topology, trial, plan, bases, applies, notes, shipped)


def _read_series(desk: Desk, wanted: Wanted, work: Path) -> Series:
    """With the config that was asked for instead of its own."""
    reader = SeriesReader(desk.wiring.workshop.commands, desk.places.images_dir, work / "b4")
    series, config = reader.read(wanted.source), read_config(wanted.config)
    return series if config is None else replace(series, fragment=config)


def _check_bases(
    desk: Desk, bases: list[KernelPlan], series: Series, work: Path, *, fetch: bool
) -> tuple[tuple[str, ...], bool]:
    """What each base is made of, and whether it is known of all that the series applies. Raises PatchRejected."""
    workshop = desk.wiring.workshop
    if not fetch:
        workshop = replace(workshop, cache=BuiltOnly(workshop.cache.root, workshop.progress))
    told, applies = [], True
    for kernel in bases:
        try:
            told.append(_told_base(kernel, check_series(workshop, kernel, series.patches, work)))
        except NotBuiltError:
            told.append(f"{_source_name(kernel)}, not fetched yet")
            applies = False
    return tuple(dict.fromkeys(told)), applies


def _made(topology: Topology, trial: Trial, directory: Path, shipped: tuple[str, ...]) -> Topology:
    return topology_of(render_trial(topology, trial, shipped), directory / "topology.yaml")


def _plan(desk: Desk, wanted: Wanted, topology: Topology) -> LabPlan:
    guess = guess_where(asked_where(wanted.host, topology), desk.places)
    return plan_by_guess(topology, guess.where, desk.places)


def _bases(topology: Topology, plan: LabPlan) -> list[KernelPlan]:
    own = {node.kernel for node in topology.nodes}
    return [kernel for kernel in plan.kernels if kernel.name in own]


def _told_base(kernel: KernelPlan, identity: str) -> str:
    """``linux-source-6.12 6.12.117-1``; no paths, which say where something stood and not what it is."""
    kind, _, rest = identity.partition(" ")
    told = rest if kind == "debian" else _source_name(kernel)
    if kind == "git":
        commit, _, changes = rest.partition(" ")
        told += f", commit {commit[:12]}"
        told += "" if changes in ("", _NOTHING_CHANGED) else " with changes that are not committed"
    names = [PurePath(one).name for one in kernel.patches]
    return told + (f", with {len(names)} patches ({names[0]} ...)" if names else "")


def _source_name(kernel: KernelPlan) -> str:
    source = kernel.source
    return f"{source.kind} {source.value if source.kind == 'debian' else PurePath(source.value).name}"


def _config_notes(wanted: Wanted, series: Series, topology: Topology, plan: LabPlan) -> Iterator[str]:
    if series.same_as is not None and series.source != series.same_as:
        config = "" if wanted.config else ", and its config is used"
        yield f"the patches are those of {series.same_as}, which comes with the lab{config}"
    own = {node.kernel for node in topology.nodes}
    patched = next(kernel for kernel in plan.kernels if kernel.name not in own)
    if off := unasked_symbols(series.patches, patched):
        named = ", ".join(f"CONFIG_{name}" for name in off)
        yield f"off in the patched kernel: {named}; --config CONFIG_{off[0]}=y turns it on"


def _replay(wanted: Wanted, series: Series) -> Iterator[str]:
    yield from ("lab", "try", series.message_id or series.source)
    if not wanted.is_default:
        yield wanted.topology.name
    if wanted.kernel is not None:
        yield from ("--kernel", PurePath(wanted.kernel).name)
    for word in wanted.config:
        yield from ("--config", PurePath(word).name)
    yield from ("--repeats", str(wanted.repeats))
    if wanted.aa:
        yield "--aa"


# ---- telling


def render_prepared(prepared: PreparedTrial, kernels: tuple[KernelForecast, ...], time: Iterator[str]) -> str:
    """What would be done, for people."""
    series = prepared.series
    mail = f" <{series.message_id}>" if series.message_id else ""
    names = [patch.name for patch in series.patches]
    how = "applies" if prepared.applies else "(whether it applies is not known)"
    lines = [f"series: {series.title}{mail}", *(f"  {name}: {how}" for name in names)]
    lines += [f"base: {one}" for one in prepared.bases]
    lines += ["kernels:", *(f"  {one.name}: {_forecast(one)}" for one in kernels)]
    lines += ["time:", *(f"  {line}" for line in time)]
    if prepared.notes:
        lines += ["notes:", *(f"  {note}" for note in prepared.notes)]
    return "\n".join(lines) + "\n"


def _forecast(kernel: KernelForecast) -> str:
    if kernel.built is not None:
        return f"built already ({kernel.built.release})"
    took = "" if kernel.seconds is None else f"; the last kernel took {kernel.seconds / 60:.0f} min"
    return f"to be built{took}"


def forecast(desk: Desk, prepared: PreparedTrial) -> tuple[KernelForecast, ...]:
    """What of the trial's kernels is built already."""
    return forecast_kernels(desk.wiring.workshop, prepared.plan.kernels)


def trial_document(prepared: PreparedTrial, kernels: tuple[KernelForecast, ...] = ()) -> dict[str, Any]:
    """The trial for programs, and for try.json in its recording.

    Keys: subject, message_id, version, patches[], base_commit, same_as, bases[], applies, topology, replay[],
    notes[], kernels[].
    """
    series = prepared.series
    return {
        "subject": series.title,
        "message_id": series.message_id or None,
        "version": series.version,
        "patches": [patch.name for patch in series.patches],
        "base_commit": series.base_commit,
        "same_as": series.same_as,
        "bases": list(prepared.bases),
        "applies": prepared.applies or None,
        "topology": prepared.topology.path.name,
        "replay": list(prepared.tried.replay),
        "notes": list(prepared.notes),
        "kernels": [
            {"name": one.name, "built": one.built is not None, "release": one.built and one.built.release}
            for one in kernels
        ],
    }
