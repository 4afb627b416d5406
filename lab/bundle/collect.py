# SPDX-License-Identifier: GPL-2.0-only
"""Gathers everything of a bundle in a directory, and the manifest that describes it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab import __version__
from lab.artifacts.cache import Cache
from lab.artifacts.kernels import host_kernel_plan
from lab.bundle.archive import list_members
from lab.bundle.imageparts import ImageShelf, add_image, image_kinds_of
from lab.bundle.kernelparts import add_kernel
from lab.bundle.layout import lay_out_kernel
from lab.bundle.manifest import (
    HOST,
    HOST_KERNEL,
    KNOBS,
    README,
    RECORDING,
    TOPOLOGY,
    KernelPart,
    Manifest,
    Part,
)
from lab.bundle.readme import render_readme
from lab.bundle.recordingparts import RecordingAdder
from lab.bundle.redact import Redactor, Secrets
from lab.bundle.resolved import resolve_topology
from lab.bundle.shelf import Shelf
from lab.bundle.stage import Stage
from lab.errors import LabError, RecordingError
from lab.plan.knobs import registry_of
from lab.plan.labplan import KernelPlan, KnobSetting, LabPlan, plan_as_dict
from lab.recording import DEFINITIONS, Recording
from lab.strictyaml.yamltree import YamlSyntaxError, parse_document

_DEFINITION_KEYS = ("knob_files", "load_files")


@dataclass(frozen=True)
class Sources:
    """Where parts of a bundle come from besides the recording: what was built, and this checkout's `images`."""

    cache: Cache
    images_dir: Path


@dataclass(frozen=True)
class Choices:
    """What is wanted. `secrets` is None where nothing is to be redacted."""

    parts: frozenset[Part]
    secrets: Secrets | None


def collect_bundle(directory: Path, sources: Sources, choices: Choices, stage_directory: Path) -> Manifest:
    """Gather the bundle of the recording in `directory` below the empty `stage_directory`.

    The same recording gives the same members as long as the cache has the same. Raises RecordingError where it
    cannot be read, InputError for what cannot be in a bundle.
    """
    recording = Recording(directory)
    plan = recording.plan()
    redactor = None if choices.secrets is None else _redactor(choices.secrets, recording, plan)
    stage = Stage(stage_directory, redactor.apply if redactor else bytes, choices.parts)
    layouts = {one.name: lay_out_kernel(one) for one in plan.kernels}
    RecordingAdder(stage, plan, redactor, layouts).add(directory)
    kernels = _add_kernels(stage, sources, plan, recording)
    shelf = ImageShelf(sources.cache, sources.images_dir, _keys(recording.about, "images"))
    images = tuple(add_image(stage, shelf, kind) for kind in image_kinds_of(plan))
    text = _read_topology(recording)
    resolved = resolve_topology(text, layouts, _add_definitions(stage, directory, text), _commits(kernels))
    stage.write(TOPOLOGY, stage.redact(resolved.encode()))
    stage.write(KNOBS, _json(_knobs_used(plan)))
    stage.write(HOST, stage.redact(_json(_host(plan, recording))))
    head = Manifest(
        name=plan.name,
        lab_version=__version__,
        created=str(recording.about.get("created", "")),
        redacted=redactor is not None,
        verdict=_judge(stage),
        seeds=dict(_seeds(parse_document(text).value)),
        kernels=kernels,
        images=images,
        left_out=tuple(stage.left_out),
        files=(),
    )
    stage.write(README, stage.redact(render_readme(head, plan, recording.about).encode()))
    return head.model_copy(update={"files": list_members(stage_directory)})


def _redactor(secrets: Secrets, recording: Recording, plan: LabPlan) -> Redactor:
    """Every attempt that was lost had a network of its own."""
    secrets = secrets.of_plan(plan)
    for lost in recording.lost_attempts():
        with suppress(RecordingError):
            secrets = secrets.of_plan(Recording(lost).plan())
    return Redactor(secrets, _words(plan_as_dict(plan)))


