# SPDX-License-Identifier: GPL-2.0-only
"""Decoding the call traces of a recording's findings, by kernels in the cache or a vmlinux that is named."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab.artifacts.decoding import Decoder, open_kept_decoder, open_vmlinux_decoder
from lab.artifacts.ports import Commands
from lab.errors import LabError
from lab.measure.bootedkernels import booted_kernel
from lab.measure.findings import Finding, collect_findings
from lab.plan.labplan import HOST_SCOPE, LabPlan
from lab.recording import DECODED_FILE, Recording


@dataclass(frozen=True)
class DecodedFindings:
    """Findings with what their frames were decoded to; `notes` say why some were not."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


class RecordingDecoder:
    """Decodes one recording. `cache_dir` is where kernels are kept; `vmlinux` is used for all of them instead."""

    def __init__(
        self, recording: Recording, cache_dir: Path, commands: Commands, vmlinux: Path | None = None
    ) -> None:
        self._recording = recording
        self._plan: LabPlan = recording.plan()
        self._events = recording.events()
        self._cache_dir = cache_dir
        self._commands = commands
        self._given = None if vmlinux is None else open_vmlinux_decoder(commands, vmlinux)
        self._decoders: dict[str, Decoder | None] = {}

    def findings(self, node: str | None = None) -> tuple[Finding, ...]:
        """Those of the recording, or of one of its nodes."""
        found = collect_findings(
            self._recording.consoles(),
            emulated=self._plan.host.emulated,
            decoded=self._recording.decoded_frames(),
        )
        return tuple(one for one in found if node in (None, one.node))

    def decode(self, node: str | None = None) -> DecodedFindings:
        """All that can be decoded, and why the rest cannot. Raises InputError for a vmlinux that is none."""
        notes: dict[str, None] = {}
        found = tuple(self._decoded(one, notes) for one in self.findings(node))
        return DecodedFindings(found, tuple(notes))

    def _decoded(self, finding: Finding, notes: dict[str, None]) -> Finding:
        if not any(finding.frames()):
            return finding
        decoder, kernel = self._decoder_of(finding)
        if decoder is None or decoder.elf is None:
            notes[_missing(kernel)] = None
            return finding
        lines = decoder.decode([finding])
        if not lines and not finding.decoded:
            notes[_lines_missing(kernel)] = None
        return replace(finding, decoded={**finding.decoded, **lines})

    def _decoder_of(self, finding: Finding) -> tuple[Decoder | None, str]:
        if finding.node == HOST_SCOPE:
            return None, "of the host"
        kernel = booted_kernel(self._plan, self._events, finding.node, finding.path)
        if self._given is not None:
            return self._given, kernel
        if kernel not in self._decoders:
            self._decoders[kernel] = self._open(kernel)
        return self._decoders[kernel], kernel

    def _open(self, kernel: str) -> Decoder | None:
        key = self._recording.about.get("artifacts", {}).get("kernels", {}).get(kernel)
        if not isinstance(key, str) or not key.isalnum():
            return None
        return open_kept_decoder(self._commands, self._cache_dir / "kernel" / key)


def _missing(kernel: str) -> str:
    return (
        f"kernel {kernel}: its symbols are not in the cache (it was built elsewhere, or before symbols were kept); "
        "--vmlinux names the vmlinux of its build"
    )


def _lines_missing(kernel: str) -> str:
    return (
        f"kernel {kernel}: built without debug information, so functions have no files and lines; "
        "`debug_info: true` under it in the topology"
    )


def keep_decoded(directory: Path, findings: Iterable[Finding]) -> None:
    """Keep what frames were decoded to in the recording: whoever reads it later need not have the kernel."""
    decoded: dict[str, dict[str, str]] = {}
    for one in findings:
        if one.decoded:
            decoded.setdefault(one.path, {}).update(one.decoded)
    if decoded:
        (directory / DECODED_FILE).write_text(json.dumps(decoded, indent=1, sort_keys=True) + "\n")


def decode_quietly(directory: Path, cache_dir: Path, commands: Commands) -> None:
    """Decode what a run recorded as far as that is possible; it is worth no error where it is not."""
    try:
        decoder = RecordingDecoder(Recording(directory), cache_dir, commands)
        keep_decoded(directory, decoder.decode().findings)
    except (LabError, OSError):
        return


def render_decoded(decoded: DecodedFindings, headlines: Sequence[str]) -> str:
    """Every finding with its frames, one a line, then what could not be decoded."""
    lines: list[str] = []
    for finding, headline in zip(decoded.findings, headlines, strict=True):
        lines += [f"{finding.where}: {headline}", *(f"    {frame}" for frame in finding.frames()), ""]
    if not decoded.findings:
        lines.append("nothing was found on any console")
    return "\n".join([*lines, *(f"note: {note}" for note in decoded.notes)]).rstrip() + "\n"


def decoded_document(decoded: DecodedFindings, documents: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The same for programs."""
    return {"findings": list(_with_frames(decoded, documents)), "notes": list(decoded.notes)}


def _with_frames(
    decoded: DecodedFindings, documents: Iterable[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    for finding, document in zip(decoded.findings, documents, strict=True):
        yield {**document, "frames": list(finding.frames())}