def _words(value: Any) -> Iterator[str]:
    """Keys of a plan and names in it: what a machine happens to be called too, but means something else here."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield key
            if key in ("name", "node", "load", "arm", "phase", "knob") and isinstance(one, str):
                yield one
            yield from _words(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _words(one)


def _keys(about: Mapping[str, Any], kind: str) -> Mapping[str, str]:
    artifacts = about.get("artifacts")
    keys = artifacts.get(kind) if isinstance(artifacts, Mapping) else None
    return keys if isinstance(keys, Mapping) else {}


def _add_kernels(
    stage: Stage, sources: Sources, plan: LabPlan, recording: Recording
) -> tuple[KernelPart, ...]:
    keys = _keys(recording.about, "kernels")
    shelf = Shelf(sources.cache, sources.images_dir, recording.directory, keys)
    kernels = tuple(add_kernel(stage, shelf, one) for one in plan.kernels)
    if plan.host.where != "nested":
        return kernels
    return (*kernels, add_kernel(stage, shelf, _host_kernel(sources.images_dir), topology=False))


def _commits(kernels: Iterable[KernelPart]) -> dict[str, str]:
    identities = ((one.name, (one.source.identity or "").split()) for one in kernels)
    return {name: words[1] for name, words in identities if words[:1] == ["git"]}


def _host_kernel(images_dir: Path) -> KernelPlan:
    plan = host_kernel_plan(images_dir)
    return KernelPlan(HOST_KERNEL, plan.source, plan.patches, plan.fragments, plan.cmdline)


def _read_topology(recording: Recording) -> str:
    text = recording.topology_text()
    try:
        if isinstance(parse_document(text).value, dict):
            return text
    except YamlSyntaxError as error:
        raise RecordingError(f"{recording.directory}: its topology cannot be read: {error}") from None
    raise RecordingError(f"{recording.directory}: has no topology.yaml that is a topology")


def _add_definitions(stage: Stage, directory: Path, text: str) -> dict[str, tuple[str, ...]]:
    """Members for the files and directories of definitions that a topology names, as its run kept them."""
    value = parse_document(text).value
    return {
        key: tuple(
            _add_definition(stage, directory / DEFINITIONS / key / str(number), key, number, name)
            for number, name in enumerate(value.get(key) or (), 1)
        )
        for key in _DEFINITION_KEYS
    }


def _add_definition(stage: Stage, kept: Path, key: str, number: int, name: str) -> str:
    files = sorted(path for path in kept.rglob("*") if path.is_file())
    where = f"inputs/{key}/{number}"
    if not files:
        stage.lack(f"{key} {name}", "the recording was made before the lab kept such files")
    for path in files:
        stage.copy(f"{where}/{path.relative_to(kept).as_posix()}", path)
    only_file = len(files) == 1 and files[0].parent == kept and files[0].name == Path(name).name
    return f"{where}/{files[0].name}" if only_file else where


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def _knobs_used(plan: LabPlan) -> dict[str, Any]:
    registry = registry_of(plan)
    names = sorted({one.knob for one in settings_of(plan)} & registry.knobs.keys())
    return {
        name: {
            "knob": asdict(registry.knobs[name]),
            "backends": [asdict(one) for one in registry.backends.get(name, ())],
        }
        for name in names
    }


def settings_of(plan: LabPlan) -> Iterable[KnobSetting]:
    """Every write of a knob that a plan has."""
    yield from plan.knobs
    for phase in plan.phases:
        yield from phase.knobs
    for arm in plan.comparison.details if plan.comparison else ():
        yield from arm.knobs


def _host(plan: LabPlan, recording: Recording) -> dict[str, Any]:
    return {
        "facts": asdict(plan.host),
        "settings": dict(_settings(recording.host_stream())),
        "recorded": {key: one for key, one in recording.about.items() if isinstance(one, str | int | float)},
    }


def _settings(stream: bytes) -> Iterator[tuple[str, str]]:
    """What the first snapshot of the host says of SMT, turbo and clock governors (images/probe/STREAM.md)."""
    inside = False
    for line in stream.split(b"\n"):
        inside = inside or line.startswith(b"s ")
        if inside and line.startswith(b"z "):
            return
        if inside and line.startswith(b"f /sys/devices/"):
            _, path, value = line.decode(errors="replace").split(" ", 2)
            yield path, value


def _seeds(value: Any, place: str = "") -> Iterator[tuple[str, int]]:
    """Every `seed` of a topology's document, by where it stands."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            if key == "seed" and isinstance(one, int):
                yield f"{place}{key}", one
            yield from _seeds(one, f"{place}{key}.")
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _seeds(one, f"{place}{number}.")


def _judge(stage: Stage) -> str | None:
    """Judge what is in the bundle, so that whoever opens it can come to the same; the outcome in a word."""
    from lab.judge.document import judgement_json
    from lab.judge.evaluate import judge
    from lab.measure.derive import measure_recording

    recording = Recording(stage.directory / RECORDING)
    try:
        plan = recording.plan()
        measurements = measure_recording(recording, plan)
        judgement = judge(plan, measurements)
    except LabError as error:
        stage.lack("verdicts", f"the recording cannot be judged: {error.message.splitlines()[0]}")
        return None
    document = judgement_json(plan, measurements, judgement)
    stage.write(f"{RECORDING}/verdicts.json", (json.dumps(document, indent=2) + "\n").encode())
    return judgement.outcome.value
